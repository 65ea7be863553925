"""The detector of "Lift yourself": only the tested archive is opened, only what is served is kept, and CI has it."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile

import pytest
from fetch_pose_model import FOLDER, KEPT, unpack
from visits import ROOT

from posebook.yourself import copy_detector, detector, shipped, sources
from posekit.skeleton import HUMANEVA_15
from posekit.skeletons import KEYPOINTS, MIDDLES


@pytest.fixture
def archive(tmp_path):
    """A package with all that is kept, and with names that lead elsewhere."""
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as package:
        for name in [*KEPT, "pose_landmark_heavy.tflite", "../outside", "/tmp/outside"]:
            member = tarfile.TarInfo(f"package/{name}" if name[0] not in "./" else name)
            member.size = len(name)
            package.addfile(member, io.BytesIO(name.encode()))
    return path


def test_only_the_files_that_are_served_are_kept(archive, tmp_path):
    folder = tmp_path / "data" / "mediapipe-pose"
    unpack(archive, folder, hashlib.sha256(archive.read_bytes()).hexdigest())
    assert {file.name: file.read_text() for file in folder.iterdir()} == {name: name for name in KEPT}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "package.tgz"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_another_archive_is_refused(archive, tmp_path):
    with pytest.raises(ValueError, match="SHA-256"):
        unpack(archive, tmp_path / "detector")
    assert not (tmp_path / "detector").exists()


@pytest.mark.parametrize("there", [True, False])
def test_without_the_detector_the_page_says_how_to_get_it(archive, tmp_path, there):
    if there:
        unpack(archive, detector(tmp_path), hashlib.sha256(archive.read_bytes()).hexdigest())
    page = "# Page\n\n```{lift-yourself}\nWithout JavaScript.\n```\n"
    conf = "from posebook.yourself import *\nextensions = ['myst_parser']\n"
    (tmp_path / "index.md").write_text(page)
    (tmp_path / "conf.py").write_text(conf + "def setup(app):\n    app.add_directive('lift-yourself', LiftYourself)\n")
    command = [sys.executable, "-m", "sphinx", "-Wq", "-b", "html", tmp_path, tmp_path / "html"]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "book")])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "html" / "index.html").read_text()
    assert ("not in this copy of the book" in made) != there
    assert ('class="pk-yourself"' in made) == there
    copy_detector(tmp_path, tmp_path / "static")
    assert (tmp_path / "static" / "mediapipe-pose" / "pose.js").exists() == there


def test_ci_has_the_detector():
    assert detector(ROOT) == FOLDER
    if not os.environ.get("CI") and not shipped(FOLDER):
        pytest.skip("no detector here (make pose-model): the site is built without it")
    assert shipped(FOLDER), "CI is set, so the detector must be there: make pose-model"
    assert {file.name for file in FOLDER.iterdir()} == set(KEPT)


def test_each_joint_comes_from_the_keypoints_of_its_name():
    keypoints = KEYPOINTS["mediapipe33"]
    named = {joint: tuple(keypoints[k] for k in found) for joint, found in zip(HUMANEVA_15.joints, sources())}
    assert named.pop("head") == ()
    assert {joint: set(named.pop(joint)) for joint in MIDDLES} == {joint: set(pair) for joint, pair in MIDDLES.items()}
    assert named == {joint: (joint,) for joint in named}
