"""Measure what a run costs beside its own seconds, and write book/overhead.json: python book/overhead.py [--runs 6].

Tiny runs of the notebook, one at a time, by `reproduce.py --jobs 1` and on a Dask cluster of one worker, in turns.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

from posekit.records import load_record, machine, write_atomically

ROOT = Path(__file__).parent.parent
ROUNDS = 2
TINY = "rows:\n- name: tiny\n  seeds: {seeds}\n  width: 8\n  epochs: 1\n  stride: 10\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=6, help="in each of the two rounds of each engine")
    runs = parser.parse_args().runs
    costs = {"threads": [], "dask": []}
    for _ in range(ROUNDS):
        costs["threads"] += _measure(runs, "--jobs", "1")
        with _cluster() as address:
            costs["dask"] += _measure(runs, "--scheduler", address)
    found = {engine: dict(zip(("run", "own"), map(median, zip(*pairs)))) for engine, pairs in costs.items()}
    content = {
        "command": shlex.join(["python", "book/overhead.py", "--runs", str(runs)]),
        "runs": len(costs["threads"]),
        "median_seconds": {engine: {name: round(value, 2) for name, value in cost.items()} for engine, cost in found.items()},
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        **machine("cpu"),
    }
    write_atomically(ROOT / "book" / "overhead.json", json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


def _measure(runs: int, *options: str) -> list[tuple[float, float]]:
    """The seconds from the end of one run to the end of the next, and the run's own seconds, of all runs but the first."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "book" / "results"
        results.mkdir(parents=True)
        (results / "runs.yml").write_text(TINY.format(seeds=list(range(runs + 1))))
        shutil.copy(ROOT / "book" / "reproduce.py", results.parent)
        shutil.copytree(ROOT / "notebooks", Path(folder) / "notebooks")
        command = [sys.executable, str(results.parent / "reproduce.py"), *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as script:
            ends = [(time.perf_counter(), line) for line in script.stdout]
        if script.returncode:
            sys.exit("".join(line for _, line in ends))
        seeds = [int(line.split("seed ")[1].split(":")[0]) for _, line in ends]
        own = [load_record(results / "synthetic" / f"tiny-seed{seed}.json").provenance["seconds"] for seed in seeds]
        return [(end - start, mine) for ((start, _), (end, _)), mine in zip(pairwise(ends), own[1:])]


@contextmanager
def _cluster():
    """A Dask cluster of one worker on this machine; yields its address."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        yield cluster.scheduler_address


if __name__ == "__main__":
    main()
