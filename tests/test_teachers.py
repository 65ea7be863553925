from dataclasses import replace

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.metrics import report_mpjpe
from posekit.random import generator
from posekit.smoothing import smooth_over_time
from posekit.teachers import floor_heights, levelled, tracked, triangulated
from posekit.virtual_cameras import shifted


def test_exact_views_give_the_labels_back(small):
    poses = triangulated(small).poses_world
    torch.testing.assert_close(poses, small.poses_world, atol=2e-5, rtol=0)


@pytest.mark.parametrize("smooth", [0.0, 2.0])
def test_no_label_is_touched(small, smooth):
    blind = replace(small, poses_world=torch.full_like(small.poses_world, torch.nan))
    assert torch.equal(triangulated(small, smooth).poses_world, triangulated(blind, smooth).poses_world)


def test_one_view_is_not_enough(small):
    with pytest.raises(ValueError, match=r"at least two views.*got 1 \(C2\)"):
        triangulated(small.select_views(["C2"]))


def test_smoothing_brings_noisy_targets_nearer_to_the_truth(small):
    noisy = small.with_detector_noise(5.0, 0.1, generator(1))
    errors = [report_mpjpe(triangulated(noisy, smooth).poses_world, small.poses_world).nanmean() for smooth in (0.0, 2.0)]
    assert errors[1] < 0.6 * errors[0]


def test_smoothing_keeps_quadratics_bridges_gaps_and_stays_within_clips(small):
    time = torch.arange(len(small), dtype=torch.float64)[:, None, None]
    clip = small.clip_of_frame[:, None, None]
    shape = torch.tensor([0.1, -0.2, 0.003], dtype=torch.float64)
    quadratic = (1 + 5 * clip + time * shape - time**2 * shape / 100).expand(-1, 15, -1)
    weights = torch.ones(len(small), 15)
    gappy = quadratic.clone()
    gappy[7, 3] = torch.nan
    smoothed = smooth_over_time(gappy, weights, small, 2.0)
    torch.testing.assert_close(smoothed, quadratic, atol=1e-7, rtol=1e-9)


def test_a_joint_that_is_hardly_ever_seen_is_not_made_up(small):
    poses = small.poses_world.clone()
    poses[:, 4] = torch.nan
    assert smooth_over_time(poses, torch.ones(len(small), 15), small, 2.0)[:, 4].isnan().all()
    with pytest.raises(ValueError, match="sigma must be a positive number"):
        smooth_over_time(poses, torch.ones(len(small), 15), small, 0.0)


@pytest.fixture(scope="module")
def three():
    return load_dataset("synthetic", "train", stride=5)


def sunk(dataset, subject, by):
    """The dataset with one person's world, cameras included, moved down."""
    own = torch.tensor([clip.subject == subject for clip in dataset.clips])
    offset = torch.tensor([0.0, 0.0, -by]) * own.unsqueeze(-1)
    cameras = shifted(dataset.cameras, offset.unsqueeze(1))
    return replace(dataset, cameras=cameras, poses_world=dataset.poses_world + offset[dataset.clip_of_frame].unsqueeze(1))


def test_levelled_floors_agree_and_nothing_looks_different(three):
    odd = sunk(three, "S2", 0.04)
    heights, before = floor_heights(odd), floor_heights(three)
    assert heights["S2"] == pytest.approx(before["S2"] - 0.04, abs=1e-6)
    flat = levelled(odd)
    assert max(floor_heights(flat).values()) - min(floor_heights(flat).values()) < 1e-6
    assert sorted(floor_heights(flat).values())[1] == pytest.approx(sorted(heights.values())[1], abs=1e-6)
    torch.testing.assert_close(flat.poses_camera(), three.poses_camera(), atol=1e-5, rtol=0)
    assert flat.pixels is odd.pixels
    torch.testing.assert_close(levelled(flat).poses_world, flat.poses_world)


def test_floors_are_told_from_triangulated_ankles_without_labels(three):
    odd = sunk(three, "S2", 0.04)
    blind = triangulated(replace(odd, poses_world=odd.poses_world * torch.nan))
    assert floor_heights(blind) == pytest.approx(floor_heights(odd), abs=1e-4)


def test_a_floor_without_ankles_is_refused(three):
    poses = three.poses_world.clone()
    ankles = [three.skeleton.index("left_ankle"), three.skeleton.index("right_ankle")]
    poses[100, ankles[0]] = torch.nan  # one of them is enough
    assert floor_heights(replace(three, poses_world=poses)) == pytest.approx(floor_heights(three), abs=1e-3)
    poses[:, ankles] = torch.nan
    with pytest.raises(ValueError, match="synthetic: the floor under S1 cannot be told, since no frame has an ankle"):
        levelled(replace(three, poses_world=poses))


def test_robust_targets_shrug_off_blunders(small):
    spoilt = replace(small, pixels=small.pixels.clone())
    spoilt.pixels[::2, 1, 4] += 120.0
    plain, robust = ((triangulated(spoilt, robust=r).poses_world - small.poses_world).norm(dim=-1) for r in (False, True))
    assert robust.max() < 1e-3
    assert plain[::2, 4].min() > 0.01
    exact = triangulated(small, robust=True).poses_world
    torch.testing.assert_close(exact, small.poses_world, atol=2e-5, rtol=0)


def test_tracks_have_constant_bones_touch_no_label_and_are_nearer_to_the_truth(small):
    noisy = small.with_detector_noise(5.0, 0.0, generator(1))
    blind = replace(noisy, poses_world=torch.full_like(noisy.poses_world, torch.nan))
    poses = tracked(blind, 3.0).poses_world
    assert torch.equal(poses, tracked(noisy, 3.0).poses_world)
    errors = [(p - small.poses_world).norm(dim=-1).nanmean() for p in (poses, triangulated(noisy, robust=True).poses_world)]
    assert errors[0] < 0.6 * errors[1]
    for clip in small.clips:
        lengths = small.skeleton.bone_lengths(poses[clip.start : clip.stop])
        torch.testing.assert_close(lengths, lengths[:1].expand_as(lengths), atol=1e-4, rtol=0)
