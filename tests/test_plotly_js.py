"""Which plotly.js pages load, and what it must be able to draw."""

import hashlib
import importlib.util
import re
import sys
import tarfile
from pathlib import Path

import pytest

from posebook.plotly_js import PARTIAL, TRACES, VERSION, plotly_file, whole

ROOT = Path(__file__).parent.parent


@pytest.fixture
def npm_package():
    """The script book/npm_package.py as a module."""
    spec = importlib.util.spec_from_file_location("npm_package", ROOT / "book" / "npm_package.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def archive(tmp_path):
    """A package of the kind that npm downloads, and its digest."""
    (tmp_path / PARTIAL).write_text(f"/**\n* plotly.js (gl3d - minified) v{VERSION}\n*/")
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as package:
        package.add(tmp_path / PARTIAL, f"package/{PARTIAL}")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_partial_one_is_of_the_version_that_the_figures_are_made_for():
    assert f"plotly.js v{VERSION}\n" in whole().read_text()[:100]


def test_figures_are_made_of_traces_that_it_draws():
    files = [*ROOT.glob("posekit/**/*.py"), *ROOT.glob("notebooks/*.py"), *ROOT.glob("book/posebook/*.py")]
    made = {name for file in files for name in re.findall(r"\bgo\.([A-Z]\w+)\(", file.read_text())}
    scripts = "".join(file.read_text() for file in ROOT.glob("book/posebook/assets/posebook-*.js"))
    made |= set(re.findall(r'type: "(\w+3d|bar|scatter\w*)"', scripts))
    assert {name.lower() for name in made - {"Figure", "FigureWidget", "Frame"}} == set(TRACES)


def test_pages_load_it_where_it_was_fetched_and_else_all_of_plotly(npm_package, archive, tmp_path):
    folder = tmp_path / "data" / "plotly"
    assert plotly_file(folder) == whole()
    npm_package.unpack(*archive, [PARTIAL], folder)
    assert plotly_file(folder) == folder / PARTIAL
    (folder / PARTIAL).write_text("/**\n* plotly.js (gl3d - minified) v1.0.0\n*/")
    assert plotly_file(folder) == whole(), "of another version"


def test_an_archive_that_was_not_tested_is_not_opened(npm_package, archive, tmp_path):
    path, digest = archive
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ValueError, match=f"expected {digest}"):
        npm_package.unpack(path, digest, [PARTIAL], tmp_path / "plotly")
    assert not (tmp_path / "plotly").exists()


def test_without_a_network_nothing_is_fetched_and_the_reason_is_told(npm_package, monkeypatch, tmp_path):
    """make book goes on with all of plotly.js."""
    monkeypatch.setattr(npm_package, "npm", lambda: ([sys.executable, "-c", "raise SystemExit(1)"], {}))
    with pytest.raises(npm_package.subprocess.CalledProcessError):
        npm_package.fetch("plotly.js@0", "", [PARTIAL], tmp_path / "plotly")
    assert not (tmp_path / "plotly").exists()
