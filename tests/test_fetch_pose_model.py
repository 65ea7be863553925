"""The detector of "Lift yourself": the page with and without it, CI has it, and its keypoints become the lifter's joints."""

import os
import subprocess
import sys

import pytest
from fetch_pose_model import FOLDER, KEPT
from visits import ROOT

from posebook.yourself import copy_detector, detector, shipped, sources
from posekit.skeleton import HUMANEVA_15
from posekit.skeletons import KEYPOINTS, MIDDLES


@pytest.mark.parametrize("there", [True, False])
def test_without_the_detector_the_page_says_how_to_get_it(tmp_path, there):
    if there:
        detector(tmp_path).mkdir(parents=True)
        for name in KEPT:
            (detector(tmp_path) / name).write_text(name)
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
