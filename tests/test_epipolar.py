"""Lines on which a joint of one view must lie in another: the algebra, the still, and the figure in headless Chromium."""

import json
import re
from dataclasses import replace

import pytest
import torch
from visits import Visit, needs_browser

from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.epipolar import epipolar_html, fundamental_matrix, undistorted_pixels
from posekit.random import generator

PAGE = "notebooks/12_cameras_nobody_calibrated"


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
