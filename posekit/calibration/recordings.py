"""Whole datasets calibrated by the people in them: from given cameras to found or learned ones in an `Experiment`."""

import warnings
from dataclasses import fields, replace

import torch
from torch import Tensor

from posekit.calibration.gauge import set_scale, set_upright
from posekit.calibration.learned import carried, learn_cameras
from posekit.calibration.people import calibrate_from_people
from posekit.calibration.report import CalibrationReport
from posekit.cameras import Cameras
from posekit.lifters import FrameLifter
from posekit.random import generator
from posekit.sequences import MultiViewDataset
from posekit.triangulation import triangulate

STATURE_M = 1.70
"""What everybody's height is taken for where nothing is known."""
LEGS = ("left_knee", "left_ankle", "right_knee", "right_ankle")
EXTRINSICS = ("R_world_to_camera", "t_world_to_camera")


def with_found_cameras(
    dataset: MultiViewDataset, scale_from: str = "leg", seed: int = 0, **options
) -> tuple[MultiViewDataset, dict[str, CalibrationReport]]:
    """The dataset with extrinsics found from its own 2D joints, and a report for each person.

    The cameras are taken to stand still while one person is recorded, so each person's clips are calibrated together.
    Intrinsics are read, extrinsics are not. The world that is found is upright, with the floor at 0, and metric as far
    as the known length is right. It has nothing to do with the world of the labels, which are therefore left out.

    Args:
        dataset: at least two views.
        scale_from: "leg", each person's thighs and shanks, measured on the labels in place of a tape; or "stature",
            everybody is `STATURE_M` tall, and no label is read.
        seed: of the random numbers.
        options: of `calibrate_from_people`, such as `frames` or `restarts`.

    Raises:
        ValueError: for another `scale_from`, intrinsics that change while a person is recorded, legs without a label,
            or as `calibrate_from_people` does.

    Warns:
        UserWarning: with the person's name, where the report says that the cameras should not be trusted.

    >>> from posekit.datasets import load_dataset
    >>> people = load_dataset("synthetic", "train", subjects=("S2",), actions=("Walking",))
    >>> found, reports = with_found_cameras(people, frames=40, restarts=1)
    >>> reports["S2"].trust, bool(found.poses_world.isnan().all())
    (True, True)
    """
    if scale_from not in ("leg", "stature"):
        raise ValueError(f'scale_from must be "leg" or "stature", got {scale_from!r}')
    cameras, reports = {}, {}
    for subject, person in _people(dataset).items():
        cameras[subject], reports[subject] = _calibrated(person, subject, scale_from, seed, options)
    return _with_cameras(dataset, cameras), reports


def with_learned_cameras(
    dataset: MultiViewDataset, start_off_deg: float, seed: int = 0, width: int = 256, **options
) -> MultiViewDataset:
    """The dataset with extrinsics learned in training, from the true ones carried away; see `calibration.learned`.

    For each person, a lifter of single frames learns together with the cameras, and is forgotten. The rig's size and its
    first camera are the true ones, for the loss knows of neither. Labels are left out.

    Args:
        dataset: at least two views.
        start_off_deg: by how much every camera but the first is turned about the people.
        seed: of the axes, the lifter and the batches.
        width: of the lifter.
        options: of `learn_cameras`, such as `steps`.

    Raises:
        ValueError: for cameras that change while a person is recorded, or as `learn_cameras` does.
    """
    learned = {}
    for subject, person in _people(dataset).items():
        true, draws = _unchanged(person, subject, ()), generator(seed)
        middle = _poses(person.every(max(1, len(person) // 100)), true).flatten(0, 1).nanmedian(0).values
        start = carried(true, middle, start_off_deg, draws)
        lifter = FrameLifter(len(person.skeleton), width=width, dropout=0.0, generator=draws)
        learned[subject] = learn_cameras(lifter, person.views(), start, generator=draws, **options)
    return _with_cameras(dataset, learned)


def _people(dataset: MultiViewDataset) -> dict[str, MultiViewDataset]:
    """Each person's clips."""
    clips = {subject: [clip for clip in dataset.clips if clip.subject == subject] for subject in dataset.subjects}
    return {subject: dataset.select_clips(own) for subject, own in clips.items()}


def _with_cameras(dataset: MultiViewDataset, cameras: dict[str, Cameras]) -> MultiViewDataset:
    """The dataset in which each person has cameras of their own, without labels."""
    return replace(dataset, cameras=Cameras.stack([cameras[clip.subject] for clip in dataset.clips]), poses_world=None)


def _calibrated(person: MultiViewDataset, subject: str, scale_from: str, seed: int, options: dict):
    intrinsics, skeleton = _unchanged(person, subject, EXTRINSICS), person.skeleton
    options = dict(skeleton=skeleton, view_names=person.view_names, generator=generator(seed)) | options
    found, report = calibrate_from_people(person.pixels, intrinsics, person.confidence, **options)
    if not report.trust:
        text = f"{person.name}, {subject}: the cameras found from people are likely wrong: {'; '.join(report.warnings)}"
        warnings.warn(text, stacklevel=3)
    known = dict(stature_m=STATURE_M) if scale_from == "stature" else dict(lengths_m=_legs(person, subject))
    found = set_scale(found, _poses(person, found), skeleton, **known)
    return set_upright(found, _poses(person, found), skeleton), report


def _unchanged(person: MultiViewDataset, subject: str, but: tuple[str, ...]) -> Cameras:
    """The cameras of the first clip, with which the others' must agree in all fields but some."""
    names = [field.name for field in fields(Cameras) if field.name not in (*but, "lens")]
    moved = [name for name in names if not (getattr(person.cameras, name) == getattr(person.cameras[:1], name)).all()]
    if moved:
        raise ValueError(f"{person.name}: {', '.join(moved)} of the cameras change while {subject} is recorded")
    return person.cameras[0]


def _poses(person: MultiViewDataset, cameras: Cameras) -> Tensor:
    return triangulate(person.pixels, cameras, person.confidence).points


def _legs(person: MultiViewDataset, subject: str) -> dict[str, float]:
    lengths = person.skeleton.bone_lengths(person.poses_world).nanmedian(0).values
    legs = {joint: lengths[person.skeleton.index(joint) - 1].item() for joint in LEGS}
    if not torch.tensor([*legs.values()]).isfinite().all():
        raise ValueError(f'{person.name}: no label says how long the legs of {subject} are; use scale_from="stature"')
    return legs
