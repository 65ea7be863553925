"""Smoothing over time: a local quadratic, which bridges gaps and keeps to its clip.

Source: W. Cleveland, "Robust locally weighted regression and smoothing scatterplots", 1979, without the robustness.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.sequences import MultiViewDataset

MIN_FRAMES = 5
"""A quadratic has three coefficients; with fewer frames than this around it a joint is left as it is."""
CHUNK = 512
"""Frames that are fitted at once, which bounds the memory."""


def reach_of(sigma: float) -> int:
    """How many frames before and after have a say."""
    return math.ceil(3 * sigma)


def smooth_over_time(
    values: Float[Tensor, "F *joints xyz"],
    weights: Float[Tensor, "F *joints"],
    dataset: MultiViewDataset,
    sigma: float,
) -> Float[Tensor, "F *joints xyz"]:
    """Fit a quadratic in time around every frame, within its clip, and take its value there.

    Args:
        values: one for each frame of the dataset, such as poses (F, J, 3) or pixels (F, V, J, 2); NaN joints have no
            say, and are bridged where neighbours allow it.
        weights: trust in each joint.
        dataset: for the clips; nothing else of it is read.
        sigma: standard deviation, in frames, of the Gaussian that weights the neighbours; cut at three of them.

    Raises:
        ValueError: for a sigma that is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be a positive number of frames, got {sigma}")
    flat, trust = values.flatten(1, -2), weights.flatten(1)
    windows = dataset.surrounding_frames(2 * reach_of(sigma) + 1)
    fitted = [
        middle_of_quadratic(flat[frames], trust[frames] * (frames >= 0).unsqueeze(-1), sigma) for frames in windows.split(CHUNK)
    ]
    return torch.cat(fitted).view(values.shape)


def middle_of_quadratic(
    values: Float[Tensor, "N T J xyz"], weights: Float[Tensor, "N T J"], sigma: float
) -> Float[Tensor, "N J xyz"]:
    """Fit a quadratic in time to every window, and take its value at the middle frame.

    Args:
        values: NaN where missing.
        weights: trust in each; 0 for frames that have no say.
        sigma: as in `smooth_over_time`.
    """
    reach = values.shape[1] // 2
    time = torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma
    powers = torch.stack([torch.ones_like(time), time, time**2], dim=-1)  # (T, 3)

    present = values.isfinite().all(-1)
    trust = weights.double() * present
    kernel = trust * torch.exp(-(time**2) / 2).unsqueeze(-1)
    normal = torch.einsum("ntj,ta,tb->njab", kernel, powers, powers)
    right = torch.einsum("ntj,ta,ntjx->njax", kernel, powers, values.double().where(present.unsqueeze(-1), 0.0))

    enough = (trust > 0).sum(1) >= MIN_FRAMES
    eye = torch.eye(3, dtype=torch.float64)
    fitted = torch.linalg.solve(normal.where(enough[..., None, None], eye), right)[..., 0, :]
    return fitted.where(enough.unsqueeze(-1), values[:, reach].double()).to(values.dtype)


def with_smooth_pixels(dataset: MultiViewDataset, sigma: float) -> MultiViewDataset:
    """The dataset with its 2D joints smoothed over time, each weighted by its confidence squared; missing ones bridged."""
    pixels = smooth_over_time(dataset.pixels, dataset.confidence**2, dataset, sigma)
    found = pixels.isfinite().all(-1)
    bridged = found & (dataset.confidence == 0)
    return replace(dataset, pixels=pixels, confidence=dataset.confidence.where(~bridged, 1.0))


def smooth_poses(poses_camera: Float[Tensor, "F V J 3"], dataset: MultiViewDataset, sigma: float) -> Float[Tensor, "F V J 3"]:
    """`smooth_over_time` for lifted poses, for `evaluate`: `after=partial(smooth_poses, sigma=3)`."""
    return smooth_over_time(poses_camera, torch.ones(poses_camera.shape[:-1]), dataset, sigma)
