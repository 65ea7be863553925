"""Cameras as parameters of the label-free loss, learned together with a lifter.

The 2022 report ends on the wish to "treat the camera properties as learnable parameters and have the model estimate
these while training". That works near a good start. `bundle_adjust` comes closer to the rig from nearly all starts tried;
see the chapter "Cameras nobody calibrated".
"""

from dataclasses import replace

import roma
import torch
from jaxtyping import Float
from torch import Tensor, nn

from posekit.cameras import Cameras
from posekit.losses import label_free_loss
from posekit.samples import Views


class LearnedCameras(nn.Module):
    """Extrinsics as parameters, from a start; intrinsics stay as they are.

    The loss knows neither where the rig is nor how large, so what would drift is held: the first camera, and its
    distance to the last.

    Args:
        start: (V,), in float32.
    """

    def __init__(self, start: Cameras):
        super().__init__()
        self.start = start
        self.turn = nn.Parameter(torch.zeros(len(start), 3))
        self.shift = nn.Parameter(torch.zeros(len(start), 3))

    def forward(self) -> Cameras:
        """The cameras as they are now."""
        free = (torch.arange(len(self.start)) > 0).unsqueeze(-1)
        before = self.start.centers_world
        away = before + free * self.shift - before[0]
        length = (before[-1] - before[0]).norm() / away[-1].norm()
        return placed(
            self.start,
            self.start.R_world_to_camera @ roma.rotvec_to_rotmat(free * self.turn),
            before[0] + length * away,
        )


def learn_cameras(
    lifter: nn.Module,
    views: Views,
    start: Cameras,
    *,
    steps: int = 400,
    batch_size: int = 128,
    learning_rates: tuple[float, float] = (1e-3, 1e-1),
    generator: torch.Generator,
) -> Cameras:
    """Train a lifter in place by `losses.label_free_loss`, and the cameras with it.

    Args:
        lifter: of single frames.
        views: moments of one rig; their own cameras are not looked at.
        start: (V,), where the cameras begin.
        steps: of Adam, under a one-cycle schedule.
        batch_size: moments in a step.
        learning_rates: peaks, of the lifter and of the cameras (radians and metres).
        generator: random numbers of the batches.

    Returns:
        The rig (V,), float32, with the first camera and its distance to the last as at the start.

    Raises:
        ValueError: with fewer than two views, or another number of cameras than views.
    """
    if start.shape != views.screen.shape[-3:-2]:
        raise ValueError(f"the start must have one camera for each of {views.screen.shape[-3]} views, got {start.shape}")
    learned = LearnedCameras(start.to(torch.float32))
    optimizer = torch.optim.Adam([dict(params=part.parameters()) for part in (lifter, learned)])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, list(learning_rates), steps)
    for _ in range(steps):
        batch = views[torch.randint(len(views), (batch_size,), generator=generator)]
        loss = label_free_loss(lifter, replace(batch, cameras=learned()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return learned()


def carried(cameras: Cameras, about: Float[Tensor, "3"], degrees: float, generator: torch.Generator) -> Cameras:
    """A wrong rig to start from: every camera but the first turned about a point, each about a random axis of its own.

    Args:
        cameras: (V,).
        about: world metres; where people are, so that the cameras still see them.
        degrees: of each turn.
        generator: random numbers of the axes.
    """
    axis = nn.functional.normalize(torch.randn(len(cameras), 3, generator=generator, dtype=torch.float64), dim=-1)
    angle = torch.deg2rad(degrees * (torch.arange(len(cameras)) > 0).double()).unsqueeze(-1)
    turn = roma.rotvec_to_rotmat(angle * axis).to(cameras.R_world_to_camera)
    about = about.to(turn)
    centers = (turn.mT @ (cameras.centers_world - about).unsqueeze(-1)).squeeze(-1) + about
    return placed(cameras, cameras.R_world_to_camera @ turn, centers)


def placed(cameras: Cameras, R_world_to_camera: Float[Tensor, "V 3 3"], centers_world: Float[Tensor, "V 3"]) -> Cameras:
    """The same cameras with other rotations, at other places (world metres)."""
    t = -(R_world_to_camera @ centers_world.unsqueeze(-1)).squeeze(-1)
    return replace(cameras, R_world_to_camera=R_world_to_camera, t_world_to_camera=t)
