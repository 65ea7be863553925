"""Qualisys' calibration files, `.qca.txt`: XML with one element per camera.

Lengths are millimetres, positions on the sensor are 64ths of a pixel, a camera looks along its negative z axis with y
up, and `transform` has the camera's axes in world coordinates, one per row, and its position.
"""

from pathlib import Path
from xml.etree import ElementTree

import torch

from posekit.formats.contents import Calibration, DataFileError, natural
from posekit.formats.toml import in_metres

SUBPIXELS = 64
VIDEO = ("Miqus Video", "Miqus Video UnderWater", "none")
"""Models of cameras that film; the others see markers only and are left out."""


def read_qualisys(path: str | Path, binning: int = 1) -> Calibration:
    """Read the video cameras of a Qualisys calibration, in the natural order of their serial numbers.

    Args:
        path: the file.
        binning: 2 if the videos have half the pixels of the calibration in either direction.

    Raises:
        DataFileError: for anything but such a file, with what is missing in it.
    """
    path = Path(path)
    try:
        found = ElementTree.parse(path).getroot().findall("cameras/camera")
        cameras = sorted((c for c in found if c.get("model") in VIDEO), key=lambda camera: natural(camera.get("serial")))
    except ElementTree.ParseError as error:
        raise DataFileError(f"{path}: not an XML file ({error})") from error
    if not cameras:
        models = ", ".join(sorted({str(camera.get("model")) for camera in found})) or "no camera at all"
        raise DataFileError(f"{path}: no video camera: expected cameras/camera of model {' or '.join(VIDEO)}, found {models}")

    def numbers(element: str, *keys: str) -> torch.Tensor:
        return torch.tensor([[_number(path, camera, element, key) for key in keys] for camera in cameras])

    left, top, right, bottom = numbers("fov_video", "left", "top", "right", "bottom").unbind(-1)
    towards_x, towards_y, backwards = (numbers("transform", *(f"r{row}{axis}" for axis in "123")) for row in "123")
    R = torch.stack([towards_x, -towards_y, -backwards], dim=-2)  # rows: right, down, forward
    center = numbers("transform", "x", "y", "z")
    pixel = SUBPIXELS * binning
    return in_metres(
        path,
        [camera.get("serial") for camera in cameras],
        "millimetres",
        R_world_to_camera=R,
        t_world_to_camera=-(R @ center.unsqueeze(-1)).squeeze(-1),
        focal_px=numbers("intrinsic", "focalLengthU", "focalLengthV") / pixel,
        center_px=numbers("intrinsic", "centerPointU", "centerPointV") / pixel - torch.stack([left, top], -1) / binning,
        radial=numbers("intrinsic", *(f"radialDistortion{order}" for order in "123")),
        tangential=numbers("intrinsic", "tangentalDistortion1", "tangentalDistortion2"),
        image_size_px=(torch.stack([right - left, bottom - top], -1) + 1) / binning,
    )


def _number(path: Path, camera: ElementTree.Element, element: str, key: str) -> float:
    found = camera.find(element)
    try:
        return float(found.get(key))
    except (AttributeError, TypeError, ValueError) as error:
        value = "nothing" if found is None else repr(found.get(key))
        raise DataFileError(f"{path}: {camera.get('serial')}: expected a number as {element} {key}, found {value}") from error
