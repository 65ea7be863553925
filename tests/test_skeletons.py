import pytest
import torch

from posekit.datasets import load_dataset
from posekit.skeleton import HUMAN36M_17, HUMANEVA_15, Skeleton
from posekit.skeletons import (
    KEYPOINTS,
    MIDDLES,
    SKELETONS,
    cannot_map,
    keypoints_of,
    map_confidence,
    map_joints,
    plain_name,
)

COUNTS = {"body25": 25, "body25b": 25, "coco17": 17, "mpii16": 16, "mediapipe33": 33}


@pytest.mark.parametrize("name", COUNTS)
def test_files_have_as_many_keypoints_as_the_detector_and_all_are_joints(name):
    keypoints, skeleton = KEYPOINTS[name], SKELETONS[name]
    assert len(keypoints) == len(set(keypoints)) == COUNTS[name]
    assert set(keypoints) | set(MIDDLES) == set(skeleton.joints)
    assert skeleton.sides.count("left") == skeleton.sides.count("right")
    assert cannot_map(keypoints, skeleton.joints) == []
    assert keypoints_of(skeleton) == keypoints


@pytest.mark.parametrize(
    ("name", "index", "joint"),
    [  # landmarks from each detector's own documentation
        ("body25", 8, "pelvis"), ("body25", 1, "thorax"), ("body25", 9, "right_hip"), ("body25", 14, "left_ankle"),
        ("body25", 18, "left_ear"), ("body25", 19, "left_big_toe"), ("body25", 24, "right_heel"),
        ("body25b", 11, "left_hip"), ("body25b", 16, "right_ankle"), ("body25b", 17, "neck"), ("body25b", 18, "head"),
        ("body25b", 21, "left_heel"), ("body25b", 23, "right_small_toe"),
        ("coco17", 5, "left_shoulder"), ("coco17", 16, "right_ankle"), ("coco17", 4, "right_ear"),
        ("mpii16", 0, "right_ankle"), ("mpii16", 6, "pelvis"), ("mpii16", 9, "head"), ("mpii16", 15, "left_wrist"),
        ("mediapipe33", 7, "left_ear"), ("mediapipe33", 9, "left_mouth"), ("mediapipe33", 16, "right_wrist"),
        ("mediapipe33", 23, "left_hip"), ("mediapipe33", 28, "right_ankle"), ("mediapipe33", 32, "right_foot_index"),
    ],
)  # fmt: skip
def test_the_order_of_keypoints_is_the_detectors(name, index, joint):
    assert KEYPOINTS[name][index] == joint


def test_every_mapping_by_name_keeps_what_both_have_and_names_what_it_cannot():
    poses = torch.randn(4, len(HUMANEVA_15), 3)
    there = map_joints(poses, HUMANEVA_15.joints, HUMAN36M_17.joints, missing=True)
    back = map_joints(there, HUMAN36M_17.joints, HUMANEVA_15.joints)
    torch.testing.assert_close(back, poses)
    assert there.isnan().all(-1).all(0).nonzero().flatten().tolist() == [7, 9]  # spine and neck
    with pytest.raises(ValueError, match="cannot map spine, neck: neither among pelvis, thorax"):
        map_joints(poses, HUMANEVA_15.joints, HUMAN36M_17.joints)
    with pytest.raises(ValueError, match="14 points but 15 names: another skeleton"):
        map_joints(poses[:, 1:], HUMANEVA_15.joints, HUMANEVA_15.joints)


def test_a_middle_is_missing_and_unsure_with_either_of_its_joints():
    points = torch.tensor([[0.0, 0.0], [2.0, 4.0]])
    hips = ("left_hip", "right_hip")
    assert map_joints(points, hips, ("pelvis",)).tolist() == [[1.0, 2.0]]
    assert map_confidence(torch.tensor([0.3, 0.9]), hips, ("pelvis", "head"), missing=True).tolist() == pytest.approx([0.3, 0])
    points[0] = torch.nan
    assert map_joints(points, hips, ("pelvis",)).isnan().all()


def test_the_middle_in_an_image_is_nearly_the_image_of_the_middle():
    people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",))
    cameras, hips = people.frame_cameras, ("left_hip", "right_hip")
    poses = map_joints(people.poses_world, people.skeleton.joints, hips)[:, None]
    exact = cameras.world_to_pixels(map_joints(poses, hips, ("pelvis",)))
    error = (map_joints(cameras.world_to_pixels(poses), hips, ("pelvis",)) - exact).norm(dim=-1)
    assert 0 < error.max() < 2


@pytest.mark.parametrize(
    "joints",
    [
        ("pelvis", "RHip", "LHip"),
        ("pelvis", "mouth_left", "mouth_right"),
        ("pelvis", "Left Knee", "Right Knee"),
        ("pelvis", "knee_l", "knee_r"),
        ("pelvis", "rhip", "lhip"),
        ("pelvis", "L.Elbow", "R.Elbow"),
    ],
)
def test_a_side_that_is_not_at_the_beginning_is_refused_with_advice(joints):
    with pytest.raises(ValueError, match=f"{joints[1]!r} looks like a joint of one side.* write right_hip for RHip"):
        Skeleton("foreign", joints, (-1, 0, 0))
    left, right = sorted(map(plain_name, joints[1:])) if joints[1] != "rhip" else ("left_hip", "right_hip")
    assert Skeleton("mended", ("pelvis", left, right), (-1, 0, 0)).sides == ("centre", "left", "right")


def test_names_of_the_centre_are_left_alone():
    assert set(Skeleton("trunk", ("root", "lumbar", "rib", "upright", "tail"), (-1, 0, 1, 2, 0)).sides) == {"centre"}
