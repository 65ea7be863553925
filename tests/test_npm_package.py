"""Files out of npm packages: only the tested archive is opened, and only what is served is kept."""

import hashlib
import io
import sys
import tarfile

import npm_package
import pytest

KEPT = ["a.js", "LICENSE"]


@pytest.fixture
def archive(tmp_path):
    """A package with all that is kept, with more, and with names that lead elsewhere; and its digest."""
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as package:
        for name in ["package/a.js", "package/LICENSE", "package/b.js", "../outside", "/tmp/outside"]:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            package.addfile(member, io.BytesIO(name.encode()))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_the_files_that_are_served_are_kept(archive, tmp_path):
    folder = tmp_path / "data" / "files"
    npm_package.unpack(*archive, KEPT, folder)
    assert {file.name: file.read_text() for file in folder.iterdir()} == {name: f"package/{name}" for name in KEPT}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "package.tgz"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_archive_that_was_not_tested_is_not_opened(archive, tmp_path):
    path, digest = archive
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ValueError, match=f"expected {digest}"):
        npm_package.unpack(path, digest, KEPT, tmp_path / "files")
    assert not (tmp_path / "files").exists()


def test_without_a_network_nothing_is_fetched_and_the_reason_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(npm_package, "npm", lambda: ([sys.executable, "-c", "raise SystemExit(1)"], {}))
    with pytest.raises(npm_package.subprocess.CalledProcessError):
        npm_package.fetch("some-package@0", "", KEPT, tmp_path / "files")
    assert not (tmp_path / "files").exists()
