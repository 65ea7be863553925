"""Cameras that were never there: real ones moved, others drawn at random around a person, and a test seen by changed ones."""

import math
from collections.abc import Callable
from dataclasses import replace

import roma
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from posekit.cameras import Cameras
from posekit.sequences import MultiViewDataset


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


def moved_to(cameras: Cameras, centers: Float[Tensor, "*batch 3"], target: Float[Tensor, "*batch 3"]) -> Cameras:
    """The same cameras at other places, each turned the shortest way that leaves `target` on the pixel where it was."""
    before, after = (normalize(target - places, dim=-1) for places in (cameras.centers_world, centers))
    axis = torch.linalg.cross(after, before)
    sin, cos = axis.norm(dim=-1, keepdim=True), (after * before).sum(-1, keepdim=True)
    angle = torch.atan2(sin, cos) / sin.clamp(min=1e-12)
    R = cameras.R_world_to_camera @ roma.rotvec_to_rotmat(angle * axis)
    return replace(cameras, R_world_to_camera=R, t_world_to_camera=-(R @ centers.unsqueeze(-1)).squeeze(-1))


def higher(cameras: Cameras, target: Float[Tensor, "*batch 3"], by: float = 0.5) -> Cameras:
    """Cameras raised by some metres and tilted down, so that `target` stays where it was in the picture."""
    return moved_to(cameras, cameras.centers_world + torch.tensor([0.0, 0.0, by]).to(target), target)


def nearer(cameras: Cameras, target: Float[Tensor, "*batch 3"], by: float = 1.0) -> Cameras:
    """Cameras moved some metres along the ground towards `target`, and tilted so that it stays where it was in the picture."""
    centers = cameras.centers_world
    along = torch.nn.functional.pad(normalize((target - centers)[..., :2], dim=-1), (0, 1))
    return moved_to(cameras, centers + by * along, target)


def half_focal(cameras: Cameras, target: Float[Tensor, "*batch 3"]) -> Cameras:
    """Cameras of half the focal length: twice as much of the room in the picture, about the same principal point."""
    return replace(cameras, focal_px=cameras.focal_px / 2)


CHANGES: dict[str, Callable[[Cameras, Tensor], Cameras]] = {"higher": higher, "nearer": nearer, "half_focal": half_focal}
"""What `seen_by` can do to cameras, given the point they look at."""


def seen_by(dataset: MultiViewDataset, poses_world: Float[Tensor, "F J 3"], change: str) -> MultiViewDataset:
    """The dataset as changed cameras would see it. Its 2D is then drawn, not recorded.

    The drawn 2D is the exact projection of `poses_world`, as a perfect detector would find them, also beyond the
    picture's border. The true poses stay the dataset's own labels, in the changed cameras' frames. Cameras are changed
    clip by clip about the middle of the room: the mean place of the same person's root over the whole dataset, which
    stays on the pixel where the unchanged camera sees it.

    Args:
        dataset: whose cameras are changed.
        poses_world: the people to draw, such as those of `teachers.triangulated`; a NaN joint is missing.
        change: one of `CHANGES`.

    Raises:
        ValueError: for an unknown change, or a person whose root is NaN in every frame.
    """
    if change not in CHANGES:
        raise ValueError(f"change must be one of {', '.join(CHANGES)}; got {change!r}")
    target = _middles(dataset, poses_world[:, 0])
    cameras = CHANGES[change](dataset.cameras, target.unsqueeze(1).expand(*dataset.cameras.shape, 3))
    pixels = cameras[dataset.clip_of_frame].world_to_pixels(poses_world.unsqueeze(1))
    return replace(dataset, cameras=cameras, pixels=pixels, confidence=pixels.isfinite().all(-1).to(dataset.confidence))


def _middles(dataset: MultiViewDataset, roots: Float[Tensor, "F 3"]) -> Float[Tensor, "clips 3"]:
    """For each clip the mean place of its person, over all their clips."""
    middles = {}
    for subject in dataset.subjects:
        own = torch.tensor([clip.subject == subject for clip in dataset.clips])[dataset.clip_of_frame]
        middles[subject] = roots[own].nanmean(0)
        if middles[subject].isnan().any():
            raise ValueError(f"{dataset.name}: {subject} has no root in any frame, so the middle of the room cannot be told")
    return torch.stack([middles[clip.subject] for clip in dataset.clips])


def draw_cameras(
    roots_world: Float[Tensor, "N 3"],
    image_size_px: Float[Tensor, "N 2"],
    generator: torch.Generator | None,
    height: tuple[float, float] = (0.5, 2.5),
    distance: tuple[float, float] = (1.5, 7.5),
    fills: tuple[float, float] = (0.3, 1.1),
    aim: float = 0.8,
    roll: float = 0.03,
) -> Cameras:
    """Pinholes without a lens anywhere around people, with all of them in the picture but for rare feet and hands.

    The ranges are to cover the cameras of a test, which training need not have seen. HumanEva-I's stand 1.4 to 1.5 m
    high and 2.8 to 5.2 m away, Human3.6M's 1.5 to 1.6 m and 2.9 to 7.6 m.

    Args:
        roots_world: where the people stand, one per camera.
        image_size_px: width and height of the images.
        generator: random numbers; None for torch's global generator.
        height: of the camera over z = 0, metres; the tilt follows from it.
        distance: between camera and root along the ground, metres.
        fills: which share of the image's shorter side 2 metres at the root's distance take: this sets the focal length.
        aim: the root is anywhere in this share of the part of the image in which a person of that size has room.
        roll: standard deviation, radians, about the optical axis.
    """
    count = len(roots_world)

    def between(low, high):
        return low + (high - low) * torch.rand(count, generator=generator)

    azimuth, away, up = between(0, 2 * math.pi), between(*distance), between(*height)
    around = torch.stack([azimuth.cos() * away, azimuth.sin() * away], dim=-1)
    center = torch.cat([roots_world[:, :2] + around, up[:, None]], dim=-1)
    share = between(*fills)[:, None]
    shape = image_size_px / image_size_px.amin(-1, keepdim=True)
    spare = (shape / share - torch.tensor([0.5, 1.0])).clamp(min=0)  # metres beside the person, and over and under them
    aside = aim * spare * (2 * torch.rand(count, 2, generator=generator) - 1)
    across, down = look_at(center, roots_world)[:, :2].unbind(1)
    R = look_at(center, roots_world + aside[:, :1] * across + aside[:, 1:] * down)
    about_axis = torch.tensor([0.0, 0.0, roll]) * torch.randn(count, 1, generator=generator)
    R = roma.rotvec_to_rotmat(about_axis) @ R
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
