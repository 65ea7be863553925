"""Teachers: what takes the place of 3D labels when there are none.

With calibrated, synchronised training views the geometry itself says where the joints are. `triangulated` puts these
poses where a dataset keeps its labels, so that everything downstream learns from them unchanged.

Source: M. Kocabas et al., "Self-supervised learning of 3D human pose using multi-view geometry" (EpipolarPose), CVPR 2019.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.sequences import MultiViewDataset
from posekit.triangulation import refine, triangulate

MIN_FRAMES = 5
"""A quadratic has three coefficients; with fewer frames than this around it a joint is left missing."""


def triangulated(dataset: MultiViewDataset, smooth: float = 0.0) -> MultiViewDataset:
    """The dataset with poses triangulated from its own views in the place of its labels.

    Every joint is triangulated from the views that saw it, weighted by confidence, then moved to the smallest
    reprojection error. A joint that fewer than two views saw is NaN.

    Args:
        dataset: its `poses_world` are not read.
        smooth: standard deviation in frames of `smooth_over_time`, for noisy 2D; 0 for none.

    Raises:
        ValueError: with fewer than two views.
    """
    if len(dataset.view_names) < 2:
        raise ValueError(
            f"{dataset.name}: triangulated targets need at least two views of each moment, got {len(dataset.view_names)} "
            f"({', '.join(dataset.view_names)}); choose more cameras, or learn from labels"
        )
    cameras = dataset.frame_cameras
    closed_form = triangulate(dataset.pixels, cameras, dataset.confidence)
    poses = refine(closed_form.points, dataset.pixels, cameras, dataset.confidence).points
    if smooth:
        poses = smooth_over_time(poses, dataset.confidence.nan_to_num().sum(-2), dataset, smooth)
    return replace(dataset, poses_world=poses.to(dataset.pixels.dtype))


def smooth_over_time(
    poses: Float[Tensor, "F J 3"],
    weights: Float[Tensor, "F J"],
    dataset: MultiViewDataset,
    sigma: float,
) -> Float[Tensor, "F J 3"]:
    """Fit a quadratic in time around every frame, within its clip, and take its value there.

    Args:
        poses: one for each frame of the dataset; NaN joints have no say, and are bridged where neighbours allow it.
        weights: trust in each joint.
        dataset: for the clips; nothing else of it is read.
        sigma: standard deviation, in frames, of the Gaussian that weights the neighbours; cut at three of them.

    Raises:
        ValueError: for a sigma that is not positive.

    Source: W. Cleveland, "Robust locally weighted regression and smoothing scatterplots", 1979, without the robustness.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be a positive number of frames, got {sigma}")
    reach = math.ceil(3 * sigma)
    frames = dataset.surrounding_frames(2 * reach + 1)  # (F, T)
    time = torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma
    powers = torch.stack([torch.ones_like(time), time, time**2], dim=-1)  # (T, 3)

    present = poses.isfinite().all(-1)
    trust = (weights.double() * present)[frames] * (frames >= 0).unsqueeze(-1)  # (F, T, J)
    kernel = trust * torch.exp(-(time**2) / 2).unsqueeze(-1)
    values = poses.double().where(present.unsqueeze(-1), 0.0)[frames]  # (F, T, J, 3)
    normal = torch.einsum("ftj,ta,tb->fjab", kernel, powers, powers)
    right = torch.einsum("ftj,ta,ftjx->fjax", kernel, powers, values)

    enough = (trust > 0).sum(1) >= MIN_FRAMES
    eye = torch.eye(3, dtype=torch.float64)
    fitted = torch.linalg.solve(normal.where(enough[..., None, None], eye), right)[..., 0, :]
    kept = poses.double() if poses.is_floating_point() else poses
    return fitted.where(enough.unsqueeze(-1), kept).to(poses.dtype)
