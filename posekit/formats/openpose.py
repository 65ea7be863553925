"""OpenPose's JSON: a folder per view, a file per frame, with all people in it; also what many programs convert to::

    pose/cam1_json/cam1_000000000000_keypoints.json
    {"people": [{"pose_keypoints_2d": [x, y, confidence, x, y, confidence, ...], ...}, ...]}

A joint that was not found is 0, 0, 0.
"""

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from posekit.files import write_atomically
from posekit.formats.contents import (
    Calibration,
    DataFileError,
    Detections,
    check_frame_counts,
    checked_confidence,
    natural,
    text_of,
)
from posekit.formats.people import most_confident, same_person
from posekit.skeleton import Skeleton
from posekit.skeletons import keypoints_of, map_confidence, map_joints


def read_openpose(
    folder: str | Path, skeleton: Skeleton, calibration: Calibration | None = None, candidates: int = 3
) -> Detections:
    """Read one person's joints from a folder of views.

    Where there are several people in a frame, the calibration tells them apart: of the most confident candidates in
    each view, those are taken that agree best with each other (`people.same_person`). That suffices for one person and
    a few bystanders, who should be seen less well. For two people who are both of interest, use a program that follows
    people, such as Pose2Sim, and read what it sorted out. Without a calibration, each view's most confident person is
    taken.

    Args:
        folder: with one folder per view; they are read in natural order. Folders without JSON files are left out.
        skeleton: of the joints, such as `skeletons.BODY_25B`; see `skeletons.KEYPOINTS`.
        calibration: with a camera for every view.
        candidates: how many people per view are considered.

    Raises:
        DataFileError: for other frame counts or frame numbers, another skeleton, or anything but such files.
    """
    folder = Path(folder)
    files = {f.name: sorted(f.glob("*.json"), key=lambda p: natural(p.name)) for f in folder.iterdir() if f.is_dir()}
    files = {name: files[name] for name in sorted(files, key=natural) if files[name]}
    if not files:
        raise DataFileError(f"{folder}: expected a folder per view with JSON files in it, found none")
    check_frame_counts(folder, {name: len(paths) for name, paths in files.items()})
    _check_frame_numbers(folder, files)
    people = [[_people(path, skeleton, candidates) for path in paths] for paths in files.values()]
    people = torch.stack([torch.stack(view) for view in people], dim=1)  # (F, V, P, K, 3)
    names = keypoints_of(skeleton)
    confidence = map_confidence(people[..., 2], names, skeleton.joints)
    pixels = map_joints(people[..., :2].where(people[..., 2:] > 0, torch.nan), names, skeleton.joints)
    if calibration is None or people.shape[2] == 1:
        pixels, confidence = most_confident(pixels, confidence)
    else:
        pixels, confidence = same_person(pixels, confidence, calibration.for_views(tuple(files)).cameras)
    return Detections(tuple(files), skeleton, pixels, confidence, folder)


def write_openpose(folder: str | Path, detections: Detections) -> None:
    """Write one person's joints as OpenPose would: a folder per view, a file per frame. `read_openpose` reads them back.

    Args:
        folder: is made if need be; its folders are `<view>_json`.
        detections: of a skeleton in `skeletons.KEYPOINTS`; derived joints are left out.

    Raises:
        ValueError: for a folder that already holds further files, such as those of a longer recording.
    """
    keypoints = [detections.skeleton.index(joint) for joint in keypoints_of(detections.skeleton)]
    numbers = torch.cat([detections.pixels, detections.confidence.unsqueeze(-1)], dim=-1)[:, :, keypoints]
    numbers = numbers.nan_to_num().flatten(2).tolist()
    for view, name in enumerate(detections.view_names):
        place = Path(folder) / f"{name}_json"
        files = [place / f"{name}_{frame:06d}_keypoints.json" for frame in range(len(numbers))]
        others = sorted(path.name for path in place.glob("*.json") if path not in files)
        if others:
            raise ValueError(f"{place}: {others[0]} lies there already, and would be read as a further frame; remove it first")
        for path, row in zip(files, numbers):
            write_atomically(path, json.dumps({"people": [{"pose_keypoints_2d": row[view]}]}))


def _check_frame_numbers(folder: Path, files: dict[str, list[Path]]) -> None:
    """Raise a DataFileError for a view without a frame that another has; each may count from a number of its own."""
    found = {name: [re.search(r"(\d+)(_keypoints)?$", path.stem) for path in paths] for name, paths in files.items()}
    if not all(all(numbers) for numbers in found.values()):
        return
    steps = {name: [int(number[1]) for number in numbers] for name, numbers in found.items()}
    paths = {name: {step - min(steps[name]): path for step, path in zip(steps[name], files[name])} for name in files}
    for name, own in paths.items():
        for other, theirs in paths.items():
            if lacking := theirs.keys() - own:
                file = theirs[min(lacking)].name
                raise DataFileError(f"{folder}: views must have the same frames, but {name} has none for {file} of {other}")


def _people(path: Path, skeleton: Skeleton, candidates: int) -> Tensor:
    """The most confident people of a frame, (candidates, K, 3), padded with zeros."""
    count = len(keypoints_of(skeleton))
    people = torch.zeros(candidates, count, 3)
    try:
        found = [person["pose_keypoints_2d"] for person in json.loads(text_of(path))["people"]]
        found = [torch.tensor(numbers, dtype=torch.float32) for numbers in found]
    except (KeyError, TypeError, ValueError) as error:
        raise DataFileError(f"{path}: expected people with pose_keypoints_2d, as OpenPose writes them ({error!r})") from error
    for numbers in found:
        if numbers.shape != (3 * count,):
            raise DataFileError(
                f"{path}: pose_keypoints_2d has {numbers.numel() / 3:g} joints; {skeleton.name} has {count}: another skeleton?"
            )
    found = [numbers.view(count, 3) for numbers in found]
    for person in found:
        person[:, 2] = checked_confidence(path, person[:, 2], person[:, :2])
    found = sorted(found, key=lambda person: -person[:, 2].sum())[:candidates]
    if found:
        people[: len(found)] = torch.stack(found)
    return people
