from dataclasses import replace

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.poses import hip_heading
from posekit.random import generator
from posekit.recorded_errors import RecordedErrors, side_seen
from posekit.scenes import PLAIN
from posekit.stretches import SIDE_SPREAD, Stretches

ANYWHERE = replace(PLAIN, place=True)


@pytest.fixture(scope="module")
def data():
    return load_dataset("synthetic", "train", subjects=("S2", "S3"), stride=3)


def shifted(dataset, view, pixels):
    moved = dataset.pixels.clone()
    moved[:, view] += torch.tensor(pixels)
    return replace(dataset, pixels=moved)


def test_exact_detections_have_no_errors_and_missing_ones_none_known(data):
    pixels = data.pixels.clone()
    pixels[5, 1, 3] = torch.nan
    errors = RecordedErrors.of(replace(data, pixels=pixels))
    assert errors.across_m.nan_to_num().abs().max() < 1e-4
    assert errors.across_m[5, 1, 3].isnan().all()
    assert (errors.confidence == 0).sum() == 1


def test_scenes_carry_them_at_their_own_distance(data):
    """20 px to the right in the middle view are as many metres there, and as many pixels as these are elsewhere."""
    spoilt = shifted(data, 1, (20.0, 0.0))
    across = RecordedErrors.of(spoilt).across_m[:, 1, 0, 0]
    stretch = Stretches(spoilt, ANYWHERE, 5, recorded=True).draw(300, generator(0))
    inside = stretch.error_px[:, 2, 0, 0]
    depth = stretch.poses_camera()[:, 0, 2]
    metres = inside * depth / stretch.cameras.focal_px[:, 0]
    from_the_middle = metres > across.min() / 2
    assert 0.2 < from_the_middle.float().mean() < 0.5  # a third of the views
    assert metres[~from_the_middle].abs().max() < 1e-4
    assert metres.max() <= across.max() + 1e-5
    assert stretch.error_px[..., 1].nan_to_num().abs().max() < 0.05


def test_mirrored_people_have_mirrored_errors(data):
    knee, other = (data.skeleton.index(name) for name in ("left_knee", "right_knee"))
    pixels = data.pixels.clone()
    pixels[:, :, knee, 0] += 20.0
    spoilt = replace(data, pixels=pixels)
    for mirror, joint, sign in ((0.0, knee, 1.0), (1.0, other, -1.0)):
        stretch = Stretches(spoilt, replace(ANYWHERE, mirror=mirror), 5, recorded=True).draw(100, generator(0))
        error = stretch.error_px[:, 2, :, 0] * sign
        assert error[:, joint].min() > 5.0
        assert error[:, other if joint == knee else knee].abs().max() < 0.05


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_people_are_seen_from_a_side_that_was_recorded(data, mirror):
    walk = data.select_clips([data.clips[0]]).frames(0, 3)  # one moment, so that the sides are known
    stretch = Stretches(walk, replace(ANYWHERE, mirror=mirror), 3, recorded=True).draw(500, generator(0))
    middle = stretch.paths_world[:, 1]
    seen = side_seen(hip_heading(middle, data.skeleton), middle[:, 0], stretch.cameras)
    sides = RecordedErrors.of(walk).side.flatten()
    sides = torch.pi - sides if mirror else sides
    apart = torch.remainder(seen[:, None] - sides + torch.pi, 2 * torch.pi) - torch.pi
    nearest = apart.abs().amin(1)
    assert nearest.mean() < SIDE_SPREAD
    assert nearest.max() < 5 * SIDE_SPREAD


def test_the_same_seed_draws_the_same_and_people_must_be_placed(data):
    one, again = (Stretches(data, ANYWHERE, 5, recorded=True).draw(50, generator(3)) for _ in range(2))
    assert all(
        torch.equal(a, b)
        for a, b in zip((one.paths_world, one.error_px), (again.paths_world, again.error_px))
        if not a.isnan().any()
    )
    assert torch.equal(one.error_px.isnan(), again.error_px.isnan())
    with pytest.raises(ValueError, match="they need Mix.place=True."):
        Stretches(data, PLAIN, 5, recorded=True)
