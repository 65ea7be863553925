import os
from pathlib import Path

import numpy as np
import pytest
import torch

from posekit.datasets import humaneva, load_dataset, videopose3d
from posekit.datasets.humaneva import humaneva_cameras, load_humaneva
from posekit.datasets.npz import DataFileError

KEY, CLIP = "Train/S1", "Walking 1 chunk0"


@pytest.fixture(autouse=True)
def say_it_again():
    videopose3d.warn_trimmed.cache_clear()
    videopose3d._warn_unlike_known.cache_clear()


def test_it_reads_what_is_in_the_files(humaneva_files):
    write, poses, views = humaneva_files
    data = load_humaneva("train", write())
    assert (data.name, data.frame_rate, data.view_names) == ("humaneva", 60.0, ("C1", "C2", "C3"))
    assert [(c.subject, c.action, c.name, len(c)) for c in data.clips] == [(s, "Walking", CLIP, 20) for s in ("S1", "S2", "S3")]
    np.testing.assert_array_equal(data.poses_world[20:40], poses["Train/S2"][CLIP])
    np.testing.assert_array_equal(data.pixels[20:40, 1], views["Train/S2"][CLIP][1])
    torch.testing.assert_close(data.cameras[0].centers_world, humaneva_cameras("S1").centers_world)
    assert load_dataset("humaneva", "test", write()).sha256() != data.sha256()


def test_subjects_actions_and_cameras_can_be_chosen(humaneva_files):
    data = load_humaneva("test", humaneva_files[0](), subjects=("S3",), actions=("Gestures",), cameras=("C3", "C1"))
    assert (data.subjects, data.actions, data.view_names) == (("S3",), ("Gestures",), ("C3", "C1"))
    assert data.pixels.shape == (5, 2, 15, 2)
    torch.testing.assert_close(data.cameras[0].centers_world, humaneva_cameras("S3").centers_world[[2, 0]])


def test_files_may_lie_in_the_root_itself_or_where_the_environment_says(humaneva_files, monkeypatch):
    root = humaneva_files[0]()
    assert len(load_humaneva("train", root / "humaneva")) == 60
    monkeypatch.setenv("POSEKIT_DATA", str(root))
    assert len(load_humaneva("train")) == 60


def test_a_missing_file_says_which_where_and_how_to_get_it(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError) as error:
        load_humaneva("train", tmp_path)
    for word in ("data_3d_humaneva15.npz", str(tmp_path / "humaneva"), "register at https://humaneva", "POSEKIT_DATA"):
        assert word in str(error.value)
    monkeypatch.delenv("POSEKIT_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "data" / "humaneva")):
        load_humaneva("train")


def test_2d_longer_than_3d_is_cut_and_said_once(humaneva_files):
    write, _, views = humaneva_files
    for subject in ("S1", "S2"):
        clip = views[f"Train/{subject}"][CLIP]
        views[f"Train/{subject}"][CLIP] = [np.concatenate([view, view[:3]]) for view in clip]
    root = write()
    with pytest.warns(UserWarning, match="more frames of 2D than of 3D") as said:
        data = load_humaneva("train", root)
    assert len(said) == 1
    assert len(data) == 60
    load_humaneva("train", root)  # not said again: warnings are errors here


def test_2d_shorter_than_3d_names_the_clip(humaneva_files):
    write, _, views = humaneva_files
    views[KEY][CLIP] = [view[:-2] for view in views[KEY][CLIP]]
    with pytest.raises(
        DataFileError, match="2d_humaneva15_gt.npz: Train/S1/Walking 1 chunk0: 18 frames of 2D for 20 frames of 3D"
    ):
        load_humaneva("train", write())


def test_missing_joints_stay_missing(humaneva_files):
    write, _, views = humaneva_files
    views[KEY][CLIP][1][3, 7] = np.nan
    data = load_humaneva("train", write())
    assert data.pixels[3, 1, 7].isnan().all()
    assert data.confidence[3, 1, 7] == 0
    assert data.confidence.sum() == data.confidence.numel() - 1


@pytest.mark.parametrize("change", ["joints", "cameras", "text", "integers", "no 2D clip", "no subject"])
def test_wrong_contents_name_file_key_expected_and_found(humaneva_files, change):
    write, poses, views = humaneva_files
    expected = {
        "joints": r"data_3d.*expected floats of shape \(frames, 15, 3\), found float32 \(20, 14, 3\)",
        "cameras": r"data_2d.*Train/S1/Walking 1 chunk0: expected 3 cameras, found 2",
        "text": r"data_3d.*Train/S1/Walking 1 chunk0: expected floats .* found str",
        "integers": r"data_2d.*Train/S1/Walking 1 chunk0/C2: expected floats .* found int64 \(20, 15, 2\)",
        "no 2D clip": r"data_2d.*expected key 'Walking 1 chunk0' .* found Gestures 1 chunk0",
        "no subject": r"data_3d.*expected key 'Train/S1' .* found Train/S2",
    }[change]
    match change:
        case "joints":
            poses[KEY][CLIP] = poses[KEY][CLIP][:, :14]
        case "cameras":
            views[KEY][CLIP].pop()
        case "text":
            poses[KEY][CLIP] = "lost"
        case "integers":
            views[KEY][CLIP][1] = views[KEY][CLIP][1].astype(np.int64)
        case "no 2D clip":
            del views[KEY][CLIP]
        case "no subject":
            del poses[KEY]
    with pytest.raises(DataFileError, match=expected):
        load_humaneva("train", write())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("infinite 3D", r"data_3d.*: S2/Walking 1 chunk0: 3D: infinite coordinates"),
        ("too large for float32", r"data_3d.*: S2/Walking 1 chunk0: 3D: infinite coordinates"),
        ("infinite 2D", r"data_2d.*: S2/Walking 1 chunk0: 2D: infinite coordinates"),
        ("no 3D", r"data_3d.*: S2/Walking 1 chunk0: 3D: 20 frames without a single joint"),
        ("no 2D", r"data_2d.*: S2/Walking 1 chunk0: 2D: 20 frames without a single joint"),
        ("no frames", r"data_3d.*: S2/Walking 1 chunk0: 3D: 0 frames without a single joint"),
        ("no clips", r"data_3d.*: Train/S2: expected a dictionary of clips, found an empty dictionary"),
        ("a list of clips", r"data_3d.*: Train/S2: expected a dictionary of clips, found list"),
        ("a number as name", r"data_3d.*keys that are not strings"),
        ("millimetres", r"data_3d.*: S2/Walking 1 chunk0: the median bone is .* are these millimetres\?"),
    ],
)
def test_data_that_loads_is_data(humaneva_files, change, expected):
    write, poses, views = humaneva_files
    pose, view = poses["Train/S2"][CLIP].astype(np.float64), views["Train/S2"][CLIP]
    poses["Train/S2"][CLIP] = pose
    match change:
        case "infinite 3D":
            pose[3, 4, 1] = np.inf
        case "too large for float32":
            pose[3, 4, 1] = 1e300
        case "infinite 2D":
            view[1][3, 4, 1] = -np.inf
        case "no 3D":
            pose[:] = np.nan
        case "no 2D":
            views["Train/S2"][CLIP] = [v * np.nan for v in view]
        case "no frames":
            poses["Train/S2"][CLIP] = pose[:0]
            views["Train/S2"][CLIP] = [v[:0] for v in view]
        case "no clips":
            poses["Train/S2"] = {}
        case "a list of clips":
            poses["Train/S2"] = [pose]
        case "a number as name":
            poses["Train/S2"][7] = pose
        case "millimetres":
            pose *= 1000
    root = write()
    with pytest.raises(DataFileError, match=expected):
        load_humaneva("train", root, actions=humaneva.ALL_ACTIONS)


def test_joints_missing_in_3d_stay_missing(humaneva_files):
    write, poses, _ = humaneva_files
    poses[KEY][CLIP][3, 7] = np.nan
    assert load_humaneva("train", write()).poses_world[3, 7].isnan().all()


def test_clips_unlike_the_known_ones_are_said_once(humaneva_files, monkeypatch):
    write, poses, _ = humaneva_files
    known = {key: {name: len(pose) for name, pose in clips.items()} for key, clips in poses.items()}
    monkeypatch.setattr(videopose3d, "known_frames", lambda dataset: known)
    root = write()
    load_humaneva("train", root)  # these are the known ones: nothing is said
    known["Train/S1"][CLIP] = 21
    known["Train/S2"]["Walking 1 chunk2"] = 7
    known["Train/S3"] = {"Walking 1 chunk1": 20, "ThrowCatch 1 chunk0": 9}
    with pytest.warns(UserWarning, match="known file") as said:
        load_humaneva("train", root)
    assert len(said) == 1
    for words in (f"Train/S1/{CLIP} has 20 frames instead of 21", "Train/S2/Walking 1 chunk2 is missing", "and 1 more"):
        assert words in str(said[0].message)
    assert "ThrowCatch" not in str(said[0].message)  # was not asked for
    load_humaneva("train", root)


@pytest.mark.parametrize(
    ("option", "bad", "listed"),
    [
        ("split", "validate", "choose from train, test"),
        ("subjects", ("S4",), "unknown subject 'S4'; choose from S1, S2, S3"),
        ("actions", ("Walk",), "unknown action 'Walk'; choose from Walking, Jog, Box, Gestures, ThrowCatch"),
        ("cameras", ("C4",), "unknown camera 'C4'; choose from C1, C2, C3"),
        ("cameras", (), r"cameras must be one name or more; got \(\)"),
        ("lens", "fisheye", "unknown lens 'fisheye'; choose from opencv, human36m"),
    ],
)
def test_what_there_is_not_is_listed(humaneva_files, option, bad, listed):
    with pytest.raises(ValueError, match=listed):
        load_humaneva(**{"split": "train", "data_root": humaneva_files[0](), option: bad})


def test_an_action_that_is_not_in_the_files(humaneva_files):
    with pytest.raises(DataFileError, match="no clip of Box by S1, S2, S3 in the train split"):
        load_humaneva("train", humaneva_files[0](), actions=("Box",))


def test_an_unknown_dataset():
    with pytest.raises(ValueError, match="unknown dataset 'mpi'; choose from synthetic, humaneva, human36m"):
        load_dataset("mpi")


real = Path(os.environ.get("POSEKIT_DATA") or "data") / "humaneva" / humaneva.FILES[0]


@pytest.mark.humaneva
@pytest.mark.skipif(not real.exists(), reason="HumanEva-I is licensed and not here; set POSEKIT_DATA")
@pytest.mark.parametrize(("split", "frames"), [("train", 3347), ("test", 3523)])
def test_humaneva_itself(split, frames):
    data = load_humaneva(split)
    assert len(data) == frames
    error = (data.frame_cameras.world_to_pixels(data.poses_world[:, None]) - data.pixels).norm(dim=-1)
    assert error.mean() < 0.01
    wrong = load_humaneva(split, lens="human36m").frame_cameras
    assert (wrong.world_to_pixels(data.poses_world[:, None]) - data.pixels).norm(dim=-1).mean() > 0.2
