"""Pack the tagged version into one archive for Zenodo: source with records and lock file, wheel, site, checksums.

Usage: python book/release.py [--site _build/html] [--out dist]. The same commit and site give the same bytes.
"""

import argparse
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
MODE = 0o644


def main() -> int:
    """Write the archive and its checksum; returns 1, with the reason on stderr, if the repository is not ready."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html", help="the built book")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the archive")
    asked = parser.parse_args()
    try:
        name = checked_release(ROOT)
        files = release_files(ROOT, asked.site)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    asked.out.mkdir(parents=True, exist_ok=True)
    archive = asked.out / f"{name}.zip"
    archive.write_bytes(packed(files, name, commit_time(ROOT)))
    checksum = f"{sha256(archive.read_bytes())}  {archive.name}\n"
    archive.with_suffix(".zip.sha256").write_text(checksum)
    print(f"{archive}, {len(files)} files, sha256 {checksum.split()[0]}")
    return 0


def checked_release(root: Path) -> str:
    """The release's name, such as "posekit-0.1.0".

    Raises:
        ValueError: for uncommitted changes, a version that the changelog or the citation lacks, or a tag that is not here.
    """
    if changes := git(root, "status", "--porcelain"):
        raise ValueError(f"{root}: expected a clean working tree, found changes:\n{changes}")
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    version = project["version"]
    if not re.search(rf"^## {re.escape(version)}$", (root / "CHANGELOG.md").read_text(), re.MULTILINE):
        raise ValueError(f"CHANGELOG.md: expected a section ## {version}")
    cited = str(yaml.safe_load((root / "CITATION.cff").read_text())["version"])
    if cited != version:
        raise ValueError(f"CITATION.cff: expected version {version}, as in pyproject.toml, found {cited}")
    tags = git(root, "tag", "--points-at", "HEAD").split()
    if f"v{version}" not in tags:
        raise ValueError(f"expected the tag v{version} on this commit, found {', '.join(tags) or 'none'}")
    return f"{project['name']}-{version}"


def release_files(root: Path, site: Path) -> dict[str, tuple[bytes, int]]:
    """Content and mode of each file: the committed tree under source/, the wheel, site/, and SHA256SUMS over them all.

    Raises:
        ValueError: if the site has no index.html.
    """
    if not (site / "index.html").is_file():
        raise ValueError(f"{site}: expected the built book with its index.html; run make book")
    files = {}
    tree = subprocess.run(["git", "archive", "--format=tar", "HEAD"], cwd=root, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(tree)) as tar:
        tar.extractall(folder, filter="data")
        for member in filter(tarfile.TarInfo.isfile, tar):
            files[f"source/{member.name}"] = tar.extractfile(member).read(), MODE | member.mode & 0o111
        wheel = build_wheel(Path(folder), commit_time(root))
        files[f"wheel/{wheel.name}"] = wheel.read_bytes(), MODE
    for path in filter(Path.is_file, site.rglob("*")):
        files[f"site/{path.relative_to(site).as_posix()}"] = path.read_bytes(), MODE
    sums = "".join(f"{sha256(content)}  {name}\n" for name, (content, _) in sorted(files.items()))
    return files | {"SHA256SUMS": (sums.encode(), MODE)}


def build_wheel(source: Path, seconds: int) -> Path:
    """The wheel of a source tree, dated; built with the setuptools of this environment, so nothing is fetched."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(seconds)}
    subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", "dist", "."], cwd=source, env=environment, check=True, umask=0o022
    )
    (wheel,) = (source / "dist").glob("*.whl")
    return wheel


def packed(files: dict[str, tuple[bytes, int]], folder: str, seconds: int) -> bytes:
    """A zip of the files in one folder: sorted and dated alike, so that the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{folder}/{name}", time.gmtime(seconds)[:6])
            entry.create_system = 3  # Unix, which the mode is for
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def commit_time(root: Path) -> int:
    """When HEAD was committed, in seconds since 1970."""
    return int(git(root, "log", "-1", "--format=%ct"))


def sha256(content: bytes) -> str:
    """The SHA-256 digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def git(root: Path, *arguments: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
