import math

import torch

from posekit.virtual_cameras import draw_cameras, look_at, shifted


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

    drawn = draw_cameras(torch.zeros(500, 3) + torch.tensor([0, 0, 1.0]), torch.full((500, 2), 640.0), source, roll=0.0)
    away = drawn.centers_world[:, :2].norm(dim=-1)
    assert 2.5 <= away.min() < away.max() <= 7.0 + 1e-4
    assert math.isclose(drawn.R_world_to_camera[:, 0, 2].abs().max().item(), 0, abs_tol=1e-6)
