"""The command, run on a folder as its owner has it; and each wrong file named."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from posekit.datasets import load_dataset
from posekit.formats import read_trc, write_openpose, write_toml
from posekit.formats.contents import Calibration, DataFileError, Detections
from posekit.lifters import load_lifter
from posekit.rig import read_rig, reconstruct
from posekit.rig.__main__ import main
from posekit.skeletons import KEYPOINTS, SKELETONS, map_joints


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def copied(folder, tmp_path):
    """A folder that may be damaged."""
    return shutil.copytree(folder, tmp_path / "mine")


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A short exact recording of the synthetic people as COCO's joints, on which everything is quick."""
    people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",)).frames(0, 60)
    joints = SKELETONS["mpii16"].joints
    pixels = map_joints(people.pixels, people.skeleton.joints, joints, missing=True)
    neck = joints.index("neck")
    pixels[:, :, neck] = (pixels[:, :, joints.index("thorax")] + pixels[:, :, joints.index("head")]) / 2
    folder = tmp_path_factory.mktemp("short")
    detections = Detections(people.view_names, SKELETONS["mpii16"], pixels, torch.ones(pixels.shape[:-1]), folder / "pose")
    write_openpose(folder / "pose", detections)
    write_toml(folder / "cameras.toml", Calibration(people.view_names, people.cameras[0]), coefficients=5)
    return folder, people


def files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_check_says_what_was_read_and_found(folder, tmp_path):
    before = files(folder)
    done = run("check", folder, "--frame-rate", 60, "--out", tmp_path)
    assert done.exit_code == 1, done.output  # there is a finding
    for words in ("toml, cameras.toml", "openpose, pose; 100 frames, 4 views", "body25b", "60 per second", "cam_03"):
        assert words in done.output
    assert files(folder) == before
    page = (tmp_path / "report.html").read_text()
    assert "the cameras disagree" in page
    assert not re.findall(r"""(?:src|href)=|url\(|@import|fetch\(|https?://""", page)


def test_triangulate_and_lift_leave_their_results_in_the_folder(short):
    folder, people = short
    before = files(folder)
    done = run("triangulate", folder, "--frame-rate", 60, "--smoothing", 0)
    assert done.exit_code == 0, done.output
    poses, joints, rate = read_trc(folder / "posekit" / "poses.trc")
    ours = map_joints(poses.float(), joints, people.skeleton.joints)
    assert rate == 60
    assert (ours - people.poses_world).norm(dim=-1).nanmedian() < 1e-3
    stored = np.load(folder / "posekit" / "poses.npz")
    assert np.allclose(stored["poses_world"], poses.numpy(), atol=1e-5)
    assert (folder / "posekit" / "poses.trc").read_text().splitlines()[0].endswith("\tposes.trc")
    done = run("lift", folder, "--frame-rate", 60, "--epochs", 2)
    assert done.exit_code == 0, done.output
    assert re.search(r"frames 45 to 59, .* MPJPE \d+ mm", done.output)
    assert load_lifter(folder / "posekit" / "lifter.safetensors").skeleton.name == "mpii16"
    after = files(folder)
    assert {path: after[path] for path in before} == before
    results = {"calibration.toml", "lifted.npz", "lifter.safetensors", "poses.npz", "poses.trc", "report.html"}
    assert {path.name for path in set(after) - set(before)} == results - {"calibration.toml"}


def test_how_3d_is_made_is_an_option(folder, tmp_path):
    """Each option changes the result; a cut-off that the frame rate does not allow and swaps of too few views are refused."""
    results = {}
    for options in ((), ("--cutoff", 4), ("--plain",), ("--undo-swaps",)):
        done = run("triangulate", folder, "--frame-rate", 60, "--out", tmp_path, *options)
        assert done.exit_code == 0, done.output
        results[options] = np.load(tmp_path / "poses.npz")["poses_world"]
    dataset = read_rig(folder, frame_rate=60.0).dataset()
    assert np.allclose(results["--cutoff", 4], reconstruct(dataset, cutoff_hz=4.0).poses_world, atol=1e-5)
    assert np.allclose(results["--plain",], reconstruct(dataset, robust=False).poses_world, atol=1e-5)
    assert not np.allclose(results[()], results["--plain",], atol=1e-3)
    assert np.allclose(results["--undo-swaps",], results[()], atol=1e-5)  # OpenPose did not exchange any
    done = run("triangulate", folder, "--frame-rate", 60, "--out", tmp_path, "--cutoff", 30)
    assert done.exit_code == 1
    assert "cutoff_hz must be between 0 and half of" in done.output


def test_swaps_of_three_views_are_refused(short):
    done = run("triangulate", short[0], "--undo-swaps", "--out", short[0] / "posekit")
    assert done.exit_code == 1
    assert "swaps can be told with four views or more, got 3" in done.output


def test_results_do_not_go_among_the_files(short):
    done = run("check", short[0], "--out", short[0])
    assert done.exit_code == 2
    assert "folder of their own" in done.output


@pytest.mark.parametrize("name", list(KEYPOINTS))
def test_the_skeleton_is_told_by_count_and_place(name, tmp_path):
    """body25 and body25b have the same number of keypoints."""
    people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",)).frames(0, 20)
    skeleton = SKELETONS[name]
    poses = map_joints(people.poses_world, people.skeleton.joints, skeleton.joints, missing=True)
    head = people.poses_world[:, people.skeleton.index("head")].unsqueeze(1)
    pixels = people.frame_cameras.world_to_pixels(poses.where(poses.isfinite(), head).unsqueeze(1))
    detections = Detections(people.view_names, skeleton, pixels, torch.ones(pixels.shape[:-1]), tmp_path)
    write_openpose(tmp_path / "pose", detections)
    write_toml(tmp_path / "cameras.toml", Calibration(people.view_names, people.cameras[0]), coefficients=5)
    rig = read_rig(tmp_path)
    assert rig.detections.skeleton is skeleton
    assert torch.allclose(rig.detections.pixels.nan_to_num(), pixels.nan_to_num(), atol=2.0)  # middles in the image


def refused(folder, *words, **options):
    with pytest.raises(DataFileError) as error:
        read_rig(folder, **options)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_missing_or_second_file_is_named(copied):
    shutil.copy(copied / "cameras.toml", copied / "other.toml")
    refused(copied, "cameras.toml, other.toml")
    (copied / "cameras.toml").unlink()
    (copied / "other.toml").unlink()
    refused(copied, "no calibration", "expected a .toml file", "found pose")


def test_a_folder_without_joints_is_named(copied):
    shutil.rmtree(copied / "pose")
    refused(copied, "no 2D joints", "found cameras.toml")


def test_a_camera_that_the_calibration_lacks_is_named(copied):
    text = (copied / "cameras.toml").read_text()
    (copied / "cameras.toml").write_text(text.replace("[cam_04]", "[spare]").replace('"cam_04"', '"spare"'))
    refused(copied, "cameras.toml", "cam_04", "spare")
    pairs = {f"cam_{number:02d}_json": f"cam_{number:02d}" for number in (1, 2, 3)} | {"cam_04_json": "spare"}
    assert "cam_04_json: spare" in " ".join(read_rig(copied, pairs=pairs).recognised)


def test_other_frame_counts_are_named(copied):
    sorted((copied / "pose" / "cam_02_json").iterdir())[-1].unlink()
    refused(copied, "pose", "cam_02_json has 99")


def test_another_skeleton_is_named(copied):
    for path in (copied / "pose" / "cam_01_json").iterdir():
        path.write_text(json.dumps({"people": [{"pose_keypoints_2d": [1.0] * 3 * 21}]}))
    refused(copied, "pose", "21 and 25 keypoints")


def test_a_wrong_skeleton_or_pair_ends_the_command_with_one_line(copied):
    done = run("check", copied, "--skeleton", "coco17")
    assert done.exit_code == 1
    assert "25 joints; coco17 has 17" in done.output
    assert "Traceback" not in done.output
    assert run("check", copied, "--pair", "cam_01").exit_code == 2
    assert run("check", copied / "nowhere").exit_code == 2
