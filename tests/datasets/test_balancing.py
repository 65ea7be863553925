"""The embedded real recording: whole, with its licence, and that of the wheel it was made from."""

import tomllib
from pathlib import Path

import pytest
import torch

from posekit import triangulate
from posekit.datasets import load_dataset
from posekit.datasets.balancing import FILE, MEDIAPIPE_FILE, SPLITS
from posekit.datasets.npz import read_npz
from posekit.triangulation import triangulate_robustly


def test_it_is_small_and_its_licence_lies_beside_it():
    assert FILE.stat().st_size < 200_000
    licence = FILE.with_name("balancing_LICENSE.txt").read_text()
    assert "BSD 3-Clause" in licence
    assert "perfanalytics" in licence


def test_splits_share_no_frame_and_all_is_the_whole():
    whole, train, test = (load_dataset("balancing", split) for split in ("all", "train", "test"))
    assert (len(whole), len(train), len(test)) == (100, 70, 25)
    assert torch.equal(whole.frames(*SPLITS["test"]).pixels.nan_to_num(), test.pixels.nan_to_num())
    assert SPLITS["train"][1] < SPLITS["test"][0]
    assert train.poses_world.isnan().all()


def test_it_is_a_person_seen_by_four_cameras():
    people = load_dataset("balancing", "all", skeleton="humaneva15")
    found = triangulate(people.pixels, people.frame_cameras, people.confidence)
    thigh = people.skeleton.bone_lengths(found.points).nanmedian(0).values[people.skeleton.index("left_knee") - 1]
    assert 0.35 < thigh < 0.45
    assert found.error_px.nanmedian() < 20  # of a person of 700


def test_mediapipe_saw_the_same_moments():
    """Two detectors on one recording: the same person through the same cameras, within what their joints differ by."""
    openpose, mediapipe = (load_dataset("balancing", "all", skeleton="coco17", detector=d) for d in ("openpose", "mediapipe"))
    for name in ("R_world_to_camera", "t_world_to_camera", "focal_px", "center_px"):
        assert torch.equal(getattr(openpose.cameras, name), getattr(mediapipe.cameras, name))
    assert mediapipe.view_names == openpose.view_names
    points = [triangulate_robustly(d.pixels, d.frame_cameras, d.confidence).points for d in (openpose, mediapipe)]
    assert 0.01 < (points[0] - points[1]).norm(dim=-1).nanmedian() < 0.05
    later = (points[0][6:] - points[1][:-6]).norm(dim=-1).nanmedian()
    assert later > 1.2 * (points[0] - points[1]).norm(dim=-1).nanmedian()


def test_what_mediapipe_found_is_whole_and_triangulates():
    people = load_dataset("balancing", "all", detector="mediapipe")
    assert people.pixels.shape == (100, 4, 35, 2)
    assert people.skeleton.name == "mediapipe33"
    assert people.pixels.isfinite().all()
    assert ((people.confidence > 0) & (people.confidence <= 1)).all()
    found = triangulate_robustly(people.pixels, people.frame_cameras, people.confidence)
    assert found.error_px.median() < 15  # of a person of 700
    thigh = people.skeleton.bone_lengths(found.points).median(0).values[people.skeleton.index("left_knee") - 1]
    assert 0.35 < thigh < 0.45
    assert len(load_dataset("balancing", "test", detector="mediapipe")) == 25


def test_what_mediapipe_found_is_small_compact_and_in_the_package():
    assert MEDIAPIPE_FILE.stat().st_size < 300_000
    stored = read_npz(MEDIAPIPE_FILE, ("pixels", "confidence"))
    assert {array.dtype.name for array in stored.values()} == {"float32"}
    assert stored["pixels"].shape == (100, 4, 33, 2)
    root = Path(__file__).parents[2]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["posekit"]
    for file in (MEDIAPIPE_FILE, FILE.with_name("balancing_LICENSE.txt")):
        assert any(file in (root / "posekit").glob(pattern) for pattern in patterns)


def test_other_skeletons_and_cameras_are_checked():
    assert len(load_dataset("balancing", "test", cameras=("cam_01", "cam_03")).view_names) == 2
    for options, words in (
        (dict(split="validation"), "train, test, all"),
        (dict(cameras=("front",)), "cam_01"),
        (dict(cameras=()), r"cameras must be one name or more; got \(\)"),
        (dict(skeleton="human36m17"), "spine"),
        (dict(skeleton="body"), "body25b"),
        (dict(detector="mediapipe", skeleton="humaneva15"), "head"),
        (dict(detector="alphapose"), "openpose, mediapipe"),
    ):
        with pytest.raises(ValueError, match=words):
            load_dataset("balancing", **options)
