"""What is reported: errors of 3D poses, each under its own name.

All take absolute joints in one frame, `(*batch, J, 3)` metres, and return one error a pose, `(*batch)`, metres:
the mean distance over the joints that both poses have. A joint that is NaN in either is left out; a pose without
any is NaN. Millimetres appear where numbers are reported, with `_mm` in the name.
"""

import roma
from jaxtyping import Float
from torch import Tensor

from posekit.skeleton import to_root_anchored

Poses = Float[Tensor, "*batch J 3"]
Errors = Float[Tensor, "*batch"]


def mean_joint_distance(predicted: Poses, true: Poses) -> Errors:
    """Mean distance over the joints present in both, nothing aligned."""
    return (predicted - true).norm(dim=-1).nanmean(dim=-1)


def report_mpjpe(predicted: Poses, true: Poses) -> Errors:
    """The 2022 report's "MPJPE": joints relative to the root, but with the root's absolute error as one of the J.

    Not the literature's metric: an error of the whole person's distance enters with weight 1 / J. See `mpjpe`.
    """
    return mean_joint_distance(to_root_anchored(predicted), to_root_anchored(true))


def mpjpe(predicted: Poses, true: Poses) -> Errors:
    """Root-relative mean per-joint position error, "protocol 1": both roots moved to the origin, mean over all J.

    The root counts as one joint of error 0, as in VideoPose3D's evaluation.
    """
    return mean_joint_distance(predicted - predicted[..., :1, :], true - true[..., :1, :])


def root_error(predicted: Poses, true: Poses) -> Errors:
    """Distance between the roots: how well the person's place is known."""
    return (predicted[..., 0, :] - true[..., 0, :]).norm(dim=-1)


def n_mpjpe(predicted: Poses, true: Poses) -> Errors:
    """`mpjpe` after the best scaling of the root-relative prediction ("N-MPJPE").

    Source: H. Rhodin et al., "Unsupervised geometry-aware representation", ECCV 2018.
    """
    predicted, true = predicted - predicted[..., :1, :], true - true[..., :1, :]
    scale = (predicted * true).nansum(dim=(-2, -1)) / (predicted * predicted).where(true.isfinite(), 0).nansum(dim=(-2, -1))
    return mean_joint_distance(scale[..., None, None] * predicted, true)


def pa_mpjpe(predicted: Poses, true: Poses) -> Errors:
    """Mean joint distance after the best similarity (rotation, translation, scale): "protocol 2", PA-MPJPE.

    Source: S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
    """
    present = (predicted.isfinite() & true.isfinite()).all(-1)
    R, t, scale = roma.rigid_points_registration(
        predicted.where(present[..., None], 0), true.where(present[..., None], 0), present.to(true), compute_scaling=True
    )
    aligned = scale[..., None, None] * predicted @ R.mT + t.unsqueeze(-2)
    return mean_joint_distance(aligned, true)


METRICS = {metric.__name__: metric for metric in (report_mpjpe, mpjpe, root_error, pa_mpjpe, n_mpjpe)}
"""The metrics a record holds."""


def all_metrics_mm(predicted: Poses, true: Poses) -> dict[str, Tensor]:
    """Every metric in millimetres, one value a pose."""
    return {name: 1000 * metric(predicted, true) for name, metric in METRICS.items()}
