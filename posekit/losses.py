"""What training minimises.

The label-free loss of the 2022 report: every view's 3D pose, projected into every view, should agree with the 2D pose
seen there and with the other projections there. V views give V^2 projections, all computed at once.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.metrics import report_mpjpe
from posekit.samples import LabelledPoses, Views
from posekit.scenes import Drawn
from posekit.skeleton import to_root_anchored


class MultiviewLoss(NamedTuple):
    """The three terms, each a mean 2D joint distance in screen units (1 = half the image width).

    own: projections into the view they were lifted from, against the 2D pose seen there.
    cross: projections into the other views, against the 2D poses seen there.
    consistency: projections into one view, lifted from two different views, against each other.
    """

    own: Float[Tensor, ""]
    cross: Float[Tensor, ""]
    consistency: Float[Tensor, ""]


def reprojections(
    poses_camera: Float[Tensor, "*batch V J 3"],
    cameras: Cameras,
    clamp: float | None = None,
) -> Float[Tensor, "*batch V V J 2"]:
    """Every view's pose seen by every view: `[..., i, j, :, :]` is view i's pose on view j's screen.

    Args:
        poses_camera: one pose per view, in that view's camera frame, metres.
        cameras: leading axes broadcastable to (*batch, V).
        clamp: see `Cameras.camera_to_pixels`.
    """
    poses_world = cameras.camera_to_world(poses_camera)
    return cameras[..., None, :].world_to_screen(poses_world.unsqueeze(-3), clamp)


def multiview_loss(
    poses_camera: Float[Tensor, "*batch V J 3"],
    views: Views,
    clamp: float | None = None,
    weighted: bool = False,
    reach: float | None = None,
) -> MultiviewLoss:
    """The label-free loss (the report's figure 3). It uses no 3D label: `Views` has none.

    Each term is a mean over its pairs and joints, 0 where there is nothing to compare. A 2D joint that is missing (NaN)
    is left out of `own` and `cross`; a view without joints is left out of all terms.

    A detector is sometimes far off, and often knows when it is unsure: then weigh the joints, shorten the distances, or
    both. The loss of the 2022 report does neither.

    Args:
        poses_camera: lifted poses, one per view, in that view's camera frame, metres.
        views: what the cameras saw.
        clamp: None, or 1.0 as published; see `Cameras.camera_to_pixels`.
        weighted: weigh the seen 2D joints, in `own` and `cross`, by their confidence.
        reach: screen units beyond which a distance counts less than its length; see `shortened`.

    Raises:
        ValueError: with fewer than two views, since a single view says nothing about depth.

    >>> from posekit.datasets import load_dataset
    >>> people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
    >>> true_poses = multiview_loss(people.poses_camera(), people.views())
    >>> max(term.item() for term in true_poses) < 1e-5  # screen units: true poses agree with all views
    True
    """
    count = views.screen.shape[-3]
    if count < 2:
        raise ValueError(f"label-free training needs at least two views of each moment, got {count}")
    seen = views.screen.isfinite().all(-1)  # (*batch, V, J)
    lifted = seen.any(-1)  # (*batch, V)
    poses_camera = poses_camera.where(lifted[..., None, None], 1.0)  # any finite value: it is masked below
    projected = reprojections(poses_camera, views.cameras, clamp)
    screen = views.screen.where(seen.unsqueeze(-1), 0.0)

    distance = shortened((projected - screen.unsqueeze(-4)).norm(dim=-1), reach)  # (*batch, V from, V to, J)
    trust = seen * views.confidence if weighted else seen
    to_seen, weight = _sums(distance, lifted[..., None, None] * trust.unsqueeze(-3))
    same = torch.eye(count).to(to_seen)

    first, second = torch.triu_indices(count, count, offset=1, device=projected.device)
    between = shortened((projected.index_select(-4, first) - projected.index_select(-4, second)).norm(dim=-1), reach)
    both = lifted.index_select(-1, first) & lifted.index_select(-1, second)  # (*batch, pairs)
    apart, pairs = _sums(between, both[..., None, None].expand_as(between))
    return MultiviewLoss(
        own=_ratio(to_seen * same, weight * same),
        cross=_ratio(to_seen * (1 - same), weight * (1 - same)),
        consistency=_ratio(apart, pairs),
    )


def shortened(distance: Float[Tensor, "*shape"], reach: float | None) -> Float[Tensor, "*shape"]:
    """Distances for a robust loss: small ones as they are, those beyond the reach growing as their logarithm only.

    The pull of a distance d falls as 1 / (1 + d / reach), so one joint that is far off does not outweigh many others.
    None for the distances as they are.

    >>> shortened(torch.tensor([0.001, 0.1, 10.0]), 0.1).round(decimals=3)
    tensor([0.0010, 0.0690, 0.4620])
    """
    return distance if reach is None else reach * torch.log1p(distance / reach)


def _ratio(total: Tensor, weight: Tensor) -> Tensor:
    """The weighted mean; 0 where nothing counts."""
    weight = weight.sum()
    return total.sum() / weight.where(weight > 0, 1.0)


def _sums(distance: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the distances (*batch, A, B, J) times how much each counts, and of the latter: both (A, B)."""
    counts = counts.to(distance)
    return tuple(
        values.flatten(0, -4).sum((0, -1)) if values.ndim > 3 else values.sum(-1) for values in (distance * counts, counts)
    )


TERMS = MultiviewLoss._fields


def label_free_loss(lifter, batch: Views, terms: tuple[str, ...] = TERMS, **options) -> Float[Tensor, ""]:
    """Lift every view of a batch and sum the terms of `multiview_loss`.

    Args:
        lifter: from screen coordinates to poses in each view's camera frame.
        batch: what the cameras saw.
        terms: the names of those that count; ablations leave some out.
        options: of `multiview_loss`: `clamp`, `weighted` and `reach`.

    >>> from posekit import FrameLifter, load_dataset
    >>> people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
    >>> lifter = FrameLifter(joints=15, width=32)
    >>> loss = label_free_loss(lifter, people.views()[:64])
    >>> loss.backward()  # no 3D label was involved
    """
    return _total(multiview_loss(lifter(batch.screen), batch, **options), terms)


def middle_frame_loss(lifter, batch: Views, terms: tuple[str, ...] = TERMS, **options) -> Float[Tensor, ""]:
    """`label_free_loss` for a lifter of windows (N, T) that returns the poses of their middle frames, (N,).

    One frame per window, so that the samples of a step differ as much as in single-frame training: the frames of a
    window are nearly the same (VideoPose3D trains this way for the same reason).
    """
    middle = batch[:, batch.screen.shape[1] // 2]
    return _total(multiview_loss(lifter(batch.screen), middle, **options), terms)


def _total(loss: MultiviewLoss, terms: tuple[str, ...]) -> Tensor:
    return sum(getattr(loss, term) for term in terms)


def supervised_loss(lifter, batch: LabelledPoses) -> Float[Tensor, ""]:
    """The report's baseline: its metric (`metrics.report_mpjpe`, metres) as the loss, with 3D labels.

    A joint without a label takes no part, nor does a pose without a label of its root or without any 2D joint. A batch
    with nothing to compare has loss 0. A prediction that is NaN where it should not be makes the loss NaN.
    """
    lifted = batch.screen.isfinite().all(-1).any(-1, keepdim=True)
    return _mean_error(lifter(batch.screen), batch.poses_camera, lifted)


def scene_loss(lifter, batch: Drawn) -> Float[Tensor, ""]:
    """`supervised_loss` for people put into a scene, whose poses are known as those they were made of: labels or not."""
    poses, lifted = lifter.lift_scene(batch)
    return _mean_error(poses, batch.poses_camera(), lifted)


def _mean_error(predicted: Tensor, true: Tensor, lifted: Tensor) -> Tensor:
    """`report_mpjpe` in the mean over poses; joints without a label, and those of poses that were not lifted, masked."""
    present = ~to_root_anchored(true).isnan().any(-1) & lifted  # (*batch, J)
    distances = report_mpjpe.per_joint(predicted, true).where(present, 0)
    count = present.sum(-1)
    errors = distances.sum(-1) / count.clamp(min=1)
    return errors.sum() / (count > 0).sum().clamp(min=1)
