"""A lifter that sees a window of frames of one view and says the pose of the middle one."""

from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.inputs import Seen
from posekit.ray_lifter import RayLifter
from posekit.skeleton import Skeleton
from posekit.stretches import Stretch

MEANS = (0.4, 1.2, 3.0, 6.0, 12.0)
PARABOLAS = (2.5, 5.0, 10.0)
"""Standard deviations, in frames, of the Gaussians that weight the frames of a mean or of a fitted parabola."""
BASE = 6
"""Which of the averages the others are compared with, the parabola of 5 frames."""
VERSIONS = len(MEANS) + len(PARABOLAS) + 1
"""The last is the base, followed along its parabola's slope for 5 frames."""
BENT = 0.1
"""How reluctant parabolas are to bend, for the ends of clips and for gaps."""
HARDLY = 1e-3
"""Weight of the next wider mean in each kernel, which falls back on it where it found nothing."""
SMALLEST = 1e-4
"""Rays less apart than this are the same."""


class SeenOverTime(NamedTuple):
    """A 2D pose smoothed over time in several ways, in a frame turned towards the person.

    seen: the version that the others are compared with.
    apart: how far the other versions are from it.
    spread: for each mean, the logarithm of how far the joint is from it typically; last, of its steps and bends.
    evidence: for each mean, the logarithm of the confidence it found.

    Steps are first differences in time, which are motion and noise; bends are second ones, hardly any but noise.
    """

    seen: Seen
    apart: Float[Tensor, "*batch K J 2"]
    spread: Float[Tensor, "*batch S J"]
    evidence: Float[Tensor, "*batch M J"]

    @property
    def rays(self) -> Tensor:
        """The joints at depth 1, as in `Seen`."""
        return self.seen.rays

    @property
    def missing(self) -> Tensor:
        """Joints that were not found, as in `Seen`."""
        return self.seen.missing

    def features(self, skeleton: Skeleton) -> Float[Tensor, "*batch inputs"]:
        """Input of a network; last what a single frame's would be."""
        parts = [self.apart.flatten(-3), self.spread.flatten(-2), self.evidence.flatten(-2), self.seen.features(skeleton)]
        return torch.cat(parts, dim=-1)

    def mirrored(self, kind: str, skeleton: Skeleton) -> "SeenOverTime":
        """As `Seen.mirrored`."""
        partners = list(skeleton.partners)
        apart = skeleton.mirror(self.apart)
        return SeenOverTime(self.seen.mirrored(kind, skeleton), apart, self.spread[..., partners], self.evidence[..., partners])

    def to_camera(self, poses: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch J 3"]:
        """As `Seen.to_camera`."""
        return self.seen.to_camera(poses)


class WindowLifter(RayLifter):
    """`RayLifter` of a window of frames.

    Rays are averaged over time in several ways, by means and fitted parabolas in which each ray is weighted by its
    confidence squared and by a Gaussian (normalised convolutions). How these averages lie apart, and how far the rays
    lie from them, is input of the network beside one of them. The output's rays are a sum of the averages, weighted as
    the network says.

    Args:
        skeleton, needs, width, blocks, mirrored, generator: as for `RayLifter`. Joints are never bound to their rays,
            since these are noisy.
        window: number of frames, odd.

    Raises:
        ValueError: as `RayLifter`, and for an even window.

    Source: H. Knutsson and C.-F. Westin, "Normalized and differential convolution", CVPR 1993.
    """

    def __init__(
        self,
        skeleton: str,
        window: int = 27,
        needs: str = "level",
        width: int = 512,
        blocks: int = 3,
        mirrored: bool | None = None,
        generator: torch.Generator | None = None,
    ):
        if window < 1 or window % 2 == 0:
            raise ValueError(f"window must be an odd number of frames, got {window}")
        super().__init__(skeleton, needs, width, blocks, on_rays=False, mirrored=mirrored, generator=generator)
        del self.settings["on_rays"]
        self.settings["window"] = self.window = window
        with torch.no_grad():  # at first it attends to what a single frame's would see
            weight, single = self.inner[0].weight, super().inputs()
            weight[:, :-single] *= 0.5
            weight[:, -single:] *= (self.inputs() / single) ** 0.5

    def inputs(self) -> int:
        """Length of the network's input."""
        return super().inputs() + (2 * (VERSIONS - 1) + 2 * len(MEANS) + 2) * len(self.skeleton)

    def outputs(self) -> int:
        """Numbers that the network says of each joint."""
        return super().outputs() + VERSIONS - 1

    def forward(
        self,
        screen: Float[Tensor, "*batch T V J 2"],
        cameras: Cameras | None = None,
        confidence: Float[Tensor, "*batch T V J"] | None = None,
    ) -> Float[Tensor, "*batch V J 3"]:
        """Windows of 2D joints in screen coordinates -> absolute 3D joints of their middle frames, camera frame, metres.

        Args:
            screen: each view on its own; NaN where missing, and beyond the ends of a clip.
            cameras: leading axes that broadcast with (*batch, V); see `RayLifter.forward`.
            confidence: how far each 2D joint can be trusted; all alike by default.

        Raises:
            ValueError: for another number of frames or joints, or if cameras are needed and not given.
        """
        if screen.shape[-4] != self.window:
            raise ValueError(f"expected windows of {self.window} frames, got {screen.shape[-4]}")
        screen = screen.transpose(-4, -3)  # (*batch, V, T, J, 2)
        trust = torch.ones_like(screen[..., 0]) if confidence is None else confidence.transpose(-3, -2)
        rays = self.rays(screen, None if cameras is None else cameras[..., None])
        return self._lift(self.see_rays(rays, trust, cameras))

    def see_scene(self, scene: Stretch) -> SeenOverTime:
        """What the network would see of drawn people."""
        rays = self.rays(scene.screen()) if self.needs == "screen" else scene.rays()
        return self.see_rays(rays, scene.confidence, scene.cameras)

    def see_rays(
        self, rays: Float[Tensor, "*batch T J 3"], confidence: Float[Tensor, "*batch T J"], cameras: Cameras | None
    ) -> SeenOverTime:
        """What the network sees of rays over time."""
        averages, spread, evidence = averages_over_time(rays[..., :2], confidence**2)
        averages = torch.cat([averages, torch.ones_like(averages[..., :1])], dim=-1)  # (*batch, K, J, 3)
        seen = self.turned(averages[..., BASE, :, :], cameras)
        ahead = averages @ seen.turned.unsqueeze(-3).mT
        apart = ahead[..., :2] / ahead[..., 2:] - seen.rays.unsqueeze(-3)[..., :2]
        others = [version for version in range(VERSIONS) if version != BASE]
        return SeenOverTime(seen, apart[..., others, :, :].nan_to_num(), spread.nan_to_num(), evidence)

    def rays_from(self, outputs: Tensor, seen: SeenOverTime) -> Float[Tensor, "*batch J 3"]:
        """A sum of the averages over time, weighted as the network says."""
        corrections = torch.einsum("...jk,...kjx->...jx", outputs[..., 3:], seen.apart)
        return seen.rays + torch.nn.functional.pad(corrections, (0, 1))


def averages_over_time(
    rays: Float[Tensor, "*batch T J 2"], weights: Float[Tensor, "*batch T J"]
) -> tuple[Float[Tensor, "*batch K J 2"], Float[Tensor, "*batch S J"], Float[Tensor, "*batch M J"]]:
    """Normalised convolutions at the middle of a window.

    Args:
        rays: NaN where missing.
        weights: trust in each.

    Returns:
        The averages, NaN for a joint that no frame has; spread and evidence as in `SeenOverTime`.
    """
    weights = weights * rays.isfinite().all(-1)
    rays = rays.where(weights.unsqueeze(-1) > 0, 0.0)
    center = (weights.unsqueeze(-1) * rays).sum(-3, keepdim=True) / weights.sum(-2)[..., None, :, None].clamp(min=1e-9)
    away = rays - center
    values = torch.cat([away, torch.ones_like(away[..., :1]), (away**2).sum(-1, keepdim=True)], dim=-1)
    weighted = (weights.unsqueeze(-1) * values).flatten(-2)
    window, joints = rays.shape[-3:-1]
    sums = (_kernels(window).to(weighted) @ weighted).unflatten(-1, (joints, 4))  # (*batch, rows, J, 4)
    sums, moments = sums.split([len(MEANS), 5 * len(PARABOLAS)], dim=-3)
    mean, _, square = (sums / sums[..., 2:3]).split([2, 1, 1], dim=-1)
    fitted, slope = _parabolas(moments.unflatten(-3, (len(PARABOLAS), 5)))
    base = BASE - len(MEANS)
    averages = torch.cat([mean, fitted, (fitted + slope)[..., base : base + 1, :, :]], dim=-3) + center

    around = (square.squeeze(-1) - (mean**2).sum(-1)).clamp(min=0)
    pairs = weights[..., 1:, :] * weights[..., :-1, :]
    triples = pairs[..., 1:, :] * weights[..., :-2, :]
    steps = away.diff(dim=-3)
    differences = [_mean_square(steps, pairs), _mean_square(steps.diff(dim=-3), triples)]
    spread = torch.cat([around, torch.stack(differences, dim=-2)], dim=-2)
    return averages, (spread + SMALLEST**2).log(), (sums[..., 2] + HARDLY).log()


def _parabolas(moments: Float[Tensor, "*batch Q 5 J 4"]) -> tuple[Float[Tensor, "*batch Q J 2"], Float[Tensor, "*batch Q J 2"]]:
    """Value and slope in the middle, from sums of weights and weighted values times the powers 0 to 4 of time."""
    moments = moments / moments[..., :1, :, 2:3]
    _, m1, m2, m3, m4 = moments[..., 2:3].unbind(-3)
    v0, v1, v2 = moments[..., :3, :, :2].unbind(-3)
    v1, v2 = v1 - m1 * v0, v2 - m2 * v0  # about the mean
    line, bend, both = m2 - m1**2 + BENT / 10, m4 - m2**2 + BENT, m3 - m1 * m2
    determinant = line * bend - both**2
    slope = (bend * v1 - both * v2) / determinant
    curve = (line * v2 - both * v1) / determinant
    return v0 - slope * m1 - curve * m2, slope


def _mean_square(values: Tensor, weights: Tensor) -> Tensor:
    """Of (*batch, T, J, 2), weighted by (*batch, T, J)."""
    return (weights * (values**2).sum(-1)).sum(-2) / weights.sum(-2).clamp(min=1e-9)


@cache
def _kernels(window: int) -> Float[Tensor, "K T"]:
    """Gaussians, in each a little of all wider ones; of the parabolas, times the powers 0 to 4 of time in their units."""
    widths = torch.tensor([*MEANS, *PARABOLAS])
    time = torch.arange(window) - window // 2
    gaussians = (-((time / widths[:, None]) ** 2) / 2).exp()
    gaussians = gaussians / gaussians.sum(-1, keepdim=True)
    means = widths[: len(MEANS)]
    wider = means > widths[:, None]
    little = torch.where(wider, HARDLY ** wider.cumsum(-1), 0.0)
    kernels = gaussians + little @ gaussians[: len(MEANS)]
    parabolas = kernels[len(MEANS) :].unsqueeze(1) * (time / widths[len(MEANS) :, None, None]) ** torch.arange(5)[:, None]
    return torch.cat([kernels[: len(MEANS)], parabolas.flatten(0, 1)])
