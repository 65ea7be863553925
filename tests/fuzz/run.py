"""Fuzz every reader of files: `python tests/fuzz/run.py --cases 100000`. The same seed gives the same cases.

The cases run in a child process with a limit on its memory. The parent notes what became of each, and starts another
child after a case that ended its child or took too long.
"""

import argparse
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

EXTRA_MEMORY = 1024 * 2**20  # bytes of address space a case may take, on top of what the libraries have
MAX_SECONDS, MAX_MEGABYTES, HANGS_AFTER = 2.0, 500.0, 30.0
MAX_MESSAGE = 700  # characters, the path included


def child(first: int, last: int, seed: int, only: list[str]) -> None:
    """Run cases first..last - 1; a line of standard output for each: number, target, outcome, seconds, megabytes."""
    from targets import targets

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = {key: target for key, target in targets(folder).items() if not only or key in only}
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + EXTRA_MEMORY, used + EXTRA_MEMORY))
        shares = np.array([target.share for target in known.values()])
        print("ready", flush=True)
        for number in range(first, last):
            random = np.random.default_rng((seed, number))
            key = list(known)[random.choice(len(known), p=shares / shares.sum())]
            target = known[key]
            file, content = target.seeds[random.integers(len(target.seeds))]
            (folder / file).write_bytes(target.mutated(content, random))
            outcome, seconds, megabytes = _one(target, folder / file)
            print(f"{number}\t{key}\t{outcome}\t{seconds:.4f}\t{megabytes:.1f}", flush=True)


def _one(target, path: Path) -> tuple[str, float, float]:
    before = _memory(reset=True)
    start = time.process_time()
    try:
        target.read(path)
        outcome = "loaded"
    except target.documented as error:
        message = str(error)
        outcome = "refused"
        if path.parent.name not in message or len(message) > MAX_MESSAGE or "\n" in message:
            outcome = f"message: {message[:200]!r}"
    except Exception as error:
        outcome = f"{type(error).__name__}: {str(error)[:120]!r}"
    seconds = time.process_time() - start
    return outcome.replace("\t", " "), seconds, _memory() - before


def _memory(reset: bool = False) -> float:
    """The most megabytes held, since the last reset where the system lets us reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    key = "VmRSS:" if reset else "VmHWM:"
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def fuzz(cases: int, seed: int, only: list[str]) -> list[tuple[int, str, str, float, float]]:
    """All cases, in as many children as it takes: number, target, outcome, seconds, megabytes."""
    results = []
    while len(results) < cases:
        command = [sys.executable, __file__, "--child", str(len(results)), "--cases", str(cases), "--seed", str(seed), *only]
        quiet = os.environ | {"OMP_NUM_THREADS": "1", "POSEKIT_QUIET": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=quiet) as process:
            ended = _collect(process, results)
        if len(results) < cases:
            if ended == "never started":
                raise RuntimeError("the child process does not start")
            results.append((len(results), "?", ended, 0.0, 0.0))
    return results


def _collect(process: subprocess.Popen, results: list) -> str:
    """Read a child's lines until it ends; returns how it ended."""
    started, buffer = False, b""
    while select.select([process.stdout], [], [], HANGS_AFTER * (1 if started else 4))[0]:
        chunk = os.read(process.stdout.fileno(), 65536)
        if not chunk:
            return f"died: {process.wait()}" if started else "never started"
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            if started:
                number, key, outcome, seconds, megabytes = line.decode(errors="replace").split("\t")
                results.append((int(number), key, outcome, float(seconds), float(megabytes)))
            started = True
    process.kill()
    return f"hung for {HANGS_AFTER} s"


def faults(results: list) -> list:
    """The cases that break a promise."""
    good = ("loaded", "refused")
    return [r for r in results if r[2] not in good or r[3] > MAX_SECONDS or r[4] > MAX_MEGABYTES]


def figures(results: list) -> dict[str, dict[str, float]]:
    """By target: how many cases, what became of them, the slowest (seconds of processor time) and the largest (megabytes)."""
    found = {}
    for key in sorted({r[1] for r in results}):
        own = [r for r in results if r[1] == key]
        counts = Counter(r[2] for r in own)
        found[key] = dict(cases=len(own), loaded=counts["loaded"], refused=counts["refused"], faults=len(faults(own)))
        found[key] |= dict(slowest_s=round(max(r[3] for r in own), 2), most_mb=round(max(r[4] for r in own)))
    return found


def report(results: list) -> str:
    """The figures of each target, and every kind of fault with its first case."""
    lines = [f"{key}: " + ", ".join(f"{n} {name}" for name, n in own.items()) for key, own in figures(results).items()]
    kinds = {}
    for result in faults(results):
        kinds.setdefault((result[1], result[2].split(":")[0]), []).append(result)
    for (key, kind), cases in kinds.items():
        number, _, outcome, seconds, megabytes = cases[0]
        lines.append(f"  {len(cases)} x {key}: {kind}, first case {number}: {outcome} ({seconds} s, {megabytes} MB)")
    return "\n".join(lines)


def keep(path: Path, results: list, run: dict[str, int]) -> None:
    """Put this run's figures into a JSON file, which keeps those of other targets."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept |= {key: own | {"run": run} for key, own in figures(results).items()}
    path.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="targets; default all")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figures", type=Path, help="a JSON file for the figures, such as book/fuzz.json")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child, options.cases, options.seed, options.only)
    else:
        begun = time.monotonic()
        done = fuzz(options.cases, options.seed, options.only)
        print(report(done))
        seconds = round(time.monotonic() - begun)
        print(f"{len(done)} cases in {seconds} s, {len(faults(done))} faults")
        if options.figures:
            keep(options.figures, done, dict(cases=len(done), seed=options.seed, seconds=seconds))
        sys.exit(bool(faults(done)))
