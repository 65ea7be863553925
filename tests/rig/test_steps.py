"""From a recording to 3D and a lifter: identities on exact people, and the embedded recording end to end."""

from dataclasses import replace

import pytest
import roma
import torch

from posekit.datasets import load_dataset
from posekit.rig import adjust, evaluate_without_labels, learn_to_lift, reconstruct, with_skeleton
from posekit.rig.steps import level
from posekit.skeleton import HUMANEVA_15
from posekit.skeletons import COCO_17, LIMBS_13
from posekit.smoothing import butterworth


@pytest.fixture(scope="module")
def exact():
    return load_dataset("synthetic", "test", subjects=("S2",), actions=("Walking",)).frames(0, 90)


def test_exact_views_give_the_poses_back(exact):
    again = reconstruct(exact.with_poses(exact.poses_world * torch.nan), smoothing_s=0.0)
    assert (again.poses_world - exact.poses_world).norm(dim=-1).max() < 1e-4


def test_smoothing_takes_tremor_away_and_keeps_the_path(exact):
    noisy = exact.with_detector_noise(5.0, 0.0, torch.Generator().manual_seed(0))
    raw, smooth = reconstruct(noisy, smoothing_s=0.0), reconstruct(noisy)

    def error(dataset):
        return (dataset.poses_world - exact.poses_world).norm(dim=-1).mean()

    assert error(smooth) < 0.7 * error(raw)


def test_a_view_that_does_not_fit_has_little_say_unless_told_otherwise(exact):
    blundering = replace(exact, pixels=exact.pixels.clone())
    blundering.pixels[:, 1, 4] += 80.0
    robust, plain = (reconstruct(blundering, smoothing_s=0.0, robust=robust) for robust in (True, False))
    error = [(found.poses_world - exact.poses_world).norm(dim=-1)[:, 4].median() for found in (robust, plain)]
    assert error[0] < 2e-3 < 2e-2 < error[1]
    pair = exact.select_views(list(exact.view_names[:2]))  # two cannot outvote each other
    assert torch.equal(reconstruct(pair).poses_world, reconstruct(pair, robust=False).poses_world)


def test_a_cut_off_smooths_by_a_butterworth_filter(exact):
    noisy = exact.with_detector_noise(5.0, 0.0, torch.Generator().manual_seed(0))
    raw, smooth = reconstruct(noisy, smoothing_s=0.0), reconstruct(noisy, cutoff_hz=6.0)
    torch.testing.assert_close(smooth.poses_world, butterworth(raw.poses_world, noisy, 6.0), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="cutoff_hz= or --cutoff must be between 0 and half of"):
        reconstruct(noisy, cutoff_hz=noisy.frame_rate)


def test_adjusting_exact_cameras_leaves_them(exact):
    same = adjust(exact)
    assert torch.allclose(same.cameras.t_world_to_camera, exact.cameras.t_world_to_camera, atol=2e-3)


def test_adjusting_brings_a_moved_camera_back(exact):
    turned = exact.cameras.R_world_to_camera.clone()
    turned[:, 1] = roma.rotvec_to_rotmat(torch.tensor([0.0, 0.03, 0.0])) @ turned[:, 1]
    moved = replace(exact, cameras=replace(exact.cameras, R_world_to_camera=turned))
    wrong, right = (reconstruct(one, 0.0).poses_world for one in (moved, adjust(moved)))

    def reprojection(poses, dataset):
        return (dataset.frame_cameras.world_to_pixels(poses.unsqueeze(1)) - dataset.pixels).norm(dim=-1).median()

    assert reprojection(right, adjust(moved)) < 0.1 * reprojection(wrong, moved)


def test_level_turns_a_tilted_world_upright(exact):
    tilt = roma.rotvec_to_rotmat(torch.tensor([1.2, 0.3, 0.0]))
    tilted = replace(
        exact.with_poses(exact.poses_world @ tilt.mT),
        cameras=replace(exact.cameras, R_world_to_camera=exact.cameras.R_world_to_camera @ tilt.mT),
    )
    upright = level(tilted)
    assert torch.allclose(upright.poses_camera(), exact.poses_camera(), atol=1e-4)  # cameras see the same
    height = upright.poses_world[:, upright.skeleton.index("head"), 2]
    assert (height - exact.poses_world[:, exact.skeleton.index("head"), 2]).abs().max() < 0.1
    again = reconstruct(upright, smoothing_s=0.0).poses_world
    assert (again - upright.poses_world).norm(dim=-1).max() < 1e-3


def test_people_without_a_thorax_stand_upright_by_their_shoulders(exact):
    shortened = with_skeleton(exact, LIMBS_13)
    tilt = roma.rotvec_to_rotmat(torch.tensor([1.2, 0.3, 0.0]))
    tilted = replace(
        shortened.with_poses(shortened.poses_world @ tilt.mT),
        cameras=replace(shortened.cameras, R_world_to_camera=shortened.cameras.R_world_to_camera @ tilt.mT),
    )
    knee = LIMBS_13.index("left_knee")
    assert (level(tilted).poses_world[:, knee, 2] - shortened.poses_world[:, knee, 2]).abs().max() < 0.1


def test_another_skeleton_has_the_same_joints_by_name():
    people = load_dataset("balancing", "test")
    fewer = with_skeleton(people, HUMANEVA_15)
    knee = people.skeleton.index("left_knee"), HUMANEVA_15.index("left_knee")
    assert torch.equal(people.pixels[:, :, knee[0]].nan_to_num(), fewer.pixels[:, :, knee[1]].nan_to_num())
    direct = load_dataset("balancing", "test", skeleton="humaneva15")
    torch.testing.assert_close(fewer.pixels, direct.pixels, equal_nan=True)
    with pytest.raises(ValueError, match="cannot map .*head"):
        with_skeleton(load_dataset("balancing", "test", skeleton="coco17"), HUMANEVA_15)
    assert len(with_skeleton(people, COCO_17).skeleton) == len(COCO_17)


def test_a_lifter_learns_from_the_recording_and_is_measured_without_labels():
    people = {split: load_dataset("balancing", split, skeleton="humaneva15") for split in ("train", "test")}
    train, test = reconstruct(people["train"]), people["test"]
    once, again, untrained = (learn_to_lift(train, test, epochs=epochs, width=64) for epochs in (10, 10, 1))
    errors = once.against_triangulation.metrics_mm
    assert errors == again.against_triangulation.metrics_mm  # same seed, same bits
    assert errors["mpjpe"] < 0.8 * untrained.against_triangulation.metrics_mm["mpjpe"]
    assert errors == evaluate_without_labels(once.lifter, test).metrics_mm
