"""Randomness from explicit generators, also where torch has no argument for one (initial weights, dropout)."""

from contextlib import contextmanager

import torch

from posekit.renaming import renamed


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU, so that a seed means the same on every device.

    >>> torch.rand(2, generator=generator(0))
    tensor([0.4963, 0.7682])
    """
    return torch.Generator().manual_seed(seed)


@renamed(source="generator")
@contextmanager
def seeded(generator: torch.Generator | None):
    """Within the block, torch's global generator stands for `generator`: what is drawn advances `generator`.

    Afterwards the global generators are as before. With None they are used as they are. On other devices the
    block starts from a seed that `generator` would draw, and does not advance it: a seed gives the same on the CPU
    whether or not there are other devices.

    >>> numbers = generator(0)
    >>> with seeded(numbers):
    ...     drawn = torch.rand(3)  # torch's global generator
    >>> torch.equal(drawn, torch.rand(3, generator=generator(0)))
    True
    """
    if generator is None:
        yield
        return
    with torch.random.fork_rng():
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(torch.randint(2**62, (), generator=generator.clone_state()).item())
        torch.set_rng_state(generator.get_state())
        yield
        generator.set_state(torch.get_rng_state())
