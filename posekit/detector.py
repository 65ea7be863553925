"""What an imperfect detector does to 2D joints over time: noise, also correlated; missing joints; swapped sides.

All of it is drawn at once for all frames, and nothing runs on from one clip into the next.
"""

import math
from dataclasses import dataclass, fields
from numbers import Real
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Amount = float | Tensor
"""A number, or a tensor with one for each of the samples, which broadcasts against (time, *batch, joints)."""


class Faults(NamedTuple):
    """What a detector got wrong, time first.

    noise_px: the noise of each joint.
    relative: its standard deviation relative to the typical one, 0.5 to 1.5.
    found: whether a joint was found at all.
    swapped: whether left and right were exchanged; None if they never are.
    """

    noise_px: Float[Tensor, "F *batch J 2"]
    relative: Float[Tensor, "F *batch J"]
    found: Bool[Tensor, "F *batch J"]
    swapped: Bool[Tensor, " F *batch"] | None

    def confidence(self, noise_px: Amount) -> Float[Tensor, "F *batch J"] | float:
        """How sure a detector is of what it found: 1 down to 1/3 as its noise grows, 1 where there is no noise."""
        sure = 0.5 / self.relative
        return sure.where(noise_px > 0, 1.0) if isinstance(noise_px, Tensor) else sure if noise_px else 1.0


@dataclass(frozen=True)
class Detector:
    """How good a detector is.

    Args:
        noise_px: typical standard deviation of a 2D joint, pixels. Each joint's own is 0.5 to 1.5 times this value,
            anew in every frame.
        noise_correlation: frames after which the correlation of the noise with itself has fallen to 1/e (a first-order
            autoregressive process); 0 for noise that is independent from frame to frame.
        missing: share of joints that are not found.
        missing_run: mean length, in frames, of a run without a joint, and of a run of swapped sides; 0 for frames that
            are independent of each other.
        swapped: share of frames in which the left and right joints of a view are exchanged.

    Raises:
        ValueError: for a negative amount, a share above 1, or what is no number.
    """

    noise_px: Amount = 0.0
    noise_correlation: Amount = 0.0
    missing: Amount = 0.0
    missing_run: Amount = 0.0
    swapped: float = 0.0

    def __post_init__(self):
        for name, value, most in ((f.name, getattr(self, f.name), 1 if f.name in SHARES else math.inf) for f in fields(self)):
            if not isinstance(value, Tensor | Real):
                raise ValueError(f"{name} must be a number, got {value!r}")
            if not isinstance(value, Tensor) and not 0 <= value <= most:
                allowed = "be in [0, 1]" if most == 1 else "not be negative"
                raise ValueError(f"{name} must {allowed}, got {value}")

    def __bool__(self) -> bool:
        """Whether it gets anything wrong."""
        return any(bool(torch.as_tensor(amount).any()) for amount in (self.noise_px, self.missing, self.swapped))

    def draw(self, age: Int[Tensor, " F"], shape: tuple[int, ...], generator: torch.Generator | None) -> Faults:
        """Draw the faults of F frames.

        Args:
            age: frames since each one's clip began.
            shape: of a frame, (*batch, joints).
            generator: of all that is drawn; None for torch's global one.
        """

        def uniform(*shape):
            return torch.rand(len(age), *shape, generator=generator)

        relative = 0.5 + uniform(*shape)
        noise = torch.randn(len(age), *shape, 2, generator=generator)
        found = uniform(*shape)
        if _any(self.noise_correlation):
            noise = correlated(noise, age, _per_coordinate(self.noise_correlation))
        if _any(self.missing_run):
            found = kept_for_runs(found, uniform(*shape), age, self.missing, self.missing_run)
        swapped = None
        if self.swapped:
            swapped = uniform(*shape[:-1])
            if _any(self.missing_run):
                swapped = kept_for_runs(swapped, uniform(*shape[:-1]), age, self.swapped, self.missing_run)
            swapped = swapped < self.swapped
        noise_px = _per_coordinate(self.noise_px) * relative.unsqueeze(-1) * noise
        return Faults(noise_px, relative, found >= self.missing, swapped)


SHARES = ("missing", "swapped")
FAULTS = tuple(f.name for f in fields(Detector))


def check_faults(**faults: float) -> None:
    """Refuse what `Detector` refuses, and faults that change nothing because what they are about is 0.

    Raises:
        ValueError: for `noise_correlation` without `noise_px`, or `missing_run` without `missing` or `swapped`.
    """
    found = Detector(**faults)
    if found.noise_correlation and not found.noise_px:
        raise ValueError(f"noise_correlation={found.noise_correlation} changes nothing without noise_px")
    if found.missing_run and not (found.missing or found.swapped):
        raise ValueError(f"missing_run={found.missing_run} changes nothing without missing or swapped")


def named_faults(text: str) -> dict[str, float]:
    """A detector's faults by name, from text such as "noise_px=5+missing=0.1"; "exact" has none.

    Raises:
        ValueError: for a name that is none of `FAULTS`, and as `Detector`.
    """
    given = dict(part.split("=", 1) for part in text.split("+") if "=" in part)
    try:
        if text != "exact" and (len(given) < text.count("+") + 1 or not set(given) <= set(FAULTS)):
            raise ValueError(f"expected some of {', '.join(FAULTS)}, each once with its value")
        faults = dict.fromkeys(FAULTS, 0.0) | {name: float(value) for name, value in given.items()}
        Detector(**faults)
    except ValueError as error:
        raise ValueError(f'noise must be "exact" or like "noise_px=5+missing=0.1", got {text!r}: {error}') from None
    return faults


def mixed_detectors(count: int, noise_px: float, generator: torch.Generator | None) -> Detector:
    """As many detectors, each of another kind, for training a lifter that is to cope with any.

    A sixth is exact; the noise of the others is 0.5 to 1.5 times `noise_px`, for half of them correlated over 2 to 40
    frames. Half of all miss up to 20 % of the joints, half of these for 2 to 15 frames at a time.
    """

    def uniform(low, high):
        return low + (high - low) * torch.rand(count, 1, generator=generator)

    def some(share, amounts):
        return amounts.where(uniform(0, 1) < share, 0.0)

    return Detector(
        noise_px=some(5 / 6, noise_px * uniform(0.5, 1.5)),
        noise_correlation=some(1 / 2, uniform(math.log(2), math.log(40)).exp()),
        missing=some(1 / 2, uniform(0, 0.2)),
        missing_run=some(1 / 2, uniform(math.log(2), math.log(15)).exp()),
    )


def correlated(
    white: Float[Tensor, " F *batch"], age: Int[Tensor, " F"], length: float | Float[Tensor, "*#batch"]
) -> Float[Tensor, " F *batch"]:
    """Turn independent standard normal numbers into a stationary process whose correlation falls to 1/e in `length` frames.

    x[0] = e[0] and x[t] = r x[t - 1] + sqrt(1 - r^2) e[t] within each clip. The sum over all earlier frames is built
    up by doubling: of two frames, of four, of eight.

    Args:
        white: time first.
        age: frames since each one's clip began.
        length: in frames; 0 leaves the numbers as they are.
    """
    length = torch.as_tensor(length, dtype=white.dtype)
    kept = torch.exp(-1 / length)
    since = age.view(-1, *[1] * (white.ndim - 1))
    values = white * (1 - kept**2).sqrt().where(since > 0, 1.0)
    step, longest = 1, int(age.max())
    while step <= longest:
        values = values + kept**step * values.roll(step, 0).where(since >= step, 0.0)
        step *= 2
    return values


def kept_for_runs(
    drawn: Float[Tensor, " F *batch"],
    chance: Float[Tensor, " F *batch"],
    age: Int[Tensor, " F"],
    share: Amount,
    run: Amount,
) -> Float[Tensor, " F *batch"]:
    """Keep uniform numbers for a while, so that the runs of those below `share` last `run` frames in the mean.

    A run ends when a new number is drawn, with probability 1 / (run (1 - share)), and is not below the share.

    Args:
        drawn: uniform in [0, 1), time first.
        chance: likewise; decides where a new number begins.
        age: frames since each one's clip began.
        share, run: as in `Detector`. Runs cannot be shorter than those of independent frames, 1 / (1 - share).
    """
    anew = (chance * run * (1 - share) < 1) | (age == 0).view(-1, *[1] * (drawn.ndim - 1))
    index = torch.arange(len(age)).view(-1, *[1] * (drawn.ndim - 1))
    return drawn.gather(0, index.where(anew, 0).cummax(0).values)


def _any(amount: Amount) -> bool:
    return bool(torch.as_tensor(amount).any())


def _per_coordinate(amount: Amount) -> Amount:
    return amount.unsqueeze(-1) if isinstance(amount, Tensor) else amount
