"""Randomness by explicit generator, also where torch offers no such argument (initial weights, dropout)."""

from contextlib import contextmanager

import torch


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU, so that a seed means the same on every device."""
    return torch.Generator().manual_seed(seed)


@contextmanager
def seeded(source: torch.Generator | None):
    """Within the block torch's global generator is `source`: it draws from it and leaves it advanced.

    Afterwards the global generators are as before. With None they are used as they are. On other devices the
    block starts from a seed drawn from `source`.
    """
    if source is None:
        yield
        return
    with torch.random.fork_rng():
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(torch.randint(2**62, (), generator=source).item())
        torch.set_rng_state(source.get_state())
        yield
        source.set_state(torch.get_rng_state())
