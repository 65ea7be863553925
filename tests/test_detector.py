import math

import pytest
import torch

from posekit.detector import FAULTS, Detector, correlated, kept_for_runs, mixed_detectors, named_faults
from posekit.random import generator

LONG = torch.cat([torch.arange(2000), torch.arange(1), torch.arange(2000)])  # three clips, one of a single frame


def lagged(noise, age, lag):
    """Correlation with itself `lag` frames before, within the clips."""
    now, before = noise[lag:], noise[:-lag]
    return (now * before)[age[lag:] >= lag].mean()


@pytest.mark.parametrize("length", [2.0, 10.0])
def test_correlated_noise_is_as_strong_as_before_and_falls_to_1_over_e(length):
    noise = correlated(torch.randn(len(LONG), 200, generator=generator(0)), LONG, length)
    assert noise.std() == pytest.approx(1, rel=0.02)
    assert noise[:5].std() == pytest.approx(1, rel=0.1)  # from the first frame on
    assert lagged(noise, LONG, int(length)) == pytest.approx(math.exp(-1), abs=0.02)
    assert lagged(noise, LONG, 2 * int(length)) == pytest.approx(math.exp(-2), abs=0.02)


def test_correlated_noise_is_the_recursion_it_stands_for():
    white = torch.randn(7, 3, generator=generator(1), dtype=torch.float64)
    age, kept = torch.tensor([0, 1, 2, 3, 0, 1, 2]), math.exp(-1 / 4)
    expected = white.clone()
    for frame in range(7):
        if age[frame]:
            expected[frame] = kept * expected[frame - 1] + math.sqrt(1 - kept**2) * white[frame]
    torch.testing.assert_close(correlated(white, age, 4.0), expected)


def test_every_sample_can_have_a_correlation_of_its_own():
    white = torch.randn(50, 3, generator=generator(1), dtype=torch.float64)
    lengths = torch.tensor([0.0, 3.0, 20.0], dtype=torch.float64)
    together = correlated(white, torch.arange(50), lengths)
    torch.testing.assert_close(together[:, 0], white[:, 0])
    for sample in (1, 2):
        alone = correlated(white[:, sample], torch.arange(50), lengths[sample].item())
        torch.testing.assert_close(together[:, sample], alone)


def test_noise_does_not_run_on_into_the_next_clip():
    white = torch.randn(len(LONG), 4, generator=generator(2))
    changed = white.clone()
    changed[:2001] = 7.0
    first, second = (correlated(noise, LONG, 10.0)[2001:] for noise in (white, changed))
    assert torch.equal(first, second)
    uniform = torch.rand(2, len(LONG), 4, generator=generator(3))
    changed = uniform.clone()
    changed[:, :2001] = 0.01
    first, second = (kept_for_runs(*numbers, LONG, 0.1, 20.0)[2001:] for numbers in (uniform, changed))
    assert torch.equal(first, second)


@pytest.mark.parametrize(("share", "run"), [(0.1, 8.0), (0.4, 3.0)])
def test_runs_are_as_frequent_and_as_long_as_asked(share, run):
    age = torch.arange(4000)
    faults = Detector(missing=share, missing_run=run).draw(age, (200,), generator(0))
    missing = ~faults.found
    begins = missing[1:] & ~missing[:-1]
    assert missing.float().mean() == pytest.approx(share, rel=0.05)
    assert missing.sum() / (begins.sum() + missing[0].sum()) == pytest.approx(run, rel=0.05)


def test_faults_that_are_not_asked_for_draw_nothing():
    """So the frames of old records are the same to the bit."""
    age = torch.arange(50)
    with_runs, without = (Detector(5.0, missing=0.1, missing_run=run).draw(age, (3, 15), generator(0)) for run in (4.0, 0.0))
    assert torch.equal(with_runs.noise_px, without.noise_px)
    assert without.swapped is None
    random = generator(0)
    relative = 0.5 + torch.rand(50, 3, 15, generator=random)
    noise = 5.0 * relative.unsqueeze(-1) * torch.randn(50, 3, 15, 2, generator=random)
    assert torch.equal(without.noise_px, noise)
    assert torch.equal(without.found, torch.rand(50, 3, 15, generator=random) >= 0.1)


def test_many_detectors_are_of_many_kinds():
    many = mixed_detectors(4000, 5.0, generator(0))
    assert (many.noise_px == 0).float().mean() == pytest.approx(1 / 6, abs=0.03)
    assert many.noise_px.max() <= 7.5
    assert (many.noise_correlation > 0).float().mean() == pytest.approx(0.5, abs=0.03)
    faults = many.draw(torch.arange(9), (4000, 15), generator(1))
    exact = (many.noise_px == 0).squeeze(-1)
    assert not faults.noise_px[:, exact].any()
    assert (faults.confidence(many.noise_px)[:, exact] == 1).all()
    assert faults.confidence(many.noise_px)[:, ~exact].max() <= 1


def test_noise_in_words():
    assert named_faults("exact") == dict.fromkeys(FAULTS, 0.0)
    assert named_faults("noise_px=5+missing=0.1") == dict.fromkeys(FAULTS, 0.0) | dict(noise_px=5.0, missing=0.1)
    for wrong in ("", "loud", "noise=5", "noise_px=5+noise_px=6", "missing=2", "noise_px=-1", "noise_px=nan", "noise_px=many"):
        with pytest.raises(ValueError, match='noise must be "exact" or like "noise_px=5'):
            named_faults(wrong)


@pytest.mark.parametrize("name", FAULTS)
def test_impossible_faults_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must"):
        Detector(**{name: -1.0})
