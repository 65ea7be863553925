"""From a checked recording to 3D, and to a lifter that needs only one of its cameras."""

from dataclasses import replace
from typing import NamedTuple

from torch import nn

from posekit.calibration import set_upright
from posekit.evaluation import SMOOTHING_S, Evaluation, evaluate_against_views, lift_dataset
from posekit.losses import scene_loss
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.rig.quality import adjusted_extrinsics, with_adjusted
from posekit.scenes import Mix, Scenes
from posekit.sequences import MultiViewDataset
from posekit.skeleton import Skeleton
from posekit.skeletons import map_confidence, map_joints
from posekit.smoothing import butterworth, smooth_over_time
from posekit.training import fit
from posekit.triangulation import Triangulation, triangulate, triangulate_robustly


def adjust(dataset: MultiViewDataset) -> MultiViewDataset:
    """The dataset with its cameras' extrinsics adjusted to its joints; see `quality.adjusted_extrinsics`.

    Args:
        dataset: whose clips have one calibration.
    """
    adjusted = adjusted_extrinsics(dataset.pixels, dataset.confidence, dataset.cameras[0])
    return replace(dataset, cameras=with_adjusted(dataset.cameras, adjusted))


def reconstruct(
    dataset: MultiViewDataset,
    smoothing_s: float = SMOOTHING_S,
    *,
    cutoff_hz: float | None = None,
    robust: bool = True,
) -> MultiViewDataset:
    """The dataset with triangulated poses, smoothed over time, in the place of its labels.

    Args:
        dataset: its `poses_world` are not read.
        smoothing_s: standard deviation, in seconds, of the window over which they are smoothed; 0 for none.
        cutoff_hz: smooth by `smoothing.butterworth` with this cut-off instead.
        robust: see `triangulation_of`.

    Raises:
        ValueError: for a cut-off that is not between 0 and half of the frame rate.
    """
    found = triangulation_of(dataset, robust)
    poses = found.points
    if cutoff_hz is not None:
        poses = butterworth(poses, dataset, cutoff_hz)
    elif smoothing_s:
        poses = smooth_over_time(poses, found.weights.sum(-2), dataset, smoothing_s * dataset.frame_rate)
    return dataset.with_poses(poses)


def triangulation_of(dataset: MultiViewDataset, robust: bool = True) -> Triangulation:
    """Every joint from all views that found it, weighted by confidence.

    Args:
        dataset: its `poses_world` are not read.
        robust: give views that do not fit the others little say, with three views or more; see
            `triangulation.triangulate_robustly`. Two cannot outvote each other.
    """
    outvoted = robust and len(dataset.view_names) > 2
    return (triangulate_robustly if outvoted else triangulate)(dataset.pixels, dataset.frame_cameras, dataset.confidence)


def with_skeleton(dataset: MultiViewDataset, skeleton: Skeleton) -> MultiViewDataset:
    """The dataset with the joints of another skeleton, by name; pelvis and thorax may be middles of the sides' joints.

    Raises:
        ValueError: for joints that cannot be mapped; see `skeletons.map_joints`.
    """
    have, joints = dataset.skeleton.joints, skeleton.joints
    return replace(
        dataset,
        skeleton=skeleton,
        pixels=map_joints(dataset.pixels, have, joints),
        confidence=map_confidence(dataset.confidence, have, joints),
        poses_world=map_joints(dataset.poses_world, have, joints),
    )


def level(dataset: MultiViewDataset) -> MultiViewDataset:
    """The dataset in a world whose z is up and whose floor is at 0, as its people say; see `calibration.set_upright`.

    For calibrations whose world is that of a board on a table. The poses are triangulated anew.

    Raises:
        ValueError: if no pose has an ankle and the spine.
    """
    upright = set_upright(dataset.cameras[0], dataset.poses_world, dataset.skeleton)
    cameras = with_adjusted(dataset.cameras, upright)
    moved = dataset.cameras[0, 0].world_to_camera(dataset.poses_world)
    return replace(dataset, cameras=cameras).with_poses(cameras[0, 0].camera_to_world(moved))


class LiftResult(NamedTuple):
    """A lifter, and how far its poses from single views are from those triangulated from all views, on later frames."""

    lifter: RayLifter
    against_triangulation: Evaluation


def learn_to_lift(
    train: MultiViewDataset, test: MultiViewDataset, *, epochs: int = 40, width: int = 256, seed: int = 0
) -> LiftResult:
    """Train a lifter on triangulated poses and measure it without labels.

    Training turns, moves and mirrors the poses (`scenes`), so that a short recording goes further. The lifter must be
    told the intrinsics of its camera.

    Args:
        train: with triangulated poses.
        test: other frames, people or cameras, likewise.
        epochs: passes over the poses, in each of which every pose is drawn some times.
        width: of the network.
        seed: of weights and draws.

    Raises:
        ValueError: if people do not stand upright along z (see `level`), or have no root.
    """
    rng, scenes = generator(seed), Scenes(train, Mix(arms=0.0, upper=0.0, balance=0.0))
    lifter = RayLifter(train.skeleton.name, "rays", width, 2, generator=rng)
    lifter.standardise(scenes.draw(5000, rng))
    steps = dict(schedule="one_cycle", optimizer="adamw", average=0.99, learning_rate=2e-3)
    fit(lifter, scenes, scene_loss, epochs=epochs, batch_size=64, generator=rng, **steps)
    return LiftResult(lifter, evaluate_without_labels(lifter, test))


def evaluate_without_labels(lifter: nn.Module, test: MultiViewDataset) -> Evaluation:
    """`evaluation.evaluate_against_views` of a lifter of single views: a measure that needs no 3D labels.

    Args:
        lifter: of single views.
        test: its `poses_world` are not read.

    Raises:
        ValueError: as `evaluation.evaluate_against_views`.
    """
    return evaluate_against_views(lift_dataset(lifter, test), test)
