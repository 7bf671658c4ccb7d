"""The built book shows everything from disk: no network, nothing missing, a silent console."""

from __future__ import annotations

import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import CHROMIUM, FAINT, HTML, LAPTOP, PHONE, STATE, UNFOLD, Browser
from jupyter_cache import get_cache

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    page.relative_to(HTML).as_posix()
    for folder in ("book", "notebooks")
    for page in (HTML / folder).rglob("*.html")
)
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
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
    """Equations are typeset, pictures shown, all fits a laptop's window, the console is silent."""
    state = browser.open(page)
    assert state["rendered"] == state["equations"]
    assert state["broken_equations"] == 0
    assert state["broken_images"] == []
    assert state["unnamed"] == [], "a picture's alternative text says what it shows"
    assert state["bare"] == [], (
        "a picture has it as its caption, too; in a card, the card's words are there"
    )
    assert state["narrow_code"] == [], "code is as wide as its column"
    assert state["source"] == [], "Markdown that was not understood"
    assert state["same_names"] == [], "a fold is called what its line says"
    fits_its_window(browser)
    for theme in ("light", "dark"):
        assert browser.evaluate(f"{FAINT}({theme!r})") == [], theme


@pytest.mark.parametrize("page", PAGES)
def test_page_fits_a_phone(browser, page):
    """Nothing is wider than a phone's window."""
    browser.open(page, PHONE)
    fits_its_window(browser)


def fits_its_window(browser):
    """Unfolded, a page is no wider than its window, and its pictures keep their shape."""
    browser.evaluate(UNFOLD)
    time.sleep(0.1)  # what is unfolded makes room for its equations
    state = browser.evaluate(STATE)
    assert browser.complaints() == []
    assert state["excess"] <= 0
    assert state["squashed"] == []
    assert state["cut"] == [], "equations end where their column does"


def test_tables_are_saved_under_the_name_of_their_page(browser):
    """Two figures' tables do not overwrite each other in a reader's folder."""
    browser.open("notebooks/fig09_base_stations.html")
    saved = browser.evaluate("[...document.querySelectorAll('a.download')].map(a => a.download)")
    assert "fig09_base_stations-data.csv" in saved
    assert len(set(saved) - {""}) == len([name for name in saved if name])


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
