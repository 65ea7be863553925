from dataclasses import replace

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.joint_offsets import JointOffsets, fit_offsets
from posekit.random import generator
from posekit.skeletons import LIMBS_13, map_joints


@pytest.fixture(scope="module")
def people():
    return load_dataset("synthetic", "test", actions=("Walking",), stride=4)


@pytest.fixture(scope="module")
def offsets(people):
    """4 cm or so, alike on both sides."""
    vectors = 0.04 * torch.randn(15, 3, generator=generator(0))
    mirrored = vectors[list(people.skeleton.partners)] * torch.tensor([1.0, -1.0, 1.0])
    return JointOffsets(people.skeleton, (vectors + mirrored) / 2)


def test_offsets_are_found_again(people, offsets):
    found = fit_offsets(people.poses_world, offsets.apply(people.poses_world), people.skeleton)
    torch.testing.assert_close(found.vectors, offsets.vectors, atol=1e-5, rtol=0)


def test_a_single_pose_is_enough(people, offsets):
    pose = people.poses_world[0]
    torch.testing.assert_close(fit_offsets(pose, offsets.apply(pose), people.skeleton).apply(pose), offsets.apply(pose))


def test_undo_is_the_inverse_of_apply(people, offsets):
    poses = people.poses_world.double()
    there = offsets.apply(poses)
    assert (there - poses).norm(dim=-1).mean() > 0.02
    torch.testing.assert_close(offsets.undo(there), poses, atol=1e-9, rtol=0)
    torch.testing.assert_close(offsets.apply(offsets.undo(poses)), poses, atol=1e-9, rtol=0)


def test_they_turn_with_the_person_and_need_no_world(people, offsets):
    applied = replace(people, poses_world=offsets.apply(people.poses_world)).poses_camera()
    torch.testing.assert_close(offsets.apply(people.poses_camera()), applied, atol=1e-5, rtol=0)


def test_some_poses_far_off_and_some_missing_joints_change_little(people, offsets):
    second = offsets.apply(people.poses_world)
    second[::10] += 3.0
    second[1::10, 4] = torch.nan
    found = fit_offsets(people.poses_world, second, people.skeleton)
    torch.testing.assert_close(found.vectors, offsets.vectors, atol=1e-4, rtol=0)


def test_a_joint_that_is_never_known_is_named(people):
    second = people.poses_world.clone()
    for name in ("left_wrist", "right_wrist"):
        second[:, people.skeleton.index(name)] = torch.nan
    with pytest.raises(ValueError, match="no pose has left_wrist, right_wrist in both definitions"):
        fit_offsets(people.poses_world, second, people.skeleton)
    one_side = second.clone()
    one_side[:, people.skeleton.index("left_wrist")] = people.poses_world[:, people.skeleton.index("left_wrist")]
    fit_offsets(people.poses_world, one_side, people.skeleton)  # the other side has the same


def test_a_skeleton_without_thorax_has_a_trunk_all_the_same(people):
    poses = map_joints(people.poses_world, people.skeleton.joints, LIMBS_13.joints)
    found = fit_offsets(poses, poses, LIMBS_13)
    torch.testing.assert_close(found.vectors, torch.zeros(13, 3))
