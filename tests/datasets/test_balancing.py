"""The embedded real recording: whole, with its licence, and that of the wheel it was made from."""

import pytest
import torch

from posekit import triangulate
from posekit.datasets import load_dataset
from posekit.datasets.balancing import FILE, SPLITS


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


def test_other_skeletons_and_cameras_are_checked():
    assert len(load_dataset("balancing", "test", cameras=("cam_01", "cam_03")).view_names) == 2
    for options, words in (
        (dict(split="validation"), "train, test, all"),
        (dict(cameras=("front",)), "cam_01"),
        (dict(skeleton="human36m17"), "spine"),
        (dict(skeleton="body"), "body25b"),
    ):
        with pytest.raises(ValueError, match=words):
            load_dataset("balancing", **options)
