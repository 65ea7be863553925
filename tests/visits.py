"""Visits to the built site's pages, and to a page of a few figures, in headless Chromium."""

import json
import os
import shutil
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from posebook import ASSETS
from posebook.figure import figure_html, palette_css, scripts_html
from posebook.plotly_js import plotly_file

ROOT = Path(__file__).parent.parent
SCREENSHOTS = ROOT / "_build" / "screenshots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
CONTENTS = yaml.safe_load((ROOT / "_toc.yml").read_text())
CHAPTERS = [chapter for part in CONTENTS["parts"] for chapter in part["chapters"]]
PAGES = [CONTENTS["root"], *(page["file"] for chapter in CHAPTERS for page in (chapter, *chapter.get("sections", ())))]
HARMLESS = ("[PST]", "[togglebutton]", "Canvas2D: Multiple readback", "GPU stall due to ReadPixels", "WebGL")
HARMLESS += ("I0000 ", "W0000 ", "INFO: ")  # MediaPipe's log; its errors begin with E and F
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium here: the site was not opened in a browser"
    ),
]


@contextmanager
def launched(*flags):
    """Chromium without a window, with more flags if need be."""
    from playwright.sync_api import sync_playwright  # here: the tests without a browser need no browser library

    assert CHROMIUM, "CI is set, so a browser must be there: install Chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        yield chromium
        chromium.close()


@contextmanager
def served(folder):
    """A folder behind a plain file server on this machine; its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def figures_page(folder, figures):
    """Write `page.html` with figures as the book has them, far enough apart to scroll from one to the next; its address."""
    shutil.copytree(ASSETS, folder, dirs_exist_ok=True)
    shutil.copyfile(plotly_file(), folder / "plotly.min.js")
    drawn = "".join(figure_html(json.loads(one.to_json())) for one in figures)
    (folder / "page.html").write_text(
        '<!doctype html><html data-theme="light"><head><meta charset="utf-8"><title>figures</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>figure {{ margin-bottom: 1500px !important; }} {palette_css()}</style>"
        f'<link rel="stylesheet" href="posebook.css">{scripts_html("plotly.min.js")}</head>'
        f'<body class="bd-content">{drawn}</body></html>'
    )
    return f"file://{folder}"


class Visit:
    """A page in the browser, the scripts it requested, and every complaint in the console."""

    def __init__(self, browser, address, name, theme="light", width=1280, **options):
        self.name, self.width = name, width
        self.complaints, self.scripts = [], set()
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        chosen = f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
        self.context.add_init_script(f"if (window.origin !== 'null') {{ {chosen} }}")  # a blank page has no storage
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", lambda request: self._asked(request, address))
        self.page.goto(f"{address}/{name}.html")

    def _said(self, message):
        if message.type in ("error", "warning") and not message.text.startswith(HARMLESS):
            self.complaints.append(message.text + " " + message.location.get("url", ""))

    def _failed(self, request):
        if not request.url.startswith("blob:"):  # of a video in the page's memory, Chromium drops what it has read enough of
            self.complaints.append(f"failed: {request.url}")

    def _asked(self, request, address):
        if request.resource_type == "script":
            self.scripts.add(request.url)
        if not request.url.startswith((address, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {request.url}")

    def theme(self):
        """The theme shown."""
        return self.page.evaluate("document.documentElement.dataset.theme")

    def turn(self, theme):
        """Switch the page to light or dark, and wait until figures and fading colours have followed."""
        self.page.evaluate("theme => (document.documentElement.dataset.theme = theme)", theme)
        self.page.wait_for_timeout(300)

    def picture(self):
        """Keep screenshots of the whole page in parts: Chromium paints no more than 8192 pixels at a time."""
        self.page.evaluate("window.scrollTo(0, 0)")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        height = self.page.evaluate("document.documentElement.scrollHeight")
        for part, top in enumerate(range(0, height, 8000), 1):
            path = SCREENSHOTS / f"{Path(self.name).name}-{self.theme()}-{self.width}-{part}.png"
            clip = {"x": 0, "y": top, "width": self.width, "height": min(8000, height - top)}
            self.page.screenshot(path=path, full_page=True, clip=clip)

    def draw_all(self):
        """Scroll to each figure and wait until it is drawn."""
        for figure in self.page.query_selector_all("figure.pk-figure"):
            figure.scroll_into_view_if_needed()
            self.page.wait_for_function("f => f.dataset.ready === 'true'", arg=figure, timeout=60_000)
        return self.page.query_selector_all("figure.pk-figure")

    def fingers(self, moments):
        """Touches of any number of fingers, moment by moment, as a screen reports them; no points: all are lifted."""
        screen = self.context.new_cdp_session(self.page)
        count = 0
        for points in moments:
            kind = "touchEnd" if not points else "touchStart" if len(points) > count else "touchMove"
            touches = [dict(x=x, y=y, id=k) for k, (x, y) in enumerate(points)]
            screen.send("Input.dispatchTouchEvent", dict(type=kind, touchPoints=touches))
            self.page.wait_for_timeout(20)
            count = len(points)
        screen.detach()

    def swipe(self, start, across, down):
        """One finger from a place of the window to another, in eight steps."""
        x, y = start
        self.fingers([[(x + across * k / 8, y + down * k / 8)] for k in range(9)] + [[]])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()
