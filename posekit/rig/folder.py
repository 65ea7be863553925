"""What lies in a folder of somebody's recording: which calibration, which detector's 2D joints, which skeleton."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from posekit.formats import read_calibration, read_detections, to_dataset
from posekit.formats.contents import Calibration, DataFileError, Detections, text_of
from posekit.formats.deeplabcut import begins_as_deeplabcut
from posekit.samples import counted
from posekit.sequences import MultiViewDataset
from posekit.skeletons import KEYPOINTS, MIDDLES, SKELETONS, cannot_map, plain_name

OUTPUT = "posekit"
"""The folder for results within that of the recording; nothing is read from it."""
DEPTH = 3
"""How many folders deep files are looked for."""
FRAME_RATE = 30.0
"""Frames per second, where nobody says; the files do not."""
ON_THE_MIDDLE = 0.06
"""A derived joint is that far, as a share of the person's height in the image, from the middle of its two joints at most."""


@dataclass(frozen=True)
class Rig:
    """A recording as it lies on the disk.

    Args:
        calibration: the cameras of the views, in their order.
        detections: one person's 2D joints.
        frame_rate: frames per second.
        recognised: what was taken for what, one line each.
        name: of the recording, for messages.
    """

    calibration: Calibration
    detections: Detections
    frame_rate: float
    recognised: tuple[str, ...]
    name: str = "recording"

    def dataset(self, check: bool = True) -> MultiViewDataset:
        """The recording as a dataset without 3D; see `formats.to_dataset`."""
        return to_dataset(self.name, self.calibration, self.detections, self.frame_rate, check=check)


def read_rig(
    folder: str | Path,
    *,
    skeleton: str | None = None,
    frame_rate: float | None = None,
    units: str | None = None,
    pairs: dict[str, str] | None = None,
    image_size_px: tuple[int, int] | None = None,
    individual: str | None = None,
    leave_out: str | Path | None = None,
) -> Rig:
    """Find and read a calibration and 2D joints in a folder, and say what was recognised.

    A calibration is a TOML file with cameras, a Qualisys file (`.qca.txt`), or a folder with OpenCV's `intri.yml` and
    `extri.yml`. 2D joints are a folder of OpenPose's folders per view, a folder of DeepLabCut's CSV files, or one CSV file of
    MediaPipe's landmarks as Caliscope writes it. There must be one of each.

    Args:
        folder: of the recording; both are looked for in it and in its folders.
        skeleton: name of the joints', one of `skeletons.SKELETONS`; by default the files tell.
        frame_rate: frames per second; default 30.
        units: of the calibration; by default the distances between cameras tell.
        pairs: the camera of each view, where names do not tell.
        image_size_px: width and height of all images, for OpenCV's files without them.
        individual: whose, in DeepLabCut's files of several animals.
        leave_out: a folder that is not looked into, because results go there, besides `OUTPUT` in the folder.

    Raises:
        FileNotFoundError: if there is no such folder.
        DataFileError: if a calibration or 2D joints are missing, there are several, or they cannot be read.
    """
    folder, places = Path(folder), _places(folder, leave_out)
    kind, path, calibration = _calibration(folder, places, units, image_size_px)
    expected = "folders of OpenPose's .json files, or DeepLabCut's or MediaPipe's .csv files"
    detector, place = _only(folder, "2D joints", _joints(places), expected)
    name, why = (skeleton, "as given") if skeleton else _skeleton(detector, place)
    if name not in SKELETONS:
        raise DataFileError(f"{place}: unknown skeleton {name!r}; choose from {', '.join(SKELETONS)}")
    if individual is not None and detector != "deeplabcut":
        raise DataFileError(f"{place}: only DeepLabCut's files name an individual, these are of {detector}; got {individual!r}")
    own = {
        "openpose": dict(calibration=_paired(calibration, detector, place, pairs)),
        "deeplabcut": dict(individual=individual),
    }
    detections = read_detections(place, detector, SKELETONS[name], **own.get(detector, {}))
    matched = calibration.for_views(detections.view_names, pairs)
    rate = "as given" if frame_rate else "assumed, the files do not say: pass it if it is another"
    cameras = f"{counted('camera', len(calibration))} ({', '.join(calibration.view_names)})"
    sizes = f"{counted('frame', len(detections))}, {counted('view', len(detections.view_names))}"
    used = [_same(calibration, matched, index) for index in range(len(matched))]
    idle = [camera for index, camera in enumerate(calibration.view_names) if index not in used]
    recognised = (
        f"calibration: {kind}, {path.relative_to(folder)}; {cameras}, in {calibration.units}",
        f"2D joints: {detector}, {place.relative_to(folder)}; {sizes}",
        f"skeleton: {name}, {why}",
        "views and their cameras: "
        + ", ".join(f"{view}: {calibration.view_names[index]}" for view, index in zip(detections.view_names, used))
        + (f"; without 2D joints: {', '.join(idle)}" if idle else ""),
        f"frame rate: {frame_rate or FRAME_RATE:g} per second, {rate}",
    )
    return Rig(matched, detections, frame_rate or FRAME_RATE, recognised, folder.resolve().name)


def find_calibration(folder: str | Path, *, units: str | None = None, leave_out: str | Path | None = None) -> Calibration:
    """Find and read the calibration in a folder, as `read_rig` does; 2D joints need not be there yet.

    Args:
        folder, units, leave_out: as for `read_rig`.

    Raises:
        FileNotFoundError: if there is no such folder.
        DataFileError: if there is no calibration, there are several, or it cannot be read.
    """
    return _calibration(Path(folder), _places(folder, leave_out), units, None)[-1]


def _places(folder: str | Path, leave_out: str | Path | None) -> list[Path]:
    """The folders in which files are looked for."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected one with a calibration and 2D joints")
    left_out = {path.resolve() for path in (folder / OUTPUT, Path(leave_out or folder / OUTPUT))}
    return list(_folders(folder, left_out))


def _calibration(
    folder: Path, places: list[Path], units: str | None, image_size_px: tuple[int, int] | None
) -> tuple[str, Path, Calibration]:
    """The only calibration: its format, where it lies, and what is in it."""
    kind, path = _only(folder, "calibration", _calibrations(places), "a .toml file with cameras, a .qca.txt file, or intri.yml")
    if units == "metres" and kind == "qualisys":
        raise DataFileError(f"{path}: Qualisys' files are in millimetres; got units {units!r}")
    if image_size_px is not None and kind != "opencv":
        raise DataFileError(f"{path}: only OpenCV's files may lack the images' size, this one has it; got {image_size_px}")
    options = {"units": units} if kind != "qualisys" else {}
    options |= {"image_size_px": image_size_px} if kind == "opencv" else {}
    return kind, path, read_calibration(path, kind, **options)


def _paired(calibration: Calibration, detector: str, place: Path, pairs: dict[str, str] | None) -> Calibration | None:
    """The calibration with its cameras under the views' names where these are given, so that a reader finds them."""
    if not pairs or detector != "openpose":
        return calibration
    views = [folder.name for folder in sorted(place.iterdir()) if folder.is_dir() and any(folder.glob("*.json"))]
    return calibration.for_views(views, pairs)


def _same(calibration: Calibration, matched: Calibration, index: int) -> int:
    """Which camera of a calibration that of a view is."""
    center = matched.cameras.centers_world[index]
    return int((calibration.cameras.centers_world - center).norm(dim=-1).argmin())


def _only(folder: Path, what: str, found: Iterator[tuple[str, Path]], expected: str) -> tuple[str, Path]:
    """The only one of what was found."""
    found = list(found)
    if not found:
        listed = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise DataFileError(f"{folder}: no {what}: expected {expected}; found {listed}")
    if len(found) > 1:
        listed = ", ".join(str(path.relative_to(folder)) for _, path in found)
        raise DataFileError(f"{folder}: {len(found)} times {what}, expected once: {listed}; keep one of them in this folder")
    return found[0]


def _folders(folder: Path, leave_out: set[Path], depth: int = DEPTH) -> Iterator[Path]:
    """The folder and those in it, without hidden ones and results."""
    yield folder
    if depth:
        for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
            if inner.resolve() not in leave_out and not inner.name.startswith("."):
                yield from _folders(inner, leave_out, depth - 1)


def _calibrations(places: list[Path]) -> Iterator[tuple[str, Path]]:
    for place in places:
        if (place / "intri.yml").is_file():
            yield "opencv", place
        yield from (("qualisys", path) for path in sorted(place.glob("*.qca.txt")))
        yield from (("toml", path) for path in sorted(place.glob("*.toml")) if "matrix" in _peek(path))


def _joints(places: list[Path]) -> Iterator[tuple[str, Path]]:
    yield from (("openpose", place) for place in dict.fromkeys(place.parent for place in places[1:] if _first_json(place)))
    for place in places:
        files = sorted(place.glob("*.csv"))
        yield from (("mediapipe", path) for path in files if "sync_index" in _header(path))
        if any(map(begins_as_deeplabcut, files)):
            yield "deeplabcut", place


def holds_joints(folder: Path) -> bool:
    """Whether there are files of 2D joints in a folder, or in folders in it."""
    places = list(_folders(folder, set())) if folder.is_dir() else []
    return any(_joints([*places[:1], *places]))  # the folder also as one within another: it may be that of a view


def _first_json(folder: Path) -> Path | None:
    """The first of OpenPose's files in a folder."""
    first = min(folder.glob("*.json"), default=None)
    return first if first and '"people"' in _peek(first) else None


def _header(path: Path) -> list[str]:
    return next(csv.reader(_peek(path).splitlines()), [])


def _peek(path: Path) -> str:
    """The text of a file that may have nothing to do with the recording; nothing of one that is no text."""
    try:
        return text_of(path)
    except DataFileError:
        return ""


def _skeleton(detector: str, place: Path) -> tuple[str, str]:
    """The skeleton of a detector's files, and how it was told."""
    if detector == "mediapipe":
        return "mediapipe33", "the only one of MediaPipe's"
    return _by_count(place) if detector == "openpose" else _by_names(place)


def _by_names(place: Path) -> tuple[str, str]:
    """The largest skeleton that can be made of the body parts in DeepLabCut's files."""
    path = next(filter(begins_as_deeplabcut, sorted(place.glob("*.csv"))))
    rows = [row for row in csv.reader(text_of(path).splitlines()[:6]) if row and row[0] == "bodyparts"]
    parts = {plain_name(part) for part in rows[0][1:]} if rows else set()
    possible = [name for name, skeleton in SKELETONS.items() if not cannot_map(sorted(parts), skeleton.joints)]
    if not possible:
        raise DataFileError(f"{path}: no known skeleton can be made of {', '.join(sorted(parts)) or 'no body parts'}")
    best = max(possible, key=lambda name: len(SKELETONS[name]))
    return best, f"the largest that can be made of the {len(parts)} body parts"


def _by_count(place: Path) -> tuple[str, str]:
    """The skeleton with as many keypoints as OpenPose's files have; of two, that whose middles are where they should be."""
    people = _some_people(place)
    count = people.shape[1]
    possible = [name for name, keypoints in KEYPOINTS.items() if len(keypoints) == count]
    if not possible:
        known = ", ".join(f"{name} has {len(keypoints)}" for name, keypoints in KEYPOINTS.items())
        raise DataFileError(
            f"{place}: {count} keypoints per person; of the known skeletons {known}. Add yours to skeletons.KEYPOINTS"
        )
    misses = {name: _off_the_middle(people, KEYPOINTS[name]) for name in possible}
    fits = [name for name, miss in misses.items() if miss is not None and miss < ON_THE_MIDDLE]
    derived = [name for name, miss in misses.items() if miss is None]
    name = (fits or derived or possible)[0]
    return name, f"by its {count} keypoints" + (" and where they lie" if len(possible) > 1 else "")


def _off_the_middle(people: torch.Tensor, keypoints: tuple[str, ...]) -> float | None:
    """How far pelvis and thorax are from the middles of their joints, in heights of the person; None if not in the files."""
    middles = [joint for joint in MIDDLES if joint in keypoints and set(MIDDLES[joint]) <= set(keypoints)]
    if not middles:
        return None
    index = [[keypoints.index(name) for name in (joint, *MIDDLES[joint])] for joint in middles]
    xy = people[..., :2].where(people[..., 2:] > 0, torch.nan)
    height = xy[..., 1].nan_to_num(-torch.inf).amax(-1) - xy[..., 1].nan_to_num(torch.inf).amin(-1)
    at, first, second = xy[:, index].unbind(2)
    return ((at - (first + second) / 2).norm(dim=-1) / height.unsqueeze(-1)).nanmedian().item()


def _some_people(place: Path, most: int = 20) -> torch.Tensor:
    """Keypoints (N, K, 3) of people in files spread over all views."""
    files = sorted(path for inner in place.iterdir() if inner.is_dir() for path in inner.glob("*.json"))
    people = []
    for path in files[:: max(1, len(files) // most)]:
        try:
            found = [person["pose_keypoints_2d"] for person in json.loads(text_of(path))["people"]]
            people += [torch.tensor(numbers, dtype=torch.float32).view(-1, 3) for numbers in found]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DataFileError(
                f"{path}: expected people with pose_keypoints_2d, as OpenPose writes them ({error!r})"
            ) from error
    counts = sorted({len(person) for person in people})
    if not counts:
        raise DataFileError(f"{place}: nobody was found in any of {len(files)} files")
    if len(counts) > 1:
        listed = " and ".join(map(str, counts))
        raise DataFileError(f"{place}: people have {listed} keypoints; expected one skeleton for all")
    return torch.stack(people)
