import copy
from dataclasses import replace
from functools import wraps

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.evaluation import average_with, lift_dataset, report_mpjpe_mm
from posekit.inputs import KINDS
from posekit.lifters import load_lifter, save_lifter
from posekit.losses import scene_loss
from posekit.metrics import report_mpjpe
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.scenes import Mix, Scene, Scenes
from posekit.skeleton import HUMANEVA_15
from posekit.teachers import triangulated
from posekit.training import fit

SHORT = dict(batch_size=64, learning_rate=3e-3, schedule="one_cycle", optimizer="adamw", average=0.9)


@pytest.fixture(scope="module")
def data():
    options = dict(subjects=("S2",), actions=("Walking",), stride=4)
    train, test = (load_dataset("synthetic", split, **options) for split in ("train", "test"))
    return triangulated(train), test


def fit_scenes(lifter, scenes, random, loss=scene_loss, **options):
    lifter.standardise(scenes.draw(2000, random))
    return fit(lifter, scenes, loss, epochs=6, generator=random, **SHORT | options)


def trained(data, needs, seed=0, **options):
    source = generator(seed)
    lifter = RayLifter(HUMANEVA_15.name, needs, width=64, blocks=2, generator=source, **options)
    return lifter, fit_scenes(lifter, Scenes(data), source).loss


@pytest.fixture(scope="module")
def lifters(data):
    return {kind: trained(data[0], kind)[0] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_on_scenes_and_beats_a_mean_pose(kind, lifters, data):
    train, test = data
    poses, true = lift_dataset(lifters[kind], test), test.poses_camera()
    mean = train.poses_camera().mean((0, 1))
    assert report_mpjpe(poses, true).mean() < 0.5 * report_mpjpe(mean.expand_as(true), true).mean()


@pytest.mark.parametrize("kind", ["rays", "level"])
def test_the_own_view_is_met_exactly(kind, lifters, data):
    test = data[1]
    pixels = test.frame_cameras.camera_to_pixels(lift_dataset(lifters[kind], test))
    torch.testing.assert_close(pixels, test.pixels, atol=0.01, rtol=0)


def test_what_it_needs_and_no_more(lifters, data):
    test = data[1]
    screen, cameras = test.screen(), test.frame_cameras
    nowhere = replace(cameras, R_world_to_camera=cameras.R_world_to_camera * torch.nan)
    assert torch.equal(lifters["screen"](screen), lifters["screen"](screen, cameras))
    assert torch.equal(lifters["rays"](screen, nowhere), lifters["rays"](screen, cameras))
    assert lifters["level"](screen, nowhere).isnan().all()
    for kind, needed in (("rays", "intrinsics"), ("level", "intrinsics, tilt and height")):
        with pytest.raises(ValueError, match=f"the camera's {needed}: pass cameras="):
            lifters[kind](screen)


def test_a_scene_is_seen_as_its_projection_would_be(lifters, data):
    scene = Scenes(data[0]).draw(20, generator(1))
    screen = scene.cameras.world_to_screen(scene.poses_world)
    for lifter in lifters.values():
        torch.testing.assert_close(lifter.lift_scene(scene)[0], lifter(screen, scene.cameras), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_any_leading_axes(kind, lifters, data):
    test = data[1]
    screen, cameras = test.screen()[:4], test.frame_cameras[:4]
    whole = lifters[kind](screen, cameras)
    torch.testing.assert_close(lifters[kind](screen[2, 1], cameras[2, 1]), whole[2, 1])
    torch.testing.assert_close(lifters[kind](screen[:, 1], cameras[:, 1]), whole[:, 1])


@pytest.mark.parametrize("kind", ["rays", "level"])
def test_a_mirrored_person_is_lifted_to_a_mirrored_pose(kind, lifters, data):
    """Mirror averaging makes the lifter equivariant: exactly so for a camera that is its own mirror image."""
    test = data[1]
    cameras = test.frame_cameras[:, 0]
    plain = dict(center_px=cameras.image_size_px / 2, radial=cameras.radial * 0, tangential=cameras.tangential * 0)
    up = cameras.R_world_to_camera[..., 2:].clone()
    up[:, 0] = 0  # no roll
    up = up / up.norm(dim=1, keepdim=True)
    across = torch.tensor([1.0, 0, 0]).expand(len(test), 3).unsqueeze(-1)
    R = torch.cat([across, torch.linalg.cross(up, across, dim=1), up], dim=-1)
    cameras = replace(cameras, R_world_to_camera=R, **plain)
    screen = test.screen()[:, 0]
    poses = lifters[kind](screen, cameras)
    mirrored = lifters[kind](HUMANEVA_15.mirror(screen), cameras)
    torch.testing.assert_close(HUMANEVA_15.mirror(mirrored), poses, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_joints_get_a_place_and_empty_poses_none(kind, lifters, data):
    test = data[1]
    screen = test.screen()[:3].clone()
    screen[0, :, HUMANEVA_15.index("right_wrist")] = torch.nan
    screen[1] = torch.nan
    poses = lifters[kind](screen, test.frame_cameras[:3])
    assert poses[0].isfinite().all()
    assert poses[1].isnan().all()
    torch.testing.assert_close(poses[2], lifters[kind](test.screen()[2], test.frame_cameras[2]))


def test_same_seed_same_bits_and_no_label_touched(data):
    train, _ = data
    blind = triangulated(replace(train, poses_world=torch.full_like(train.poses_world, torch.nan)))
    first, second = trained(train, "level"), trained(blind, "level")
    assert first[1] == second[1]
    assert all(torch.equal(a, b) for a, b in zip(first[0].state_dict().values(), second[0].state_dict().values()))


def test_a_lifter_trained_on_missing_joints_guesses_them_better(data, lifters):
    train, test = data
    source = generator(0)
    lifter = RayLifter(HUMANEVA_15.name, "level", width=64, blocks=2, generator=source)
    fit_scenes(lifter, Scenes(train, Mix(missing=0.2)), source)
    elbow = HUMANEVA_15.index("left_elbow")
    hidden = test.pixels.clone()
    hidden[:, :, elbow] = torch.nan
    hidden = replace(test, pixels=hidden)
    errors = [
        (lift_dataset(net, hidden) - test.poses_camera())[:, :, elbow].norm(dim=-1).mean() for net in (lifter, lifters["level"])
    ]
    assert errors[0] < errors[1]


def test_training_falls_and_bears_missing_joints(data):
    train, _ = data
    poses = train.poses_world.clone()
    poses[::2, HUMANEVA_15.index("left_wrist")] = torch.nan
    lifter, losses = trained(replace(train, poses_world=poses), "level")
    assert losses[-1] < 0.5 * losses[0]
    assert all(weight.isfinite().all() for weight in lifter.state_dict().values())


def test_an_average_of_lifters_stays_on_the_rays(lifters, data):
    test = data[1]
    other = trained(data[0], "level", seed=1)[0]
    poses = lift_dataset(lifters["level"], test)
    averaged = average_with(other)(poses, test)
    torch.testing.assert_close(averaged, (poses + lift_dataset(other, test)) / 2)
    torch.testing.assert_close(test.frame_cameras.camera_to_pixels(averaged), test.pixels, atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_of_whom_nothing_was_found_has_no_part_in_training(kind, lifters, data):
    lifter = copy.deepcopy(lifters[kind]).train()
    scene = Scenes(data[0], Mix(missing=0.1)).draw(32, generator(0))
    blank = scene._replace(error_px=scene.error_px.clone())
    blank.error_px[3] = torch.nan
    rest = torch.arange(32) != 3
    losses, gradients = [], []
    for people in (blank, Scene(scene.poses_world[rest], scene.cameras[rest], scene.error_px[rest])):
        losses.append(scene_loss(lifter, people))
        gradients.append(torch.autograd.grad(losses[-1], lifter.parameters()))
    torch.testing.assert_close(losses[0], losses[1])
    for with_blank, without in zip(*gradients):
        torch.testing.assert_close(with_blank, without)
    assert lifter.lift_scene(blank)[0][3].isnan().all()


def test_settings_make_it_again():
    lifter = RayLifter("humaneva15", "rays", width=32, generator=generator(0))
    again = RayLifter(**lifter.settings, generator=generator(0))
    assert all(torch.equal(a, b) for a, b in zip(lifter.state_dict().values(), again.state_dict().values()))
    with pytest.raises(ValueError, match="needs one of screen, rays, level; got 'humaneva15', 'stereo'"):
        RayLifter("humaneva15", "stereo")


def test_a_loss_that_explodes_is_reported(data):
    lifter = RayLifter(HUMANEVA_15.name, width=16, generator=generator(0))
    with pytest.raises(ValueError, match="no longer finite"):
        fit_scenes(lifter, Scenes(data[0]), generator(0), learning_rate=1e30)


def test_an_interrupted_run_goes_on_to_the_same_bits(data, tmp_path):
    def run(loss, **options):
        random = generator(0)
        lifter = RayLifter(HUMANEVA_15.name, width=16, generator=random)
        curve = fit_scenes(lifter, Scenes(data[0]), random, loss=loss, **options)
        return lifter, curve.loss

    calls = []

    @wraps(scene_loss)
    def interrupted(lifter, batch):
        calls.append(1)
        if len(calls) == 20:  # of 24: in the second half, where weights are averaged
            raise KeyboardInterrupt
        return scene_loss(lifter, batch)

    whole, losses = run(scene_loss)
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(interrupted, checkpoint=path)
    assert path.exists()
    resumed, again = run(scene_loss, checkpoint=path)
    assert again == losses
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()))


def test_it_survives_the_disk(lifters, data, tmp_path):
    test = data[1]
    for kind, lifter in lifters.items():
        save_lifter(lifter, tmp_path / kind)
        assert torch.equal(lift_dataset(load_lifter(tmp_path / kind), test), lift_dataset(lifter, test))


def test_averaged_weights_are_what_is_kept(data):
    random = generator(0)
    lifter = RayLifter(HUMANEVA_15.name, width=16, generator=random)
    curve = fit_scenes(lifter, Scenes(data[0]), random, test=data[1])
    assert report_mpjpe_mm(lifter, data[1]) == curve.report_mpjpe_mm[-1]
    random = generator(0)
    last = RayLifter(HUMANEVA_15.name, width=16, generator=random)
    fit_scenes(last, Scenes(data[0]), random, average=0.0)
    assert not torch.equal(last.outer.weight, lifter.outer.weight)
