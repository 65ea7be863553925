"""Datasets whose cameras are found: nothing given is looked at, and the lifters taught with them come out as before."""

from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path

import pytest
import roma
import torch

from posekit import experiments
from posekit.calibration import compare_cameras
from posekit.calibration.recordings import with_found_cameras
from posekit.datasets import load_dataset
from posekit.experiments import run
from posekit.poses import lowest_ankle
from posekit.settings import Experiment
from posekit.tables import listed
from posekit.teachers import triangulated

QUICK = dict(frames=40, restarts=1)
TINY = Experiment().but(width=16, epochs=2, batch_size=500, stride=5)


@pytest.fixture(scope="module")
def people():
    return load_dataset("synthetic", "train", subjects=("S1", "S2"), actions=("Walking",)).every(2)


@pytest.fixture(scope="module")
def found(people):
    return with_found_cameras(people, **QUICK)[0]


def test_found_cameras_are_the_true_ones_upright_and_of_their_size(people, found):
    for own, true in zip(found.cameras, people.cameras):
        errors = compare_cameras(own, true)
        assert errors.rotation_deg < 0.01
        assert errors.metric_centre_cm < 0.1
        tilt = (own.R_world_to_camera[..., 2] * true.R_world_to_camera[..., 2]).sum(-1).clamp(max=1).arccos().rad2deg()
        assert tilt.max() < 0.5
    assert found.poses_world.isnan().all()
    assert torch.equal(found.pixels, people.pixels)
    assert lowest_ankle(triangulated(found).poses_world, found.skeleton).median() == pytest.approx(0.08, abs=0.02)


def test_neither_extrinsics_nor_labels_are_read(people):
    turn = roma.rotvec_to_rotmat(torch.tensor([0.4, -1.2, 2.0]))
    elsewhere = replace(people.cameras, R_world_to_camera=people.cameras.R_world_to_camera @ turn.mT)
    blank = replace(people, cameras=elsewhere, poses_world=None)
    one, other = (with_found_cameras(data, "stature", **QUICK)[0] for data in (people, blank))
    assert torch.equal(one.cameras.R_world_to_camera, other.cameras.R_world_to_camera)
    assert torch.equal(one.cameras.t_world_to_camera, other.cameras.t_world_to_camera)


def test_by_stature_everybody_has_the_same_legs(people, found):
    by_stature, _ = with_found_cameras(people, "stature", **QUICK)
    knees = [people.skeleton.index(f"{side}_{joint}") - 1 for side in ("left", "right") for joint in ("knee", "ankle")]
    lengths = people.skeleton.bone_lengths(triangulated(by_stature).poses_world)[:, knees].sum(-1) / 2
    for clip in by_stature.clips:
        assert lengths[clip.start : clip.stop].median() == pytest.approx(0.491 * 1.7, rel=1e-3)
    sizes = [compare_cameras(a, b).scale for a, b in zip(by_stature.cameras, found.cameras)]
    assert abs(sizes[0] - sizes[-1]) > 0.02  # S1 and S2 are not of one size


@pytest.mark.parametrize(
    "options", [dict(), dict(method="supervised", teacher="triangulation"), dict(method="scenes")], ids=str
)
def test_an_experiment_on_found_cameras_gives_the_same_lifter(options):
    given, people = (run(TINY.but(cameras_from=which, **options))[0] for which in ("given", "people"))
    assert people.metrics_mm["n_mpjpe"] == pytest.approx(given.metrics_mm["n_mpjpe"], rel=0.05)
    assert people.metrics_mm != given.metrics_mm
    assert people.data == given.data
    assert people.curve["epoch"] == ([] if options.get("method") == "scenes" else given.curve["epoch"])


def recorded_rows(camera, dataset):
    tables = listed(Path(__file__).parent).tables
    rows = (*tables["found_cameras"].rows, *tables["found_cameras_human36m"].rows)
    return [row for row in rows if row.name.endswith(camera) and row.experiments[0].data.dataset == dataset]


@pytest.mark.parametrize("row", recorded_rows("-stature", "humaneva"), ids=lambda row: row.name)
def test_the_recorded_settings_run_on_synthetic_people(row, monkeypatch):
    monkeypatch.setattr(experiments, "with_found_cameras", partial(with_found_cameras, **QUICK))
    small = dict(dataset="synthetic", width=16, epochs=1, batch_size=500, stride=20)
    record, _ = run(row.experiments[0].but(**small))
    assert record.experiment["cameras_from"] == "people"
    assert all(map(isfinite, record.metrics_mm.values()))


@pytest.mark.parametrize("dataset", ["humaneva", "human36m"])
def test_true_and_found_cameras_are_recorded_with_the_same_settings(dataset):
    true, *others = (recorded_rows(end, dataset) for end in ("-true", "-leg", "-stature"))
    assert len(true) == 2
    for changes, found in zip((dict(cameras_from="people"), dict(cameras_from="people", scale_from="stature")), others):
        assert [[e.but(**changes) for e in row.experiments] for row in true] == [[*row.experiments] for row in found]


def test_what_cannot_be_found_says_why(people):
    with pytest.raises(ValueError, match='must be "leg" or "stature"'):
        with_found_cameras(people, "arm")
    with pytest.raises(ValueError, match="how long the legs of S1 are"):
        with_found_cameras(replace(people, poses_world=None), **QUICK)
    one, two = people.select_clips([people.clips[0]]), people.select_clips([people.clips[-1]])
    zoomed = replace(people.cameras, focal_px=people.cameras.focal_px * torch.linspace(1, 2, len(people.clips))[:, None, None])
    alone = replace(people, cameras=zoomed, clips=tuple(replace(clip, subject="S1") for clip in people.clips))
    with pytest.raises(ValueError, match="focal_px of the cameras change while S1"):
        with_found_cameras(alone, **QUICK)
    with pytest.raises(ValueError, match="two views"):
        with_found_cameras(one.select_views(["C1"]))
    late = replace(two, pixels=torch.cat([two.pixels[:, :1].roll(2, 0), two.pixels[:, 1:]], dim=1))
    with pytest.warns(UserWarning, match="S2: the cameras found from people are likely wrong: view C1: out of step"):
        with_found_cameras(late, **QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(scale_from="stature"), "only with cameras_from='people'"),
        (dict(method="supervised", cameras_from="people"), "not in the world of cameras that were found"),
        (dict(start_off_deg=5.0), "only with cameras_from='learned'"),
        (dict(cameras_from="learned", scale_from="stature"), "only with cameras_from='people'"),
        (dict(method="scenes", teacher="labels", cameras_from="learned"), "not in the world of cameras that were found"),
        (dict(method="adaptation", cameras_from="people"), "does not count for method 'adaptation'"),
    ],
)
def test_settings_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        Experiment().but(**options)
