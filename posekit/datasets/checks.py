"""What a dataset must be once it is loaded, whatever file it came from."""

from pathlib import Path

from torch import Tensor

from posekit.datasets.npz import DataFileError
from posekit.sequences import MultiViewDataset

BONE_METRES = (0.05, 0.80)
"""Where the median length of a person's bones lies; the datasets' are about 0.25 m."""
_OTHER_UNITS = {"centimetres": 100, "millimetres": 1000}


def checked(dataset: MultiViewDataset, path_3d: Path, path_2d: Path | None = None) -> MultiViewDataset:
    """The dataset itself, if every clip has frames, finite or missing (NaN) joints, and poses in metres.

    Args:
        dataset: just loaded.
        path_3d: where its poses come from.
        path_2d: where its 2D comes from; default: it is the projection of the poses.

    Raises:
        DataFileError: with the file, the clip and what is wrong.
    """
    for clip in dataset.clips:
        where = f"{clip.subject}/{clip.name}"
        poses, pixels = dataset.poses_world[clip.start : clip.stop], dataset.pixels[clip.start : clip.stop]
        _check_numbers(poses, f"{path_3d}: {where}: 3D")
        _check_metres(dataset.skeleton.bone_lengths(poses), f"{path_3d}: {where}")
        _check_numbers(pixels, f"{path_2d or path_3d}: {where}: 2D")
    return dataset


def _check_numbers(joints: Tensor, where: str) -> None:
    if joints.isinf().any():
        raise DataFileError(f"{where}: infinite coordinates; expected finite ones, or NaN for a missing joint")
    if not joints.isfinite().any():
        raise DataFileError(f"{where}: {len(joints)} frames without a single joint")


def _check_metres(bones: Tensor, where: str) -> None:
    median = bones.nanmedian().item()
    shortest, longest = BONE_METRES
    if shortest <= median <= longest:
        return
    units = [unit for unit, scale in _OTHER_UNITS.items() if shortest <= median / scale <= longest]
    guess = f"; are these {' or '.join(units)}?" if units else ""
    raise DataFileError(f"{where}: the median bone is {median:.3g} m long; expected {shortest} to {longest} m{guess}")
