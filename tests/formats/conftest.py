"""A rig of four cameras around a synthetic person, to be written as each program would."""

from pathlib import Path

import pytest
import torch

from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.formats.contents import Calibration
from posekit.skeleton import HUMANEVA_15
from posekit.skeletons import map_joints


@pytest.fixture(scope="session")
def calibration():
    """Four portrait cameras, 3 m from the middle of the room and 1.5 m high, that look at it."""
    angle = torch.tensor([0.3, 1.8, 3.4, 5.0])
    outwards = torch.stack([angle.cos(), angle.sin(), torch.zeros(4)], dim=-1)
    down = torch.tensor([0.0, 0.0, -1.0]).expand(4, 3)
    R = torch.stack([torch.linalg.cross(down, -outwards), down, -outwards], dim=-2)
    centers = 4 * outwards + torch.tensor([0.0, 0.0, 1.0])
    cameras = Cameras.checked(
        R_world_to_camera=R,
        t_world_to_camera=-(R @ centers.unsqueeze(-1)).squeeze(-1),
        focal_px=torch.tensor([[1500.0, 1510.0]]).expand(4, 2).clone(),
        center_px=torch.tensor([[540.0, 960.0], [530.0, 950.0], [545.0, 955.0], [550.0, 970.0]]),
        radial=torch.tensor([[-0.1, 0.05, 0.0]]).expand(4, 3).clone(),
        tangential=torch.tensor([[0.001, -0.0005]]).expand(4, 2).clone(),
        image_size_px=torch.tensor([[1080.0, 1920.0]]).expand(4, 2).clone(),
    )
    return Calibration(("cam_01", "cam_02", "cam_03", "cam_04"), cameras, Path("made up"))


@pytest.fixture(scope="session")
def poses_world():
    """Twelve frames of a walk in the middle of that room, 15 joints of HumanEva."""
    walk = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",))
    poses = walk.poses_world[:36:3]
    middle = poses[:, :1].mean((0, 1)) * torch.tensor([1.0, 1.0, 0.0])
    return poses - middle


@pytest.fixture(scope="session")
def see(calibration, poses_world):
    """A function from names of joints to their pixels (F, V, J, 2) in every view; joints the walker lacks are NaN."""

    def pixels(joints):
        poses = map_joints(poses_world, HUMANEVA_15.joints, joints, missing=True)
        return calibration.cameras.world_to_pixels(poses.unsqueeze(1))

    return pixels
