"""The book's figures under the reader's hand, on a small page written as the book writes its own: mouse, touch, wheel, keys."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from visits import Visit, figures_page, needs_browser

from posekit.cameras import Cameras
from posekit.colors import CAMERA, DARK, SHADOW
from posekit.drawing import Layer, Panel, show
from posekit.figures import comparison_figure, curve_figure, pose_figure
from posekit.rig_figures import moving_rig_figure
from posekit.skeleton import HUMANEVA_15
from posekit.sliders import sizes_figure, training_figure

pytestmark = needs_browser

EYES = """f => {
    const layout = f.querySelector('.pk-canvas')._fullLayout;
    return Object.keys(layout).filter(key => /^scene\\d*$/.test(key)).map(key => layout[key].camera.eye);
}"""
FLOOR = "f => -f.querySelector('.pk-canvas')._fullLayout.scene.aspectratio.z / 2"
RANGES = "f => ['xaxis', 'yaxis'].map(axis => f.querySelector('.pk-canvas')._fullLayout[axis].range)"
SETTLED = """frames => new Promise(done => {
    let still = 0, was = scrollY;
    const look = () => {
        still = scrollY === was ? still + 1 : 0;
        was = scrollY;
        still >= frames ? done(was) : requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""  # the page has not scrolled for so many drawn frames
SHOWS = "([canvas, frame]) => canvas.dataset.frame === String(frame)"
PLAYS = """canvas => new Promise(done => {
    const before = canvas.dataset.frame;
    let left = 40;
    const look = () => {
        if (canvas.dataset.frame !== before) done(true);
        else left-- ? requestAnimationFrame(look) : done(false);
    };
    look();
})"""


def drawn_figures(small):
    """A person that plays by itself, two panels, a chart, a rig that moves, an image with one that moves, and two that
    slide: over sizes and over training."""
    poses, rate = small.poses_world[:40], small.frame_rate
    alone = pose_figure(poses, HUMANEVA_15, frame_rate=rate)
    alone.layout.meta |= {"autoplay": True}
    compared = comparison_figure(dict.fromkeys(("one", "two"), poses + 0.02), poses, HUMANEVA_15, frame_rate=rate)
    chart = curve_figure({"error": ([1, 2, 3], [3, 2, 1])}, "epoch", "mm", "a falling line", log_y=True)
    image = tuple(small.cameras[0, 0].image_size_px.tolist())
    seen = show([Panel("C1", [Layer(small.pixels[:9, 0], HUMANEVA_15)], image)], "a person in an image", frame_rate=rate)
    return alone, compared, chart, rig_figure(small), seen, growing(small), learning(small)


STEPS = ["start", "step 1", "end"]


SIZES, EPOCHS, ERRORS_MM = [0.8, 1.0, 1.2], [0, 2, 4], [500.0, 250.0, 61.5]


def growing(small):
    return sizes_figure(small.poses_world[0], small.cameras[0], small.view_names, HUMANEVA_15, SIZES, start=1)


def learning(small):
    guesses = small.poses_camera()[0] + torch.tensor([0.5, 0.2, 0.05])[:, None, None, None]
    shown = small.views()[0], small.poses_world[0], EPOCHS, ERRORS_MM
    return training_figure(guesses, *shown, small.view_names, HUMANEVA_15)


def rig_figure(small):
    true = small.cameras[0]
    rigs = Cameras.stack([replace(true, t_world_to_camera=scale * true.t_world_to_camera) for scale in (1.5, 1.2, 1.0)])
    return moving_rig_figure(rigs, small.poses_world[:3], true, HUMANEVA_15, STEPS, "a rig")


@pytest.fixture(scope="session")
def one_page(tmp_path_factory, small):
    """The address of a page that holds those figures."""
    return figures_page(tmp_path_factory.mktemp("page"), drawn_figures(small))


@pytest.fixture(scope="session")
def still_page(tmp_path_factory, small):
    """The address of a page with a comparison that does not move."""
    pose = small.poses_world[0]
    return figures_page(tmp_path_factory.mktemp("still"), [comparison_figure({"one": pose + 0.2}, pose, HUMANEVA_15)])


class Reader:
    """One figure on the page, and hands for it. Time is counted in drawn frames, of which a busy machine has fewer."""

    def __init__(self, visit, number):
        self.visit, self.page = visit, visit.page
        self.figure = self.page.query_selector_all("figure.pk-figure")[number]
        self.come()
        self.page.wait_for_function("f => f.dataset.ready === 'true'", arg=self.figure, timeout=120_000)
        self.canvas = self.figure.query_selector(".pk-canvas")

    def come(self):
        self.page.evaluate("f => f.scrollIntoView({block: 'center'})", self.figure)
        self.page.evaluate(SETTLED, 3)

    def leave(self):
        self.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        self.page.evaluate(SETTLED, 3)

    def eyes(self):
        self.page.evaluate(SETTLED, 3)
        return self.page.evaluate(EYES, self.figure)

    def scrolled(self):
        """Where the page is, once it no longer moves."""
        return self.page.evaluate(SETTLED, 12)

    def plays(self):
        return self.page.evaluate(PLAYS, self.canvas)

    def press_play(self):
        self.figure.query_selector("button.pk-play").evaluate("button => button.click()")  # a busy machine is never at rest

    def start(self):
        x, y, width, height = (self.canvas.bounding_box()[key] for key in ("x", "y", "width", "height"))
        return x + width / 5, y + height / 2

    def drag(self, across, down, touch=False):
        x, y = self.start()
        if touch:
            self.visit.swipe((x, y), across, down)
            return
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + across, y + down, steps=8)
        mouse.up()


ALONE, COMPARED, CHART, RIG, SEEN, GROWING, LEARNING = range(7)


@pytest.fixture(scope="module")
def visit(browser, one_page):
    """The page on a screen that takes touches and has a mouse too, opened once for all tests."""
    with Visit(browser, one_page, "page", width=700, has_touch=True) as opened:
        opened.page.set_default_timeout(120_000)
        yield opened


@pytest.fixture
def reader(visit):
    """`reader(figure)` turns to a figure, seen as at first; at the end nothing has complained."""

    def turned_to(number):
        hand = Reader(visit, number)
        if number not in (CHART, SEEN):
            hand.canvas.press("Home")
        return hand

    yield turned_to
    assert visit.complaints == []


with_either_hand = pytest.mark.parametrize("touch", [False, True], ids=["mouse", "touch"])


@with_either_hand
def test_a_drag_turns_while_it_plays_and_the_view_stays(reader, touch):
    hand = reader(ALONE)
    assert hand.plays()
    before = hand.eyes()
    hand.drag(80, 6, touch=touch)
    turned = hand.eyes()
    assert turned[0] != pytest.approx(before[0], abs=0.05)
    assert hand.plays()
    assert hand.eyes() == [pytest.approx(eye) for eye in turned]


@with_either_hand
def test_a_drag_at_rest_turns_all_panels_and_the_view_stays_when_it_plays(reader, touch):
    hand = reader(COMPARED)
    assert not hand.plays()
    before = hand.eyes()
    hand.drag(60, 4, touch=touch)
    turned = hand.eyes()
    assert turned[0] != pytest.approx(before[0], abs=0.05)
    assert turned[1:] == [pytest.approx(turned[0])]
    hand.press_play()
    assert hand.plays()
    assert hand.eyes() == [pytest.approx(eye) for eye in turned]
    hand.press_play()


def test_the_view_stays_when_the_slider_moves_and_the_theme_changes(reader):
    hand = reader(COMPARED)
    hand.drag(60, 10)
    turned = hand.eyes()
    slider = hand.figure.query_selector("input[type=range]")
    slider.press("Home")
    slider.press("ArrowRight")  # wherever it stood before, also at its end
    hand.visit.turn("dark")
    hand.visit.turn("light")
    hand.page.wait_for_function(SHOWS, arg=[hand.canvas, 1])
    assert hand.eyes() == [pytest.approx(eye) for eye in turned]


def test_under_a_person_lies_a_shadow_and_on_a_dark_page_a_patch_of_light(reader):
    hand = reader(ALONE)
    last_mesh = "([f, color]) => f.querySelector('.pk-canvas')._fullData.findLast(t => t.type === 'mesh3d').color === color"
    for theme, color in (("light", SHADOW), ("dark", DARK[SHADOW]), ("light", SHADOW)):
        hand.visit.turn(theme)
        hand.page.wait_for_function(last_mesh, arg=[hand.figure, color])  # a busy machine paints it later


def test_a_slider_is_tall_enough_for_a_finger(reader):
    assert reader(ALONE).figure.query_selector("input[type=range]").bounding_box()["height"] >= 24  # WCAG 2.2, 2.5.8


def test_panels_are_laid_out_anew_on_a_screen_of_another_width(browser, one_page):
    text_size = "([f, size]) => f.querySelector('.pk-canvas')._fullLayout.font.size === size"
    with Visit(browser, one_page, "page", width=360) as visit:
        hand = Reader(visit, COMPARED)
        panels = "f => Object.values(f.querySelector('.pk-canvas')._fullLayout.scene.domain).flat()"
        narrow = visit.page.evaluate(panels, hand.figure)
        assert visit.page.evaluate(text_size, [hand.figure, 11])
        visit.page.set_viewport_size(dict(width=1000, height=900))
        visit.page.wait_for_function(text_size, arg=[hand.figure, 13])
        assert visit.page.evaluate(panels, hand.figure) != narrow
        visit.page.set_viewport_size(dict(width=360, height=900))
        visit.page.wait_for_function(text_size, arg=[hand.figure, 11])
        assert visit.page.evaluate(panels, hand.figure) == narrow
        assert visit.complaints == []


@pytest.mark.parametrize("number", [ALONE, COMPARED, CHART])
def test_the_wheel_scrolls_the_page(reader, number):
    hand = reader(number)
    before = hand.scrolled()
    eyes = hand.eyes()
    hand.page.mouse.move(*hand.start())
    hand.page.mouse.wheel(0, 300)
    assert hand.scrolled() > before + 200
    assert hand.eyes() == eyes


@pytest.mark.parametrize("number", [ALONE, COMPARED, CHART])
def test_a_swipe_up_scrolls_the_page(reader, number):
    hand = reader(number)
    before = hand.scrolled()
    hand.drag(0, -160, touch=True)
    assert hand.scrolled() > before + 80


def test_ctrl_and_wheel_zoom(reader):
    hand = reader(COMPARED)
    before, scrolled = hand.eyes(), hand.scrolled()
    hand.page.mouse.move(*hand.start())
    hand.page.keyboard.down("Control")
    hand.page.mouse.wheel(0, -200)
    hand.page.keyboard.up("Control")
    after = hand.eyes()
    assert all(abs(new["x"]) < 0.9 * abs(old["x"]) for old, new in zip(before, after))
    assert hand.scrolled() == scrolled


def test_two_fingers_zoom(reader):
    hand = reader(COMPARED)
    before = hand.eyes()
    x, y = hand.start()
    hand.visit.fingers([[(x, y)], [(x, y), (x + 40, y)], *([(x, y), (x + 40 + 10 * k, y)] for k in range(1, 7)), []])
    after = hand.eyes()
    assert all(abs(new["x"]) < 0.9 * abs(old["x"]) for old, new in zip(before, after))


@with_either_hand
def test_a_chart_keeps_its_axes(reader, touch):
    hand = reader(CHART)
    before = hand.page.evaluate(RANGES, hand.figure)
    hand.drag(90, 40, touch=touch)
    hand.page.evaluate(SETTLED, 12)
    assert hand.page.evaluate(RANGES, hand.figure) == before


def test_what_played_plays_again_after_scrolling_away_and_back(reader):
    hand = reader(ALONE)
    assert hand.plays()
    hand.leave()
    assert not hand.plays()
    hand.come()
    assert hand.plays()
    hand.press_play()
    assert not hand.plays()
    hand.leave()
    hand.come()
    assert not hand.plays(), "what the reader stopped stays stopped"
    hand.press_play()


@with_either_hand
def test_the_camera_stays_above_the_floor(reader, touch):
    hand = reader(COMPARED)
    for _ in range(3):
        hand.drag(40, -150, touch=touch)
    floor = hand.page.evaluate(FLOOR, hand.figure)
    assert all(eye["z"] > floor for eye in hand.eyes())


def test_a_rig_moves_step_by_step_and_begins_anew(reader, small):
    hand = reader(RIG)
    moving = rig_figure(small)
    rig = next(n for n, trace in enumerate(moving.data) if trace.line.color == CAMERA)
    slider = hand.figure.query_selector("input[type=range]")
    assert slider.get_attribute("aria-label") == "step"
    for step, name in list(enumerate(STEPS))[1:]:
        slider.press("ArrowRight")
        hand.page.wait_for_function(SHOWS, arg=[hand.canvas, step])
        assert slider.get_attribute("aria-valuetext") == hand.figure.query_selector("output").inner_text() == name
        shown = hand.page.evaluate("([canvas, trace]) => Array.from(canvas.data[trace].x, String)", [hand.canvas, rig])
        frame = moving.frames[step]
        expected = frame.data[frame.traces.index(rig)].x
        np.testing.assert_allclose([float(x) for x in shown], expected, atol=1e-3)  # sent in millimetres
    hand.press_play()
    hand.page.wait_for_function(SHOWS, arg=[hand.canvas, 0])
    hand.press_play()


def test_images_alone_are_drawn_and_stepped_through(reader):
    hand = reader(SEEN)
    slider = hand.figure.query_selector("input[type=range]")
    assert slider.get_attribute("aria-label") == "time"
    before = hand.figure.query_selector("output").inner_text()
    slider.press("ArrowRight")
    hand.page.wait_for_function(SHOWS, arg=[hand.canvas, 1])
    assert hand.figure.query_selector("output").inner_text() != before


IN_IMAGE = """([canvas, axis]) => canvas._fullData.flatMap(
    ({ xaxis, meta, x, y }) => xaxis === axis && meta?.ghost === false ? [...x, ...y].map(v => String(v ?? NaN)) : [])"""
MARK = """canvas => canvas.data.filter(trace => trace.mode === 'markers').map(({ x, y }) => [x[0], y[0]])[0]"""


def test_keys_make_a_person_grow_in_all_images_but_the_first(reader):
    hand = reader(GROWING)
    slider = hand.figure.query_selector("input[type=range]")
    assert slider.get_attribute("aria-label") == "size"
    assert slider.input_value() == "1"

    def images():
        shown = [hand.page.evaluate(IN_IMAGE, [hand.canvas, axis]) for axis in ("x2", "x3", "x4")]
        return [np.array(values, float) for values in shown]

    before = images()
    for key, step in (("ArrowRight", 2), ("Home", 0)):
        slider.press(key)
        hand.page.wait_for_function(SHOWS, arg=[hand.canvas, step])
        first, *others = (np.nanmax(np.abs(now - then)) for now, then in zip(images(), before))
        assert first < 0.11  # drawn to 0.1 px
        assert min(others) > 10
        assert "C1 0 px" in slider.get_attribute("aria-valuetext")


def test_keys_move_the_mark_along_the_curve(reader):
    hand = reader(LEARNING)
    slider = hand.figure.query_selector("input[type=range]")
    assert slider.get_attribute("aria-label") == "epoch"
    assert slider.get_attribute("aria-valuetext") == hand.figure.query_selector("output").inner_text() == "after epoch 4: 62 mm"
    for step in (1, 0):
        slider.press("ArrowLeft")
        hand.page.wait_for_function(SHOWS, arg=[hand.canvas, step])
        assert hand.page.evaluate(MARK, hand.canvas) == pytest.approx([EPOCHS[step], ERRORS_MM[step]], abs=0.06)


def test_nothing_plays_by_itself_for_those_who_ask_for_less_motion(reader, visit):
    visit.page.emulate_media(reduced_motion="reduce")
    visit.page.reload()
    assert not reader(ALONE).plays()


def test_roots_that_were_put_together_come_apart_again(browser, still_page):
    with Visit(browser, still_page, "page") as opened:
        figure = opened.page.wait_for_selector("figure.pk-figure[data-ready=true]", timeout=120_000)
        heights = "f => f.querySelector('.pk-canvas')._fullData.filter(t => t.type === 'mesh3d').map(t => t.z[0])"
        box = figure.query_selector("input[type=checkbox]")

        def shown(checked):
            box.set_checked(checked)
            opened.page.wait_for_timeout(500)
            return np.array(opened.page.evaluate(heights, figure))

        apart = shown(False)
        together = shown(True)
        assert (apart - together).max() == pytest.approx(0.2, abs=0.01)
        assert shown(False) == pytest.approx(apart)


LETTERS = """
    window.letters = [];
    const { fillText } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        letters.push(text.trim());
        return fillText.call(this, text, ...place);
    };
"""


def test_a_room_shapes_no_letters_for_the_axes_that_nobody_sees(browser, one_page):
    with Visit(browser, one_page, "page") as opened:
        opened.context.add_init_script(LETTERS)
        opened.page.reload()
        opened.page.wait_for_function("document.querySelector('figure.pk-figure').dataset.ready", timeout=120_000)
        assert not any(opened.page.evaluate("letters"))


def test_keys_with_alt_are_the_browsers(reader):
    hand = reader(COMPARED)
    before = hand.eyes()
    prevented = (
        "canvas => !canvas.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', altKey: true, cancelable: true}))"
    )
    assert not hand.canvas.evaluate(prevented)
    assert hand.eyes() == before
