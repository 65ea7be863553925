"""Teachers: what takes the place of 3D labels when there are none.

With calibrated, synchronised training views the geometry itself says where the joints are. `triangulated` puts these
poses where a dataset keeps its labels, so that everything downstream learns from them unchanged.

Source: M. Kocabas et al., "Self-supervised learning of 3D human pose using multi-view geometry" (EpipolarPose), CVPR 2019.
"""

from dataclasses import replace

from posekit.sequences import MultiViewDataset
from posekit.smoothing import smooth_over_time
from posekit.triangulation import refine, triangulate


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
