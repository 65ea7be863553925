"""Teachers: what takes the place of 3D labels when there are none.

With calibrated, synchronised training views the geometry itself says where the joints are. `triangulated` puts these
poses where a dataset keeps its labels, so that everything downstream learns from them unchanged.

Source: M. Kocabas et al., "Self-supervised learning of 3D human pose using multi-view geometry" (EpipolarPose), CVPR 2019.
"""

import math
from dataclasses import replace

import torch

from posekit.poses import lowest_ankle
from posekit.sequences import MultiViewDataset
from posekit.smoothing import smooth_over_time
from posekit.tracks import triangulate_tracks, with_constant_bones
from posekit.triangulation import refine, triangulate, triangulate_robustly
from posekit.virtual_cameras import shifted

FLOOR_QUANTILE = 0.02
"""The share of frames whose lowest ankle may be below the height that stands for the floor, by faults of the markers."""


def triangulated(dataset: MultiViewDataset, smooth: float = 0.0, robust: bool = False) -> MultiViewDataset:
    """The dataset with poses triangulated from its own views in the place of its labels.

    Every joint is triangulated from the views that saw it, weighted by confidence, then moved to the smallest
    reprojection error. A joint that fewer than two views saw is NaN.

    Args:
        dataset: its `poses_world` are not read.
        smooth: standard deviation in frames of `smooth_over_time`, for noisy 2D; 0 for none.
        robust: weigh the views by how well they fit, see `triangulate_robustly`, for 2D of a real detector.

    Raises:
        ValueError: with fewer than two views, or with fewer than three and robust.
    """
    if len(dataset.view_names) < 2:
        raise ValueError(
            f"{dataset.name}: triangulated targets need at least two views of each moment, got {len(dataset.view_names)} "
            f"({', '.join(dataset.view_names)}); choose more cameras, or learn from labels"
        )
    cameras = dataset.frame_cameras
    trust = dataset.confidence
    if robust:
        found = triangulate_robustly(dataset.pixels, cameras, trust)
        found, trust = refine(found, dataset.pixels, cameras), found.weights
    else:
        found = refine(triangulate(dataset.pixels, cameras, trust).points, dataset.pixels, cameras, trust)
    poses = found.points
    if smooth:
        poses = smooth_over_time(poses, trust.nan_to_num().sum(-2), dataset, smooth)
    return replace(dataset, poses_world=poses.to(dataset.pixels.dtype))


def tracked(dataset: MultiViewDataset, sigma: float = 3.0) -> MultiViewDataset:
    """`triangulated` for 2D of a real detector: smooth tracks, and bones of one length throughout a clip.

    Args:
        dataset: three views or more; its `poses_world` are not read.
        sigma: standard deviation in frames of the smoothing.

    Raises:
        ValueError: as `tracks.triangulate_tracks`.
    """
    takes = [dataset.select_clips([clip]) for clip in dataset.clips]  # each has a noise of its own, and bounds the memory
    tracks = [with_constant_bones(triangulate_tracks(take, sigma).points, take) for take in takes]
    return dataset.with_poses(torch.cat(tracks))


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
