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

from posekit.poses import lowest_ankle
from posekit.sequences import MultiViewDataset
from posekit.triangulation import refine, triangulate
from posekit.virtual_cameras import shifted

FLOOR_QUANTILE = 0.02
"""The share of frames whose lowest ankle may be below the height that stands for the floor: marker faults, not steps."""

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


def floor_heights(dataset: MultiViewDataset) -> dict[str, float]:
    """For each person how low their ankles come, metres over z = 0: a low quantile over all their frames.

    An ankle is some centimetres over the floor that the foot stands on, so only differences between people who were
    recorded in one room say something about the world's origin.

    Raises:
        ValueError: for a person none of whose ankles is ever present.
    """
    lowest, heights = lowest_ankle(dataset.poses_world, dataset.skeleton).nan_to_num(posinf=torch.nan), {}
    for subject in dataset.subjects:
        own = torch.tensor([clip.subject == subject for clip in dataset.clips])[dataset.clip_of_frame]
        height = lowest[own].nanquantile(FLOOR_QUANTILE).item()
        if math.isnan(height):
            raise ValueError(
                f"{dataset.name}: the floor under {subject} cannot be told, since no frame has an ankle; "
                "leave floors as given, or leave this person out"
            )
        heights[subject] = height
    return heights


def levelled(dataset: MultiViewDataset) -> MultiViewDataset:
    """Poses and cameras of each person moved up or down together, so that everybody's floor is at the median height.

    What the cameras see stays the same. The floor is told by the dataset's own poses (`floor_heights`), so with
    triangulated ones no label is read.
    """
    heights = floor_heights(dataset)
    level = torch.tensor([*heights.values()]).median()
    up = torch.stack([level - heights[clip.subject] for clip in dataset.clips])
    offset = torch.nn.functional.pad(up.unsqueeze(-1), (2, 0)).to(dataset.poses_world)  # (clips, 3)
    return replace(
        dataset,
        cameras=shifted(dataset.cameras, offset.unsqueeze(1)),
        poses_world=dataset.poses_world + offset[dataset.clip_of_frame].unsqueeze(1),
    )


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
