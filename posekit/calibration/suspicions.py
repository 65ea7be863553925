"""What else the views could be: out of step, sides swapped, mirrored. Each is tried pair by pair, and its cost compared.

A wrong view seldom shows in the residuals: the cameras move until it fits. It shows when the pair fits better otherwise.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from posekit.calibration.relative import refine_relative, relative_poses
from posekit.calibration.rig import view_pairs
from posekit.cameras import Cameras
from posekit.random import generator
from posekit.skeleton import Skeleton

FRAMES = 60  # that are looked at
SAMPLES = 150


class Synchronisation(NamedTuple):
    """How well every pair of views fits if the second one is shifted in time.

    shifts: in frames; +1 pairs each frame of the first view with the next one of the second.
    cost_px2: mean robust squared epipolar distance of the pair after its pose has been adjusted to the shift.
    """

    shifts: Int[Tensor, " S"]
    cost_px2: Float[Tensor, "pairs S"]

    @property
    def best(self) -> Int[Tensor, " pairs"]:
        """The shift of every pair, that of least cost if that is by 4 % less than without a shift; else 0."""
        cost = self.cost_px2.nan_to_num(nan=torch.inf)
        lowest, index = cost.min(-1)
        return self.shifts[index] * (lowest < 0.96 * cost[:, self.shifts == 0].squeeze(-1))


def synchronisation(
    pixels: Float[Tensor, "F V J 2"],
    confidence: Float[Tensor, "F V J"] | None,
    cameras: Cameras,
    chosen: Int[Tensor, " K"],
    most: int = 10,
) -> Synchronisation:
    """Shift views against each other: pairs of chosen frames of one view with neighbouring frames of the other.

    Args:
        pixels, confidence: the whole recording.
        cameras: (V,), calibrated without a shift: where the adjustment of each pair's pose starts.
        chosen: numbers of the frames used.
        most: largest shift, frames.
    """
    most = min(most, (len(pixels) - 1) // 3)
    shifts = torch.arange(-most, most + 1)
    chosen = _fewer(chosen)
    a, b = view_pairs(len(cameras)).T
    rays, weights = _rays(pixels, confidence, cameras, chosen)
    shifted = chosen + shifts.unsqueeze(-1)  # (S, K)
    inside = (shifted >= 0) & (shifted < len(pixels))
    late_rays, late_weights = _rays(pixels, confidence, cameras, shifted.clamp(0, len(pixels) - 1).flatten())
    late_rays = late_rays.unflatten(1, (len(shifts), -1))  # (V, S, N, 3)
    late_weights = late_weights.unflatten(1, (len(shifts), len(chosen), -1)) * inside.unsqueeze(-1)
    both = (weights[a].unsqueeze(1) * late_weights.flatten(-2)[b]).sqrt()
    R, t = relative(cameras, a, b)
    start = (R.unsqueeze(1).expand(-1, len(shifts), -1, -1), t.unsqueeze(1).expand(-1, len(shifts), -1))
    _, _, cost = refine_relative(*start, rays[a].unsqueeze(1), late_rays[b], both, _focal(cameras, a, b).unsqueeze(-1), 6)
    return Synchronisation(shifts, cost.where(both.sum(-1) > 0, torch.nan))


def relative(cameras: Cameras, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Pose of cameras b in the frames of cameras a, the distance between them scaled to 1."""
    R = cameras.R_world_to_camera[b] @ cameras.R_world_to_camera[a].mT
    t = cameras.t_world_to_camera[b] - (R @ cameras.t_world_to_camera[a].unsqueeze(-1)).squeeze(-1)
    return R, torch.nn.functional.normalize(t, dim=-1)


class Misreadings(NamedTuple):
    """Whether pairs of views fit better if one of the two is read otherwise.

    names: of the readings; the first is "as given".
    cost_px2: mean robust squared epipolar distance; infinite where people would be behind a camera.
    """

    names: tuple[str, ...]
    cost_px2: Float[Tensor, "readings pairs"]

    @property
    def best(self) -> Int[Tensor, " pairs"]:
        """The reading of every pair, another than the first only if it costs less than half."""
        lowest, index = self.cost_px2.min(0)
        given = self.cost_px2[0]
        return index.where((lowest < given / 2) & (given > 1e-6), 0)  # exact 2D fits both ways


def misreadings(
    pixels: Float[Tensor, "F V J 2"],
    confidence: Float[Tensor, "F V J"] | None,
    cameras: Cameras,
    chosen: Int[Tensor, " K"],
    skeleton: Skeleton | None,
) -> Misreadings:
    """Try every pair of views as given, mirrored, and with left and right swapped; the pose is found anew each time.

    A mirrored image, as webcams show it, has the same epipolar distances, but puts people behind one of the cameras.
    Swapped sides need a skeleton.
    """
    a, b = view_pairs(len(cameras)).T
    rays, weights = _rays(pixels, confidence, cameras, _fewer(chosen))
    mirror = torch.tensor([-1.0, 1, 1]).to(rays)
    readings = {"as given": (rays, weights), "mirrored": (rays * mirror, weights)}
    if skeleton is not None:
        partners, joints = list(skeleton.partners), len(skeleton)
        swapped, moved = (part.unflatten(1, (-1, joints))[:, :, partners].flatten(1, 2) for part in (rays, weights))
        readings |= {"left and right swapped": (swapped, moved), "mirrored, with sides renamed": (swapped * mirror, moved)}
    others, both = (
        torch.cat(parts) for parts in zip(*((rays_b[b], (weights[a] * w[b]).sqrt()) for rays_b, w in readings.values()))
    )
    enough = (both > 0).sum(-1) >= 8
    first, focal = rays[a].repeat(len(readings), 1, 1), _focal(cameras, a, b).repeat(len(readings))
    parts = (part[enough] for part in (first, others, both, focal))
    found = relative_poses(*parts, generator(0), samples=SAMPLES, refined=4, kept=1)
    cost = torch.full((len(others),), torch.inf).to(rays)
    cost[enough] = found.cost[:, 0].where(found.in_front[:, 0] >= 0.6, torch.inf)
    return Misreadings(tuple(readings), cost.view(len(readings), -1))


def _fewer(chosen):
    return chosen[torch.linspace(0, len(chosen) - 1, min(FRAMES, len(chosen)), dtype=torch.float64).round().long()]


def _rays(pixels, confidence, cameras, frames):
    """Rays (V, frames * J, 3) and weights of the 2D joints of some frames, any finite ray where missing."""
    pixels = pixels[frames].double()
    seen = pixels.isfinite().all(-1)
    weights = seen.double() if confidence is None else confidence[frames].double().nan_to_num() * seen
    pixels = pixels.where(seen.unsqueeze(-1), cameras.center_px.unsqueeze(-2))
    return cameras.pixels_to_rays(pixels).transpose(0, 1).flatten(1, 2), weights.transpose(0, 1).flatten(1)


def _focal(cameras, a, b):
    focal = cameras.focal_px.mean(-1)
    return (focal[a] * focal[b]).sqrt()
