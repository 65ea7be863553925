"""What goes wrong between calibrations and detections is told apart, each by its own words."""

from dataclasses import replace

import pytest
import torch

from posekit import triangulate
from posekit.formats import to_dataset
from posekit.formats.contents import DataFileError, Detections
from posekit.random import generator
from posekit.skeleton import HUMANEVA_15


@pytest.fixture
def found(calibration, see):
    pixels = see(HUMANEVA_15.joints)
    pixels = pixels + 5 * torch.randn(pixels.shape, generator=generator(0))
    return Detections(calibration.view_names, HUMANEVA_15, pixels, torch.ones(pixels.shape[:-1]), calibration.path)


def with_cameras(calibration, **changes):
    return replace(calibration, cameras=replace(calibration.cameras, **changes))


def test_a_sound_rig_becomes_a_dataset(calibration, found, poses_world):
    people = to_dataset("walk", calibration, found, frame_rate=20.0)
    assert repr(people) == 'MultiViewDataset("walk": 12 frames, 1 clip, 4 views, 15 joints, 20 fps)'
    assert people.poses_world.isnan().all()
    points = triangulate(people.pixels, people.frame_cameras, people.confidence).points
    assert (points - poses_world).norm(dim=-1).mean() < 0.02
    back = people.with_poses(points)
    torch.testing.assert_close(back.poses_world, points.float())


@pytest.mark.parametrize("views", [3, 4])  # two in a symmetrical rig agree either way
def test_swapped_cameras_are_named(calibration, found, views):
    kept = calibration.view_names[:views]
    few = replace(found, view_names=kept, pixels=found.pixels[:, :views], confidence=found.confidence[:, :views])
    to_dataset("walk", calibration, few, frame_rate=20.0)
    swapped = replace(calibration, cameras=calibration.cameras[[1, 0, 2, 3]])
    with pytest.raises(DataFileError, match="made up: the views cam_01 and cam_02 agree .* only if their cameras are swapped"):
        to_dataset("walk", swapped, few, frame_rate=20.0)
    assert len(to_dataset("walk", swapped, few, frame_rate=20.0, pairs={"cam_01": "cam_02", "cam_02": "cam_01"})) == 12
    assert len(to_dataset("walk", swapped, few, frame_rate=20.0, check=False)) == 12


def test_camera_to_world_is_named(calibration, found):
    c = calibration.cameras
    wrong = with_cameras(calibration, R_world_to_camera=c.R_world_to_camera.mT, t_world_to_camera=c.centers_world)
    with pytest.raises(DataFileError, match="made up: rotations and translations are camera to world; expected world to"):
        to_dataset("walk", wrong, found, frame_rate=20.0)


def test_people_behind_cameras_are_named(calibration, found):
    half_turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))  # cameras that look away
    c = calibration.cameras
    wrong = with_cameras(
        calibration,
        R_world_to_camera=half_turn @ c.R_world_to_camera,
        t_world_to_camera=c.t_world_to_camera @ half_turn,
        radial=0 * c.radial,
    )
    mirrored = found.pixels * torch.tensor([-1.0, -1.0]) + 2 * c.center_px[:, None]
    turned = replace(found, pixels=mirrored * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 2.0]) * c.center_px[:, None])
    with pytest.raises(DataFileError, match="made up: .*lie behind a camera that saw them|only if their cameras are swapped"):
        to_dataset("walk", wrong, turned, frame_rate=20.0)


@pytest.mark.parametrize("scale", [1000.0, 0.001])
def test_another_unit_is_named(calibration, found, scale):
    wrong = with_cameras(calibration, t_world_to_camera=scale * calibration.cameras.t_world_to_camera)
    with pytest.raises(DataFileError, match=r"median bone is .* m long; are the translations, read as metres, in another unit"):
        to_dataset("walk", wrong, found, frame_rate=20.0)


def test_portrait_and_landscape_are_told_apart(calibration, found):
    wrong = with_cameras(calibration, image_size_px=calibration.cameras.image_size_px.flip(-1))
    with pytest.raises(
        DataFileError, match=r"cam_0\d: \d+% of the 2D joints lie outside the 1920 x 1080 image of made up; .*portr"
    ):
        to_dataset("walk", wrong, found, frame_rate=20.0)


def test_another_video_size_shares_and_nothing_are_named(calibration, found):
    doubled = replace(found, pixels=2 * found.pixels)
    with pytest.raises(DataFileError, match=r"lie outside the 1080 x 1920 .*is that another camera, or size of the video\?"):
        to_dataset("walk", calibration, doubled, frame_rate=20.0)
    with pytest.raises(DataFileError, match=r"made up: 2D joints are at most 1.5 from the origin: shares of the image\?"):
        to_dataset("walk", calibration, replace(found, pixels=found.pixels / 2000), frame_rate=20.0)
    with pytest.raises(DataFileError, match="made up: no 2D joint in 12 frames"):
        to_dataset("walk", calibration, replace(found, pixels=found.pixels * torch.nan), frame_rate=20.0)


def test_a_detector_may_place_feet_outside_the_image(calibration, found):
    low = with_cameras(calibration, image_size_px=calibration.cameras.image_size_px * torch.tensor([1.0, 0.6]))
    outside = (found.pixels[..., 1] > 0.6 * 1920).float().mean()
    assert 0.05 < outside < 0.5
    to_dataset("walk", low, found, frame_rate=20.0)
