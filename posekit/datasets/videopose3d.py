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
            found = ", ".join(map(str, tree)) if isinstance(tree, dict) else type(tree).__name__
            raise DataFileError(f"{path}: expected key {key!r} on the way {'/'.join(keys)}, found {found}")
        tree = tree[key]
    return tree


def checked_array(array: Any, tail: tuple[int, ...], path: Path, where: str) -> np.ndarray:
    """The array as float32, if it holds floats of shape (frames, *tail); else a DataFileError."""
    shape = getattr(array, "shape", None)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or shape[1:] != tail:
        found = type(array).__name__ if shape is None else f"{array.dtype} {shape}"
        raise DataFileError(f"{path}: {where}: expected floats of shape (frames, {', '.join(map(str, tail))}), found {found}")
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
    """Say once a file that its 2D runs longer than its 3D: files in circulation are like this."""
    warnings.warn(f"{path}: some clips have more frames of 2D than of 3D; the surplus at the end is cut", stacklevel=4)


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
