import os
from pathlib import Path

import numpy as np
import pytest
import torch

from posekit.datasets import human36m, load_dataset, videopose3d
from posekit.datasets.human36m import ALL_CAMERAS, FILE_3D, JOINTS, human36m_cameras, load_human36m, load_human36m_detected
from posekit.datasets.npz import DataFileError
from posekit.skeletons import KEYPOINTS, LIMBS_13

DETECTIONS = "data_2d_h36m_net.npz"


@pytest.fixture(autouse=True)
def say_it_again():
    videopose3d.warn_trimmed.cache_clear()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Human3.6M-like files of random poses, to be changed and written again."""
    monkeypatch.setattr(videopose3d, "known_frames", lambda dataset: {})  # these are not the known files
    source = np.random.default_rng(0)
    names = ("Walking", "Walking 1", "WalkDog 1", "Greeting", "Smoking", "Sitting 1", "SittingDown")
    subjects = [*human36m.SUBJECTS["train"], *human36m.SUBJECTS["test"]]
    poses = {s: {n: source.uniform(-0.3, 0.6, (12, 32, 3)).astype(np.float32) for n in names} for s in subjects}
    views = {
        s: {n: [source.uniform(0, 1000, (12, 17, 2)).astype(np.float32) for _ in ALL_CAMERAS] for n in names} for s in subjects
    }

    def write():
        (tmp_path / "human36m").mkdir(exist_ok=True)
        np.savez(tmp_path / "human36m" / FILE_3D, positions_3d=np.array(poses, dtype=object))
        np.savez(tmp_path / "human36m" / DETECTIONS, positions_2d=np.array(views, dtype=object))
        return tmp_path

    return write, poses, views


def test_seventeen_joints_of_four_exact_actions_and_three_cameras(files):
    write, poses, _ = files
    data = load_human36m("test", write())
    assert (data.frame_rate, data.view_names) == (50.0, ALL_CAMERAS[:3])
    assert [(c.subject, c.name) for c in data.clips[:5]] == [
        ("S9", n) for n in ("Walking", "Walking 1", "Greeting", "Smoking", "Sitting 1")
    ]
    np.testing.assert_array_equal(data.poses_world[:12], poses["S9"]["Walking"][:, JOINTS])


def test_exact_2d_is_the_projection_through_the_datasets_own_lens(files):
    data = load_human36m("train", files[0](), subjects=("S5",), lens="opencv")
    own = human36m_cameras("S5")[:3].world_to_pixels(data.poses_world[:, None])
    torch.testing.assert_close(data.pixels, own)
    assert data.cameras.lens == "opencv"


def test_detections_replace_the_projection(files):
    write, _, views = files
    data = load_human36m("test", write(), subjects=("S11",), detections="net", cameras=ALL_CAMERAS[1:3])
    np.testing.assert_array_equal(data.pixels[:12, 1], views["S11"]["Walking"][2])


@pytest.fixture
def detected(files, tmp_path):
    """The same with a stacked hourglass's file: 16 joints in MPII's order."""
    write, poses, views = files
    views = {subject: {name: [v[:, :16] for v in clip] for name, clip in clips.items()} for subject, clips in views.items()}

    def write_all():
        write()
        np.savez(tmp_path / "human36m" / "data_2d_h36m_sh16.npz", positions_2d=np.array(views, dtype=object))
        return tmp_path

    return write_all, poses, views


def test_a_detectors_joints_are_taken_by_name_and_so_are_the_labels(detected):
    write, poses, views = detected
    data = load_dataset("human36m_detected", "train", write(), subjects=("S5",))
    assert (data.name, data.view_names, data.skeleton) == ("human36m_detected", ALL_CAMERAS, LIMBS_13)
    for joint, in_2d, in_3d in (("left_ankle", 5, 8), ("right_wrist", 10, 27), ("pelvis", 6, 0)):
        assert KEYPOINTS["mpii16"][in_2d] == joint
        np.testing.assert_array_equal(data.pixels[:12, 3, data.skeleton.index(joint)], views["S5"]["Walking"][3][:, in_2d])
        np.testing.assert_array_equal(data.poses_world[:12, data.skeleton.index(joint)], poses["S5"]["Walking"][:, in_3d])
    assert (data.confidence == 1).all()


def test_the_take_that_has_drifted_is_left_out_with_detections_only(detected):
    root = detected[0]()
    names = {clip.name for clip in load_human36m_detected("test", root, subjects=("S9",)).clips}
    assert names == {"Walking", "Walking 1", "Smoking", "Sitting 1"}
    assert "Greeting" in {clip.name for clip in load_human36m("test", root, subjects=("S9",)).clips}
    assert "Greeting" in {clip.name for clip in load_human36m_detected("test", root, subjects=("S11",)).clips}


def test_detections_of_another_detector_are_refused(detected):
    write, _, views = detected
    views["S11"]["Smoking"][2] = views["S11"]["Smoking"][2][:, :15]
    with pytest.raises(
        DataFileError, match=r"sh16.npz: S11/Smoking/58860488: expected .*\(frames, 16, 2\), found .* \(12, 15, 2\)"
    ):
        load_human36m_detected("test", write())


def test_the_reports_prefix_filter_takes_in_more(files):
    exact = load_human36m("test", files[0]())
    prefix = load_human36m("test", files[0](), actions=("Walk", "Greet", "Smok", "Sit"), by_prefix=True)
    assert set(prefix.actions) - set(exact.actions) == {"WalkDog", "SittingDown"}


def test_detections_longer_than_3d_are_cut_and_said_once(files):
    write, _, views = files
    views["S9"]["Walking"] = [np.concatenate([v, v[:1]]) for v in views["S9"]["Walking"]]
    with pytest.warns(UserWarning, match="more frames of 2D"):
        load_human36m("test", write(), detections="net")


@pytest.mark.parametrize("change", ["joints 2d", "joints 3d", "short", "cameras", "no clip"])
def test_wrong_contents_name_file_key_expected_and_found(files, change):
    write, poses, views = files
    clip = views["S9"]["Greeting"]
    match change:
        case "joints 2d":
            clip[0] = clip[0][:, :16]
            expected = r"2d_h36m_net.npz: S9/Greeting/54138969: expected .*\(frames, 17, 2\), found float32 \(12, 16, 2\)"
        case "joints 3d":
            poses["S9"]["Greeting"] = poses["S9"]["Greeting"][:, :17]
            expected = r"3d_h36m.npz: S9/Greeting: expected floats of shape \(frames, 32, 3\)"
        case "short":
            clip[3] = clip[3][:5]
            expected = "S9/Greeting: 5 frames of 2D for 12 frames of 3D"
        case "cameras":
            clip.pop()
            expected = "S9/Greeting: expected 4 cameras, found 3"
        case "no clip":
            del views["S9"]["Greeting"]
            expected = "expected key 'Greeting'"
    with pytest.raises(DataFileError, match=expected):
        load_human36m("test", write(), detections="net")


def test_an_action_that_is_not_in_the_file(files):
    with pytest.raises(DataFileError, match="no clip of Eating by S9, S11"):
        load_human36m("test", files[0](), actions=("Walking", "Eating"))


@pytest.mark.parametrize(
    ("option", "bad", "listed"),
    [
        ("split", "val", "choose from train, test"),
        ("subjects", ("S1",), "unknown subject 'S1'; choose from S9, S11"),
        ("actions", ("Walk",), "unknown action 'Walk'; choose from Directions"),
        ("subjects", (), r"subjects must be one name or more; got \(\)"),
        ("cameras", ("0",), "unknown camera '0'; choose from 54138969"),
        ("detections", "cpn", "data_2d_h36m_cpn.npz"),
    ],
)
def test_what_there_is_not_is_listed(files, option, bad, listed):
    with pytest.raises((ValueError, FileNotFoundError), match=listed):
        load_human36m(**{"split": "test", "data_root": files[0](), option: bad})


def test_a_prefix_of_nothing(files):
    with pytest.raises(ValueError, match="no action starts with 'Swim'"):
        load_human36m("test", files[0](), actions=("Swim",), by_prefix=True)


@pytest.mark.parametrize(("scale", "guess"), [(1000, "; are these millimetres?"), (30, "; are these centimetres?"), (1e-3, "")])
def test_poses_that_are_not_in_metres(files, scale, guess):
    write, poses, _ = files
    poses["S11"]["Greeting"] *= np.float32(scale)
    with pytest.raises(DataFileError, match=r"3d_h36m.npz: S11/Greeting: the median bone is .* m long") as error:
        load_human36m("test", write())
    assert str(error.value).endswith(f"expected 0.05 to 0.8 m{guess}")


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_2d_names_the_file_of_detections(files, value):
    write, _, views = files
    views["S9"]["Walking"][1][3, 2, 0] = value
    with pytest.raises(DataFileError, match=r"2d_h36m_net.npz: S9/Walking: 2D: infinite coordinates"):
        load_human36m("test", write(), detections="net")


def test_the_cameras_stand_around_the_room():
    centers = human36m_cameras("S9", dtype=torch.float64).centers_world
    assert ((centers[:, :2].norm(dim=-1) > 3) & (centers[:, 2] > 1)).all()


real = Path(os.environ.get("POSEKIT_DATA") or "data") / "human36m" / FILE_3D


@pytest.mark.skipif(not real.exists(), reason="Human3.6M is licensed and not here; set POSEKIT_DATA")
def test_human36m_itself():
    data = load_dataset("human36m", "test", stride=5)
    assert data.subjects == ("S9", "S11")
    inside = ((data.pixels >= 0) & (data.pixels < 1000)).all(-1)
    assert inside.float().mean() > 0.99
    assert (data.poses_camera()[..., 2] > 1).all()
    lengths = data.skeleton.bone_lengths(data.poses_world)
    assert (lengths[:, 1] - lengths[:, 4]).abs().max() < 0.01  # both thighs


@pytest.mark.skipif(not real.with_name("data_2d_h36m_sh16.npz").exists(), reason="the detections are not here")
def test_real_detections_are_near_the_labels():
    data = load_dataset("human36m_detected", "test", stride=25, subjects=("S11",), actions=("Walking",))
    apart = (data.pixels - data.frame_cameras.world_to_pixels(data.poses_world[:, None])).norm(dim=-1)
    assert apart.median() < 12
    swapped = (data.pixels[:, :, list(LIMBS_13.partners)] - data.pixels).norm(dim=-1)
    assert apart.mean() < swapped[..., 1:].mean() / 3  # left is left
