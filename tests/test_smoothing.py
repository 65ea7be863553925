import pytest
import torch
from scipy.signal import butter, filtfilt

from posekit.random import generator
from posekit.smoothing import bridged, butterworth, smooth_over_time, with_smooth_pixels


@pytest.fixture
def noisy(small):
    noise = torch.randn(small.poses_world.shape, generator=generator(0), dtype=torch.float64)
    return small.poses_world.double() + 0.01 * noise


def test_butterworth_agrees_with_scipy_within_each_clip(small, noisy):
    found = butterworth(noisy, small, cutoff_hz=6.0)
    for clip in small.clips:
        part = noisy[clip.start : clip.stop].numpy()
        expected = filtfilt(*butter(2, 6.0 / (small.frame_rate / 2)), part, axis=0, padlen=9)
        torch.testing.assert_close(found[clip.start : clip.stop], torch.from_numpy(expected.copy()))


def test_butterworth_has_no_delay_and_lets_slow_motion_pass(small):
    time = torch.arange(len(small), dtype=torch.float64)[:, None, None] / small.frame_rate
    slow, fast = (torch.sin(2 * torch.pi * hertz * time).expand(-1, 15, 3) for hertz in (0.5, 20.0))
    inside = slice(60, 200)
    torch.testing.assert_close(butterworth(slow + fast, small)[inside], slow[inside], atol=5e-3, rtol=0)
    assert butterworth(fast, small)[inside].abs().max() < 0.01


def test_short_gaps_are_bridged_and_long_ones_stay(small, noisy):
    gappy = noisy.clone()
    gappy[50:53, 4] = torch.nan
    gappy[100:140, 7, 0] = torch.nan
    gappy[:3, 9] = torch.nan
    found, whole = butterworth(gappy, small, longest_gap=3), butterworth(noisy, small)
    assert found[50:53, 4].isfinite().all()
    assert found[100:140, 7].isnan().all()
    assert found[:3, 9].isnan().all()
    assert found.isnan().any(-1).sum() == 43
    assert torch.equal(found[:, 5], whole[:, 5])
    alone = butterworth(noisy[:100], small.frames(0, 100))  # what lies beyond a long gap has no say
    torch.testing.assert_close(found[:100, 7], alone[:, 7])


def test_bridges_are_straight(small):
    line = torch.arange(20, dtype=torch.float64)[:, None, None] * torch.tensor([1.0, -2.0, 0.5])
    gappy = line.expand(20, 2, 3).clone()
    gappy[5:9, 0] = torch.nan
    torch.testing.assert_close(bridged(gappy, 4), line.expand(20, 2, 3))
    assert bridged(gappy, 3)[5:9, 0].isnan().all()


def test_gaps_are_bridged_from_both_sides_and_nothing_is_carried_on_beyond_what_was_seen(small, noisy):
    gappy = noisy.clone()
    gappy[50:56, 4] = torch.nan  # both ends in reach of 9 frames
    gappy[100:130, 7] = torch.nan  # in the middle they are not
    gappy[:6, 9] = gappy[235:240, 9] = torch.nan  # before the first frame, and after the last of a clip
    assert small.clips[0].stop == 240
    smooth = smooth_over_time(gappy, torch.ones(gappy.shape[:-1]), small, sigma=3.0)
    assert smooth[50:56, 4].isfinite().all()
    assert smooth[100:130, 7].isnan().all()
    assert smooth[:6, 9].isnan().all()
    assert smooth[235:240, 9].isnan().all()
    assert smooth.isnan().any(-1).sum() == 30 + 6 + 5
    assert ((smooth - small.poses_world).norm(dim=-1).nan_to_num() < 0.06).all()


def test_bridged_joints_are_trusted_as_those_found_are_in_the_mean(small):
    dataset = small.with_detector_noise(4.0, 0.05, generator(3))
    smooth = with_smooth_pixels(dataset, 3.0)
    found, invented = dataset.confidence > 0, (dataset.confidence == 0) & (smooth.confidence > 0)
    assert invented.any()
    assert torch.equal(smooth.confidence[found], dataset.confidence[found])
    torch.testing.assert_close(smooth.confidence[invented], dataset.confidence[found].mean().expand(int(invented.sum())))


def test_what_a_filter_cannot_do_is_refused(small):
    with pytest.raises(ValueError, match="order must be even"):
        butterworth(small.poses_world, small, order=3)
    with pytest.raises(ValueError, match="between 0 and half of synthetic's 60 frames per second, got 40"):
        butterworth(small.poses_world, small, cutoff_hz=40.0)
