import pytest
import torch

from posekit.datasets import load_dataset
from posekit.evaluation import lift_dataset
from posekit.inputs import KINDS
from posekit.lifters import load_lifter, save_lifter
from posekit.losses import scene_loss
from posekit.metrics import report_mpjpe
from posekit.poses import turn
from posekit.random import generator
from posekit.scenes import Mix
from posekit.stretches import Stretches
from posekit.training import fit
from posekit.window_lifter import BASE, MEANS, VERSIONS, WindowLifter, averages_over_time

WINDOW = 9


@pytest.fixture(scope="module")
def data():
    options = dict(subjects=("S2",), actions=("Walking",), stride=4)
    return tuple(load_dataset("synthetic", split, **options) for split in ("train", "test"))


@pytest.fixture(scope="module")
def stretches(data):
    return Stretches(data[0], Mix(noise_px=5.0), WINDOW)


def trained(data, stretches, needs="level", epochs=2, seed=0):
    draws = generator(seed)
    lifter = WindowLifter(data[0].skeleton.name, WINDOW, needs, width=64, blocks=2, generator=draws)
    lifter.standardise(stretches.draw(500, draws))
    options = dict(batch_size=64, learning_rate=3e-3, schedule="one_cycle", optimizer="adamw", average=0.9)
    fit(lifter, stretches, scene_loss, epochs=epochs, generator=draws, **options)
    return lifter


@pytest.fixture(scope="module")
def lifters(data, stretches):
    return {kind: trained(data, stretches, kind, epochs=6 if kind == "level" else 1) for kind in KINDS}


def test_it_learns_on_stretches_and_beats_a_mean_pose(lifters, data):
    train, test = data
    noisy = test.with_detector_noise(5.0, 0.1, generator(0))
    poses, true = lift_dataset(lifters["level"], noisy), test.poses_camera()
    assert poses.isfinite().all()
    mean = train.poses_camera().mean((0, 1))
    assert report_mpjpe(poses, true).mean() < 0.5 * report_mpjpe(mean.expand_as(true), true).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_lacks_is_missing(kind, lifters, data):
    test = data[1]
    window = test.views().windows(test.surrounding_frames(WINDOW)[:30])
    lift = lifters[kind]
    poses = lift(window.screen, window.cameras[:, WINDOW // 2], window.confidence)
    assert poses.shape == (30, 3, 15, 3)
    assert poses.isfinite().all()  # the first windows begin before their clip
    gap = window.screen.clone()
    gap[:, WINDOW // 2, :, 4] = torch.nan
    bridged = lift(gap, window.cameras[:, WINDOW // 2], window.confidence)
    assert bridged.isfinite().all()
    assert not torch.equal(bridged, poses)
    nobody = lift(torch.full_like(gap, torch.nan), window.cameras[:, WINDOW // 2])
    assert nobody.isnan().all()


def test_frames_without_confidence_have_no_say(lifters, data):
    test = data[1]
    window = test.views().windows(test.surrounding_frames(WINDOW)[20:40])
    cameras = window.cameras[:, WINDOW // 2]
    spoilt, trust = window.screen.clone(), window.confidence.clone()
    spoilt[:, 1], trust[:, 1] = 0.3, 0.0
    missing = window.screen.clone()
    missing[:, 1] = torch.nan
    torch.testing.assert_close(lifters["level"](spoilt, cameras, trust), lifters["level"](missing, cameras, trust))


def test_a_whole_stretch_turned_about_the_camera_gives_the_pose_turned(lifters, stretches):
    """A person who walks around the camera at the same distance and height looks the same to one that turns along."""
    scene = stretches.draw(50, generator(0))
    cameras, lift = scene.cameras, lifters["level"]
    exact = scene._replace(error_px=torch.zeros_like(scene.error_px))
    center = cameras.centers_world[:, None, None]
    angle = 0.2 * torch.randn(50, 1, generator=generator(1)).expand(50, WINDOW)
    moved = exact._replace(paths_world=turn(exact.paths_world - center, angle) + center)
    trust = torch.ones_like(scene.confidence)
    here, there = (lift._lift(lift.see_rays(one.rays(), trust, cameras)) for one in (exact, moved))
    there = turn(cameras.camera_to_world(there) - center[:, 0], -angle[:, 0]) + center[:, 0]
    apart = (there - cameras.camera_to_world(here)).norm(dim=-1)
    assert apart.median() < 0.01  # not 0, for rays are averaged before the turn, in the plane of the image


def test_same_seed_same_bits(data, stretches):
    first, second, other = (trained(data, stretches, epochs=1, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["outer.weight"], other["outer.weight"])


def test_it_comes_back_from_a_file(lifters, data, tmp_path):
    save_lifter(lifters["rays"], tmp_path / "lifter.safetensors")
    again = load_lifter(tmp_path / "lifter.safetensors")
    assert again.settings == lifters["rays"].settings
    assert torch.equal(lift_dataset(again, data[1]), lift_dataset(lifters["rays"], data[1]))


def test_averages_of_what_does_not_move_are_exact_and_parabolas_follow_lines():
    time = torch.arange(27.0)[:, None, None] - 13
    line = 0.2 + 0.01 * time * torch.tensor([1.0, -2.0]).expand(1, 3, 2)
    weights = torch.rand(27, 3, generator=generator(0)) + 0.1
    averages, spread, evidence = averages_over_time(line * 0 + 0.2, weights)
    torch.testing.assert_close(averages, torch.full((VERSIONS, 3, 2), 0.2))
    assert spread.max() < -10
    assert evidence.shape == (len(MEANS), 3)
    averages, *_ = averages_over_time(line, torch.ones(27, 3))
    torch.testing.assert_close(averages[:-1], torch.full((VERSIONS - 1, 3, 2), 0.2))
    torch.testing.assert_close(averages[-1], line[13 + 5], atol=3e-3, rtol=0)
    wiggle = 0.2 + 0.05 * (time / 8).sin().expand(27, 3, 2)
    averages, *_ = averages_over_time(wiggle, weights)
    parabola, mean = (averages[index] - wiggle[13] for index in (BASE, 3))
    assert parabola.abs().max() < 0.3 * mean.abs().max()


def test_bad_windows_are_refused(lifters):
    with pytest.raises(ValueError, match="odd number of frames, got 8"):
        WindowLifter("humaneva15", 8)
    with pytest.raises(ValueError, match="expected windows of 9 frames, got 7"):
        lifters["level"](torch.zeros(2, 7, 1, 15, 2))
    with pytest.raises(ValueError, match="needs, besides the picture, the camera's intrinsics"):
        lifters["rays"](torch.zeros(2, WINDOW, 1, 15, 2))
