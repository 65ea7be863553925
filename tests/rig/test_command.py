"""The command, run on a folder as its owner has it; and each wrong file named."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from posekit.datasets import load_dataset
from posekit.formats import read_trc, write_openpose, write_toml
from posekit.formats.contents import Calibration, DataFileError, Detections
from posekit.lifters import load_lifter
from posekit.rig import read_rig, reconstruct
from posekit.rig.__main__ import _stand, main
from posekit.skeletons import KEYPOINTS, SKELETONS, map_joints


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


def arrays(path):
    with np.load(path) as file:
        return dict(file)


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
    stored = arrays(folder / "posekit" / "poses.npz")
    assert np.allclose(stored["poses_world"], poses.numpy(), atol=1e-5)
    assert (folder / "posekit" / "poses.trc").read_text().splitlines()[0].endswith("\tposes.trc")
    done = run("lift", folder, "--frame-rate", 60, "--epochs", 2)
    assert done.exit_code == 0, done.output
    assert re.search(r"frames 45 to 59, .* MPJPE \d+ mm", done.output)
    lifted = arrays(folder / "posekit" / "lifted.npz")
    assert lifted["poses_camera"].shape == (15, 3, 16, 3)
    assert lifted["joints"].tolist() == list(SKELETONS["mpii16"].joints)
    assert (lifted["frame_rate"], lifted["first_frame"]) == (60, 45)
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
        results[options] = arrays(tmp_path / "poses.npz")["poses_world"]
    dataset = read_rig(folder, frame_rate=60.0).dataset()
    assert np.allclose(results["--cutoff", 4], reconstruct(dataset, cutoff_hz=4.0).poses_world, atol=1e-5)
    assert np.allclose(results["--plain",], reconstruct(dataset, robust=False).poses_world, atol=1e-5)
    assert not np.allclose(results[()], results["--plain",], atol=1e-3)
    assert np.allclose(results["--undo-swaps",], results[()], atol=1e-5)  # OpenPose did not exchange any
    done = run("triangulate", folder, "--frame-rate", 60, "--out", tmp_path, "--cutoff", 30)
    assert done.exit_code == 2
    assert "cutoff_hz= or --cutoff must be between 0 and half of" in done.output


def test_swaps_of_three_views_are_refused(short):
    done = run("triangulate", short[0], "--undo-swaps", "--out", short[0] / "posekit")
    assert done.exit_code == 2
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
    assert done.exit_code == 2
    assert "25 joints; coco17 has 17" in done.output
    assert "Traceback" not in done.output
    assert run("check", copied, "--pair", "cam_01").exit_code == 2
    assert run("check", copied / "nowhere").exit_code == 2


def two_views(short, folder, order=(0, 1), turn=None):
    """The short recording by two cameras, these in some order, in a world that may be turned."""
    source, people = short
    for view in people.view_names[:2]:
        shutil.copytree(source / "pose" / f"{view}_json", folder / "pose" / f"{view}_json")
    cameras = people.cameras[0, :2]
    if turn is not None:
        cameras = replace(cameras, R_world_to_camera=cameras.R_world_to_camera @ turn.mT)
    calibration = Calibration(people.view_names[:2], cameras[list(order)])
    write_toml(folder / "cameras.toml", calibration, coefficients=5)
    return folder


def test_two_swapped_cameras_are_named_and_not_taken_for_a_shift(short, tmp_path):
    done = run("triangulate", two_views(short, tmp_path / "swapped", order=(1, 0)))
    assert done.exit_code == 2
    assert "cameras are swapped; give each the other's by pairs= or --pair VIEW=CAMERA" in done.output
    assert not (tmp_path / "swapped" / "posekit" / "poses.trc").exists()
    first, second = short[1].view_names[:2]
    paired = [f"--pair={first}_json={second}", f"--pair={second}_json={first}"]
    assert run("triangulate", tmp_path / "swapped", *paired).exit_code == 0


def test_a_world_whose_z_is_not_up_is_said_and_turned_on_request(short, tmp_path):
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # y down, as boards and first cameras have it
    folder = two_views(short, tmp_path / "turned", turn=turn)
    done = run("triangulate", folder, "--plain")
    assert done.exit_code == 0, done.output
    assert "z is not up: in what is written people do not stand; --upright turns the world" in done.output
    head, ankle = (SKELETONS["mpii16"].joints.index(joint) for joint in ("head", "left_ankle"))

    def height():
        poses, _, _ = read_trc(folder / "posekit" / "poses.trc")
        return (poses[:, head, 2] - poses[:, ankle, 2]).nanmedian()

    assert height() < 1
    done = run("triangulate", folder, "--plain", "--upright")
    assert "z is not up" not in done.output
    assert height() > 1.3


def test_people_whose_ankles_nobody_sees_are_not_said_to_lie(short):
    _, people = short
    poses = people.poses_world.clone()
    poses[:, [people.skeleton.index(f"{side}_ankle") for side in ("left", "right")]] = torch.nan
    assert _stand(people.with_poses(poses))
    assert not _stand(people.with_poses(-people.poses_world))


def test_results_are_not_read_wherever_others_go(short, tmp_path):
    folder = two_views(short, tmp_path / "mine")
    assert run("triangulate", folder, "--plain", "--adjust").exit_code == 0
    assert (folder / "posekit" / "calibration.toml").exists()
    assert "Error" not in run("check", folder, "--out", tmp_path / "elsewhere").output


def test_what_cannot_be_written_ends_the_command_with_one_line(short, tmp_path):
    folder = two_views(short, tmp_path / "mine")
    (tmp_path / "file").write_text("")
    done = run("check", folder, "--out", tmp_path / "file" / "results")
    assert done.exit_code == 2
    assert f"{tmp_path / 'file'} is no folder that you may write to" in done.output
    assert "reading" not in done.output  # said before the work
    assert isinstance(done.exception, SystemExit)


def test_results_of_an_earlier_run_beside_a_refusal_are_said(short, tmp_path):
    folder, out = two_views(short, tmp_path / "mine"), tmp_path / "results"
    assert run("triangulate", folder, "--plain", "--out", out).exit_code == 0
    os.utime(out / "poses.trc", (0, 0))
    done = run("triangulate", folder, "--plain", "--undo-swaps", "--out", out)
    assert done.exit_code == 2
    assert f"poses.trc, poses.npz in {out}: from an earlier run" in done.output


def test_results_of_an_earlier_run_beside_new_ones_are_said(short, tmp_path):
    """Cameras that were adjusted earlier are not those of the new poses, nor a lifter that of them."""
    folder = two_views(short, tmp_path / "mine")

    def left(command, *options):
        done = run(command, folder, "--plain", *options)
        assert done.exit_code == 0, done.output
        return re.findall(r"^(.*) in .*posekit: from an earlier run, not from this one$", done.stderr, re.MULTILINE)

    assert left("triangulate", "--adjust") == []
    assert left("triangulate") == ["calibration.toml"]
    assert left("lift", "--epochs", 1) == ["calibration.toml"]  # the poses are of another command
    assert left("lift", "--epochs", 1, "--adjust") == ["poses.trc, poses.npz"]
    assert left("triangulate", "--adjust") == ["lifter.safetensors, lifted.npz"]


def test_a_recording_too_short_to_learn_from_is_said(short, tmp_path):
    folder = two_views(short, tmp_path / "mine")
    for view in (folder / "pose").iterdir():
        for path in sorted(view.iterdir())[1:]:
            path.unlink()
    done = run("lift", folder, "--plain")
    assert done.exit_code == 2
    assert "1 frame, 2 views" in done.output
    assert f"{folder}: a lifter needs 2 frames or more" in done.output


@pytest.mark.parametrize("place", ["pose", "pose/view"])
def test_results_do_not_go_among_2d_joints(short, tmp_path, place):
    """Nothing is read from where results go: a view would be missing, or all of them."""
    folder = two_views(short, tmp_path / "mine")
    out = folder / place.replace("view", f"{short[1].view_names[0]}_json")
    done = run("check", folder, "--out", out)
    assert done.exit_code == 2
    assert "has 2D joints in it" in done.output
    assert not (out / "report.html").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_names_what_could_not_be_written(short, tmp_path, monkeypatch):
    def full(*_, **__):
        with open("/dev/full", "w") as file:
            file.write("x" * 10**6)

    monkeypatch.setattr(Path, "write_text", full)
    done = run("check", two_views(short, tmp_path / "mine"), "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert f"No space left on device: '{tmp_path / 'out' / 'report.html'}'" in done.output


def test_a_camera_without_2d_joints_is_said_and_messages_name_the_recording(short, tmp_path):
    folder = two_views(short, tmp_path / "mine")
    shutil.copy(short[0] / "cameras.toml", folder / "cameras.toml")
    rig = read_rig(folder)
    assert f"without 2D joints: {short[1].view_names[2]}" in " ".join(rig.recognised)
    assert rig.dataset().name == "mine"


def test_other_peoples_files_are_passed_over(short, tmp_path):
    folder = two_views(short, tmp_path / "mine")
    for name in ("Notizen.csv", "settings.toml"):
        (folder / name).write_bytes("matrix;Größe\n1;2\n".encode("latin-1"))
    assert len(read_rig(folder).detections) == 60


def test_a_recording_of_nobody_is_named(copied):
    for path in copied.glob("pose/*/*.json"):
        path.write_text('{"people": []}')
    refused(copied, "pose", "nobody was found in any of 400 files")


def test_options_that_do_not_fit_are_refused(short, tmp_path):
    folder = two_views(short, tmp_path / "mine")
    for size in ("big", "0x0", "1920x", ""):
        assert "like 1920x1080" in run("check", folder, "--image-size", size).output
    assert "this one has it; got (64, 48)" in run("check", folder, "--image-size", "64x48").output
    for option in ("--smoothing", "--cutoff", "--frame-rate"):
        done = run("triangulate", folder, option, "nan")
        assert done.exit_code == 2
        assert f"'{option}': nan is no finite number" in done.output
    assert "only DeepLabCut's files name an individual" in run("check", folder, "--individual", "anna").output
    assert "paired 'cam9' is no view" in run("check", folder, "--pair", "cam9=C1").output
