"""Digests of files, which tell whether something kept under `_build` is still up to date."""

import hashlib
import platform
from collections.abc import Iterable
from pathlib import Path


def library_files(root: Path) -> list[Path]:
    """The code and constants of posekit, and the pinned versions of its dependencies."""
    return [root / "constraints.txt", *sorted((root / "posekit").rglob("*.py")), *sorted((root / "posekit").rglob("*.json"))]


def digest_of(files: Iterable[Path], root: Path) -> str:
    """Digest of the files' paths relative to the root, their contents, and Python's version. A missing file counts as empty."""
    digest = hashlib.sha256(platform.python_version().encode())
    for path in files:
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()[:16]
