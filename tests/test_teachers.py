from dataclasses import replace

import pytest
import torch

from posekit.metrics import report_mpjpe
from posekit.random import generator
from posekit.smoothing import smooth_over_time
from posekit.teachers import triangulated


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
