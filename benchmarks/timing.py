"""How running times are compared: in turns, by medians, since machines are shared and noisy."""

import statistics
import time
from collections.abc import Callable


def medians(*functions: Callable[[], object], rounds: int) -> list[float]:
    """Median seconds of each function, taken in turns; each turn starts with a call that is not measured."""
    seconds = [[] for _ in functions]
    for _ in range(rounds):
        for function, taken in zip(functions, seconds):
            function()
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]
