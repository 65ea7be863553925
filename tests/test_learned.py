"""Cameras as parameters: what the loss cannot tell stays, what it can is learned, and no label is read."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from posekit import experiments
from posekit.calibration import compare_cameras
from posekit.calibration.learned import LearnedCameras, carried, learn_cameras
from posekit.calibration.recordings import with_learned_cameras
from posekit.datasets import load_dataset
from posekit.lifters import FrameLifter
from posekit.random import generator
from posekit.settings import Experiment


@pytest.fixture(scope="module")
def people():
    return load_dataset("synthetic", "train", subjects=("S2",), actions=("Walking",)).every(2)


@pytest.fixture(scope="module")
def true(people):
    return people.cameras[0]


@pytest.fixture(scope="module")
def middle(people):
    return people.poses_world[:, 0].mean(0)


def test_untrained_they_are_the_start(true):
    with torch.no_grad():
        cameras = LearnedCameras(true)()
    torch.testing.assert_close(cameras.R_world_to_camera, true.R_world_to_camera)
    torch.testing.assert_close(cameras.t_world_to_camera, true.t_world_to_camera, atol=1e-4, rtol=0)


def test_whatever_the_parameters_the_first_camera_and_one_distance_stay(true):
    learned = LearnedCameras(true)
    torch.nn.init.normal_(learned.turn, generator=generator(0)), torch.nn.init.normal_(learned.shift, generator=generator(1))
    with torch.no_grad():
        cameras = learned()
    assert (cameras.R_world_to_camera[1:] - true.R_world_to_camera[1:]).abs().amax((1, 2)).min() > 0.1
    torch.testing.assert_close(cameras.R_world_to_camera[0], true.R_world_to_camera[0])
    ends, expected = cameras.centers_world[[0, -1]], true.centers_world[[0, -1]]
    torch.testing.assert_close(ends[0], expected[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.dist(*ends), torch.dist(*expected))
    assert torch.dist(ends[1], expected[1]) > 0.1


def test_carried_cameras_see_the_point_where_it_was(true, middle):
    start = carried(true, middle, 20.0, generator(3))
    seen, before = (cameras.world_to_camera(middle.expand(3, 1, 3)) for cameras in (start, true))
    torch.testing.assert_close(seen, before, atol=1e-4, rtol=0)
    turns = start.R_world_to_camera @ true.R_world_to_camera.mT
    degrees = ((turns.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1).arccos().rad2deg()
    torch.testing.assert_close(degrees, torch.tensor([0.0, 20.0, 20.0]), atol=0.1, rtol=0)


def test_from_near_they_come_nearer(people, true, middle):
    start, draws = carried(true, middle, 10.0, generator(0)), generator(0)
    lifter = FrameLifter(15, width=64, dropout=0.0, generator=draws)
    found = learn_cameras(lifter, people.views(), start, steps=150, batch_size=32, generator=draws)
    assert compare_cameras(found, true).rotation_deg < 0.8 * compare_cameras(start, true).rotation_deg
    assert not found.t_world_to_camera.requires_grad


def test_no_label_is_read(people):
    quick = dict(start_off_deg=10.0, width=16, steps=3, batch_size=16)
    one, other = (with_learned_cameras(data, **quick) for data in (people, replace(people, poses_world=None)))
    assert torch.equal(one.cameras.t_world_to_camera, other.cameras.t_world_to_camera)
    assert one.poses_world.isnan().all()
    assert compare_cameras(one.cameras[0], people.cameras[0]).rotation_deg > 1


def test_an_experiment_trains_on_them(monkeypatch):
    monkeypatch.setattr(experiments, "with_learned_cameras", partial(with_learned_cameras, width=16, steps=3))
    tiny = Experiment().but(width=16, epochs=1, batch_size=500, stride=20)
    given, learned = (experiments.run(tiny.but(**change))[0] for change in ({}, dict(cameras_from="learned")))
    assert learned.metrics_mm != given.metrics_mm
    assert learned.data == given.data


def test_as_many_cameras_as_views(people, true):
    with pytest.raises(ValueError, match="one camera for each of 3 views"):
        learn_cameras(torch.nn.Identity(), people.views(), true[:2], generator=generator(0))
