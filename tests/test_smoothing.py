import pytest
import torch
from scipy.signal import butter, filtfilt

from posekit.random import generator
from posekit.smoothing import bridged, butterworth


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


def test_what_a_filter_cannot_do_is_refused(small):
    with pytest.raises(ValueError, match="order must be even"):
        butterworth(small.poses_world, small, order=3)
    with pytest.raises(ValueError, match="between 0 and half of synthetic's 60 frames per second, got 40"):
        butterworth(small.poses_world, small, cutoff_hz=40.0)
