"""The front page in headless Chromium: what it weighs, how soon it draws, that it lifts, and that it obeys the hand."""

import gzip
import json
import re
from urllib.parse import urlsplit

import numpy as np
import pytest
from visits import Visit, needs_browser

pytestmark = needs_browser
PAGE = "book/intro"
READY = ".pk-lifting[data-ready=true]"
SAMPLE = """async canvas => {
    for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame); // it is drawn with the next one
    const { width, height } = canvas;
    return Array.from(canvas.getContext('2d').getImageData(0, 0, width, height).data).filter((_, k) => k % 28 === 3);
}"""
LIFT = """question => new Promise((resolve, reject) => {
    const worker = new Worker('/_static/tryit-worker.js');
    worker.onerror = reject;
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage(question);
})"""


def opened(browser, address, **options):
    visit = Visit(browser, address, PAGE, **{"reduced_motion": "reduce"} | options)
    visit.page.wait_for_selector(READY)
    return visit


@pytest.fixture
def visit(browser, address):
    with opened(browser, address) as visit:
        visit.page.wait_for_selector(".pk-lifting[data-live]")
        visit.page.wait_for_timeout(300)
        yield visit
        assert visit.complaints == []


def top(visit):
    return visit.page.locator(".pk-lifting canvas")


def pixels(visit, canvas=None):
    """What is drawn, as the opacity of every seventh pixel."""
    return np.array((canvas or top(visit)).evaluate(SAMPLE))


def front_data(visit):
    return json.loads(visit.page.locator(".pk-lifting script").text_content())


def test_the_whole_page_weighs_little_and_has_no_plotly(browser, address, site):
    with Visit(browser, address, "search") as blank:  # a page that is open already, to count what the next one fetches
        fetched = set()
        blank.page.on("request", lambda request: fetched.add(request.url))
        blank.page.goto(f"{address}/{PAGE}.html")
        blank.page.wait_for_selector(".pk-lifting[data-live]", timeout=60_000)
        files = [site / urlsplit(url).path.lstrip("/") for url in fetched if url.startswith(address)]
    assert any(file.name == "weights.bin" for file in files)
    assert not any("plotly" in file.name or "mathjax" in str(file) for file in files)
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 700_000


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_title_scene_and_buttons_are_above_the_fold(browser, address, width, height):
    with opened(browser, address, width=width) as visit:
        visit.page.set_viewport_size({"width": width, "height": height})
        for shown in ("article h1", ".pk-lead p", ".pk-lifting canvas", ".pk-ways a >> nth=0", ".pk-ways a >> nth=1"):
            box = visit.page.locator(shown).first.bounding_box()
            assert 0 <= box["y"] <= height - box["height"], shown
        assert visit.complaints == []


def test_the_buttons_lead_on(visit):
    leads = visit.page.eval_on_selector_all(".pk-ways a", "links => links.map(link => link.getAttribute('href'))")
    assert [lead.split("/")[-1].split("#")[0] for lead in leads] == ["try_it.html", "01_one_pose_many_views.html"]


def test_the_browser_lifts_the_walk_as_pytorch_did(visit):
    data = front_data(visit)
    for frame in (0, 20, 45):
        answer = visit.page.evaluate(LIFT, {"pose": data["truth"][frame], "camera": data["camera"]})
        assert np.array(answer["world"]) == pytest.approx(np.array(data["lifted"][frame]), abs=0.006)


def test_the_error_shown_is_that_of_the_lifted_pose(visit):
    data = front_data(visit)
    lifted, truth = (np.array(data[name]) for name in ("lifted", "truth"))
    offset = (lifted - lifted[:, :1]) - (truth - truth[:, :1])
    each = 1000 * np.linalg.norm(offset, axis=-1).mean(-1)
    shown = float(visit.page.inner_text(".pk-off b").split()[0])
    assert each.min() - 2 < shown < each.max() + 2


def test_a_drag_and_the_keys_turn_the_view(visit):
    first = pixels(visit)
    box = top(visit).bounding_box()
    visit.page.mouse.move(box["x"] + 100, box["y"] + 100)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 180, box["y"] + 110, steps=4)
    visit.page.mouse.up()
    dragged = pixels(visit)
    assert (first != dragged).mean() > 0.01
    top(visit).press("Home")
    visit.page.wait_for_timeout(500)
    home = pixels(visit)
    assert (home != dragged).mean() > 0.01
    top(visit).press("ArrowLeft")
    assert (pixels(visit) != home).mean() > 0.01
    top(visit).press("Home")
    assert (pixels(visit) != home).mean() < 0.001


def test_the_view_stays_over_the_floor(visit):
    for _ in range(20):
        top(visit).press("ArrowDown")
    lowest = pixels(visit)
    top(visit).press("ArrowDown")
    assert (pixels(visit) == lowest).all()


def test_the_wheel_scrolls_the_page(visit):
    box = top(visit).bounding_box()
    visit.page.mouse.move(box["x"] + 100, box["y"] + 100)
    visit.page.mouse.wheel(0, 200)
    visit.page.wait_for_function("scrollY > 100")


def test_a_finger_turns_the_view_across_and_scrolls_the_page_upwards(browser, address):
    with opened(browser, address, width=390, has_touch=True, is_mobile=True) as visit:
        visit.page.wait_for_selector(".pk-lifting[data-live]")
        before, box = pixels(visit), top(visit).bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        visit.swipe(middle, 80, 0)
        assert (pixels(visit) != before).mean() > 0.01
        assert visit.page.evaluate("scrollY") == 0
        visit.swipe(middle, 0, -120)
        visit.page.wait_for_function("scrollY > 60")
        assert visit.complaints == []


def test_it_plays_pauses_and_rests_where_motion_is_not_wanted(browser, address, visit):
    drawn = "document.querySelector('.pk-lifting canvas').dataset.drawn"
    at_rest = visit.page.evaluate(drawn)
    visit.page.wait_for_timeout(400)
    assert visit.page.evaluate(drawn) == at_rest
    with opened(browser, address, reduced_motion="no-preference") as moving:
        moving.page.wait_for_selector(".pk-lifting[data-live]")
        moving.page.wait_for_timeout(3500)
        error = moving.page.inner_text(".pk-off b")
        moving.page.wait_for_function("before => document.querySelector('.pk-off b').textContent !== before", arg=error)
        moving.page.get_by_role("button", name="Pause").click()
        moving.page.wait_for_timeout(300)
        stopped = moving.page.evaluate(drawn)
        moving.page.wait_for_timeout(400)
        assert moving.page.evaluate(drawn) == stopped


def test_the_view_does_not_jump_after_a_pause(browser, address):
    """Where the floor's first line starts shows the view; the clock is put on by half a sway."""
    where = """() => {
        const { moveTo } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.moveTo = function (x, y) {
            if (this.canvas.parentNode.className === 'pk-room') (window.starts ??= []).push([x, y]);
            return moveTo.call(this, x, y);
        };
    }"""
    with opened(browser, address, reduced_motion="no-preference") as visit:
        visit.page.wait_for_timeout(4500)
        visit.page.evaluate(where)

        def floor():
            visit.page.evaluate("() => { starts = []; }")
            visit.page.wait_for_function("window.starts?.length > 20")
            return np.array(visit.page.evaluate("starts[0]"))

        before = floor()
        visit.page.get_by_role("button", name="Pause").click()
        visit.page.evaluate("() => { const now = performance.now.bind(performance); performance.now = () => now() + 7000; }")
        visit.page.get_by_role("button", name="Play").click()
        assert np.abs(floor() - before).max() < 60  # pixels


def test_three_panels_in_step_turn_together(visit):
    panels = visit.page.locator(".pk-panel canvas")
    panels.first.scroll_into_view_if_needed()
    before = [pixels(visit, panels.nth(k)) for k in range(3)]
    panels.nth(1).press("ArrowLeft")
    assert all((pixels(visit, panels.nth(k)) != before[k]).mean() > 0.01 for k in range(3))
    names = visit.page.locator(".pk-panel b").all_inner_texts()
    assert names == ["without labels", "with labels", "triangulated"]
    assert all("mm" in text for text in visit.page.locator(".pk-now").all_inner_texts())


def test_the_label_free_loss_costs_and_the_missing_labels_do_not(visit):
    free, labels, triangulated = (panel["error_mm"] for panel in front_data(visit)["panels"])
    assert free > 1.5 * labels
    assert triangulated == pytest.approx(labels, rel=0.1)


def test_without_scripts_and_on_paper_stills_stand_there(browser, address, visit):
    with Visit(browser, address, PAGE, java_script_enabled=False) as plain:
        for still in plain.page.locator(".pk-still svg").all():
            assert still.bounding_box()["height"] > 100
        assert plain.page.locator(".pk-lifting .pk-keys").is_visible()
        assert plain.page.locator(".pk-panel .pk-still [stroke^=color-mix]").count() == 3 * 14
        assert plain.page.locator(".pk-lifting .pk-still line").count() > 50
    visit.page.emulate_media(media="print")
    assert visit.page.locator(".pk-lifting .pk-still svg").is_visible()
    for of_another_moment in (".pk-lifting canvas", ".pk-off", ".pk-now >> nth=0"):
        assert not visit.page.locator(of_another_moment).is_visible()


def test_in_the_dark_it_is_drawn_in_other_colours(visit):
    read = "canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data"
    colours = f"canvas => Array.from({read}).filter((_, k) => k % 28 < 3)"
    light = np.array(top(visit).evaluate(colours))
    visit.turn("dark")
    assert (np.array(top(visit).evaluate(colours)) != light).mean() > 0.01


def test_on_a_phone_the_camera_is_in_the_picture_and_pause_at_the_edge(browser, address):
    """Nothing but the sides of the camera has such a green without any red in it."""
    count = """canvas => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let green = 0;
        for (let k = 0; k < data.length; k += 4) {
            const [red, middle, , opacity] = data.subarray(k, k + 4);
            green += red < 10 && middle > 90 && middle < 150 && opacity === 255;
        }
        return green;
    }"""
    with opened(browser, address, width=390, has_touch=True, is_mobile=True) as visit:
        visit.page.wait_for_function(f"({count})(document.querySelector('.pk-lifting canvas')) > 200")
        room, pause = (visit.page.locator(part).bounding_box() for part in (".pk-lifting .pk-room", ".pk-lifting .pk-play"))
        assert pause["x"] + pause["width"] == pytest.approx(room["x"] + room["width"], abs=2)
        assert visit.complaints == []


LISTEN = """() => {
    window.said = [];
    const fillText = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        window.said.push({ x, y, half: this.measureText(text).width / 2 });
        return fillText.call(this, text, x, y);
    };
}"""


def test_on_a_phone_the_words_keep_off_each_other(browser, address):
    with opened(browser, address, width=390) as visit:
        visit.page.evaluate(LISTEN)
        for _ in range(12):
            visit.page.evaluate("said.length = 0")
            top(visit).press("ArrowRight")
            visit.page.wait_for_function("said.length >= 2")
            camera, network = visit.page.evaluate("said.slice(-2)")
            across, down = abs(camera["x"] - network["x"]), abs(camera["y"] - network["y"])
            assert across > camera["half"] + network["half"] or down > 12


def test_it_says_from_where_errors_are_measured(visit):
    for place in (".pk-off", ".pk-scale"):
        assert "pelvis on pelvis" in visit.page.inner_text(place)


def test_the_story_has_five_sentences_and_few_numbers(visit):
    story = visit.page.locator("article p").filter(has_text="On HumanEva-I").first.inner_text()
    assert len(re.findall(r"[.?!](?= [A-Z]|$)", story)) == 5
    assert len(re.findall(r"\d+ mm", story)) <= 7
