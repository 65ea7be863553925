"""Fetch the detector of "Lift yourself", MediaPipe Pose (Apache-2.0), into `data/mediapipe-pose/`: `make pose-model`."""

import subprocess
import sys
from pathlib import Path

from npm_package import fetch

FOLDER = Path(__file__).parent.parent / "data" / "mediapipe-pose"
PACKAGE = "@mediapipe/pose@0.5.1675469404"
SHA256 = "8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84"
KEPT = (  # not its lighter and heavier networks, nor what browsers without SIMD would need
    "package.json",
    "pose.js",
    "pose_landmark_full.tflite",
    "pose_solution_packed_assets.data",
    "pose_solution_packed_assets_loader.js",
    "pose_solution_simd_wasm_bin.js",
    "pose_solution_simd_wasm_bin.wasm",
    "pose_web.binarypb",
)


def main() -> None:
    """Fetch it, unless it is there."""
    if FOLDER.is_dir():
        return
    try:
        fetch(PACKAGE, SHA256, KEPT, FOLDER)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        sys.exit(f"the detector of 'Lift yourself' was not fetched: {error}")


if __name__ == "__main__":
    main()
