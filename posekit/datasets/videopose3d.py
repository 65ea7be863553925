"""What the licensed datasets share: VideoPose3D's nested files, read with a check at every step."""

import json
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from posekit.datasets.npz import DataFileError


def entry(tree: Any, path: Path, *keys: str) -> Any:
    """`tree[key][key]...`; a DataFileError names file, expected key and those found."""
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            raise DataFileError(f"{path}: expected key {key!r} on the way {'/'.join(keys)}, found {_found(tree)}")
        tree = tree[key]
    return tree


def clips_of(tree: Any, path: Path, subject: str, actions: Sequence[str]) -> dict[str, Any]:
    """A subject's clips of these actions by name; a DataFileError if the subject has no clips at all."""
    clips = entry(tree, path, subject)
    if not isinstance(clips, dict) or not clips:
        raise DataFileError(f"{path}: {subject}: expected a dictionary of clips, found {_found(clips)}")
    return {name: clip for name, clip in clips.items() if action_of(name) in actions}


def action_of(name: str) -> str:
    """The action of a clip: "Walking" of "Walking 1 chunk0"."""
    return name.partition(" ")[0]


def _found(tree: Any) -> str:
    """What is there instead: the first keys of a dictionary, or a type."""
    if not isinstance(tree, dict):
        return type(tree).__name__
    return ", ".join([*tree][:8]) + (f" and {len(tree) - 8} more" if len(tree) > 8 else "") if tree else "an empty dictionary"


def checked_array(array: Any, tail: tuple[int, ...], path: Path, where: str) -> np.ndarray:
    """The array as float32, if it holds floats of shape (frames, *tail); else a DataFileError."""
    shape = getattr(array, "shape", None)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or shape[1:] != tail:
        found = type(array).__name__ if shape is None else f"{array.dtype} {shape}"
        raise DataFileError(f"{path}: {where}: expected floats of shape (frames, {', '.join(map(str, tail))}), found {found}")
    with np.errstate(all="ignore"):  # what float32 cannot hold becomes infinite, and `checks` refuses that
        return array.astype(np.float32)


def checked_views(views: Any, cameras: Sequence[str], joints: int, frames: int, path: Path, clip: str) -> np.ndarray:
    """One clip's 2D as (frames, V, J, 2): a surplus of frames at the end is cut, a lack is an error."""
    if not isinstance(views, list | tuple) or len(views) != len(cameras):
        found = len(views) if hasattr(views, "__len__") else type(views).__name__
        raise DataFileError(f"{path}: {clip}: expected {len(cameras)} cameras, found {found}")
    arrays = [checked_array(view, (joints, 2), path, f"{clip}/{camera}") for view, camera in zip(views, cameras)]
    shortest = min(map(len, arrays))
    if shortest < frames:
        raise DataFileError(f"{path}: {clip}: {shortest} frames of 2D for {frames} frames of 3D")
    if any(len(array) > frames for array in arrays):
        warn_trimmed(path)
    return np.stack([array[:frames] for array in arrays], axis=1)


@cache
def warn_trimmed(path: Path) -> None:
    """Say once per file that its 2D runs longer than its 3D: files in circulation are like this."""
    warnings.warn(f"{path}: some clips have more frames of 2D than of 3D; the surplus at the end is cut", stacklevel=4)


def compare_with_known(path: Path, dataset: str, found: dict[tuple[str, str], int], actions: Sequence[str]) -> None:
    """Warn, once per file and difference, about clips that are missing, new or of another length than in the known files.

    Args:
        path: the file of 3D poses.
        dataset: whose known lengths to take.
        found: frames by (subject as in the file, clip).
        actions: those that were asked for.
    """
    subjects = {subject for subject, _ in found}
    known = {
        (subject, name): frames
        for subject, clips in known_frames(dataset).items()
        for name, frames in clips.items()
        if subject in subjects and action_of(name) in actions
    }
    taken = {(subject, action_of(name)) for subject, name in known}
    said = [f"{'/'.join(clip)} is missing" for clip in known.keys() - found.keys()]
    for clip, frames in found.items():
        if clip in known and frames != known[clip]:
            said.append(f"{'/'.join(clip)} has {frames} frames instead of {known[clip]}")
        elif clip not in known and (clip[0], action_of(clip[1])) in taken:
            said.append(f"{'/'.join(clip)} is new")
    if said:
        more = f" and {len(said) - 3} more" if len(said) > 3 else ""
        _warn_unlike_known(path, f"{'; '.join(sorted(said)[:3])}{more}")


@cache
def _warn_unlike_known(path: Path, said: str) -> None:
    warnings.warn(f"{path}: not the clips of the known file: {said}; numbers cannot be compared", stacklevel=4)


@cache
def known_frames(dataset: str) -> dict[str, dict[str, int]]:
    """Frames of each clip in the files that the book's records were made with, by subject; actions may be missing."""
    return json.loads(files("posekit.datasets").joinpath(f"{dataset}_frames.json").read_text())


@cache
def calibration(dataset: str) -> dict:
    """The measured constants of a dataset's cameras, from the package's own JSON."""
    return json.loads(files("posekit.datasets").joinpath(f"{dataset}_cameras.json").read_text())


def column(table: dict, name: str) -> Tensor:
    """One entry of every camera in a calibration table, stacked, float64."""
    return torch.tensor([camera[name] for camera in table.values()], dtype=torch.float64)


def intrinsics(dataset: str) -> dict[str, Tensor]:
    """The parts of `Cameras` that do not depend on where a camera stands."""
    table = calibration(dataset)["intrinsics"]
    return {name: column(table, name) for name in ("focal_px", "center_px", "radial", "tangential", "image_size_px")}
