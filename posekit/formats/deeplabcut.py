"""DeepLabCut's CSV, one file per view: three rows of headers (scorer, bodyparts, coords), then a row per frame.

With several animals there is a fourth row, individuals, after the first.
"""

import csv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from posekit.formats.contents import DataFileError, Detections, check_frame_counts, checked_confidence, natural, text_of
from posekit.skeleton import Skeleton
from posekit.skeletons import map_confidence, map_joints, plain_name


def read_deeplabcut(folder: str | Path, skeleton: Skeleton, individual: str | None = None) -> Detections:
    """Read a folder of DeepLabCut's CSV files, each of which is a view named by what precedes "DLC" in its name.

    Args:
        folder: of the files, read in natural order. Other CSV files beside them, without DLC in their names, are left alone.
        skeleton: whose joints the body parts are, by the same or an equally clear name ("RHip" is right_hip).
        individual: whose, in files of several animals.

    Raises:
        DataFileError: for two files of one view, other frame counts, body parts that the skeleton cannot be made of, or
            no such file.
    """
    folder = Path(folder)
    files = _by_view(folder)
    views = [_view(path, skeleton, individual) for path in files.values()]
    check_frame_counts(folder, {name: len(pixels) for name, (pixels, _) in zip(files, views)})
    pixels, confidence = (torch.stack(parts, dim=1) for parts in zip(*views))
    return Detections(tuple(files), skeleton, pixels, confidence, folder)


def _by_view(folder: Path) -> dict[str, Path]:
    """The file of each view, in natural order of their names."""
    files = {}
    for path in sorted(path for path in folder.glob("*.csv") if "DLC" in path.stem or begins_as_deeplabcut(path)):
        name = path.stem.partition("DLC")[0].rstrip("_-. ")
        if not name:
            raise DataFileError(f"{path}: expected the view's name before DLC, as in cam1DLC_resnet50.csv; rename the file")
        if name in files:
            raise DataFileError(f"{folder}: {files[name].name} and {path.name} are both of view {name}; leave one of them")
        files[name] = path
    if not files:
        raise DataFileError(f"{folder}: expected a CSV file of DeepLabCut per view, found none")
    return {name: files[name] for name in sorted(files, key=natural)}


def begins_as_deeplabcut(path: Path) -> bool:
    """Whether a file begins as DeepLabCut's do; one that cannot be read as text does not."""
    try:
        return text_of(path).startswith("scorer,")
    except DataFileError:
        return False


def _view(path: Path, skeleton: Skeleton, individual: str | None) -> tuple[Tensor, Tensor]:
    """Pixels and confidence of one file."""
    rows = list(csv.reader(text_of(path).splitlines()))
    headers = {row[0]: row[1:] for row in rows[:4] if row and row[0] in ("scorer", "individuals", "bodyparts", "coords")}
    if not {"bodyparts", "coords"} <= set(headers):
        raise DataFileError(f"{path}: expected rows of headers with bodyparts and coords, as DeepLabCut writes them")
    owners = headers.get("individuals", [""] * len(headers["coords"]))
    individual = _individual(path, owners, individual)
    columns = {
        (part, coord): column
        for column, (owner, part, coord) in enumerate(zip(owners, headers["bodyparts"], headers["coords"]), start=1)
        if owner == individual
    }
    parts = list(dict.fromkeys(part for part, _ in columns))
    names = [part if part in skeleton.joints else plain_name(part) for part in parts]
    try:
        wanted = [[columns[part, coord] for coord in ("x", "y", "likelihood")] for part in parts]
        lines = [row for row in rows[len(headers) :] if row]
        other = next((row for row in lines if len(row) != 1 + len(headers["coords"])), None)
        if other or not lines:
            found = f"a row of {len(other)}: {','.join(other)[:40]}" if other else "no rows"
            raise ValueError(f"expected rows of {1 + len(headers['coords'])} cells, like the headers; found {found}")
        numbers = np.array([[float(cell or "nan") for cell in row[1:]] for row in lines])
        found = torch.from_numpy(numbers[:, np.array(wanted) - 1]).float()  # (F, parts, 3)
        confidence = checked_confidence(path, found[..., 2], found[..., :2])
        pixels = found[..., :2].where(confidence.unsqueeze(-1) > 0, torch.nan)
        return map_joints(pixels, names, skeleton.joints), map_confidence(confidence, names, skeleton.joints)
    except DataFileError:
        raise
    except (IndexError, KeyError, ValueError) as error:
        raise DataFileError(f"{path}: {error}") from error


def _individual(path: Path, owners: list[str], asked: str | None) -> str:
    """The animal to read; there must be only one, or it must be asked for."""
    present = list(dict.fromkeys(owners))
    if asked in present or (asked is None and len(present) == 1):
        return present[0] if asked is None else asked
    raise DataFileError(f"{path}: pass individual= or --individual, one of {', '.join(present)}; got {asked!r}")
