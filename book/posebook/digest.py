"""Digests of files, which tell whether something kept under `_build` is still up to date."""

import hashlib
import platform
from collections.abc import Iterable
from pathlib import Path


def library_files(root: Path) -> list[Path]:
    """The code and data of posekit, and the pinned versions of its dependencies."""
    inside = [path for kind in ("py", "json", "npz", "js") for path in (root / "posekit").rglob(f"*.{kind}")]
    return [root / "constraints.txt", *sorted(inside)]


def digest_of(files: Iterable[Path], root: Path) -> str:
    """Digest of the files' paths relative to the root, their contents, and Python's version. A missing file counts as empty."""
    digest = hashlib.sha256(platform.python_version().encode())
    for path in files:
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()[:16]
