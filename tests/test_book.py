"""The built book shows everything from disk: no network, nothing missing, a silent console."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from jupyter_cache import get_cache

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
PAGES = sorted(
    page.relative_to(HTML).as_posix()
    for folder in ("book", "notebooks")
    for page in (HTML / folder).rglob("*.html")
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
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
  document.querySelectorAll("details").forEach(fold => { fold.open = true; });
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
LAPTOP, PHONE = 1280, 400
"""Widths, px."""

pytestmark = pytest.mark.book


class Elements(HTMLParser):
    """What a page loads, links to and can be linked to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed((HTML / page).read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.ids.update(filter(None, (named.get("id"), named.get("name"))))
        target = named.get(LOADS.get(tag, ""))
        if target and named.get("rel") not in ("next", "prev", "canonical"):
            self.loads.append(target)
        if tag == "a" and named.get("href"):
            self.links.append(named["href"])


@pytest.fixture(scope="module")
def elements() -> dict[str, Elements]:
    """Every page, parsed."""
    return {page: Elements(page) for page in PAGES}


def test_the_book_is_built():
    """All pages of the table of contents are there, and an entry page."""
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    named = {f"{name}.html" for name in re.findall(r"(?:file|root): (\S+)", contents)}
    for pattern in re.findall(r"glob: (\S+)", contents):
        found = ROOT.glob(f"{pattern}.ipynb")
        named |= {file.relative_to(ROOT).with_suffix(".html").as_posix() for file in found}
    assert named == set(PAGES)
    assert (HTML / "index.html").exists()


def test_pages_show_what_nbval_saw():
    """Every notebook was run once: the build itself has only run pages of text with a cell."""
    cache = get_cache(ROOT / "_build" / ".jupyter_cache")
    kept = [one for one in cache.list_cache_records() if one.uri.endswith(".ipynb")]
    assert len(kept) == len(list((HTML / "notebooks").glob("*.html")))
    assert {Path(one.uri).suffix for one in cache.list_project_records()} == {".md"}


def test_nothing_is_loaded_from_elsewhere(elements):
    """Scripts, styles, pictures and frames are local files or inline data, and exist."""
    for page, found in elements.items():
        for target in found.loads:
            parts = urlsplit(target)
            assert parts.scheme in ("", "data"), f"{page} loads {target[:100]}"
            assert not parts.netloc, f"{page} loads {target[:100]}"
            if parts.scheme == "":
                assert (HTML / page).parent.joinpath(unquote(parts.path)).exists(), (page, target)
    for sheet in HTML.glob("_static/**/*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text), sheet.name


def test_links_inside_the_book_lead_somewhere(elements):
    """Files exist, and so do anchors in them."""
    for page, found in elements.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            here = HTML / page
            target = here.parent / unquote(parts.path) if parts.path else here
            assert target.exists(), (page, link)
            name = os.path.relpath(target, HTML)
            if parts.fragment and name in elements:
                assert unquote(parts.fragment) in elements[name].ids, (page, link)


def test_hosts_are_linked_only_where_one_is_named(elements):
    """Launch and edit links stand on every page or on none, as BOOK_REPOSITORY says."""
    hosts = re.compile(r"mybinder\.org|colab\.research|/edit/main/")
    linked = {page for page, found in elements.items() if any(map(hosts.search, found.links))}
    assert linked == (set(PAGES) if os.environ.get("BOOK_REPOSITORY") else set())


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
        self.socket = websocket.create_connection(f"ws://127.0.0.1:{number}{path}", timeout=60)
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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for all pages."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.mark.parametrize("page", PAGES)
def test_page_in_a_browser_without_network(browser, page):
    """Equations are typeset, pictures shown, and the console is silent."""
    state = browser.open(page)
    assert browser.complaints() == []
    assert state["rendered"] == state["equations"]
    assert state["broken_equations"] == 0
    assert state["broken_images"] == []
    assert state["unnamed"] == [], "a picture's alternative text says what it shows"
    assert state["narrow_code"] == [], "code is as wide as its column"
    assert state["source"] == [], "Markdown that was not understood"
    assert state["same_names"] == [], "a fold is called what its line says"
    for theme in ("light", "dark"):
        assert browser.evaluate(f"{FAINT}({theme!r})") == [], theme


@pytest.mark.parametrize("width", [LAPTOP, PHONE])
@pytest.mark.parametrize("page", PAGES)
def test_page_fits_its_window(browser, page, width):
    """Nothing is wider than a laptop's window, or a phone's, and pictures keep their shape."""
    browser.open(page, width)
    browser.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    time.sleep(0.1)  # what is unfolded makes room for its equations
    state = browser.evaluate(STATE)
    assert browser.complaints() == []
    assert state["excess"] <= 0
    assert state["squashed"] == []
    assert state["cut"] == [], "equations end where their column does"


@pytest.mark.parametrize("words", ["outage", "virtual queue"])
def test_search_from_disk(browser, words):
    """What is found is shown with an excerpt that has the words, and no error."""
    browser.open(f"search.html?q={words.replace(' ', '+')}")
    found = "[...document.querySelectorAll('.search p.context')].map(p => p.textContent)"
    for _ in range(200):
        if "finished" in browser.evaluate("document.body.textContent"):
            break
        time.sleep(0.05)
    excerpts = browser.evaluate(found)
    hits = browser.evaluate("document.querySelectorAll('.search li:not(:has(> span))').length")
    assert browser.complaints() == []
    assert 0 < hits <= len(excerpts) and all(len(text) > 40 for text in excerpts)
    assert any(words.split()[0] in text.lower() for text in excerpts)


def test_the_animation_plays(browser):
    """The page of the two timescales has an animation that moves when started."""
    state = browser.open("notebooks/02_two_timescales.html")
    assert state["animations"] >= 1
    picture = "document.querySelector('.animation img').src.slice(-4000)"
    first = browser.evaluate(picture)
    browser.evaluate("document.querySelector('.anim-buttons button[title=Play]').click()")
    for _ in range(100):
        time.sleep(0.05)
        if browser.evaluate(picture) != first:
            return
    pytest.fail("the picture did not change within 5 s of pressing Play")


def test_paper_is_white_and_has_the_verdicts(browser):
    """A print from the dark theme is light, with verdicts open; after it all is as it was."""
    browser.open("notebooks/scoreboard.html")
    state = """[document.documentElement.dataset.theme,
      document.querySelectorAll("details.sentences[open]").length]"""
    browser.evaluate("document.documentElement.dataset.theme = 'dark'")
    before = browser.evaluate(state)
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    theme, opened = browser.evaluate(state)
    assert theme == "light" and opened > before[1]
    browser.evaluate("dispatchEvent(new Event('afterprint'))")
    assert browser.evaluate(state) == before


EXPLORE = "notebooks/explore.html"
CONTROLS = """[...document.querySelectorAll("div.chart")].map(
  chart => [chart.id, chart.querySelectorAll(".vega-bind :is(input, select)").length])"""
DRAWN = """Promise.all([...document.querySelectorAll("div.chart")].map(
  async chart => (await chart.drawn).view.runAsync())).then(() => 0)"""
MOVE = """(async (name, number) => {
  const chart = document.getElementById(name), picture = () => chart.querySelector("svg").outerHTML;
  const control = chart.querySelectorAll(".vega-bind :is(input, select)")[number];
  const before = picture(), {value, min, max} = control;
  const put = async to => {
    control.value = to;
    for (const kind of ["input", "change"]) control.dispatchEvent(new Event(kind, {bubbles: true}));
    await (await chart.drawn).view.runAsync();
  };
  const last = control.options && control.options[control.options.length - 1].value;
  await put(last || (+value > (+min + +max) / 2 ? min : max));
  const moved = picture() !== before;
  await put(value);
  return moved;
})"""


def test_every_slider_moves_its_picture_without_network(browser):
    """Nothing is loaded, nothing complains, and all controls do something."""
    browser.open(EXPLORE)
    browser.evaluate(DRAWN)
    controls = dict(browser.evaluate(CONTROLS))
    assert controls == {"sweeps": 2, "thresholds": 7, "split": 5, "beta": 2}
    still = [
        (name, number)
        for name, count in controls.items()
        for number in range(count)
        if not browser.evaluate(f"{MOVE}({name!r}, {number})")
    ]
    assert still == []
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [LAPTOP, PHONE])
def test_charts_fit_their_column(browser, width):
    """Neither the page nor a chart is wider than the window; a chart says what it shows."""
    browser.open(EXPLORE, width)
    browser.evaluate(DRAWN)
    wide = "[document.documentElement, ...document.querySelectorAll('div.chart')]"
    sizes = browser.evaluate(f"{wide}.map(one => [one.scrollWidth, one.clientWidth])")
    assert len(sizes) == 5 and all(needed <= there <= width for needed, there in sizes)
    drawn = "[...document.querySelectorAll('.chart[role=graphics-document]')]"
    said = browser.evaluate(f"{drawn}.map(one => one.ariaLabel)")
    assert len(said) == 4 and all(said)


def test_charts_follow_the_window(browser):
    """Where the window gets narrower, so do charts, and sliders stay where they are."""
    browser.open(EXPLORE)
    browser.evaluate(DRAWN)
    value = "document.querySelector('#thresholds input').value"
    slide = "e.value = e.max; e.dispatchEvent(new Event('input'))"
    browser.evaluate(f"(e => {{ {slide} }})(document.querySelector('#thresholds input'))")
    moved = browser.evaluate(value)
    shape = {"height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", width=700, **shape)
    sizes = "[...document.querySelectorAll('div.chart')].map(e => [e.querySelector('svg'), e])"
    fits = f"{sizes}.every(([svg, e]) => svg && svg.clientWidth <= e.clientWidth)"
    for _ in range(100):
        time.sleep(0.05)
        if browser.evaluate(f"!!{fits}"):
            break
    time.sleep(0.5)
    assert browser.evaluate(fits) and browser.evaluate(value) == moved
