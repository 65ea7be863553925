"""The page "Try it" in headless Chromium: the browser's results against PyTorch's, sliders, dragging, keys and touch."""

import json
import re

import numpy as np
import pytest
from visits import ROOT, Visit, needs_browser

from posebook.tryit_page import prepared

pytestmark = needs_browser
PAGE = "book/try_it"
SKELETON = "() => document.querySelector('.pk-lifted canvas').shown.person.flat()"
GHOST = "() => document.querySelector('.pk-tryit').dataset.ghost"
ASK = """fixtures => new Promise((resolve, reject) => {
    const worker = new Worker('/_static/tryit-worker.js');
    const answers = [];
    worker.onerror = reject;
    worker.onmessage = ({ data }) => {
        answers.push(data);
        if (answers.length === fixtures.length) resolve(answers);
    };
    for (const { example, places, pixels, height_error } of fixtures) {
        worker.postMessage({ example, places, pixels, height_error });
    }
})"""


@pytest.fixture
def visit(browser, address):
    with opened(browser, address) as visit:
        yield visit
        assert visit.complaints == []


def opened(browser, address, page=PAGE, **options):
    visit = Visit(browser, address, page, **{"reduced_motion": "reduce"} | options)
    visit.page.wait_for_selector(".pk-tryit[data-ready=true]")
    visit.page.wait_for_function("document.querySelector('.pk-status').textContent")
    return visit


def skeleton(visit, unlike=None):
    """The 3D lines drawn, once they are at rest; waits until they differ from those before."""
    if unlike is not None:
        same = f"before => ({SKELETON})().some((v, k) => Math.abs(v - before[k]) > 0.005)"
        visit.page.wait_for_function(same, arg=unlike)
    visit.page.wait_for_timeout(300)
    return visit.page.evaluate(SKELETON)


def knee(visit):
    """The handle of the left knee, and the position of its centre on the page."""
    handle = visit.page.get_by_role("slider", name="left knee")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    return handle, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def slide(visit, name, value):
    """Put a slider where a reader would drag it."""
    slider = visit.page.get_by_role("slider", name=name, exact=True)
    slider.evaluate("(e, value) => { e.value = value; e.dispatchEvent(new Event('input', { bubbles: true })); }", value)


def picture(visit):
    """Position of every joint in the reader's picture, pixels."""
    moved = "handles => handles.map(h => h.getAttribute('transform').match(/[-\\d.]+/g).map(Number))"
    return np.array(visit.page.eval_on_selector_all(".pk-joint", moved))


def test_the_browser_lifts_as_pytorch_does(visit, site):
    fixtures = json.loads((site / "_static" / "tryit" / "fixtures.json").read_text())
    assert any(None in (fixture["pixels"] or []) for fixture in fixtures), "no fixture has a missing joint"
    assert any(fixture["height_error"] for fixture in fixtures)
    answers = visit.page.evaluate(ASK, fixtures)
    assert len(answers) == len(fixtures)
    for fixture, answer in zip(fixtures, answers):
        ours, theirs = (np.array(poses["camera"]) for poses in (answer, fixture))
        ours[1:], theirs[1:] = ours[1:] - ours[0], theirs[1:] - theirs[0]  # the root's place, the others' offsets
        error = np.linalg.norm(ours - theirs, axis=-1) / np.linalg.norm(theirs, axis=-1)
        assert error.max() < 1e-2
        assert np.array(answer["world"]) == pytest.approx(np.array(fixture["world"]), abs=0.002)
        assert np.array(answer["views"]) == pytest.approx(np.array(fixture["views"]), abs=0.5)
        assert np.array(answer["truths"]) == pytest.approx(np.array(fixture["truths"]), abs=0.01)


def test_joints_that_were_found_are_met_exactly(visit, site):
    fixtures = json.loads((site / "_static" / "tryit" / "fixtures.json").read_text())
    side = json.loads((site / "_static" / "tryit" / "manifest.json").read_text())["picture"]["side"]
    for fixture, answer in zip(fixtures, visit.page.evaluate(ASK, fixtures)):
        pose = np.array(answer["camera"])
        projected = answer["focal"] * pose[:, :2] / pose[:, 2:] + side / 2
        for pixels, joint in zip(fixture["pixels"] or answer["truths"][0], projected):
            assert pixels is None or joint == pytest.approx(pixels, abs=1e-3)


def test_the_errors_on_the_page_are_small_and_larger_from_the_front(site):
    errors = json.loads((site / "_static" / "tryit" / "manifest.json").read_text())["errors_mm"]
    assert max(errors["drawn"], errors["recorded"]) < 15
    assert errors["front"] > 1.5 * errors["side"]


def test_sliders_move_the_camera(visit):
    joints = visit.page.eval_on_selector_all(".pk-joint", "handles => handles.map(h => h.getAttribute('aria-label'))")
    left, right = (joints.index(f"{side} shoulder") for side in ("left", "right"))
    apart = {}
    for direction in (0, 90, 180):
        slide(visit, "Direction", direction)
        skeleton(visit)
        apart[direction] = picture(visit)[left, 0] - picture(visit)[right, 0]
    assert min(apart[0], -apart[180]) > 20  # seen from the front the left is on the right
    assert abs(apart[90]) < min(apart[0], -apart[180])
    assert visit.page.evaluate(GHOST) == "truth"
    assert "No camera so placed" not in visit.page.inner_text(".pk-told")
    slide(visit, "Height", 4)
    visit.page.get_by_text("4.00 m above the floor").wait_for()
    assert "No camera so placed" in visit.page.inner_text(".pk-told")


def test_a_wrong_height_moves_the_person_and_not_the_picture(visit):
    before, status = picture(visit), visit.page.inner_text(".pk-status")
    slide(visit, "Told higher by", 0.2)
    visit.page.get_by_text("1.40 m above the floor").wait_for()
    assert picture(visit) == pytest.approx(before)

    def pelvis_mm(text):
        return int(re.search(r"by (\d+) mm in where the pelvis is", text)[1])

    assert pelvis_mm(visit.page.inner_text(".pk-status")) > pelvis_mm(status) + 300


def test_a_joint_is_taken_away_and_comes_back(visit):
    before = skeleton(visit)
    handle, x, y = knee(visit)
    visit.page.mouse.dblclick(x, y)
    skeleton(visit, unlike=before)
    assert handle.get_attribute("aria-valuetext").startswith("not found")
    assert visit.page.evaluate(GHOST) == "truth"
    assert visit.page.locator(".pk-editor .pk-bones line").count() == 12  # neither thigh nor shank
    assert "Left knee (guessed)" in visit.page.inner_text(".pk-status")
    handle.focus()
    visit.page.keyboard.press("Delete")
    visit.page.wait_for_function("!document.querySelector('.pk-status').textContent.includes('guessed')")
    again = skeleton(visit)
    assert again == pytest.approx(before)


def test_a_drag_moves_the_lifted_skeleton(visit):
    before = skeleton(visit)
    assert visit.page.evaluate(GHOST) == "truth"
    _, x, y = knee(visit)
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x + 30, y - 20, steps=4)
    visit.page.mouse.up()
    skeleton(visit, unlike=before)
    assert visit.page.evaluate(GHOST) == "start"
    assert visit.page.inner_text(".pk-status").startswith("Left knee:")


def test_the_right_button_moves_no_joint(visit):
    before = picture(visit)
    _, x, y = knee(visit)
    visit.page.mouse.move(x, y)
    visit.page.mouse.down(button="right")
    visit.page.mouse.move(x + 30, y - 20, steps=4)
    visit.page.mouse.up(button="right")
    assert (picture(visit) == before).all()


@pytest.mark.parametrize("modifier", ["altKey", "ctrlKey", "metaKey"])
def test_keys_with_alt_or_ctrl_are_the_browsers(visit, modifier):
    press = """(e, modifier) => !e.dispatchEvent(new KeyboardEvent(
        'keydown', { key: 'ArrowLeft', [modifier]: true, bubbles: true, cancelable: true }))"""
    assert not knee(visit)[0].evaluate(press, modifier)
    assert not visit.page.locator(".pk-lifted canvas").evaluate(press, modifier)


def test_keys_move_a_joint_and_a_button_puts_it_back(visit):
    before = skeleton(visit)
    handle, _, _ = knee(visit)
    x = int(handle.get_attribute("aria-valuenow"))
    handle.focus()
    for _ in range(5):
        visit.page.keyboard.press("ArrowLeft")
    visit.page.keyboard.press("Shift+ArrowLeft")
    assert int(handle.get_attribute("aria-valuenow")) == x - 26
    moved = skeleton(visit, unlike=before)
    assert "m from the camera" in handle.get_attribute("aria-valuetext")
    visit.page.get_by_role("button", name="Put the joints back").click()
    again = skeleton(visit, unlike=moved)
    assert again == pytest.approx(before)


def test_the_menu_brings_another_pose_with_its_truth(visit):
    before = skeleton(visit)
    visit.page.get_by_role("combobox", name="Pose").select_option(index=3)
    skeleton(visit, unlike=before)
    assert visit.page.evaluate(GHOST) == "truth"
    assert visit.page.locator(".pk-picture:not(.pk-editor) .pk-ghost line").count() == 28


def test_the_pose_before_stays_as_a_ghost(visit):
    before = skeleton(visit)
    handle, _, _ = knee(visit)
    handle.focus()
    for _ in range(6):
        visit.page.keyboard.press("ArrowUp")
    skeleton(visit, unlike=before)
    ghost = visit.page.evaluate("document.querySelector('.pk-lifted canvas').shown.ghost.flat()")
    assert ghost == pytest.approx(before)
    assert visit.page.locator(".pk-editor .pk-ghost line").count() == 14


def test_the_view_begins_in_the_cameras_eye_and_swings_out(browser, address):
    def drawn(visit):
        return visit.page.evaluate("document.querySelector('.pk-lifted canvas').toDataURL()")

    with opened(browser, address, reduced_motion="no-preference") as visit:
        first = drawn(visit)
        visit.page.wait_for_timeout(4500)
        assert drawn(visit) != first
        rest = drawn(visit)
        visit.page.wait_for_timeout(300)
        assert drawn(visit) == rest


def test_a_view_smaller_than_its_margins_is_no_error(visit):
    """While a page is laid out, a canvas may be a few pixels high."""
    canvas = visit.page.locator(".pk-lifted canvas")
    drawn = int(canvas.get_attribute("data-drawn"))
    canvas.evaluate("canvas => Object.assign(canvas.style, { width: '12px', height: '12px' })")
    visit.page.wait_for_function(f"Number(document.querySelector('.pk-lifted canvas').dataset.drawn) > {drawn}")


def copied_link(visit):
    visit.page.get_by_role("button", name="Copy a link").click()
    return visit.page.evaluate("location.hash")


def pose_of_link(browser, address, link):
    """The 3D lines that somebody else sees who opens a link to moved joints."""
    with Visit(browser, address, PAGE, reduced_motion="reduce") as other:
        other.page.goto("about:blank")
        other.page.goto(f"{address}/{PAGE}.html{link}")
        other.page.wait_for_function("document.querySelector('.pk-tryit')?.dataset.ghost === 'start'")
        return skeleton(other)


def test_a_link_stores_the_pose(browser, address, visit):
    before = skeleton(visit)
    handle, _, _ = knee(visit)
    handle.focus()
    for _ in range(6):
        visit.page.keyboard.press("ArrowRight")
    moved = skeleton(visit, unlike=before)
    link = copied_link(visit)
    assert pose_of_link(browser, address, link) == pytest.approx(moved, abs=0.005)


def test_a_link_stores_joints_beside_the_picture(browser, address, visit):
    visit.page.goto("about:blank")
    visit.page.goto(f"{address}/{PAGE}.html#example=5&camera=10,0.7,1.5,0")
    visit.page.wait_for_function("document.querySelector('.pk-status')?.textContent")
    before = skeleton(visit)
    handle = visit.page.get_by_role("slider", name="right knee")
    handle.focus()
    for _ in range(6):
        visit.page.keyboard.press("ArrowLeft")
    moved = skeleton(visit, unlike=before)
    link = copied_link(visit)
    side = visit.page.evaluate("fetch('/_static/tryit/manifest.json').then(r => r.json()).then(m => m.picture.side)")
    at = [float(x) for joint in re.search("joints=([^&]*)", link)[1].split(";") for x in joint.split(",")]
    assert min(at) < 0 or max(at) > side
    assert pose_of_link(browser, address, link) == pytest.approx(moved, abs=0.005)


def test_a_walk_round_the_person_gives_way_to_the_reader(browser, address):
    with opened(browser, address, reduced_motion="no-preference") as visit:
        walk = visit.page.locator(".pk-look").filter(has_text="round")
        direction = visit.page.get_by_role("slider", name="Direction", exact=True)
        walk.first.click()
        visit.page.wait_for_function("e => Number(e.value) > 20", arg=direction.element_handle())
        slide(visit, "Direction", -120)
        visit.page.wait_for_timeout(1000)
        assert direction.input_value() == "-120"


@pytest.mark.parametrize(
    "link",
    [
        "#example=99&camera=40,1.2,4,0",
        "#example=0&camera=40,1.2,400,0",
        "#example=0&camera=40,1.2,4,0&joints=1,2;-",
        "#example=0&camera=40,1.2,4,0&joints=" + ";".join(["NaN,0"] * 15),
        "#example=<b>&camera=",
    ],
)
def test_a_link_that_is_none_is_refused(browser, address, visit, link):
    untouched = skeleton(visit)
    visit.page.goto("about:blank")
    visit.page.goto(f"{address}/{PAGE}.html{link}")
    visit.page.get_by_text("could not be read").wait_for()
    visit.page.wait_for_function("document.querySelector('.pk-status').textContent")
    assert skeleton(visit) == pytest.approx(untouched)


def test_a_link_to_a_section_of_the_page_leaves_the_pose(visit):
    before = skeleton(visit)
    handle, _, _ = knee(visit)
    handle.press("ArrowUp")
    skeleton(visit, unlike=before)
    visit.page.evaluate("location.hash = 'elsewhere'")
    visit.page.wait_for_timeout(300)
    assert visit.page.evaluate(GHOST) == "start"
    visit.page.evaluate("location.hash = 'example=2&camera=40,1.2,4,0'")
    visit.page.wait_for_function(f"({GHOST})() === 'truth'")
    assert visit.page.get_by_role("combobox", name="Pose").input_value() == "2"


def test_what_a_refused_link_is_told_is_told_once_and_goes(visit):
    refused = visit.page.get_by_text("could not be read")
    for example in (98, 99):
        visit.page.evaluate("example => { location.hash = `example=${example}` }", example)
        refused.wait_for()
    slide(visit, "Height", 2)
    refused.wait_for(state="detached")


def test_the_joints_of_a_link_stay_with_its_example(address, visit):
    held = []
    visit.page.goto("about:blank")
    visit.page.route("**/weights.bin", lambda route: held.append(route))
    visit.page.goto(f"{address}/{PAGE}.html#example=0&camera=40,1.2,4,0&joints={';'.join(['99,99'] * 15)}&moved=1")
    visit.page.wait_for_selector(".pk-tryit[data-ready=true]")
    visit.page.get_by_role("combobox", name="Pose").select_option(index=3)
    while not held:
        visit.page.wait_for_timeout(50)
    held[0].continue_()
    visit.page.wait_for_function("document.querySelector('.pk-status').textContent")
    visit.page.wait_for_timeout(300)
    assert visit.page.evaluate(GHOST) == "truth"


def test_without_its_weights_the_page_says_so_once_until_they_come(browser, address):
    with Visit(browser, address, "search", reduced_motion="reduce") as visit:
        visit.page.route("**/weights.bin", lambda route: route.fulfill(status=404))
        visit.page.goto(f"{address}/{PAGE}.html")
        visit.complaints.clear()  # of what the page before had not fetched yet
        alert = visit.page.locator(".pk-tryit [role=alert]")
        alert.wait_for()
        assert visit.page.locator(".pk-tryit .pk-still svg").is_visible()
        for height in (2, 3):
            slide(visit, "Height", height)
            visit.page.wait_for_timeout(300)
        visit.page.get_by_role("button", name="Take a wrist").click()
        knee(visit)[0].press("ArrowUp")
        assert alert.count() == 1
        assert all("weights.bin" in said for said in visit.complaints)
        visit.page.unroute("**/weights.bin")
        slide(visit, "Told higher by", 0.2)
        visit.page.get_by_text("(guessed)").wait_for()  # the wrist that was asked for
        assert alert.count() == 0
        assert not visit.page.locator(".pk-tryit .pk-still svg").is_visible()


def test_what_to_look_for_are_buttons_that_do_it(visit):
    buttons = visit.page.locator(".pk-look")
    assert buttons.count() == 7
    untouched = skeleton(visit)
    for name, said in (
        ("Leave the cameras", "4.00 m above the floor"),
        ("Tell it a wrong", "1.40 m above the floor"),
        ("Move both ankles", "before you moved"),
        ("Take a wrist", "(guessed)"),
        ("Move a wrist", "The bone from the left elbow"),
    ):
        visit.page.get_by_role("button", name=name).click()
        visit.page.locator(".pk-tryit").get_by_text(said).first.wait_for()
    visit.page.get_by_role("button", name="Walk round").click()
    visit.page.wait_for_function("document.querySelector('#pk-camera-direction').value === '90'")
    visit.page.get_by_role("button", name="Choose the arms").click()
    visit.page.wait_for_function("document.querySelector('.pk-tryit select').value === '6'")
    skeleton(visit, unlike=untouched)


def test_joints_that_lie_on_each_other_are_reached_by_pressing_again(visit):
    handles = visit.page.locator(".pk-joint")
    hip, pelvis = (visit.page.get_by_role("slider", name=name, exact=True) for name in ("left hip", "pelvis"))
    spots, names = picture(visit), handles.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    away = spots[names.index("pelvis")] - spots[names.index("left hip")]
    hip.focus()
    for steps, keys in zip(away, (("ArrowLeft", "ArrowRight"), ("ArrowUp", "ArrowDown"))):
        for _ in range(round(abs(steps))):
            visit.page.keyboard.press(f"Shift+{keys[int(steps > 0)]}")
    box = pelvis.bounding_box()
    focused = set()
    for _ in range(3):
        visit.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        focused.add(visit.page.evaluate("document.activeElement.getAttribute('aria-label')"))
        visit.page.wait_for_timeout(600)
    assert {"pelvis", "left hip"} <= focused


def test_no_joint_is_cut_off_at_the_edge(visit):
    handle, _, _ = knee(visit)
    handle.focus()
    for _ in range(100):
        visit.page.keyboard.press("ArrowLeft")
    dot, frame = (visit.page.locator(which).bounding_box() for which in (".pk-joint:focus .pk-dot", ".pk-editor svg"))
    assert dot["x"] > frame["x"]


def test_both_panels_are_equal_and_the_status_is_announced(visit):
    edit, room = (visit.page.locator(which).bounding_box() for which in (".pk-editor svg", ".pk-lifted .pk-room"))
    assert edit["width"] == pytest.approx(room["width"], abs=2)
    assert edit["height"] == pytest.approx(room["height"], abs=2)
    assert edit["y"] == pytest.approx(room["y"], abs=2)
    assert visit.page.locator(".pk-status[role=status]").inner_text()


def test_on_a_phone_the_lifted_pose_stays_in_sight(browser, address):
    with opened(browser, address, width=390, has_touch=True, is_mobile=True) as visit:
        visit.page.set_viewport_size({"width": 390, "height": 844})
        visit.page.get_by_role("slider", name="left ankle").scroll_into_view_if_needed()
        for shown in (".pk-editor svg", ".pk-lifted canvas"):
            box = visit.page.locator(shown).bounding_box()
            assert 0 <= box["y"] <= 844 - box["height"], shown
        assert visit.complaints == []


def test_a_finger_drags_a_joint_and_not_the_page(browser, address):
    with opened(browser, address, width=360, has_touch=True, is_mobile=True, device_scale_factor=2) as visit:
        before = skeleton(visit)
        _, x, y = knee(visit)
        scrolled = visit.page.evaluate("scrollY")
        finger = visit.context.new_cdp_session(visit.page)
        for kind, dy in (("touchStart", 0), ("touchMove", -15), ("touchMove", -30), ("touchEnd", None)):
            points = [] if dy is None else [{"x": x + 20 * (dy < 0), "y": y + dy}]
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        skeleton(visit, unlike=before)
        assert visit.page.evaluate("scrollY") == scrolled
        assert visit.complaints == []


def test_a_second_finger_leaves_the_joint_to_the_first(browser, address):
    with opened(browser, address, width=700, has_touch=True) as visit:
        handle, x, y = knee(visit)
        away = x + 90, y - 60
        beside = x + 80, y - 80
        visit.fingers([[(x, y)], [(x + 20, y)], [(x + 20, y), beside], [(x + 20, y), away], []])
        box = handle.bounding_box()
        assert box["x"] + box["width"] / 2 == pytest.approx(x + 20, abs=3)
        assert box["y"] + box["height"] / 2 == pytest.approx(y, abs=3)
        assert visit.complaints == []


def test_without_scripts_the_page_says_so(browser, address):
    with Visit(browser, address, PAGE, java_script_enabled=False) as visit:
        assert visit.page.get_by_text("Without JavaScript this page cannot lift.").is_visible()
        assert visit.page.query_selector(".pk-tryit .pk-still svg").bounding_box()["height"] > 200


def test_on_paper_the_still_stands_without_the_numbers_of_another_pose(visit):
    visit.page.emulate_media(media="print")
    assert visit.page.query_selector(".pk-tryit .pk-still svg").bounding_box()["width"] > 400
    for one in (".pk-status", ".pk-told", ".pk-camera", ".pk-editor", ".pk-lifted canvas"):
        assert not visit.page.locator(f".pk-tryit {one}").is_visible()


def test_the_weights_are_small_and_trained_only_when_something_changed(site):
    assert (site / "_static" / "tryit" / "weights.bin").stat().st_size < 2_500_000
    manifest = prepared(ROOT) / "manifest.json"
    written = manifest.stat().st_mtime_ns
    prepared(ROOT)
    assert manifest.stat().st_mtime_ns == written


def test_on_a_phone_the_lifted_pose_does_not_cover_the_joints_that_a_button_moves(browser, address):
    in_sight = """() => {
        const box = (one) => document.querySelector(one).getBoundingClientRect();
        const [view, editor] = [box('.pk-lifted'), box('.pk-editor svg')];
        return scrollY > 0 && editor.top >= view.bottom && editor.bottom <= innerHeight;
    }"""
    with opened(browser, address, width=390, has_touch=True, is_mobile=True) as visit:
        visit.page.get_by_role("button", name="Move a wrist far").tap()
        visit.page.wait_for_function(in_sight)


def test_on_a_phone_held_sideways_both_panels_fit_the_window(browser, address):
    with opened(browser, address) as visit:
        visit.page.set_viewport_size({"width": 844, "height": 390})
        bar = visit.page.locator(".bd-header-article").bounding_box()["height"]
        fit = "bar => ['.pk-editor', '.pk-lifted'].every(one => document.querySelector(one).offsetHeight <= innerHeight - bar)"
        visit.page.wait_for_function(fit, arg=bar)


def test_a_key_has_the_sides_and_the_slider_of_a_wrong_height_says_what_it_does(browser, address, visit):
    with Visit(browser, address, PAGE, java_script_enabled=False) as plain:
        for shown in (visit, plain):
            key = shown.page.locator(".pk-tryit .pk-keys")
            assert key.is_visible()
            assert key.inner_text().split()[:2] == ["left", "right"]
    hint = visit.page.get_by_role("slider", name="Told higher by", exact=True).get_attribute("aria-describedby")
    assert "than the camera really is" in visit.page.locator(f"#{hint}").inner_text()
