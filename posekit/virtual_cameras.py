"""Cameras that were never there, for scenes: real ones moved, and others drawn at random around a person."""

import math
from dataclasses import replace

import roma
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from posekit.cameras import Cameras


def look_at(center: Float[Tensor, "*batch 3"], target: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation world -> camera of an upright camera at `center` with `target` on its optical axis; z is up."""
    forward = normalize(target - center, dim=-1)
    up = forward.new_tensor([0.0, 0.0, 1.0]).expand_as(forward)
    right = normalize(torch.linalg.cross(forward, up), dim=-1)
    return torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-2)


def shifted(cameras: Cameras, offset: Float[Tensor, "*batch 3"]) -> Cameras:
    """The same cameras, looking the same way, from a place `offset` world metres away."""
    R = cameras.R_world_to_camera
    return replace(cameras, t_world_to_camera=cameras.t_world_to_camera - (R @ offset.unsqueeze(-1)).squeeze(-1))


def draw_cameras(
    roots_world: Float[Tensor, "N 3"],
    image_size_px: Float[Tensor, "N 2"],
    generator: torch.Generator | None,
    height: tuple[float, float] = (0.5, 2.5),
    distance: tuple[float, float] = (2.5, 7.0),
    fills: tuple[float, float] = (0.4, 0.9),
    aim: float = 0.15,
    roll: float = 0.03,
) -> Cameras:
    """Pinholes without a lens anywhere around people, looking at them.

    Args:
        roots_world: where the people stand, one per camera.
        image_size_px: width and height of the images.
        generator: random numbers; None for torch's global generator.
        height: of the camera over z = 0, metres; the tilt follows from it.
        distance: between camera and root along the ground, metres.
        fills: which share of the image's shorter side 2 metres at the root's distance take: this sets the focal length.
        aim: standard deviation of the point looked at about the root, as a share of the space that is left.
        roll: standard deviation, radians, about the optical axis.
    """
    count = len(roots_world)

    def between(low, high):
        return low + (high - low) * torch.rand(count, generator=generator)

    azimuth, away, up = between(0, 2 * math.pi), between(*distance), between(*height)
    around = torch.stack([azimuth.cos() * away, azimuth.sin() * away], dim=-1)
    center = torch.cat([roots_world[:, :2] + around, up[:, None]], dim=-1)
    share = between(*fills)[:, None]
    spare = 1 / share - 1  # metres at the root's distance between a metre around the root and the image's nearer border
    target = roots_world + spare * (aim * torch.randn(count, 3, generator=generator)).clamp(-1, 1)
    about_axis = torch.tensor([0.0, 0.0, roll]) * torch.randn(count, 1, generator=generator)
    R = roma.rotvec_to_rotmat(about_axis) @ look_at(center, target)
    focal = share * image_size_px.amin(-1, keepdim=True) * (roots_world - center).norm(dim=-1, keepdim=True) / 2

    zeros = torch.zeros(count, 3).to(roots_world)
    return Cameras(
        R_world_to_camera=R,
        t_world_to_camera=-(R @ center.unsqueeze(-1)).squeeze(-1),
        focal_px=focal.expand(-1, 2),
        center_px=image_size_px / 2,
        radial=zeros,
        tangential=zeros[:, :2],
        image_size_px=image_size_px,
    )
