"""Files of other programs: calibrations and 2D joints in, trajectories and calibrations out. One module per format.

From a folder of Pose2Sim's to triangulated poses in a file::

    calibration = read_calibration("calibration/Calib.qca.txt")
    detections = read_detections("pose", "openpose", BODY_25B, calibration=calibration)
    people = to_dataset("balancing", calibration, detections, frame_rate=60)
    found = triangulate(people.pixels, people.frame_cameras, people.confidence)
    write_poses("balancing.trc", found.points, people.skeleton.joints, people.frame_rate)
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from posekit.datasets.files import choose
from posekit.formats.c3d import write_c3d
from posekit.formats.checks import check_rig
from posekit.formats.contents import Calibration, Detections, Trajectories
from posekit.formats.deeplabcut import read_deeplabcut
from posekit.formats.mediapipe import read_mediapipe
from posekit.formats.mediapipe import write_mediapipe as write_mediapipe
from posekit.formats.movement import from_xarray as from_xarray
from posekit.formats.movement import poses_from_xarray as poses_from_xarray
from posekit.formats.movement import poses_to_xarray as poses_to_xarray
from posekit.formats.movement import to_xarray as to_xarray
from posekit.formats.opencv import read_opencv
from posekit.formats.openpose import read_openpose
from posekit.formats.openpose import write_openpose as write_openpose
from posekit.formats.qualisys import read_qualisys
from posekit.formats.toml import read_toml
from posekit.formats.toml import write_toml as write_toml
from posekit.formats.trc import read_trc as read_trc
from posekit.formats.trc import write_trc
from posekit.sequences import MultiViewDataset, from_clips
from posekit.skeleton import Skeleton

CALIBRATIONS: dict[str, Callable[..., Calibration]] = {
    "toml": read_toml,
    "qualisys": read_qualisys,
    "opencv": read_opencv,
}
"""Readers of calibrations, by format."""

DETECTIONS: dict[str, Callable[..., Detections]] = {
    "openpose": read_openpose,
    "mediapipe": read_mediapipe,
    "deeplabcut": read_deeplabcut,
}
"""Readers of 2D joints, by format."""

TRAJECTORIES: dict[str, Callable[..., None]] = {".trc": write_trc, ".c3d": write_c3d}
"""Writers of 3D joints, by the ending of the file."""


def read_calibration(path: str | Path, format: str | None = None, **options: Any) -> Calibration:
    """Read a calibration.

    Args:
        path: the file, or for "opencv" the folder.
        format: one of `CALIBRATIONS`. By default the name tells: `.toml`, `.qca.txt`, or a folder.
        options: of the format's reader, such as `units`.

    Raises:
        FileNotFoundError: if there is nothing at that path.
        ValueError: for an unknown format.
        DataFileError: see the format's module.
    """
    path = _present(path)
    if format is None:
        format = "opencv" if path.is_dir() else "qualisys" if path.name.endswith(".qca.txt") else path.suffix[1:]
    choose(f"format of {path}", [format], tuple(CALIBRATIONS))
    return CALIBRATIONS[format](path, **options)


def read_detections(path: str | Path, format: str, skeleton: Skeleton, **options: Any) -> Detections:
    """Read one person's 2D joints in all views.

    Args:
        path: the file or folder.
        format: one of `DETECTIONS`.
        skeleton: of the joints; see `posekit.skeletons`.
        options: of the format's reader.

    Raises:
        FileNotFoundError: if there is nothing at that path.
        ValueError: for an unknown format.
        DataFileError: see the format's module.
    """
    choose("format", [format], tuple(DETECTIONS))
    return DETECTIONS[format](_present(path), skeleton, **options)


def to_dataset(
    name: str,
    calibration: Calibration,
    detections: Detections,
    frame_rate: float,
    *,
    subject: str = "person",
    action: str = "recording",
    pairs: dict[str, str] | None = None,
    check: bool = True,
) -> MultiViewDataset:
    """A dataset of one clip without 3D; `with_poses` of it puts triangulated poses in.

    Args:
        name: of the dataset and its clip.
        calibration: with a camera for every view of the detections.
        detections: of one person.
        frame_rate: frames per second.
        subject, action: of the clip.
        pairs: the camera of each view, where the names do not tell; see `Calibration.for_views`.
        check: look for the usual mistakes; see `checks.check_rig`.

    Raises:
        DataFileError: for a view without a camera, or what `checks.check_rig` finds.
    """
    calibration = calibration.for_views(detections.view_names, pairs)
    if check:
        check_rig(calibration, detections)
    clip = dict(
        subject=subject,
        action=action,
        name=name,
        cameras=calibration.cameras,
        pixels=detections.pixels,
        confidence=detections.confidence,
    )
    return from_clips(name, detections.skeleton, frame_rate, detections.view_names, [clip])


def write_poses(path: str | Path, poses_world: Trajectories, joints: Sequence[str], frame_rate: float) -> None:
    """Write 3D joints in the format that the file's ending names, `.trc` or `.c3d`.

    Args:
        path: the file.
        poses_world: world metres, z up, NaN where missing; an array does as well.
        joints: J names.
        frame_rate: frames per second.

    Raises:
        ValueError: for another ending, poses of another shape, or a frame rate that is not positive.
    """
    choose("ending", [Path(path).suffix], tuple(TRAJECTORIES))
    TRAJECTORIES[Path(path).suffix](path, poses_world, joints, frame_rate)


def _present(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    return path
