"""Find a person's joints in synchronised videos: `make detect VIDEOS=FOLDER`, or python book/detect.py FOLDER.

FOLDER has one video per camera, in itself or in FOLDER/videos, all of the same moments; and a calibration that
`posekit.rig` reads, whose cameras have the videos' names. MediaPipe finds 33 joints of one person in every frame. They go to
FOLDER/joints.csv, where `python -m posekit.rig check FOLDER` finds them. Nothing else in FOLDER is touched.

MediaPipe wants another NumPy than posekit, so it runs as `mediapipe_joints.py` in an environment of its own, which
`make detect` makes: _build/detect.
"""

import argparse
import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from posekit.formats import write_mediapipe
from posekit.formats.contents import Calibration, DataFileError, Detections, check_frame_counts, natural
from posekit.rig.folder import find_calibration
from posekit.skeletons import MEDIAPIPE_33, keypoints_of, map_confidence, map_joints

PYTHON = Path(__file__).parent.parent / "_build" / "detect" / "bin" / "python"
SCRIPT = Path(__file__).with_name("mediapipe_joints.py")
ENDINGS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
JOINTS = "joints.csv"
CROPPED = 0.02
"""A video may lack this share of the image that was calibrated, since encoders cut a few pixels off."""


def videos_in(folder: Path) -> dict[str, Path]:
    """The video of each view, by its name without the ending; in a folder, or else in its folder `videos`.

    Raises:
        FileNotFoundError: if there is no such folder.
        DataFileError: for fewer than two videos, or two of one name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected one with a video per camera and their calibration")
    found = _videos(folder) or _videos(folder / "videos")
    if len(found) < 2:
        listed = ", ".join(path.name for path in found) or "none"
        raise DataFileError(f"{folder}: expected two videos or more ({', '.join(ENDINGS)}) in it or in videos/; found {listed}")
    names = [path.stem for path in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DataFileError(f"{folder}: two videos of the name {twice}; expected one per camera")
    return dict(zip(names, found))


def _videos(folder: Path) -> list[Path]:
    here = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in here if path.suffix.lower() in ENDINGS), key=lambda path: natural(path.name))


def check_videos(folder: Path, about: dict[str, dict], calibration: Calibration) -> None:
    """Refuse videos that are not of the same moments, or not what was calibrated.

    Args:
        folder: for the messages.
        about: what `mediapipe_joints.look` says of each view's video.
        calibration: of the views, in their order.

    Raises:
        DataFileError: for different numbers of frames or frame rates, or another size of the image.
    """
    check_frame_counts(folder, {view: video["frames"] for view, video in about.items()})
    rates = {view: f"{video['frame_rate']:.2f}" for view, video in about.items()}
    if len(set(rates.values())) > 1:
        listed = ", ".join(f"{view} has {rate}" for view, rate in rates.items())
        raise DataFileError(f"{folder}: views must have one frame rate, but {listed} per second; convert them to one")
    for (view, video), calibrated in zip(about.items(), calibration.cameras.image_size_px):
        size = torch.tensor([video["width"], video["height"]])
        if ((size - calibrated) > 0).any() or (size < (1 - CROPPED) * calibrated).any():
            expected, found = (" x ".join(f"{side:.0f}" for side in sides.tolist()) for sides in (calibrated, size))
            raise DataFileError(
                f"{folder}: {view} has images of {found} pixels, but {calibration.path} is for {expected}; "
                "film in the mode in which you calibrated, and rotate videos before both"
            )


def detections_from(people: dict[str, list], folder: Path) -> Detections:
    """The joints of all views as one recording.

    Args:
        people: of each view, frame by frame: x, y and visibility of each landmark, or None where nobody was found.
        folder: for the messages.

    Raises:
        DataFileError: for a view in which nobody was ever found.
    """
    empty = [view for view, frames in people.items() if not any(frames)]
    if empty:
        raise DataFileError(
            f"{folder}: nobody was found in any frame of {', '.join(empty)}; is the person in the image, upright?"
        )
    names, joints = keypoints_of(MEDIAPIPE_33), MEDIAPIPE_33.joints
    nobody = [[torch.nan] * 3] * len(names)
    found = torch.tensor([[person or nobody for person in frames] for frames in people.values()]).transpose(0, 1)
    pixels, visibility = found[..., :2], found[..., 2].nan_to_num().clamp(0, 1)
    return Detections(
        tuple(people), MEDIAPIPE_33, map_joints(pixels, names, joints), map_confidence(visibility, names, joints), folder
    )


def detect(folder: Path) -> tuple[Detections, float]:
    """Find the joints in the videos of a folder, and how many frames they have per second.

    Raises:
        FileNotFoundError: if there is no such folder, or no environment with MediaPipe.
        DataFileError: for videos that cannot be one recording with the calibration; see `videos_in`, `check_videos` and
            `detections_from`.
    """
    videos, calibration = videos_in(folder), find_calibration(folder)
    calibration = calibration.for_views(list(videos))
    about = {view: next(_ask("look", path)) for view, path in videos.items()}
    check_videos(folder, about, calibration)
    people = {}
    for view, path in videos.items():
        people[view] = list(tqdm(_ask("find", path), view, about[view]["frames"], unit=" frames"))
    return detections_from(people, folder), next(iter(about.values()))["frame_rate"]


def _ask(task: str, video: Path) -> Iterator:
    """What `mediapipe_joints.py` prints, line by line."""
    if not PYTHON.exists():
        raise FileNotFoundError(f"{PYTHON}: no environment with MediaPipe; `make detect` makes it")
    with tempfile.TemporaryFile("w+") as errors:
        command = [str(PYTHON), str(SCRIPT), task, str(video)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            yield from map(json.loads, process.stdout)
        if process.returncode:
            errors.seek(0)
            raise DataFileError(errors.read().strip().splitlines()[-1])


def main() -> None:
    """Find the joints, write them beside the videos, and say what comes next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder.expanduser()  # make quotes it, so that no shell does
    try:
        detections, frame_rate = detect(folder)
    except (DataFileError, FileNotFoundError) as error:
        parser.exit(1, f"{error}\n")
    write_mediapipe(folder / JOINTS, detections)
    command = f"python -m posekit.rig check {shlex.quote(str(folder))} --frame-rate {frame_rate:g}"
    print(f"{folder / JOINTS}: {detections}\nnow: {command}")


if __name__ == "__main__":
    main()
