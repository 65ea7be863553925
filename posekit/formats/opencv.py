"""Calibrations in OpenCV's YAML as EasyMocap names them: `intri.yml` and `extri.yml` in one folder.

For each camera of `names`: its matrix K_<name>, its lens dist_<name> (k1, k2, p1, p2 and perhaps k3), its rotation
Rot_<name> and its translation T_<name>, world to camera, and in newer files the image size W_<name>, H_<name>.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from posekit.formats.contents import Calibration, DataFileError, text_of
from posekit.formats.toml import checked_matrix, in_metres


class _Loader(yaml.SafeLoader):
    """Plain YAML, and OpenCV's matrices."""


def _matrix(loader: yaml.SafeLoader, node: yaml.Node) -> np.ndarray:
    found = loader.construct_mapping(node, deep=True)
    return np.array(found["data"], dtype=np.float64).reshape(found["rows"], found["cols"])


_Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix)


def read_opencv(folder: str | Path, image_size_px: tuple[int, int] | None = None, units: str | None = None) -> Calibration:
    """Read the two files of a calibration.

    Args:
        folder: of `intri.yml` and `extri.yml`.
        image_size_px: width and height of all images, for files without them.
        units: as in `toml.read_toml`.

    Raises:
        DataFileError: for anything but such files, with the file and the key; a missing image size above all, and a lens
            of more coefficients, which posekit's would cut off.
    """
    folder = Path(folder)
    inside, outside = folder / "intri.yml", folder / "extri.yml"
    found, places = _yaml(inside), _yaml(outside)
    names = [str(name) for name in _entry(found, inside, "names")]
    lens = [_lens(found, inside, f"dist_{name}") for name in names]
    keys = [f"K_{name}" for name in names]
    matrix = torch.tensor(np.stack([checked_matrix(inside, key, _entry(found, inside, key)) for key in keys]))
    width, height = image_size_px or (None, None)
    sizes = [[_entry(found, inside, f"W_{name}", width), _entry(found, inside, f"H_{name}", height)] for name in names]
    return in_metres(
        folder,
        names,
        units,
        R_world_to_camera=torch.tensor(np.stack([_entry(places, outside, f"Rot_{name}") for name in names])),
        t_world_to_camera=torch.tensor(np.stack([_entry(places, outside, f"T_{name}").ravel() for name in names])),
        focal_px=matrix[:, [0, 1], [0, 1]],
        center_px=matrix[:, :2, 2],
        radial=torch.tensor(np.stack(lens))[:, [0, 1, 4]],
        tangential=torch.tensor(np.stack(lens))[:, 2:4],
        image_size_px=torch.tensor(sizes),
    )


def _lens(found: dict[str, Any], path: Path, key: str) -> np.ndarray:
    """The five coefficients k1, k2, p1, p2, k3."""
    lens = np.ravel(_entry(found, path, key))
    if len(lens) < 4 or lens[5:].any():
        raise DataFileError(f"{path}: {key}: expected k1, k2, p1, p2 and perhaps k3, found {len(lens)} numbers {lens.tolist()}")
    return np.pad(lens, (0, 1))[:5]


def _yaml(path: Path) -> dict[str, Any]:
    text = text_of(path)
    try:
        found = yaml.load(text.partition("\n")[2] if text.startswith("%YAML:1.0") else text, _Loader)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise DataFileError(f"{path}: not a YAML file as OpenCV writes it ({error})") from error
    if not isinstance(found, dict):
        raise DataFileError(f"{path}: expected keys and values, found {type(found).__name__}")
    return found


def _entry(found: dict[str, Any], path: Path, key: str, default: Any = None) -> Any:
    if key not in found and default is None:
        advice = "; pass image_size_px=(width, height), or --image-size WIDTHxHEIGHT" if key[:2] in ("W_", "H_") else ""
        raise DataFileError(f"{path}: no {key}; it has {', '.join(map(str, found))}{advice}")
    return found.get(key, default)
