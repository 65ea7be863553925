"""Calibrations in TOML as aniposelib writes them, and with it Anipose, Pose2Sim, FreeMoCap and Caliscope.

One table per camera (Caliscope's own file nests them under `cameras`), with OpenCV's numbers::

    [cam_01]
    name = "front"
    size = [1088, 1920]                                # width, height
    matrix = [[1681.2, 0, 533.0], [0, 1681.1, 948.1], [0, 0, 1]]
    distortions = [-0.05, 0.14, 0.0006, 0.0007]        # k1, k2, p1, p2 and, in some files, k3
    rotation = [1.2, -0.7, 0.6]                        # world to camera: a rotation vector, or a matrix
    translation = [0.9, 1.0, 2.6]                      # world to camera, metres or millimetres

Other tables, such as `metadata`, and other keys are not read.
"""

import json
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch

from posekit.cameras import Cameras
from posekit.files import write_atomically
from posekit.formats.contents import Calibration, DataFileError, text_of

KEYS = {"size": [(2,)], "matrix": [(3, 3)], "distortions": [(4,), (5,)], "rotation": [(3,), (3, 3)], "translation": [(3,)]}
"""What each camera must have, and the shapes it may have."""

METRES, MILLIMETRES = 50.0, 200.0
"""Rigs whose cameras are at most METRES apart are taken for metres, those at least MILLIMETRES apart for millimetres."""


def read_toml(path: str | Path, units: str | None = None) -> Calibration:
    """Read a calibration in TOML.

    Args:
        path: the file.
        units: "metres" or "millimetres". By default the distances between the cameras decide, and millimetres are
            reported by a warning.

    Raises:
        DataFileError: for anything but such a file, naming the camera and the key; for a fisheye camera; and where the
            distances do not tell the units.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(text_of(path))
    except tomllib.TOMLDecodeError as error:
        raise DataFileError(f"{path}: not a TOML file ({error})") from error
    cameras = _cameras(tables.get("cameras", tables), path)
    numbers = {key: [_numbers(path, name, table, key) for name, table in cameras.items()] for key in KEYS}
    rotations = [roma.rotvec_to_rotmat(r) if r.ndim == 1 else r for r in map(torch.tensor, numbers["rotation"])]
    names = [str(table.get("name", name)) for name, table in cameras.items()]
    names = names if len(set(names)) == len(names) else list(cameras)
    matrices = [checked_matrix(path, f"[{name}] matrix", matrix) for name, matrix in zip(cameras, numbers["matrix"])]
    matrix = torch.tensor(np.stack(matrices))
    lens = torch.tensor(np.stack([np.pad(d, (0, 5 - len(d))) for d in numbers["distortions"]]))
    return in_metres(
        path,
        names,
        units,
        R_world_to_camera=torch.stack(rotations),
        t_world_to_camera=torch.tensor(np.stack(numbers["translation"])),
        focal_px=matrix[:, [0, 1], [0, 1]],
        center_px=matrix[:, :2, 2],
        radial=lens[:, [0, 1, 4]],
        tangential=lens[:, 2:4],
        image_size_px=torch.tensor(np.stack(numbers["size"])),
    )


def _cameras(tables: dict[str, Any], path: Path) -> dict[str, dict]:
    """The tables that are cameras; a fisheye one is refused."""
    cameras = {name: table for name, table in tables.items() if isinstance(table, dict) and "matrix" in table}
    if not cameras:
        found = ", ".join(tables) or "nothing"
        raise DataFileError(f"{path}: no camera: expected tables with the keys {', '.join(KEYS)}, found {found}")
    fisheye = [name for name, table in cameras.items() if table.get("fisheye")]
    if fisheye:
        raise DataFileError(
            f"{path}: fisheye = true for {', '.join(fisheye)}; this reader takes pinhole cameras only. Undistort the 2D "
            'joints first, or build the cameras with Cameras.checked(..., lens="fisheye")'
        )
    return cameras


def _numbers(path: Path, camera: str, table: dict[str, Any], key: str) -> np.ndarray:
    shapes = " or ".join(map(str, KEYS[key]))
    if key not in table:
        raise DataFileError(f"{path}: [{camera}] has no {key}; expected numbers of shape {shapes}")
    try:
        numbers = np.array(table[key], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataFileError(f"{path}: [{camera}] {key}: expected numbers of shape {shapes}, found {table[key]!r}") from error
    numbers = numbers.squeeze(0) if numbers.shape[:1] == (1,) else numbers  # some write [[k1, k2, ...]]
    if numbers.shape not in KEYS[key] or not np.isfinite(numbers).all():
        raise DataFileError(f"{path}: [{camera}] {key}: expected finite numbers of shape {shapes}, found {table[key]!r}")
    return numbers


def checked_matrix(path: Path, key: str, matrix: np.ndarray) -> np.ndarray:
    """A camera matrix; a DataFileError for one of another form, such as a transposed one."""
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.shape != (3, 3) or matrix[[1, 2, 2], [0, 0, 1]].any() or matrix[2, 2] != 1:
        transposed = matrix.shape == (3, 3) and not matrix[[0, 0, 1], [1, 2, 2]].any()
        raise DataFileError(
            f"{path}: {key}: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], found {matrix.tolist()}"
            + (": transposed?" if transposed else "")
        )
    return matrix


def in_metres(path: Path, names: list[str], units: str | None, **numbers: torch.Tensor) -> Calibration:
    """A calibration in metres of a file whose units are known or can be told from the distances between its cameras.

    Args:
        path: of the file.
        names: of the cameras.
        units: "metres", "millimetres", or None to find out.
        numbers: as `Cameras` takes them, in the file's units.
    """
    if units not in (None, "metres", "millimetres"):
        raise ValueError(f'units must be "metres", "millimetres" or None, got {units!r}')
    try:
        cameras = Cameras.checked(**{name: tensor.float() for name, tensor in numbers.items()})
    except ValueError as error:
        raise DataFileError(f"{path}: {error}") from error
    if units is None:
        units = _told_units(path, cameras)
        if units == "millimetres":
            warnings.warn(f'{path}: read as millimetres; pass units="millimetres" to say so', stacklevel=3)
    if units == "millimetres":
        cameras = Cameras.checked(
            **{name: tensor.float() for name, tensor in numbers.items()}
            | {"t_world_to_camera": numbers["t_world_to_camera"].float() / 1000}
        )
    return Calibration(tuple(names), cameras, path, units)


def _told_units(path: Path, cameras: Cameras) -> str:
    centers = cameras.centers_world
    apart = (torch.cdist(centers, centers).max() if len(cameras) > 1 else centers.norm()).item()
    if METRES < apart < MILLIMETRES:
        raise DataFileError(
            f"{path}: cameras {apart:.3g} apart are neither clearly metres nor clearly millimetres; pass units="
            '"metres" or "millimetres". If the unit is the square of a board, scale the translations first'
        )
    return "metres" if apart <= METRES else "millimetres"


def write_toml(path: str | Path, calibration: Calibration, coefficients: int = 4) -> None:
    """Write a calibration in TOML, metres.

    Args:
        path: the file.
        calibration: as a reader gives it, or `Calibration(names, cameras)`.
        coefficients: 4, which all programs read, or 5: with k3, which Pose2Sim's own files do not have.

    Raises:
        ValueError: for a lens other than "opencv" and "none"; or a k3 that four coefficients would cut off.
    """
    cameras = calibration.cameras.to(torch.float64)
    if cameras.lens not in ("opencv", "none"):
        raise ValueError(f"{path}: these files hold OpenCV's lens; cannot write lens {cameras.lens!r}")
    if coefficients not in (4, 5):
        raise ValueError(f"coefficients must be 4 or 5, got {coefficients}")
    k = cameras.radial if cameras.lens == "opencv" else torch.zeros(len(cameras), 3)
    p = cameras.tangential if cameras.lens == "opencv" else torch.zeros(len(cameras), 2)
    lens = torch.stack([k[:, 0], k[:, 1], p[:, 0], p[:, 1], k[:, 2]], dim=-1)
    if coefficients == 4 and lens[:, 4].any():
        worst = calibration.view_names[int(lens[:, 4].abs().argmax())]
        raise ValueError(
            f"{path}: camera {worst} has k3 = {lens[:, 4].abs().max():g}, which four coefficients would cut off; pass "
            "coefficients=5 if the program that reads the file takes five"
        )
    rotations = roma.rotmat_to_rotvec(cameras.R_world_to_camera)
    tables = []
    for view, name in enumerate(calibration.view_names):
        (fx, fy), (cx, cy) = cameras.focal_px[view].tolist(), cameras.center_px[view].tolist()
        tables.append(
            f"[cam_{view + 1:02d}]\n"
            f"name = {json.dumps(name, ensure_ascii=False)}\n"
            f"size = {cameras.image_size_px[view].tolist()}\n"
            f"matrix = [[{fx}, 0.0, {cx}], [0.0, {fy}, {cy}], [0.0, 0.0, 1.0]]\n"
            f"distortions = {lens[view, :coefficients].tolist()}\n"
            f"rotation = {rotations[view].tolist()}\n"
            f"translation = {cameras.t_world_to_camera[view].tolist()}\n"
            "fisheye = false\n\n"
        )
    write_atomically(path, "".join(tables) + "[metadata]\nadjusted = false\nerror = 0.0\n")
