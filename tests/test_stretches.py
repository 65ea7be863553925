from dataclasses import replace

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.detector import Detector
from posekit.poses import turn
from posekit.random import generator
from posekit.scenes import PLAIN, Mix
from posekit.smoothing import with_smooth_pixels
from posekit.stretches import Stretches

WINDOW = 9


@pytest.fixture(scope="module")
def data():
    return load_dataset("synthetic", "train", subjects=("S2", "S3"), stride=3)


def test_plain_stretches_are_recorded_paths(data):
    stretch = Stretches(data, PLAIN, WINDOW, Detector()).draw(64, generator(0))
    middle = stretch.paths_world[:, WINDOW // 2].flatten(1).double()
    distance, frames = torch.cdist(middle, data.poses_world.flatten(1).double()).min(1)
    assert distance.max() < 1e-4
    around = data.surrounding_frames(WINDOW)[frames]
    assert torch.equal(stretch.error_px.isnan().all(-1).all(-1), around < 0)  # beyond the ends of a clip nothing is seen
    inside = around >= 0
    assert inside.any(1).all()
    assert not inside.all()
    torch.testing.assert_close(stretch.paths_world[inside], data.poses_world[around[inside]], atol=1e-4, rtol=0)


def test_a_stretch_is_turned_and_mirrored_as_a_whole(data):
    plain, mirrored, turned = (
        Stretches(data, replace(PLAIN, **change), WINDOW, Detector()).draw(100, generator(3)).paths_world
        for change in (dict(mirror=1e-9), dict(mirror=1.0), dict(mirror=1e-9, place=True))
    )
    apart = torch.cdist(plain.flatten(1, 2), plain.flatten(1, 2))
    partners = torch.arange(WINDOW)[:, None] * 15 + torch.tensor(data.skeleton.partners)
    across = partners.flatten()
    torch.testing.assert_close(
        torch.cdist(mirrored.flatten(1, 2), mirrored.flatten(1, 2)), apart[:, across][:, :, across], atol=2e-3, rtol=0
    )
    torch.testing.assert_close(torch.cdist(turned.flatten(1, 2), turned.flatten(1, 2)), apart, atol=2e-3, rtol=0)
    torch.testing.assert_close(turned[..., 2], plain[..., 2], atol=1e-5, rtol=0)
    assert (turned - plain).norm(dim=-1).mean() > 0.5


def test_people_move_smoothly_and_keep_their_bones(data):
    mix = Mix(arms=1.0, upper=1.0, jitter=1.0)
    stretch = Stretches(data, mix, WINDOW, Detector()).draw(300, generator(1))
    lengths = data.skeleton.bone_lengths(stretch.paths_world)
    torch.testing.assert_close(lengths, lengths[:, :1].expand_as(lengths), atol=1e-4, rtol=0)
    steps = [paths.diff(dim=1).norm(dim=-1).quantile(0.99) for paths in (stretch.paths_world, data.poses_world.unsqueeze(0))]
    assert steps[0] < 1.5 * steps[1]


def test_the_middle_smoothed_is_what_smoothing_the_dataset_gives(data):
    """A person who stands where recorded, seen exactly, then smoothed: as the same frame of the smoothed clips."""
    scene = Stretches(data, PLAIN, 2 * 6 + 1, Detector(), smooth=2.0).draw(60, generator(0))
    middle = scene.poses_world.flatten(1).double()
    frames = torch.cdist(middle, data.poses_world.flatten(1).double()).argmin(1)
    smooth = with_smooth_pixels(data, 2.0)
    views = torch.cdist(scene.cameras.centers_world.unsqueeze(1), data.frame_cameras[frames].centers_world).squeeze(1).argmin(1)
    screen = smooth.screen()[frames, views]
    torch.testing.assert_close(scene.screen(), screen, atol=1e-4, rtol=0)
    assert scene.error_px.abs().max() > 0.1


def test_frames_are_seen_through_the_errors_asked_for(data):
    still = Detector(noise_px=5.0, noise_correlation=1e6)
    stretch = Stretches(data, Mix(), WINDOW, still).draw(500, generator(0))
    relative = 0.5 / stretch.confidence.unsqueeze(-1)
    held = stretch.error_px / relative
    middle = held[:, WINDOW // 2, None].expand_as(held)
    found = held.isfinite()
    torch.testing.assert_close(held[found], middle[found], atol=0.1, rtol=0)
    exact = stretch._replace(error_px=torch.zeros_like(stretch.error_px)).rays()
    apart = (stretch.rays() - exact)[..., :2] * stretch.cameras.focal_px[:, None, None]
    torch.testing.assert_close(apart[found], stretch.error_px[found], atol=0.1, rtol=0)


def test_same_seed_same_bits_and_no_label_is_needed_beyond_the_poses(data):
    stretches = Stretches(data, Mix(noise_px=5.0), WINDOW)
    first, second, other = (stretches.draw(16, generator(seed), 0.5) for seed in (1, 1, 2))
    assert torch.equal(first.paths_world.nan_to_num(), second.paths_world.nan_to_num())
    assert torch.equal(first.error_px.nan_to_num(), second.error_px.nan_to_num())
    assert not torch.equal(first.error_px.nan_to_num(), other.error_px.nan_to_num())


def test_a_gap_in_the_poses_ends_a_stretch(data):
    poses = data.poses_world.clone()
    poses[50] = torch.nan
    stretches = Stretches(replace(data, poses_world=poses), PLAIN, WINDOW, Detector())
    assert (stretches.first_frame[49], stretches.last_frame[49]) == (0, 49)
    assert stretches.first_frame[50] == 50


def test_turned_people_are_seen_turned(data):
    stretch = Stretches(data, Mix(), WINDOW, Detector()).draw(10, generator(0))
    angle = torch.tensor(0.7).expand(10, WINDOW)
    away = turn(stretch.paths_world, angle)
    assert not torch.allclose(stretch._replace(paths_world=away).rays().nan_to_num(), stretch.rays().nan_to_num())


def test_what_a_stretch_cannot_be_is_refused(data):
    with pytest.raises(ValueError, match="odd number of frames, got 8"):
        Stretches(data, Mix(), 8)
    with pytest.raises(ValueError, match=r"keep their sides: the detector must have swapped=0, got 0\.1"):
        Stretches(data, Mix(), 9, detector=Detector(swapped=0.1))
