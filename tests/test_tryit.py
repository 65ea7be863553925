"""The page "Try it" in headless Chromium: the browser's results against PyTorch's, and dragging, keys and touch."""

import json

import numpy as np
import pytest
from visits import ROOT, Visit, needs_browser

from posebook.tryit_page import prepared

pytestmark = needs_browser
PAGE = "book/try_it"
SKELETON = """() => {
    const canvas = document.querySelector('.pk-tryit .pk-canvas');
    return canvas.layout.meta.lifted.flatMap(k => ['x', 'y', 'z'].flatMap(axis => Array.from(canvas._fullData[k][axis])));
}"""
TRUTH_SHOWN = """() => {
    const canvas = document.querySelector('.pk-tryit .pk-canvas');
    return canvas.layout.meta.truth.map(k => canvas._fullData[k].visible);
}"""
ASK = """fixtures => new Promise((resolve, reject) => {
    const worker = new Worker('/_static/tryit-worker.js');
    const answers = [];
    worker.onerror = reject;
    worker.onmessage = ({ data }) => {
        answers.push(data);
        if (answers.length === fixtures.length) resolve(answers);
    };
    fixtures.forEach(({ example, pixels }) => worker.postMessage({ example, pixels }));
})"""


@pytest.fixture
def visit(browser, address):
    with opened(browser, address) as visit:
        yield visit
        assert visit.complaints == []


def opened(browser, address, **options):
    visit = Visit(browser, address, PAGE, **options)
    visit.draw_all()
    visit.page.wait_for_selector(".pk-tryit[data-ready=true]")
    visit.page.wait_for_function("document.querySelector('.pk-status').textContent")
    return visit


def skeleton(visit, unlike=None):
    """The 3D lines drawn, once they are at rest; waits until they differ from those before."""
    if unlike is not None:
        same = f"before => ({SKELETON})().some((v, k) => v !== null && Math.abs(v - before[k]) > 0.005)"
        visit.page.wait_for_function(same, arg=unlike)
    visit.page.wait_for_timeout(300)
    return visit.page.evaluate(SKELETON)


def knee(visit):
    """The handle of the left knee, and the position of its centre on the page."""
    handle = visit.page.get_by_role("slider", name="left knee")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    return handle, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_browser_lifts_as_pytorch_does(visit, site):
    fixtures = json.loads((site / "_static" / "tryit" / "fixtures.json").read_text())
    answers = visit.page.evaluate(ASK, fixtures)
    for fixture, answer in zip(fixtures, answers):
        ours, theirs = (np.array(poses["camera"]) for poses in (answer, fixture))
        ours[1:], theirs[1:] = ours[1:] - ours[0], theirs[1:] - theirs[0]  # the root's place, the others' offsets
        error = np.linalg.norm(ours - theirs, axis=-1) / np.linalg.norm(theirs, axis=-1)
        assert error.max() < 1e-2
        assert np.array(answer["world"]) == pytest.approx(np.array(fixture["world"]), abs=0.02)
        assert np.array(answer["views"]) == pytest.approx(np.array(fixture["views"]), abs=2)


def test_a_drag_moves_the_lifted_skeleton(visit):
    before = skeleton(visit)
    assert visit.page.evaluate(TRUTH_SHOWN) == [True] * 3
    _, x, y = knee(visit)
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x + 30, y - 20, steps=4)
    visit.page.mouse.up()
    skeleton(visit, unlike=before)
    assert visit.page.evaluate(TRUTH_SHOWN) == [False] * 3
    assert visit.page.inner_text(".pk-status").startswith("Left knee:")


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
    assert "m from camera" in handle.get_attribute("aria-valuetext")
    visit.page.get_by_role("button", name="Start again").click()
    again = skeleton(visit, unlike=moved)
    assert [value for value in again if value is not None] == pytest.approx([value for value in before if value is not None])


def test_the_menu_brings_another_pose_with_its_truth(visit):
    before = skeleton(visit)
    visit.page.get_by_role("combobox", name="Pose").select_option(index=3)
    skeleton(visit, unlike=before)
    assert visit.page.evaluate(TRUTH_SHOWN) == [True] * 3
    assert visit.page.locator(".pk-picture:not(.pk-editor) .pk-ghost line").count() == 28


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


def test_without_scripts_the_page_says_so(browser, address):
    with Visit(browser, address, PAGE, java_script_enabled=False) as visit:
        assert visit.page.get_by_text("Without JavaScript this page cannot lift.").is_visible()
        assert visit.page.query_selector(".pk-tryit .pk-still svg").bounding_box()["height"] > 200


def test_the_weights_are_small_and_trained_only_when_something_changed(site):
    assert (site / "_static" / "tryit" / "weights.bin").stat().st_size < 2_500_000
    manifest = prepared(ROOT) / "manifest.json"
    written = manifest.stat().st_mtime_ns
    prepared(ROOT)
    assert manifest.stat().st_mtime_ns == written
