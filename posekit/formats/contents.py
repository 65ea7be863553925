"""What files of other programs hold, once they are read: a calibration, or the 2D joints that a detector found."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.datasets.npz import DataFileError as DataFileError  # what all readers raise
from posekit.samples import counted
from posekit.skeleton import Skeleton

MOST_CONFIDENT = 2.0
"""OpenPose has written 1.4."""
Trajectories = Float[Tensor, "F J 3"] | Float[np.ndarray, "F J 3"]


@dataclass(frozen=True)
class Calibration:
    """Named cameras of one rig.

    Args:
        view_names: V camera names.
        cameras: leading axis V; metres, whatever the file has.
        path: the file, for error messages; leave it out for cameras that come from no file.
        units: what lengths in the file are measured in, "metres" or "millimetres".
    """

    view_names: tuple[str, ...]
    cameras: Cameras
    path: Path = Path("calibration")
    units: str = "metres"

    def __len__(self) -> int:
        return len(self.view_names)

    def __repr__(self) -> str:
        return f"Calibration({len(self)} cameras: {', '.join(self.view_names)}; the file is in {self.units})"

    def for_views(self, names: Sequence[str], pairs: dict[str, str] | None = None) -> "Calibration":
        """The calibration of these views, in their order and under their names.

        Programs name one camera in several ways ("cam_01" and "cam1_json"). Names that differ only in case, separators,
        leading zeros and the ending "json" are the same camera; else those with the same last number are.

        Args:
            names: of the views that a detector saw.
            pairs: the camera of each view, where names do not tell.

        Raises:
            DataFileError: for a view that has no camera here, or more than one.
        """
        pairs = pairs or {}
        unknown = [view for view in pairs if view not in names]
        if unknown:
            raise DataFileError(f"{self.path}: paired {unknown[0]!r} is no view; the views are {', '.join(names)}")
        cameras = [self._camera_of(name, pairs.get(name)) for name in names]
        for first, second in ((a, b) for a in range(len(names)) for b in range(a) if cameras[a] == cameras[b]):
            camera = self.view_names[cameras[first]]
            raise DataFileError(
                f"{self.path}: {names[second]} and {names[first]} would both be camera {camera}; pass pairs= or --pair"
            )
        return replace(self, view_names=tuple(names), cameras=self.cameras[cameras])

    def _camera_of(self, view: str, paired: str | None) -> int:
        for key in (str, _plain, _number):
            found = [index for index, name in enumerate(self.view_names) if key(name) == key(paired or view) != ""]
            if len(found) == 1:
                return found[0]
        wanted = f"{view!r}" if paired is None else f"{view!r} (paired with {paired!r})"
        raise DataFileError(
            f"{self.path}: no camera for the view {wanted}; the file has {', '.join(self.view_names)}. "
            "If it is one of these, pass pairs={view: camera}, or --pair VIEW=CAMERA"
        )


def _plain(name: str) -> str:
    """A name without case, separators, leading zeros and the ending of OpenPose's folders."""
    bare = re.sub(r"[^a-z0-9]", "", name.lower().removesuffix("json"))
    return re.sub(r"(?<!\d)0+(?=\d)", "", bare)


def _number(name: str) -> str:
    """The last number in a name, if there is one."""
    numbers = re.findall(r"\d+", name)
    return str(int(numbers[-1])) if numbers else ""


@dataclass(frozen=True)
class Detections:
    """One person's 2D joints in V synchronised views.

    Args:
        view_names: V names, of folders or files.
        skeleton: of the joints; derived ones are filled in.
        pixels: NaN where missing.
        confidence: 0 (missing) to 1.
        path: the file or folder, for error messages.
    """

    view_names: tuple[str, ...]
    skeleton: Skeleton
    pixels: Float[Tensor, "F V J 2"]
    confidence: Float[Tensor, "F V J"]
    path: Path

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        found = (self.confidence > 0).float().mean().item()
        sizes = f"{counted('frame', len(self))}, {counted('view', len(self.view_names))}"
        return f"Detections({sizes}, {self.skeleton!r}, {found:.0%} of joints found)"


def checked_confidence(path: Path, confidence: Tensor, pixels: Tensor) -> Tensor:
    """A detector's confidences as 0 to 1, with 0 for NaN and beside pixels that are not finite.

    Some detectors exceed 1 by a little, up to `MOST_CONFIDENT`, which counts as 1.

    Raises:
        DataFileError: for what no confidence can be, such as percent.
    """
    confidence = confidence.nan_to_num(nan=0.0)
    if not ((confidence >= 0) & (confidence <= MOST_CONFIDENT)).all():
        low, high = confidence.min().item(), confidence.max().item()
        raise DataFileError(f"{path}: confidences from {low:.3g} to {high:.3g}; expected 0 to 1. Are they percent?")
    return confidence.clamp(max=1) * pixels.isfinite().all(-1)


def checked_poses(
    path: str | Path, poses_world: Trajectories, joints: Sequence[str], frame_rate: float
) -> Float[Tensor, "F J 3"]:
    """3D joints that can be written to a file of trajectories, in double precision; a ValueError for others."""
    poses = torch.as_tensor(poses_world).double()
    if poses.ndim != 3 or poses.shape[1:] != (len(joints), 3):
        raise ValueError(
            f"{path}: poses of {len(joints)} joints must have shape (frames, {len(joints)}, 3), got {tuple(poses.shape)}"
        )
    if not 0 < frame_rate < math.inf:
        raise ValueError(f"{path}: the frame rate must be a positive number per second, got {frame_rate}")
    return poses


def natural(name: str) -> list:
    """Key of the order in which "cam2" comes before "cam10"."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def check_frame_counts(path: Path, counts: dict[str, int]) -> None:
    """Raise a DataFileError unless all views have the same number of frames."""
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise DataFileError(f"{path}: views must have the same frames, but {listed}; cut them to the frames they share")


def text_of(path: Path) -> str:
    """The text of a file; a DataFileError if it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataFileError(f"{path}: not a text file in UTF-8 ({error})") from error
