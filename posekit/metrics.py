"""Errors of 3D poses, each under its own name.

Every metric compares predicted with true absolute joints in one frame, both `(*batch, J, 3)` metres, and returns one
error per pose, `(*batch)` metres: the mean over the joints that both poses have. A joint that is NaN in either pose is
left out, and a pose without any is NaN. `mpjpe.per_joint(predicted, true)`, and likewise for every metric, gives the
errors before that mean, `(*batch, J)`. Millimetres appear where numbers are reported, with `_mm` in the name.
"""

import inspect
from collections.abc import Callable
from functools import wraps

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.skeleton import to_root_anchored

ROUNDING = 8
"""Joints that differ by less than so many units in the last place of their size coincide."""

Poses = Float[Tensor, "*batch J 3"]
Distances = Float[Tensor, "*batch J"]
Errors = Float[Tensor, "*batch"]


def joint_distances(predicted: Poses, true: Poses) -> Distances:
    """Distance of every joint, nothing aligned; NaN where either is missing, with a gradient of 0 there."""
    present = ~(predicted.isnan() | true.isnan()).any(-1)
    return (predicted - true).where(present[..., None], 0).norm(dim=-1).where(present, torch.nan)


def mean_of_present(values: Tensor, dim: int = -1) -> Tensor:
    """`Tensor.nanmean` whose gradient is 0, not NaN, where all values are NaN."""
    present = ~values.isnan()
    count = present.sum(dim)
    return (values.where(present, 0).sum(dim) / count.clamp(min=1)).where(count > 0, torch.nan)


def mean_over_joints(per_joint: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Make a metric of a function `(predicted, true)` that returns one error per joint, `(*batch, J)` metres.

    The metric is the mean over joints, one error per pose. The function itself stays at hand as `.per_joint`. Where it
    returns NaN, a joint takes no part.

    For example, the error of the legs, which then also comes per joint, action and subject:

    >>> from posekit.datasets import load_dataset
    >>> from posekit.evaluation import evaluate_poses
    >>> legs = torch.isin(torch.arange(15), torch.arange(8, 14))
    >>> @mean_over_joints
    ... def leg_error(predicted, true):
    ...     return joint_distances(predicted, true).where(legs, torch.nan)
    >>> test = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
    >>> result = evaluate_poses(test.poses_camera() + 0.01, test, metrics={"leg_error": leg_error})
    >>> round(result.metrics_mm["leg_error"], 2), round(result.by_joint["left_knee"]["leg_error"], 2)
    (17.32, 17.32)
    """

    @wraps(per_joint)
    def mean(predicted: Tensor, true: Tensor) -> Tensor:
        return mean_of_present(errors(predicted, true))

    @wraps(per_joint)
    def errors(predicted: Tensor, true: Tensor) -> Tensor:
        if predicted.shape != true.shape:
            raise ValueError(
                f"{per_joint.__name__}: predicted and true poses must have one shape, "
                f"got {tuple(predicted.shape)} and {tuple(true.shape)}"
            )
        return per_joint(predicted, true)

    mean.per_joint = errors
    mean.__signature__ = inspect.signature(per_joint).replace(return_annotation=Errors)
    return mean


@mean_over_joints
def mean_joint_distance(predicted: Poses, true: Poses) -> Distances:
    """Mean distance over the joints present in both, nothing aligned.

    >>> true = torch.zeros(2, 15, 3)
    >>> mean_joint_distance(true + torch.tensor([0.3, 0.0, 0.4]), true)
    tensor([0.5000, 0.5000])
    """
    return joint_distances(predicted, true)


@mean_over_joints
def report_mpjpe(predicted: Poses, true: Poses) -> Distances:
    """The 2022 report's "MPJPE": joints relative to the root, but with the root's absolute error as one of the J.

    Not the literature's metric: an error of the whole person's distance enters with weight 1 / J. See `mpjpe`.

    >>> true = torch.zeros(15, 3)
    >>> report_mpjpe(true + torch.tensor([0.3, 0.0, 0.4]), true) * 15
    tensor(0.5000)
    """
    return joint_distances(to_root_anchored(predicted), to_root_anchored(true))


@mean_over_joints
def mpjpe(predicted: Poses, true: Poses) -> Distances:
    """Root-relative mean per-joint position error, "protocol 1": both roots moved to the origin, mean over all J.

    The root counts as one joint of error 0, as in VideoPose3D's evaluation.

    >>> true = torch.zeros(15, 3)
    >>> predicted = true + torch.tensor([0.3, 0.0, 0.4])
    >>> predicted[14, 0] += 0.15
    >>> mpjpe(predicted, true)
    tensor(0.0100)
    >>> mpjpe.per_joint(predicted, true)[-3:]
    tensor([0.0000, 0.0000, 0.1500])
    """
    return joint_distances(predicted - predicted[..., :1, :], true - true[..., :1, :])


@mean_over_joints
def root_error(predicted: Poses, true: Poses) -> Distances:
    """Distance between the roots: how well the person's place is known. Per joint, all but the root are NaN.

    >>> true = torch.zeros(15, 3)
    >>> root_error(true + torch.tensor([0.3, 0.0, 0.4]), true)
    tensor(0.5000)
    """
    distances = joint_distances(predicted, true)
    return distances.where(torch.arange(distances.shape[-1], device=distances.device) == 0, torch.nan)


@mean_over_joints
def n_mpjpe(predicted: Poses, true: Poses) -> Distances:
    """`mpjpe` after the best scaling of the root-relative prediction ("N-MPJPE").

    A prediction whose joints all coincide is compared as it is: no scale changes it.

    Source: H. Rhodin et al., "Unsupervised geometry-aware representation", ECCV 2018.

    >>> true = torch.eye(3)
    >>> bool(n_mpjpe(2 * true, true) < 1e-6), bool(mpjpe(2 * true, true) > 0.5)
    (True, True)
    """
    predicted, true = predicted - predicted[..., :1, :], true - true[..., :1, :]
    present = (predicted.isfinite() & true.isfinite()).all(-1, keepdim=True)
    known = predicted.where(present, 0)
    size = (known * known).sum((-2, -1))
    scale = (known * true.where(present, 0)).sum((-2, -1)) / size.where(size > 0, 1)
    return joint_distances((scale[..., None, None] * known).where(present, predicted), true)


@mean_over_joints
def pa_mpjpe(predicted: Poses, true: Poses) -> Distances:
    """Mean joint distance after the best similarity (rotation, translation, scale): "protocol 2", PA-MPJPE.

    A prediction whose joints all coincide is put at the middle of the true ones.

    Source: S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.

    >>> true = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
    >>> turned = 2 * true[:, [1, 2, 0]] + 5
    >>> bool(pa_mpjpe(turned, true) < 1e-5), bool(mpjpe(turned, true) > 1)
    (True, True)
    """
    present = (predicted.isfinite() & true.isfinite()).all(-1, keepdim=True)
    known, goal, count = predicted.where(present, 0), true.where(present, 0), present.sum(-2, keepdim=True).clamp(min=1)
    middle, goal_middle = known.sum(-2, keepdim=True) / count, goal.sum(-2, keepdim=True) / count
    spread, size = (known - middle).where(present, 0).norm(dim=(-2, -1)), known.norm(dim=(-2, -1))
    coincide = (spread <= ROUNDING * torch.finfo(known.dtype).eps * size)[..., None, None]
    known = known.where(~coincide, goal)  # any pose that can be aligned
    R, t, scale = roma.rigid_points_registration(known, goal, present[..., 0].to(true), compute_scaling=True)
    aligned = (scale[..., None, None] * known @ R.mT + t.unsqueeze(-2)).where(~coincide, goal_middle)
    return joint_distances(aligned.where(present, predicted), true)


METRICS = {metric.__name__: metric for metric in (report_mpjpe, mpjpe, root_error, pa_mpjpe, n_mpjpe)}
"""The metrics a record holds."""


def all_metrics_mm(predicted: Poses, true: Poses) -> dict[str, Errors]:
    """Every metric of `METRICS` in millimetres, one value per pose.

    >>> list(all_metrics_mm(torch.rand(4, 15, 3), torch.rand(4, 15, 3)))
    ['report_mpjpe', 'mpjpe', 'root_error', 'pa_mpjpe', 'n_mpjpe']
    """
    return {name: 1000 * metric(predicted, true) for name, metric in METRICS.items()}
