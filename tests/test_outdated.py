"""A change to the site's own scripts reaches pages whose text has not changed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILD = """
from sphinx.application import Sphinx
from posebook.outdated import FOLDER
static = {"html_static_path": [str(FOLDER / "assets")], "html_js_files": ["front.js"]}
Sphinx(".", None, "out", "doctrees", "html", {"extensions": ["posebook.outdated"]} | static).build()
"""


@pytest.mark.slow
def test_pages_are_written_anew_when_a_script_has_changed_and_only_then(tmp_path):
    shutil.copytree(ROOT / "book" / "posebook", tmp_path / "posebook", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "index.rst").write_text("Title\n=====\n")
    script = tmp_path / "posebook" / "assets" / "front.js"

    def build():
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
        command = [sys.executable, "-c", BUILD]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        version = re.search(r"front\.js\?v=\w+", (tmp_path / "out" / "index.html").read_text())
        return version[0], "no targets are out of date" in done.stdout

    first, _ = build()
    assert build() == (first, True)
    script.write_text(script.read_text() + "// changed\n")
    second, nothing_to_do = build()
    assert second != first
    assert not nothing_to_do
    assert (tmp_path / "out" / "_static" / "front.js").read_text().endswith("// changed\n")
