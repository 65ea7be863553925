"""Lines on which a joint of one view must lie in another: the algebra, the still, and the figure in headless Chromium."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from visits import Visit, needs_browser

from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.epipolar import epipolar_html, fundamental_matrix, undistorted_pixels
from posekit.random import generator

PAGE = "notebooks/12_cameras_nobody_calibrated"
ASSETS = Path(__file__).parent.parent / "book" / "posebook" / "assets"


def off_line_px(line, points):
    """Distance of points (..., 2) from lines (..., 3)."""
    return ((line[..., :2] * points).sum(-1) + line[..., 2]).abs() / line[..., :2].norm(dim=-1)


def lines_of(F, points):
    return torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) @ F.mT


@pytest.fixture
def pair(cameras):
    return cameras[0], cameras[1]


def test_points_along_a_ray_appear_on_its_line(pair, poses_world):
    for first, second in (pair, pair[::-1]):
        seen = first.world_to_pixels(poses_world)
        depths = first.world_to_camera(poses_world)[..., 2:]
        lines = lines_of(fundamental_matrix(first, second), undistorted_pixels(seen, first))
        for share in (0.8, 1.0, 1.2):
            along = first.camera_to_world(share * depths * first.pixels_to_rays(seen))
            there = undistorted_pixels(second.world_to_pixels(along), second)
            assert off_line_px(lines, there).max() < 1e-6


def test_transposed_it_goes_the_other_way_and_the_size_of_the_rig_does_not_count(pair):
    first, second = pair
    F = fundamental_matrix(first, second)
    assert F.norm().item() == pytest.approx(1)
    torch.testing.assert_close(fundamental_matrix(second, first), F.mT)
    larger = [replace(camera, t_world_to_camera=3 * camera.t_world_to_camera) for camera in pair]
    torch.testing.assert_close(fundamental_matrix(*larger), F)


def test_many_pairs_at_once(cameras):
    others = cameras[1:]
    both = fundamental_matrix(Cameras.stack([cameras[0]] * 2), others)
    torch.testing.assert_close(both[1], fundamental_matrix(cameras[0], cameras[2]))


def test_undistorted_pixels_are_those_of_a_lens_that_bends_nothing(cameras, poses_world):
    plain = replace(cameras, radial=0 * cameras.radial, tangential=0 * cameras.tangential)
    points = poses_world.unsqueeze(1)
    undistorted = undistorted_pixels(cameras.world_to_pixels(points), cameras)
    torch.testing.assert_close(undistorted, plain.world_to_pixels(points), atol=1e-6, rtol=0)
    assert (undistorted - cameras.world_to_pixels(points)).abs().max() > 1


def test_a_noisy_joint_is_off_its_line_and_one_moved_along_it_is_not(pair, poses_world):
    first, second = pair
    seen, there = (undistorted_pixels(camera.world_to_pixels(poses_world), camera) for camera in pair)
    lines = lines_of(fundamental_matrix(first, second), seen)
    noise = 2 * torch.randn(there.shape, generator=generator(0), dtype=there.dtype)
    assert off_line_px(lines, there + noise).median() > 0.1
    along = torch.stack([-lines[..., 1], lines[..., 0]], dim=-1) / lines[..., :2].norm(dim=-1, keepdim=True)
    assert off_line_px(lines, there + 50 * along).max() < 1e-6


def test_the_still_has_the_line_through_the_joint_and_no_markup_from_names():
    people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
    cameras = people.cameras[0].to(torch.float64)
    exact = cameras.world_to_pixels(people.poses_world[:1].double())[:2]
    made = epipolar_html(exact, cameras[:2], ('"<b>', "C2"), people.skeleton, joint="left_wrist")
    assert "<b>" not in made
    data = json.loads(re.search(r"<script[^>]*>(.*)</script>", made)[1])
    assert data["views"][0]["name"] == '"<b>'
    (line,) = re.findall(rf'<line x1="(\S+)" y1="(\S+)" x2="(\S+)" y2="(\S+)" stroke="{data["colors"]["line"]}"', made)
    start, end = torch.tensor([float(value) for value in line], dtype=torch.float64).view(2, 2)
    joint = torch.tensor(data["views"][1]["pose"][data["joint"]], dtype=torch.float64)
    across = (joint - start)[0] * (end - start)[1] - (joint - start)[1] * (end - start)[0]
    assert across.abs() / (end - start).norm() < 0.1
    assert ((joint > start.minimum(end)) & (joint < start.maximum(end))).any()


# ---- the figure in the book ----


def opened(browser, address, **options):
    visit = Visit(browser, address, PAGE, **{"reduced_motion": "reduce"} | options)
    visit.page.locator(".pk-epipolar.pk-drawn").scroll_into_view_if_needed()
    return visit


@pytest.fixture
def visit(browser, address):
    with opened(browser, address) as visit:
        yield visit
        assert visit.complaints == []


def view(visit, name):
    return visit.page.get_by_role("group", name=f"The pose in camera {name}.")


def handle(visit, name, joint):
    return view(visit, name).get_by_role("slider", name=joint, exact=True)


def middle(place):
    """Of a handle, on the page."""
    box = place.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def line(visit, name):
    """The line drawn in a view, as its two ends; None if it has none."""
    drawn = view(visit, name).locator(".pk-line")
    ends = np.array([float(drawn.get_attribute(end)) for end in ("x1", "y1", "x2", "y2")]) if drawn.is_visible() else None
    return ends


def off_px(visit):
    return float(re.search(r"([\d.]+) px off", visit.page.inner_text(".pk-epipolar [role=status]"))[1])


def places(visit):
    return visit.page.eval_on_selector_all(".pk-joint", "all => all.map(h => h.ariaLabel + h.getAttribute('transform')).sort()")


def drag(visit, place, right, down):
    x, y = middle(place)
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x + right, y + down, steps=4)
    visit.page.mouse.up()


def across_px(visit, name, joint):
    """Distance in the picture between the drawn line and a joint's handle."""
    x1, y1, x2, y2 = line(visit, name)
    x, y = map(float, re.findall(r"[-\d.]+", handle(visit, name, joint).get_attribute("transform")))
    return abs((x - x1) * (y2 - y1) - (y - y1) * (x2 - x1)) / np.hypot(x2 - x1, y2 - y1)


@pytest.mark.parametrize(("here", "there"), [("C1", "C2"), ("C2", "C1")])
class TestInTheBook:
    """Both ways: from the first view to the second, and back."""

    pytestmark = needs_browser

    def test_every_exact_joint_lies_on_its_line(self, visit, here, there):
        joints = view(visit, here).get_by_role("slider").evaluate_all("all => all.map(one => one.ariaLabel)")
        assert len(joints) == 15
        for joint in joints:
            handle(visit, here, joint).focus()
            assert off_px(visit) < 0.1
            assert across_px(visit, there, joint) < 0.1

    def test_a_drag_moves_the_line_of_the_other_view(self, visit, here, there):
        wrist = handle(visit, here, "left wrist")
        wrist.focus()
        before = line(visit, there)
        assert line(visit, here) is None
        drag(visit, wrist, 20, -60)
        assert np.abs(line(visit, there) - before).max() > 20
        assert off_px(visit) > 10
        assert off_px(visit) == pytest.approx(across_px(visit, there, "left wrist"), abs=0.06)
        assert visit.page.inner_text("[role=status]").startswith(f"Left wrist: camera {there}")

    def test_keys_move_it_too(self, visit, here, there):
        knee = handle(visit, here, "right knee")
        knee.focus()
        before, x = line(visit, there), int(knee.get_attribute("aria-valuenow"))
        for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowRight", "Shift+ArrowRight"):
            visit.page.keyboard.press(key)
        assert int(knee.get_attribute("aria-valuenow")) == x + 6
        assert np.abs(line(visit, there) - before).max() > 3
        assert f"{off_px(visit):.1f} pixels between its line" in knee.get_attribute("aria-valuetext")
        visit.page.keyboard.press("Delete")  # no joint can be taken away
        assert off_px(visit) > 3

    def test_a_button_puts_all_back(self, visit, here, there):
        joints, start = places(visit), line(visit, "C2")
        drag(visit, handle(visit, here, "head"), 30, 30)
        drag(visit, handle(visit, there, "left ankle"), 10, -40)
        assert places(visit) != joints
        visit.page.get_by_role("button", name="Put the joints back").click()
        assert places(visit) == joints
        assert line(visit, "C2") == pytest.approx(start)
        assert off_px(visit) < 0.1


class TestOnThePage:
    """Fingers, paper, and pages without it."""

    pytestmark = needs_browser

    def test_a_finger_on_a_joint_drags_it_and_elsewhere_scrolls_the_page(self, browser, address):
        with opened(browser, address, width=360, has_touch=True, is_mobile=True, device_scale_factor=2) as visit:

            def swipe(x, y):
                """Up by 80 pixels; by how much the page went."""
                before = visit.page.evaluate("scrollY")
                visit.swipe((x, y), 0, -80)
                visit.page.wait_for_timeout(300)
                return visit.page.evaluate("scrollY") - before

            view(visit, "C1").evaluate("picture => picture.scrollIntoView({ block: 'center' })")
            ankle = handle(visit, "C1", "left ankle")
            x, y = middle(ankle)
            assert swipe(x, y) == 0
            assert middle(ankle) == pytest.approx((x, y - 80), abs=2)
            assert off_px(visit) > 10
            box = view(visit, "C1").bounding_box()
            assert swipe(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"]) > 20
            assert visit.complaints == []

    def test_the_still_stands_on_paper_and_without_scripts(self, browser, address, visit):
        still = visit.page.locator(".pk-epipolar .pk-still")
        assert not still.is_visible()
        visit.page.emulate_media(media="print")
        assert still.is_visible()
        assert not visit.page.locator(".pk-pair").is_visible()
        with Visit(browser, address, PAGE, java_script_enabled=False) as plain:
            assert plain.page.get_by_role("img", name="the line on which camera C2 must see it").bounding_box()["height"] > 200

    def test_its_script_is_small_and_only_on_its_page(self, browser, address, visit):
        assert (ASSETS / "epipolar.js").stat().st_size < 8_000
        assert any("epipolar.js" in url for url in visit.scripts)
        with Visit(browser, address, "book/intro") as other:
            assert not any("epipolar.js" in url for url in other.scripts)
