from dataclasses import replace

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.poses import from_bones, hip_heading, jitter, to_bones, trunk_frame, turn
from posekit.skeleton import HUMAN36M_17, HUMANEVA_15


@pytest.fixture(scope="module")
def data():
    return load_dataset("synthetic", "train", subjects=("S2", "S3"), stride=3)


def test_a_turned_scene_projects_like_a_turned_camera(cameras, poses_world):
    angle = torch.tensor(0.7, dtype=torch.float64)
    turned = turn(poses_world, angle.expand(8))
    R = cameras.R_world_to_camera
    about_vertical = turn(torch.eye(3, dtype=torch.float64), angle).mT  # its columns are the turned axes
    back = replace(cameras, R_world_to_camera=R @ about_vertical)
    torch.testing.assert_close(cameras.world_to_pixels(turned[:, None]), back.world_to_pixels(poses_world[:, None]))


@pytest.mark.parametrize("skeleton", [HUMANEVA_15, HUMAN36M_17], ids=lambda s: s.name)
def test_bones_are_the_pose_again(skeleton, source):
    poses = torch.randn(4, 2, len(skeleton), 3, generator=source, dtype=torch.float64)
    again = from_bones(to_bones(poses, skeleton), skeleton)
    torch.testing.assert_close(again, poses - poses[..., :1, :])


def test_jittered_bones_keep_their_length(source):
    bones = torch.randn(50, 15, 3, generator=source)
    moved = jitter(bones, 0.1 * torch.randn(50, 15, 3, generator=source))
    torch.testing.assert_close(moved.norm(dim=-1), bones.norm(dim=-1))
    angle = torch.acos(torch.cosine_similarity(moved, bones, dim=-1).clamp(-1, 1))
    assert 0.08 < angle.mean() < 0.16  # two axes across the bone, 0.1 each: a Rayleigh mean of 0.125


def test_a_trunk_frame_is_a_rotation_that_turns_with_the_person(data):
    poses = data.poses_world[:40].double()
    frame = trunk_frame(poses, data.skeleton)
    torch.testing.assert_close(frame @ frame.mT, torch.eye(3).expand(40, 3, 3).double())
    assert (torch.linalg.det(frame) > 0).all()
    angle = torch.linspace(-3, 3, 40, dtype=torch.float64)
    torch.testing.assert_close(trunk_frame(turn(poses, angle), data.skeleton), turn(frame.mT, angle).mT)
    away = hip_heading(turn(poses, angle), data.skeleton) - hip_heading(poses, data.skeleton) - angle
    torch.testing.assert_close(torch.cos(away), torch.ones_like(away))
