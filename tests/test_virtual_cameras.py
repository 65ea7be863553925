import math
from dataclasses import replace

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.random import generator
from posekit.virtual_cameras import CHANGES, draw_cameras, higher, look_at, moved_to, nearer, seen_by, shifted


def test_moved_and_aimed_cameras(cameras, poses_world, source):
    offset = torch.randn(3, 3, generator=source, dtype=torch.float64)
    moved = shifted(cameras, offset)
    torch.testing.assert_close(moved.centers_world, cameras.centers_world + offset)
    seen = moved.world_to_pixels(poses_world[:, None] + offset[:, None])
    torch.testing.assert_close(seen, cameras.world_to_pixels(poses_world[:, None]))

    center, target = torch.randn(2, 5, 3, generator=source, dtype=torch.float64)
    R = look_at(center, target)
    torch.testing.assert_close(R @ R.mT, torch.eye(3).expand(5, 3, 3).double())
    ahead = (R @ (target - center).unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(ahead[:, :2], torch.zeros(5, 2).double(), atol=1e-12, rtol=0)
    assert (ahead[:, 2] > 0).all()
    assert (R[:, 1, 2] < 0).all()  # y down

    people, size = torch.zeros(500, 3) + torch.tensor([0, 0, 1.0]), torch.full((500, 2), 640.0)
    drawn = draw_cameras(people, size, source, distance=(2.5, 7.0), roll=0.0)
    away = drawn.centers_world[:, :2].norm(dim=-1)
    assert 2.5 <= away.min() < away.max() <= 7.0 + 1e-4
    assert math.isclose(drawn.R_world_to_camera[:, 0, 2].abs().max().item(), 0, abs_tol=1e-6)


def test_drawn_cameras_cover_real_ones():
    """Heights, distances, sizes in the picture and directions of people as HumanEva-I's cameras have them."""
    data = load_dataset("synthetic", "train", stride=5)
    roots, own = data.poses_world[:, None, :1], data.frame_cameras
    size = own.image_size_px.flatten(0, 1)
    drawn = draw_cameras(roots.expand(-1, 3, 1, 3).reshape(-1, 3), size, generator(0))

    def looks(cameras, people):
        root, away = cameras.world_to_camera(people)[..., 0, :], people[..., 0, :] - cameras.centers_world
        fills = 2 * cameras.focal_px[..., 0] / root.norm(dim=-1) / cameras.image_size_px.amin(-1)
        parts = [cameras.centers_world[..., 2], away[..., :2].norm(dim=-1), fills, *(root[..., :2] / root[..., 2:]).unbind(-1)]
        return torch.stack([part.flatten() for part in parts])

    real, made = looks(own, roots), looks(drawn, roots.expand(-1, 3, 1, 3).flatten(0, 1))
    inside = (real >= made.amin(1, keepdim=True)) & (real <= made.amax(1, keepdim=True))
    assert inside.float().mean(1).min() > 0.98


def test_moved_cameras_stay_upright_and_keep_what_they_look_at(cameras, source):
    target = torch.randn(3, 3, generator=source, dtype=torch.float64) * 0.3
    before = cameras.world_to_pixels(target.unsqueeze(1))
    for change in (higher, nearer):
        changed = change(cameras, target)
        torch.testing.assert_close(changed.world_to_pixels(target.unsqueeze(1)), before)
        R = changed.R_world_to_camera
        torch.testing.assert_close(R @ R.mT, torch.eye(3).double().expand(3, 3, 3))
    offset = higher(cameras, target).centers_world - cameras.centers_world
    torch.testing.assert_close(offset, torch.tensor([0, 0, 0.5]).double().expand(3, 3))
    offset = nearer(cameras, target).centers_world - cameras.centers_world
    torch.testing.assert_close(offset[:, 2], torch.zeros(3).double())
    away = [(target - c.centers_world)[:, :2].norm(dim=-1) for c in (cameras, nearer(cameras, target))]
    torch.testing.assert_close(away[0] - away[1], torch.ones(3).double())
    center, R = cameras.centers_world, look_at(cameras.centers_world, target)
    upright = replace(cameras, R_world_to_camera=R, t_world_to_camera=-(R @ center.unsqueeze(-1)).squeeze(-1))
    for change in (higher, nearer):
        torch.testing.assert_close(change(upright, target).R_world_to_camera[:, 0, 2], torch.zeros(3).double())


def test_a_camera_moved_nowhere_is_the_same(cameras):
    target = torch.zeros(3, 3, dtype=torch.float64)
    same = moved_to(cameras, cameras.centers_world, target)
    torch.testing.assert_close(same.R_world_to_camera, cameras.R_world_to_camera)
    torch.testing.assert_close(same.t_world_to_camera, cameras.t_world_to_camera)


@pytest.mark.parametrize("change", CHANGES)
def test_a_test_seen_by_changed_cameras_is_drawn_and_keeps_its_labels(small, change):
    poses = small.poses_world + 0.01
    poses[3, 4] = torch.nan
    changed = seen_by(small, poses, change)
    assert torch.equal(changed.poses_world, small.poses_world)
    assert (changed.confidence[3, :, 4] == 0).all()
    assert changed.confidence.sum() == small.confidence.sum() - 3
    drawn = changed.frame_cameras.world_to_pixels(poses.unsqueeze(1))
    torch.testing.assert_close(changed.pixels, drawn, equal_nan=True)
    torch.testing.assert_close(changed.frame_cameras.camera_to_world(changed.poses_camera())[:, 0], small.poses_world)


def test_half_the_focal_length_is_half_the_picture(small):
    pinholes = replace(small.cameras, radial=small.cameras.radial * 0, tangential=small.cameras.tangential * 0)
    small = replace(small, cameras=pinholes)
    center = small.frame_cameras.center_px.unsqueeze(2)
    own = small.frame_cameras.world_to_pixels(small.poses_world.unsqueeze(1)) - center
    half = seen_by(small, small.poses_world, "half_focal").pixels - center
    torch.testing.assert_close(2 * half, own, atol=1e-3, rtol=1e-5)


def test_what_cannot_be_changed_is_said(small):
    with pytest.raises(ValueError, match="change must be one of higher, nearer, half_focal; got 'lower'"):
        seen_by(small, small.poses_world, "lower")
    with pytest.raises(ValueError, match="S2 has no root in any frame"):
        seen_by(small, small.poses_world * torch.nan, "higher")
