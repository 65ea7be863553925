"""The book's figures in browsers without WebGL, or with few panels at a time: each test starts a Chromium of its own."""

from test_figures_obey import Reader
from visits import Visit, figures_page, launched, needs_browser

from posekit.figures import curve_figure, pose_figure
from posekit.skeleton import HUMANEVA_15

pytestmark = needs_browser


def person(small):
    return pose_figure(small.poses_world[:9], HUMANEVA_15, frame_rate=small.frame_rate)


def test_without_webgl_the_still_stays(tmp_path, small):
    page = figures_page(tmp_path, [person(small), curve_figure({"error": ([1, 2], [3, 2])}, "epoch", "mm", "a falling line")])
    with launched("--disable-3d-apis") as chromium, Visit(chromium, page, "page") as opened:
        shown, chart = (Reader(opened, number).figure for number in (0, 1))
        assert shown.query_selector(".pk-still").is_visible()
        assert shown.query_selector(".pk-canvas, .pk-controls") is None
        assert chart.query_selector(".pk-canvas").is_visible()
        assert opened.complaints == []


def test_panels_that_the_browser_took_away_are_drawn_again(tmp_path, small):
    flags = "--max-active-webgl-contexts=2"
    page = figures_page(tmp_path, [person(small)] * 3)
    with launched(flags) as chromium, Visit(chromium, page, "page") as opened:
        first = Reader(opened, 0).figure
        Reader(opened, 1), Reader(opened, 2)
        opened.page.wait_for_function("f => !f.dataset.ready", arg=first)
        assert first.query_selector(".pk-still").is_visible()
        assert first.query_selector(".pk-canvas, .pk-controls") is None
        again = Reader(opened, 0)
        again.drag(60, 4)
        assert len(again.figure.query_selector_all(".pk-canvas, .pk-controls")) == 2
        assert all("Too many active WebGL contexts" in said for said in opened.complaints)
