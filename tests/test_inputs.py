from dataclasses import replace

import pytest
import torch

from posekit.inputs import KINDS, fill_from_neighbours, see
from posekit.poses import from_bones, turn
from posekit.skeleton import HUMANEVA_15


@pytest.fixture
def seen_by(cameras, poses_world):
    """Rays (8, 3, 15, 3) of eight people in three views, and the cameras (3,)."""
    poses = poses_world + poses_world.new_tensor([0, 0, 0.2])
    return cameras.pixels_to_rays(cameras.world_to_pixels(poses[:, None])), cameras


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [(), (4,), (2, 2)])
def test_round_trip_at_any_rank(kind, batch, seen_by, source):
    rays, cameras = seen_by
    rays = rays[:4, 1].unflatten(0, (-1, 2) if batch == (2, 2) else (4,))
    rays = rays if batch else rays[0]
    seen = see(kind, rays, HUMANEVA_15, cameras[1].expand(*batch))
    assert seen.rays.shape == rays.shape
    assert seen.features(HUMANEVA_15).shape == (*batch, 3 * 15)
    depth = 1 + torch.rand(*batch, 15, 1, generator=source, dtype=torch.float64)
    poses = seen.to_camera(depth * seen.rays)
    torch.testing.assert_close(poses / poses[..., 2:], rays)  # the picture is met exactly
    torch.testing.assert_close(seen.from_camera(poses), depth * seen.rays)
    torch.testing.assert_close(seen.turned @ seen.turned.mT, torch.eye(3).double().expand(*batch, 3, 3))
    assert (torch.linalg.det(seen.turned) > 0).all()


def test_features_hold_all_that_was_seen(seen_by):
    """From the features alone, with what the kind knows of the camera, the rays come back."""
    rays, cameras = seen_by
    for kind in KINDS:
        seen = see(kind, rays, HUMANEVA_15, cameras.expand(8, 3))
        extra, bones = seen.features(HUMANEVA_15)[..., :2], seen.features(HUMANEVA_15)[..., 2:30].unflatten(-1, (14, 2))
        bones = torch.cat([torch.zeros_like(bones[..., :1, :]), bones], dim=-2)
        if kind == "level":
            root = torch.stack([torch.zeros_like(extra[..., 0]), extra[..., 0]], dim=-1)
        else:
            root = torch.zeros_like(extra)
            torch.testing.assert_close(extra, rays[..., 0, :2])
        torch.testing.assert_close(from_bones(bones, HUMANEVA_15) + root.unsqueeze(-2), seen.rays[..., :2])


def test_the_root_is_ahead(seen_by):
    rays, cameras = seen_by
    facing = see("rays", rays, HUMANEVA_15).rays[..., 0, :]
    torch.testing.assert_close(facing, torch.tensor([0.0, 0, 1]).double().expand(8, 3, 3))
    level = see("level", rays, HUMANEVA_15, cameras.expand(8, 3))
    torch.testing.assert_close(level.rays[..., 0, 0], torch.zeros(8, 3).double())


def test_level_is_upright_and_knows_its_height(cameras, poses_world):
    poses_camera = cameras.world_to_camera(poses_world[:, None])
    seen = see("level", poses_camera / poses_camera[..., 2:], HUMANEVA_15, cameras.expand(8, 3))
    height = cameras.centers_world[:, 2].expand(8, 3)
    torch.testing.assert_close(seen.extra[..., 1], height)
    over_floor = height.unsqueeze(-1) - seen.from_camera(poses_camera)[..., 1]
    torch.testing.assert_close(over_floor, poses_world[:, None, :, 2].expand(8, 3, 15))


def test_level_does_not_ask_where_north_is(cameras, poses_world):
    """Turning the world about its vertical, or moving it along the ground, changes the cameras but nothing that is seen."""
    angle = torch.tensor(1.1, dtype=torch.float64)
    R = cameras.R_world_to_camera @ turn(torch.eye(3).double(), angle)
    moved = replace(cameras, R_world_to_camera=R)
    moved = replace(moved, t_world_to_camera=moved.t_world_to_camera + R @ torch.tensor([0.3, -0.5, 0]).double())
    rays = cameras.pixels_to_rays(cameras.world_to_pixels(poses_world[:, None]))
    first, second = (see("level", rays, HUMANEVA_15, c.expand(8, 3)) for c in (cameras, moved))
    assert not torch.allclose(cameras.centers_world[:, :2], moved.centers_world[:, :2])
    torch.testing.assert_close(first.features(HUMANEVA_15), second.features(HUMANEVA_15))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind, seen_by):
    rays, cameras = seen_by
    rays = rays[0, 0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda r: see(kind, r, HUMANEVA_15, cameras[0]).features(HUMANEVA_15)[..., :30], rays)
    assert torch.autograd.gradcheck(lambda r: see(kind, r, HUMANEVA_15, cameras[0]).to_camera(2 * r), rays)


def test_missing_joints_take_the_nearest_present_ones_place(seen_by):
    rays, _ = seen_by
    rays = rays[:, 0].clone()
    wrist, elbow, pelvis, thorax = map(HUMANEVA_15.index, ("left_wrist", "left_elbow", "pelvis", "thorax"))
    whole = rays.clone()
    rays[0, wrist], rays[1, [wrist, elbow]], rays[2, pelvis], rays[3] = torch.nan, torch.nan, torch.nan, torch.nan
    filled = fill_from_neighbours(rays, HUMANEVA_15)
    assert torch.equal(filled[0, wrist], whole[0, elbow])
    assert torch.equal(filled[1, wrist], whole[1, HUMANEVA_15.index("left_shoulder")])
    assert torch.equal(filled[2, pelvis], whole[2, thorax])
    assert filled[3].isnan().all()
    assert torch.equal(filled[4:], whole[4:])
    seen = see("rays", rays, HUMANEVA_15)
    assert torch.equal(seen.missing, rays.isnan().any(-1))
    assert seen.features(HUMANEVA_15)[:3].isfinite().all()


def test_bad_input_is_named(seen_by):
    rays, _ = seen_by
    with pytest.raises(ValueError, match="one of screen, rays, level; got 'depth'"):
        see("depth", rays, HUMANEVA_15)
    with pytest.raises(ValueError, match="needs cameras: their tilt"):
        see("level", rays, HUMANEVA_15)


def test_rays_do_not_ask_where_the_camera_stands(seen_by):
    rays, cameras = seen_by
    nowhere = replace(cameras, R_world_to_camera=cameras.R_world_to_camera * torch.nan)
    features = see("rays", rays, HUMANEVA_15, nowhere.expand(8, 3)).features(HUMANEVA_15)
    assert torch.equal(features, see("rays", rays, HUMANEVA_15).features(HUMANEVA_15))
