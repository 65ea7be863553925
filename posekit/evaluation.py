"""Lifting whole datasets and measuring the result: lift, post-process, compare."""

import copy
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posekit.metrics import METRICS, mean_of_present, mpjpe, report_mpjpe
from posekit.random import seeded
from posekit.sequences import MultiViewDataset
from posekit.teachers import triangulated

SMOOTHING_S = 0.05
"""Standard deviation, in seconds, of the window over which poses triangulated from detections are smoothed."""

Means = dict[str, float]
After = Callable[[Tensor, MultiViewDataset], Tensor]


@torch.no_grad()
def lift(lifter: nn.Module, screen: Tensor, chunk: int = 4096) -> Tensor:
    """Poses `(*batch, J, 3)` of 2D joints `(*batch, J, 2)`, each lifted on its own, in eval mode, `chunk` at a time.

    Camera frame, metres, on the device of `screen`. The lifter's mode is restored afterwards.

    >>> from posekit.lifters import FrameLifter
    >>> from posekit.random import generator
    >>> lifter = FrameLifter(15, width=32, generator=generator(0))
    >>> poses = lift(lifter, torch.zeros(7, 3, 15, 2))
    >>> poses.shape, poses[0, 0, 0]
    (torch.Size([7, 3, 15, 3]), tensor([0., 0., 4.]))
    """
    flat = screen.reshape(-1, *screen.shape[-2:])
    return _in_chunks(lifter, flat, chunk).reshape(*screen.shape[:-1], 3)


def lift_dataset(lifter: nn.Module, dataset: MultiViewDataset) -> Float[Tensor, "F V J 3"]:
    """Poses of all frames and views, each view on its own; a sequence lifter sees each frame's clip or window.

    A lifter that needs to know of the camera (`RayLifter`) is given each view's.
    """
    if hasattr(lifter, "needs"):
        return _with_cameras(lifter, dataset)
    if not hasattr(lifter, "window"):
        return lift(lifter, dataset.screen())
    if lifter.window is None:
        frames = dataset.clip_frames()
        return _in_chunks(lifter, dataset.views().windows(frames).screen, chunk=8)[frames >= 0]
    frames = dataset.surrounding_frames(lifter.window)
    return _in_chunks(lifter, dataset.views().windows(frames).screen, chunk=256)


def _in_chunks(lifter: nn.Module, batch: Tensor, chunk: int) -> Tensor:
    device = next(lifter.parameters()).device
    with _evaluating(lifter):
        return torch.cat([lifter(part.to(device)).to(batch.device) for part in batch.split(chunk)])


def _with_cameras(lifter: nn.Module, dataset: MultiViewDataset) -> Tensor:
    device, views = next(lifter.parameters()).device, dataset.views()
    window = getattr(lifter, "window", 1)
    around = dataset.surrounding_frames(window)

    def lifted(index):
        cameras = views.cameras[index].to(device)
        if window == 1:
            return lifter(views.screen[index].to(device), cameras)
        seen = views.windows(around[index]).to(device)
        return lifter(seen.screen, cameras, seen.confidence)

    with _evaluating(lifter):
        return torch.cat(
            [lifted(index).to(views.screen.device) for index in torch.arange(len(views)).split(1024 // window + 1)]
        )


@contextmanager
def _evaluating(lifter: nn.Module):
    """In the block the lifter is in eval mode and keeps no gradients; its modules' modes are restored afterwards."""
    was_training = {module: module.training for module in lifter.modules()}
    lifter.eval()
    with torch.no_grad():
        yield
    for module, training in was_training.items():
        module.training = training


@torch.no_grad()
def share_behind(lifter: nn.Module, screen: Float[Tensor, "*batch J 2"], generator: torch.Generator) -> float:
    """The share of people whose root a lifter puts behind the camera while it trains, that is in train mode.

    For an untrained lifter with a free root it tells whether label-free training is likely to be lost; see the book's
    "What we found". With a root that is positive by construction it is 0.

    Args:
        lifter: of single frames; left untouched, batch-norm statistics included.
        screen: 2D joints in screen coordinates, seen as one batch.
        generator: random numbers for dropout.
    """
    training = copy.deepcopy(lifter).train()
    with seeded(generator):
        depth = training(screen)[..., 0, 2]
    return (depth[~depth.isnan()] < 0).float().mean().item()


def report_mpjpe_mm(lifter: nn.Module, dataset: MultiViewDataset) -> float:
    """The report's metric over all frames and views of a dataset, each view lifted on its own, millimetres."""
    errors = report_mpjpe(lift_dataset(lifter, dataset), dataset.poses_camera())
    return 1000 * errors.nanmean().item()


@dataclass(frozen=True)
class Evaluation:
    """Mean errors in millimetres, by name of the metric, and how much was measured.

    Args:
        metrics_mm: over all frames and views.
        by_action, by_subject: over the frames of each.
        by_joint: over all frames and views of each joint; NaN where a metric says nothing about a joint.
        joints_asked: number of joints in all frames and views.
        joints_predicted: how many of them have a finite prediction.
        joints_measured: how many of these also have a label, in poses whose root has both: the metrics are relative to
            it. The means are over these, so compare the number.
    """

    metrics_mm: Means
    by_action: dict[str, Means]
    by_subject: dict[str, Means]
    by_joint: dict[str, Means]
    joints_asked: int
    joints_predicted: int
    joints_measured: int

    def __repr__(self) -> str:
        errors = ", ".join(f"{name} {value:.1f}" for name, value in self.metrics_mm.items())
        return f"Evaluation({errors} mm; measured {self.joints_measured} of {self.joints_asked} joints)"


def evaluate(
    lifter: nn.Module,
    dataset: MultiViewDataset,
    after: After | None = None,
    metrics: Mapping[str, Callable] = METRICS,
) -> Evaluation:
    """Lift every view of a dataset on its own, as at test time, post-process, and measure.

    Args:
        lifter: of single frames or of sequences.
        dataset: with 3D labels.
        after: what happens to the lifted poses (F, V, J, 3) before they are measured, a function of them and the
            dataset: `smooth`, `average_with`, or one of your own.
        metrics: name to metric; see `metrics.mean_over_joints`.

    Raises:
        ValueError: as `evaluate_poses`.

    Example:
        >>> from posekit.datasets import load_dataset
        >>> from posekit.lifters import FrameLifter
        >>> from posekit.random import generator
        >>> test = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
        >>> result = evaluate(FrameLifter(15, width=32, generator=generator(0)), test, after=smooth)
        >>> sorted(result.metrics_mm)
        ['mpjpe', 'n_mpjpe', 'pa_mpjpe', 'report_mpjpe', 'root_error']
        >>> result.joints_measured == len(test) * 3 * 15
        True
    """
    poses_camera = lift_dataset(lifter, dataset)
    return evaluate_poses(poses_camera if after is None else after(poses_camera, dataset), dataset, metrics)


def evaluate_poses(poses_camera: Tensor, dataset: MultiViewDataset, metrics: Mapping[str, Callable] = METRICS) -> Evaluation:
    """`evaluate` for poses (F, V, J, 3) already at hand, each in its view's camera frame, metres.

    Joints without a prediction are left out of the means. If they have a label, a warning says how many there are.

    Raises:
        ValueError: for another shape, a dataset without 3D labels, or if no joint has both a prediction and a label.
    """
    true = dataset.poses_camera().double()
    if poses_camera.shape != true.shape:
        raise ValueError(
            f"{dataset.name}: poses must have shape (frames, views, joints, 3) = {tuple(true.shape)}, "
            f"got {tuple(poses_camera.shape)}"
        )
    predicted = poses_camera.double()
    has_prediction, has_label = (poses.isfinite().all(-1) for poses in (predicted, true))
    both, labelled = has_prediction & has_label, int(has_label.sum())
    measured = int((both & both[..., :1]).sum())
    if labelled == 0:
        raise ValueError(
            f"{dataset.name} has no 3D labels, so there is nothing to measure against; to compare with triangulated poses, "
            "put them in with dataset.with_poses(...)"
        )
    if not both.any():
        raise ValueError(
            f"{dataset.name}: nothing to measure: of {has_label.numel()} joints {int(has_prediction.sum())} have a "
            f"prediction, {labelled} a label, none both"
        )
    if measured < labelled:
        warnings.warn(
            f"{dataset.name}: {labelled - measured} of {labelled} joints have no prediction, or are of a pose whose root has "
            "none; errors are means over the rest",
            stacklevel=2,
        )
    by_pose, joint_means = {}, {}
    for name, metric in metrics.items():
        errors = metric.per_joint(predicted, true)
        by_pose[name], joint_means[name] = mean_of_present(errors), errors.flatten(0, 1).nanmean(0)
    return Evaluation(
        metrics_mm=_means_mm(by_pose),
        by_action=_by_clips(by_pose, dataset, "action"),
        by_subject=_by_clips(by_pose, dataset, "subject"),
        by_joint={joint: _means_mm(joint_means, index) for index, joint in enumerate(dataset.skeleton.joints)},
        joints_asked=has_label.numel(),
        joints_predicted=int(has_prediction.sum()),
        joints_measured=measured,
    )


def evaluate_against_views(
    poses_camera: Float[Tensor, "F V J 3"], dataset: MultiViewDataset, metrics: Mapping[str, Callable] = METRICS
) -> Evaluation:
    """How far poses lifted from each view alone are from those that all views triangulate: a measure without labels.

    Cameras and detections of a test are all it takes. It contains the error of the triangulation, but no disagreement
    about where a joint is, since both sides follow the same detector. Records call its mpjpe `triangulated_mpjpe`.

    Args:
        poses_camera: each in its view's camera frame, metres.
        dataset: two views or more; its `poses_world` are not read. With three or more a view that does not fit the
            others has little say; see `triangulation.triangulate_robustly`.
        metrics: as for `evaluate`.

    Raises:
        ValueError: as `evaluate_poses`, and with a single view.
    """
    robust = len(dataset.view_names) > 2
    return evaluate_poses(poses_camera, triangulated(dataset, SMOOTHING_S * dataset.frame_rate, robust), metrics)


def with_triangulated_mpjpe(
    evaluation: Evaluation, poses_camera: Float[Tensor, "F V J 3"], dataset: MultiViewDataset
) -> Evaluation:
    """An evaluation with one more metric, `triangulated_mpjpe`: the mpjpe of `evaluate_against_views`."""
    other = evaluate_against_views(poses_camera, dataset, {"triangulated_mpjpe": mpjpe})
    return replace(
        evaluation,
        metrics_mm=evaluation.metrics_mm | other.metrics_mm,
        by_action=_joined(evaluation.by_action, other.by_action),
        by_subject=_joined(evaluation.by_subject, other.by_subject),
        by_joint=_joined(evaluation.by_joint, other.by_joint),
    )


def _joined(means: dict[str, Means], more: dict[str, Means]) -> dict[str, Means]:
    return {name: values | more[name] for name, values in means.items()}


def _means_mm(errors: dict[str, Tensor], part=...) -> Means:
    return {name: 1000 * values[part].nanmean().item() for name, values in errors.items()}


def _by_clips(errors: dict[str, Tensor], dataset: MultiViewDataset, attribute: str) -> dict[str, Means]:
    """Means over the frames of all clips that share an attribute, "action" or "subject"."""
    names = [getattr(clip, attribute) for clip in dataset.clips]
    frames = {name: torch.tensor([name == other for other in names])[dataset.clip_of_frame] for name in dict.fromkeys(names)}
    return {name: _means_mm(errors, part) for name, part in frames.items()}


def smooth(poses_camera: Float[Tensor, "F V J 3"], dataset: MultiViewDataset, window: int = 9) -> Float[Tensor, "F V J 3"]:
    """Average every joint over a Hann window of frames, within its clip: a low-pass filter without delay.

    A frame before counts only together with the one as far after, so that motion at constant velocity stays as it is
    up to the ends of a clip and beside missing joints. A missing joint (NaN) stays missing. For `evaluate`:
    `after=smooth`, or `after=partial(smooth, window=27)`.

    Raises:
        ValueError: for an even window, which has no middle.

    >>> from posekit.datasets import load_dataset
    >>> test = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
    >>> noisy = test.poses_camera() + 0.05 * torch.randn(test.poses_camera().shape, generator=torch.Generator().manual_seed(0))
    >>> before, after = (evaluate_poses(poses, test).metrics_mm["mpjpe"] for poses in (noisy, smooth(noisy, test)))
    >>> after < 0.6 * before
    True
    """
    frames = dataset.surrounding_frames(window)
    weights = torch.hann_window(window + 2, periodic=False)[1:-1].to(poses_camera)
    total, weight = poses_camera.clone(), torch.ones_like(poses_camera)
    for ahead in range(1, window // 2 + 1):
        earlier, later = frames[:, window // 2 - ahead], frames[:, window // 2 + ahead]
        inside = ((earlier >= 0) & (later >= 0))[:, None, None, None].to(poses_camera.device)
        pair = (poses_camera[earlier] + poses_camera[later]) / 2
        counts = 2 * weights[window // 2 + ahead] * (inside & ~pair.isnan())
        total, weight = total + counts * pair.where(counts > 0, 0), weight + counts
    return total / weight


def average_with(*lifters: nn.Module) -> After:
    """Post-processing that averages the poses with those of other lifters: `evaluate(first, test, average_with(second))`.

    A joint that some lifters leave missing (NaN) is the mean of the others.

    >>> from posekit.datasets import load_dataset
    >>> from posekit.lifters import FrameLifter
    >>> from posekit.random import generator
    >>> near, far = (FrameLifter(15, width=8, scene_distance=z, generator=generator(0)) for z in (3.0, 5.0))
    >>> test = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
    >>> average_with(far)(lift_dataset(near, test), test)[0, 0, 0]
    tensor([0., 0., 4.])
    """

    def average(poses_camera: Tensor, dataset: MultiViewDataset) -> Tensor:
        return torch.stack([poses_camera, *(lift_dataset(lifter, dataset) for lifter in lifters)]).nanmean(0)

    return average
