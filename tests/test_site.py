"""The built site in headless Chromium, WebGL by software: every page, both themes, two widths."""

import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
SCREENSHOTS = ROOT / "_build" / "screenshots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
CONTENTS = yaml.safe_load((ROOT / "_toc.yml").read_text())
CHAPTERS = [chapter for part in CONTENTS["parts"] for chapter in part["chapters"]]
PAGES = [CONTENTS["root"], *(page["file"] for chapter in CHAPTERS for page in (chapter, *chapter.get("sections", ())))]
THEMES, WIDTHS = ("light", "dark"), (1280, 360)
HARMLESS = ("[PST]", "[togglebutton]", "Canvas2D: Multiple readback", "GPU stall due to ReadPixels", "WebGL")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium here: the site was not opened in a browser"
    ),
]


@pytest.fixture(scope="session")
def address(site):
    """The site behind a plain file server on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    assert CHROMIUM, "CI is set, so a browser must be there: install Chromium"
    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


class Visit:
    """A page in the browser, and everything it complained about."""

    def __init__(self, browser, address, name, theme="light", width=1280, **options):
        self.complaints = []
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.context.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self._asked(request.url, address))
        self.page.goto(f"{address}/{name}.html")

    def _said(self, message):
        if message.type in ("error", "warning") and not message.text.startswith(HARMLESS):
            self.complaints.append(message.text + " " + message.location.get("url", ""))

    def _asked(self, url, address):
        if not url.startswith((address, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {url}")

    def draw_all(self):
        """Scroll to every figure until it has drawn."""
        for figure in self.page.query_selector_all("figure.pk-figure"):
            figure.scroll_into_view_if_needed()
            self.page.wait_for_function("f => f.dataset.ready === 'true'", arg=figure, timeout=60_000)
        return self.page.query_selector_all("figure.pk-figure")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_shows_everything_without_complaint(browser, address, name, theme, width):
    with Visit(browser, address, name, theme, width) as visit:
        figures = visit.draw_all()
        page = visit.page
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        for figure in figures:
            assert figure.query_selector(".gl-container canvas, .main-svg .scatterlayer .trace"), "nothing drawn"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
        page.evaluate("window.scrollTo(0, 0)")
        page.wait_for_timeout(300)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{Path(name).name}-{theme}-{width}.png", full_page=True)
        assert visit.complaints == []


@pytest.fixture
def intro(browser, address):
    with Visit(browser, address, CONTENTS["root"], reduced_motion="reduce") as visit:
        figure = visit.draw_all()[0]
        yield visit, figure


POINTS = "f => Array.from(f.querySelector('.pk-canvas')._fullData.find(t => t.type === 'scatter3d' && t.name === 'left').x)"
EYES = """f => {
    const layout = f.querySelector('.pk-canvas')._fullLayout;
    return Object.keys(layout).filter(key => /^scene\\d*$/.test(key)).map(key => layout[key].camera.eye);
}"""
EYE = "f => f.querySelector('.pk-canvas')._fullLayout.scene.camera.eye"


def test_the_slider_moves_the_skeleton(intro):
    visit, figure = intro
    before = visit.page.evaluate(POINTS, figure)
    slider = figure.query_selector("input[type=range]")
    slider.focus()
    for _ in range(5):
        visit.page.keyboard.press("ArrowRight")
    visit.page.wait_for_timeout(500)
    assert slider.input_value() == "5"
    after = visit.page.evaluate(POINTS, figure)
    assert max(abs(a - b) for a, b in zip(before, after) if a is not None and b is not None) > 0.05


def test_play_plays_and_pauses_and_keeps_the_readers_view(intro):
    visit, figure = intro
    figure.query_selector(".pk-canvas").focus()
    visit.page.keyboard.press("ArrowLeft")
    visit.page.wait_for_timeout(300)
    turned = visit.page.evaluate(EYE, figure)
    button, slider = figure.query_selector("button.pk-play"), figure.query_selector("input[type=range]")
    button.click()
    visit.page.wait_for_function("s => Number(s.value) >= 3", arg=slider)
    button.click()
    stopped = slider.input_value()
    visit.page.wait_for_timeout(400)
    assert slider.input_value() == stopped
    assert visit.page.evaluate(EYE, figure) == pytest.approx(turned)


def test_the_keyboard_turns_zooms_and_resets(intro):
    visit, figure = intro
    first = visit.page.evaluate(EYE, figure)
    figure.query_selector(".pk-canvas").focus()
    for key in ("ArrowRight", "ArrowUp", "+"):
        visit.page.keyboard.press(key)
        visit.page.wait_for_timeout(200)
    turned = visit.page.evaluate(EYE, figure)
    assert turned != pytest.approx(first)
    assert sum(v**2 for v in turned.values()) < sum(v**2 for v in first.values())
    visit.page.keyboard.press("Home")
    visit.page.wait_for_timeout(200)
    assert visit.page.evaluate(EYE, figure) == pytest.approx(first)


def test_side_by_side_figures_turn_together(browser, address):
    with Visit(browser, address, "notebooks/02_lift_with_labels") as visit:
        (figure,) = [f for f in visit.draw_all() if len(visit.page.evaluate(EYES, f)) > 1]
        figure.scroll_into_view_if_needed()
        box = figure.query_selector(".pk-canvas").bounding_box()
        x, y = box["x"] + box["width"] / 6, box["y"] + box["height"] / 2
        visit.page.mouse.move(x, y)
        visit.page.mouse.down()
        visit.page.mouse.move(x + 60, y + 10, steps=5)
        visit.page.mouse.up()
        visit.page.wait_for_timeout(600)
        eyes = visit.page.evaluate(EYES, figure)
        assert len(eyes) == 3
        assert eyes[0] != pytest.approx(dict(x=1.35, y=-1.15, z=0.55))
        assert eyes[1] == pytest.approx(eyes[0])
        assert eyes[2] == pytest.approx(eyes[0])


def test_without_scripts_a_still_picture_stands_there(browser, address):
    with Visit(browser, address, CONTENTS["root"], java_script_enabled=False) as visit:
        still = visit.page.query_selector("figure.pk-figure .pk-still svg")
        assert still.bounding_box()["height"] > 200
        assert len(still.query_selector_all("polyline")) > 20
