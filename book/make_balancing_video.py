"""Make `posekit/datasets/balancing_mediapipe.npz` from the videos in the wheel of pose2sim 0.10.49: `make detect`.

They show what OpenPose saw for `balancing.npz`, so that the cameras are the same. What is kept is where MediaPipe found the
person's joints. The videos stay under `_build/`, and so does the file that the joints are written to first.
"""

import argparse
import zipfile
from pathlib import Path

import numpy as np
from detect import JOINTS, detect

from posekit.datasets.balancing import MEDIAPIPE_FILE
from posekit.files import replacing
from posekit.formats import read_mediapipe, write_mediapipe
from posekit.skeletons import MEDIAPIPE_33, keypoints_of

ROOT = Path(__file__).parent.parent
WHEEL = ROOT / "data" / "pose2sim-0.10.49-py3-none-any.whl"
DEMO = "Pose2Sim/Demo_SinglePerson/"
KEPT = (f"{DEMO}videos/", f"{DEMO}calibration/Calib.qca.txt")


def unpacked(wheel: Path, folder: Path) -> Path:
    """The folder with the demo's videos and their calibration."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(KEPT)])
    return folder / DEMO


def arrays(csv: Path) -> dict[str, np.ndarray]:
    """Pixels and visibility (frames, views, landmarks, ...) in a file of MediaPipe's landmarks."""
    found = read_mediapipe(csv)
    landmarks = [MEDIAPIPE_33.index(joint) for joint in keypoints_of(MEDIAPIPE_33)]
    return dict(pixels=found.pixels[:, :, landmarks].numpy(), confidence=found.confidence[:, :, landmarks].numpy())


def main() -> None:
    """Find the joints, and write the archive beside the module that reads it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, nargs="?", default=WHEEL)
    demo = unpacked(parser.parse_args().wheel, ROOT / "_build" / "detect")
    write_mediapipe(demo / JOINTS, detect(demo)[0])
    with replacing(MEDIAPIPE_FILE) as unfinished, open(unfinished, "wb") as file:
        np.savez_compressed(file, **arrays(demo / JOINTS))
    print(f"{MEDIAPIPE_FILE}: {MEDIAPIPE_FILE.stat().st_size:,} bytes; the videos and their joints are in {demo}")


if __name__ == "__main__":
    main()
