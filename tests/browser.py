"""A headless Chromium without a network, and what tests of the built book ask its pages."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

HTML = Path(__file__).resolve().parents[1] / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
SETTLED = """Promise.all([
  window.MathJax && MathJax.startup && MathJax.startup.promise,
  ...[...document.images].map(image => image.decode().catch(() => 0)),
]).then(() => 0)"""
STATE = """(() => ({
  equations: document.querySelectorAll(".math").length,
  rendered: document.querySelectorAll("mjx-container").length,
  broken_equations: document.querySelectorAll("mjx-merror, [data-mjx-error]").length,
  images: document.images.length,
  broken_images: [...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.src),
  animations: document.querySelectorAll(".animation").length,
  excess: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  unnamed: [...document.images].map(i => i.alt).filter(t => !t || /\\.(png|svg|jpe?g)$/i.test(t)),
  bare: [...document.querySelectorAll("div.cell_output img:not(.animation img)")].filter(
    i => !i.closest(".sd-card") ===
      ((i.closest("a") ?? i).nextElementSibling?.textContent !== i.alt)
  ).map(i => i.src),
  squashed: [...document.images].filter(i => i.clientWidth && i.naturalHeight).filter(
    i => Math.abs(i.clientWidth * i.naturalHeight / i.clientHeight / i.naturalWidth - 1) > 0.03
  ).map(i => i.alt),
  cut: [...document.querySelectorAll("mjx-container[display='true']")].filter(
    e => e.scrollWidth > e.clientWidth + 1
  ).map(e => e.parentElement.id),
  same_names: [...document.querySelectorAll("summary[aria-label]")].map(e => e.ariaLabel),
  source: [...document.querySelectorAll("article p, article li")].map(e => e.textContent).filter(
    t => /(^|\\s):(link|img|name|class)[a-z-]*: |:::|\\{(doc|eq|ref|mod|cite)\\}/.test(t)
  ).map(t => t.slice(0, 80)),
  narrow_code: [...document.querySelectorAll("article div.highlight-python pre, "
    + "article div.highlight-ipython3 pre, article div.highlight-sh pre")
  ].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 80)),
}))()"""
FAINT = """(theme => {
  Object.assign(document.documentElement.dataset, {theme, mode: theme});
  const channels = text => {
    const [red, green, blue, alpha = 1] = text.match(/[\\d.]+/g).map(Number);
    const unit = text.startsWith("color(") ? 1 : 255;
    return [...[red, green, blue].map(value => value / unit), alpha];
  };
  const onto = (over, under) =>
    over.slice(0, 3).map((x, i) => x * over[3] + under[i] * (1 - over[3]));
  const ground = element => {
    if (!element) return [1, 1, 1];
    const colour = channels(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : onto(colour, ground(element.parentElement));
  };
  const light = rgb => rgb.map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0.05);
  const texts = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
  const found = [], SHOWN = {visibilityProperty: true, opacityProperty: true};
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, style = getComputedStyle(element);
    const text = texts.currentNode.textContent.trim();
    const unread = element.closest("script, style, title, mjx-container");
    if (!text || unread || !element.checkVisibility(SHOWN)) continue;
    const back = ground(element), ink = element.closest("svg") ? style.fill : style.color;
    const [low, high] = [light(onto(channels(ink), back)), light(back)].sort((a, b) => a - b);
    if (high / low < (parseFloat(style.fontSize) < 24 ? 4.5 : 3))
      found.push(`${text.slice(0, 40)}: ${(high / low).toFixed(2)}`);
  }
  return found;
})"""
"""Texts whose contrast with what they stand on is below that of WCAG 2.2, level AA, in a theme."""
UNFOLD = "document.querySelectorAll('details').forEach(fold => { fold.open = true; })"
LAPTOP, PHONE = 1280, 400
"""Widths, px."""


class Browser:
    """A headless Chromium without a network, driven over its debugging socket."""

    def __init__(self, profile: Path) -> None:
        websocket = pytest.importorskip("websocket")
        switches = [
            "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
            "disable-background-networking", "disable-component-update", "disable-sync",
            "host-resolver-rules=MAP * ~NOTFOUND", f"user-data-dir={profile}",
            "remote-debugging-port=0", "remote-allow-origins=*", "window-size=1300,2000",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            [CHROMIUM, *(f"--{switch}" for switch in switches), "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port = profile / "DevToolsActivePort"
        for _ in range(300):
            if port.exists() and "/" in port.read_text():
                break
            time.sleep(0.1)
        number, path = port.read_text().split()
        address = f"ws://127.0.0.1:{number}{path}"
        self.socket = websocket.create_connection(
            address,
            timeout=60,
            skip_utf8_validation=True,  # character by character, in Python
        )
        self.count = 0
        self.events: list[dict] = []
        self.session = None
        tab = self.call("Target.createTarget", url="about:blank")
        attached = self.call("Target.attachToTarget", flatten=True, **tab)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params):
        """Send a command and return its result; events that come meanwhile are kept."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, expression: str):
        """Return a JavaScript value; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, page: str, width: int = LAPTOP) -> dict:
        """Return the state of a page once it is loaded and its equations are typeset."""
        self.events.clear()
        shape = {"height": 2 * width, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self.call("Emulation.setDeviceMetricsOverride", width=width, **shape)
        self.call("Page.navigate", url=f"{HTML.as_uri()}/{page}")
        while self.evaluate("document.readyState") != "complete":
            time.sleep(0.05)
        self.evaluate(SETTLED)
        return self.evaluate(STATE)

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, uncaught exceptions and failed requests."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            match event.get("method"):
                case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                    found.append(str([item.get("value") for item in params["args"]]))
                case "Runtime.exceptionThrown":
                    found.append(str(params["exceptionDetails"])[:500])
                case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                    found.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
                case "Network.loadingFailed" if not params.get("canceled"):
                    found.append("failed request: " + params["errorText"])
                case "Network.requestWillBeSent":
                    url = params["request"]["url"]
                    if not url.startswith(("file:", "data:", "blob:", "about:")):
                        found.append("request: " + url)
        return found

    def close(self) -> None:
        """End the browser that this object started."""
        self.socket.close()
        self.process.terminate()
        self.process.wait(30)
