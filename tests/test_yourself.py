"""The section "Lift yourself" in headless Chromium: a photo, a video and a camera, in which somebody walks past.

They are made of the demonstration that the wheel of sports2d 0.8.34 holds (BSD-3); `make demo` fetches it. The detector
comes by `make pose-model`. Without a graphics card a picture takes it seconds, hence the patience.
"""

import os
import zipfile

import cv2
import numpy as np
import pytest
import torch
from visits import ROOT, Visit, launched, needs_browser

from posebook.yourself import detector, shipped
from posekit.skeleton import HUMANEVA_15
from posekit.skeletons import KEYPOINTS, map_joints

WHEEL = ROOT / "data" / "sports2d-0.8.34-py3-none-any.whl"
pytestmark = [
    *needs_browser,
    pytest.mark.skipif(
        not (WHEEL.is_file() and shipped(detector(ROOT))) and not os.environ.get("CI"),
        reason="no detector or no recording here (make pose-model demo): nobody was lifted from a picture",
    ),
]
PAGE = "book/try_it"
PATIENCE = 240_000  # milliseconds
SIDE = 640  # of the square that holds the picture
SHOWN = "which => document.querySelector(`.pk-yourself ${which} canvas`).shown"


@pytest.fixture(scope="module")
def walker(tmp_path_factory):
    """The folder of a photo and a clip of a woman who walks past, and of files with nobody in them."""
    assert WHEEL.is_file(), "CI is set, so the recording must be there: make demo"
    folder = tmp_path_factory.mktemp("walker")
    with zipfile.ZipFile(WHEEL) as wheel:
        recording = cv2.VideoCapture(wheel.extract("Sports2D/Demo/demo.mp4", folder))
    frames = [recording.read()[1][434:994, 580:1140] for _ in range(126)][120:]  # she is whole in the first one
    jpegs = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]
    (folder / "photo.jpg").write_bytes(jpegs[0])
    (folder / "camera.mjpeg").write_bytes(b"".join(jpegs))
    clip = cv2.VideoWriter(str(folder / "clip.webm"), cv2.VideoWriter_fourcc(*"vp80"), 30, (560, 560))
    for frame in frames:
        clip.write(frame)
    clip.release()
    cv2.imwrite(str(folder / "grey.png"), np.full((400, 300, 3), 128, np.uint8))
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken.png").write_text("no picture either")
    (folder / "broken.webm").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def browser(walker):
    """Chromium with a camera that plays the clip, and a reader who lets pages use it."""
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with launched(*fake, f"--use-file-for-fake-video-capture={walker / 'camera.mjpeg'}") as chromium:
        yield chromium


@pytest.fixture
def visit(browser, address):
    with opened(browser, address) as visit:
        yield visit
        assert visit.complaints == []


def opened(browser, address, change="", **options):
    """The page, at this section, with something of the browser changed."""
    visit = Visit(browser, address, PAGE, **{"reduced_motion": "reduce"} | options)
    visit.page.set_default_timeout(PATIENCE)
    visit.page.locator(".pk-yourself").scroll_into_view_if_needed()
    visit.page.wait_for_selector(".pk-yourself[data-ready=true]")
    visit.page.evaluate(f"() => {{ {change} }}")
    return visit


def press(visit, name):
    visit.page.locator(".pk-yourself").get_by_role("button", name=name).click()


def choose(visit, file):
    visit.page.set_input_files(".pk-yourself input[type=file]", file)


def told(visit, text):
    visit.page.locator(".pk-yourself [role=status]").get_by_text(text).wait_for()


def lifted(visit):
    """What was lifted last: its camera, 2D pose and person."""
    visit.page.wait_for_function("document.querySelector('.pk-yourself').dataset.lifted === 'true'")
    return visit.page.evaluate(SHOWN, ".pk-lifted")


def check_person(visit):
    """A whole person was found and stands upright on the floor, to about the size of one."""
    shown = lifted(visit)
    person = np.array(shown["person"])
    at = dict(zip(HUMANEVA_15.joints, person))
    assert visit.page.locator(".pk-yourself").get_attribute("data-found") == "33"
    assert np.isfinite(person).all()
    feet = [at[f"{side}_ankle"][2] for side in ("left", "right")]
    assert min(feet) == pytest.approx(0.1, abs=0.08)
    assert max(feet) < at["pelvis"][2] < at["thorax"][2] < at["head"][2]
    assert 1.2 < at["head"][2] - min(feet) < 2.2
    return shown


def on_screen(shown):
    """Where the camera, rebuilt from its numbers, sees the person, pixels."""
    camera = shown["camera"]
    seen = (np.array(shown["person"]) - camera["center"]) @ np.array(camera["R"]).T
    return camera["focal"] * seen[:, :2] / seen[:, 2:] + camera["middle"]


def test_a_photo_is_lifted(browser, address, walker):
    with opened(browser, address) as visit:
        assert not any("mediapipe" in script for script in visit.scripts)  # only when asked for
        choose(visit, walker / "photo.jpg")
        shown = check_person(visit)
        assert any("mediapipe" in script for script in visit.scripts)

        found = visit.page.evaluate(SHOWN, ".pk-seen")
        points = torch.tensor([[point["x"], point["y"]] for point in found["landmarks"]]) * SIDE
        points[[point["visibility"] < 0.5 for point in found["landmarks"]]] = torch.nan
        mapped = map_joints(points, KEYPOINTS["mediapipe33"], HUMANEVA_15.joints, missing=True)
        pixels = torch.tensor([point or [torch.nan] * 2 for point in found["pixels"]])
        torch.testing.assert_close(pixels, mapped, equal_nan=True, atol=0.01, rtol=0)
        assert pixels.isfinite().all(-1).sum() >= 12

        ours = on_screen(shown)
        assert all(point is None or joint == pytest.approx(point, abs=0.1) for point, joint in zip(shown["flat"], ours))
        focal = SIDE / 2 / np.tan(np.radians(65) / 2)
        assert shown["camera"]["focal"] == pytest.approx(focal)

        slide(visit, "Looks down by", 10)
        visit.page.wait_for_function(f"({SHOWN})('.pk-lifted').camera.R[2][2] < -0.17")
        slide(visit, "Camera height", 2)
        visit.page.wait_for_function(f"({SHOWN})('.pk-lifted').camera.center[2] === 2")
        assert min(joint[2] for joint in lifted(visit)["person"]) > 0.15  # told too high, it floats
        press(visit, "Feet on the floor")
        visit.page.wait_for_function(f"({SHOWN})('.pk-lifted').camera.center[2] < 1.9")

        choose(visit, walker / "grey.png")
        told(visit, "Nobody was found")
        assert visit.page.locator(".pk-yourself .pk-stage").is_hidden()
        assert visit.complaints == []


def slide(visit, name, value):
    """Put a slider where a reader would drag it."""
    slider = visit.page.locator(".pk-yourself").get_by_role("slider", name=name, exact=True)
    slider.evaluate("(e, value) => { e.value = value; e.dispatchEvent(new Event('input', { bubbles: true })); }", value)


def test_the_camera_is_lifted_and_let_go(browser, address):
    keep = """const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (asked) => (window.kept = await ask(asked));"""
    with opened(browser, address, change=keep) as visit:
        press(visit, "Use the camera")
        check_person(visit)
        live = "kept.getTracks().some((track) => track.readyState === 'live')"
        assert visit.page.evaluate(live)
        press(visit, "Stop")
        told(visit, "Stopped")
        assert not visit.page.evaluate(live)
        assert visit.page.locator(".pk-seen").is_hidden()
        assert visit.complaints == []


def test_a_video_waits_where_motion_is_not_wanted_and_while_it_is_hidden(browser, address, walker):
    keep = """const make = document.createElement.bind(document);
        document.createElement = (tag) => (tag === 'video' ? (window.kept = make(tag)) : make(tag));"""
    hide = """hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange')); }"""
    with opened(browser, address, change=keep) as visit:
        choose(visit, walker / "clip.webm")
        check_person(visit)
        assert visit.page.evaluate("kept.paused")
        press(visit, "Play")
        visit.page.wait_for_function("!kept.paused")
        visit.page.evaluate(hide, True)
        assert visit.page.evaluate("kept.paused")
        visit.page.evaluate(hide, False)
        visit.page.wait_for_function("!kept.paused")
        press(visit, "Pause")
        visit.page.wait_for_function("kept.paused")
        assert visit.complaints == []


@pytest.mark.parametrize("name", ["notes.txt", "broken.png", "broken.webm"])
def test_what_is_no_picture_is_refused(visit, walker, name):
    choose(visit, walker / name)
    told(visit, f"{name} is neither a picture nor a video")
    assert visit.page.locator(".pk-seen").is_hidden()


REFUSE = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', '%s'); }"
NO_WEBGL = """const get = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind) {
        return kind === 'webgl2' ? null : get.apply(this, arguments);
    };"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (REFUSE % "NotAllowedError", "may not be used"),
        (REFUSE % "NotFoundError", "No camera was found"),
        ("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })", "only to pages served over https"),
        ("delete window.WebAssembly", "cannot run the detector"),
        (NO_WEBGL, "cannot run the detector"),
    ],
)
def test_without_a_camera_or_a_detector_the_page_says_why(browser, address, change, message):
    with opened(browser, address, change=change) as visit:
        press(visit, "Use the camera")
        told(visit, message)
        assert not any("mediapipe" in script for script in visit.scripts)
        assert visit.complaints == []


def test_a_file_takes_over_from_a_camera_that_nobody_allows(browser, address, walker):
    with opened(browser, address, change="navigator.mediaDevices.getUserMedia = () => new Promise(() => {})") as visit:
        press(visit, "Use the camera")
        choose(visit, walker / "notes.txt")
        told(visit, "notes.txt is neither")
        assert visit.complaints == []


def without_detector(visit):
    """The detector's files are asked for, and never come."""
    visit.page.route("**/mediapipe-pose/**", lambda route: None)


def test_after_a_stop_while_the_detector_loads_another_file_is_opened(browser, address, walker):
    with opened(browser, address) as visit:
        without_detector(visit)
        choose(visit, walker / "photo.jpg")
        press(visit, "Stop")
        told(visit, "Stopped")
        choose(visit, walker / "notes.txt")
        told(visit, "notes.txt is neither")


def test_a_camera_that_is_pulled_out_is_let_go(browser, address):
    keep = """const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (asked) => (window.kept = await ask(asked));"""
    with opened(browser, address, change=keep) as visit:
        without_detector(visit)
        press(visit, "Use the camera")
        visit.page.wait_for_selector(".pk-yourself[data-on=true]")
        visit.page.evaluate("kept.getTracks()[0].dispatchEvent(new Event('ended'))")
        told(visit, "The camera stopped")
        visit.page.wait_for_selector(".pk-yourself[data-on=false]")


@pytest.mark.parametrize(("missing", "message"), [("*.data", "The detector did not load"), ("*.tflite", "Something failed")])
def test_a_detector_that_does_not_come_is_told_and_tried_again(browser, address, walker, missing, message):
    hurry = "const wait = setTimeout; window.setTimeout = (act, ms, ...said) => wait(act, ms > 60000 ? 1000 : ms, ...said);"
    with opened(browser, address, change=hurry) as visit:
        visit.page.route(f"**/{missing}", lambda route: route.fulfill(status=404))
        choose(visit, walker / "photo.jpg")
        told(visit, message)
        visit.page.unroute(f"**/{missing}")
        visit.page.evaluate("window.setTimeout = () => {}")  # all the time that it needs
        choose(visit, walker / "photo.jpg")
        check_person(visit)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off(browser, address, theme):
    with opened(browser, address, width=360, theme=theme) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
        for button in visit.page.locator(".pk-yourself button").all():
            box = button.bounding_box()
            assert 0 <= box["x"] <= 360 - box["width"]
        assert visit.complaints == []
