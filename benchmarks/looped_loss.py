"""The label-free loss written the straightforward way: Python loops over frames, cameras and pairs.

The reference that `posekit.losses.multiview_loss` must equal (tests) and is timed against (benchmarks). It shares
no code with it beside the calibration.
"""

from itertools import combinations

import torch
from torch import Tensor

from posekit.samples import Views


def looped_multiview_loss(poses_camera: Tensor, views: Views) -> tuple[Tensor, Tensor, Tensor]:
    """Own-view, cross-view and consistency terms for poses (F, V, J, 3) in front of every camera, no joint missing."""
    frames, count = poses_camera.shape[:2]
    own, cross, consistency = [], [], []
    for frame in range(frames):
        cameras = views.cameras[frame]
        projected = [[_into(poses_camera[frame, i], cameras[i], cameras[j]) for j in range(count)] for i in range(count)]
        for i in range(count):
            for j in range(count):
                distance = (projected[i][j] - views.screen[frame, j]).norm(dim=-1).mean()
                (own if i == j else cross).append(distance)
        for j in range(count):
            for i, k in combinations(range(count), 2):
                consistency.append((projected[i][j] - projected[k][j]).norm(dim=-1).mean())
    return tuple(torch.stack(term).mean() for term in (own, cross, consistency))


def _into(pose: Tensor, source, target) -> Tensor:
    """One pose (J, 3) of one camera on another's screen, by the textbook formulas."""
    world = (pose - source.t_world_to_camera) @ source.R_world_to_camera
    seen = world @ target.R_world_to_camera.T + target.t_world_to_camera
    x, y = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
    k1, k2, k3 = target.radial
    p1, p2 = target.tangential
    r2 = x**2 + y**2
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    if target.lens == "opencv":
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
        bent_y = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    else:
        bent_x = x * (radial + p2 * x + p1 * y) + p2 * r2
        bent_y = y * (radial + p2 * x + p1 * y) + p1 * r2
    width, height = target.image_size_px
    u = target.focal_px[0] * bent_x + target.center_px[0]
    v = target.focal_px[1] * bent_y + target.center_px[1]
    return torch.stack([2 * u / width - 1, 2 * v / width - height / width], dim=-1)
