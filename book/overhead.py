"""Measure what a run costs beside its own seconds, and write book/overhead.json: python book/overhead.py [--runs 8].

Tiny runs of the notebook, one at a time, by `reproduce.py --jobs 1` and on a Dask cluster of one worker. Both go on at the
same time, so that other work on the machine slows both alike.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

from posekit.records import load_record, write_atomically

ROOT = Path(__file__).parent.parent
TINY = "rows:\n- name: tiny\n  seeds: {seeds}\n  width: 8\n  epochs: 1\n  stride: 10\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8, help="how many, by either engine")
    runs = parser.parse_args().runs
    with _cluster() as address, ThreadPoolExecutor(2) as pool:
        engines = {"threads": ["--jobs", "1"], "dask": ["--scheduler", address]}
        costs = dict(zip(engines, pool.map(partial(_measure, runs), engines.values())))
    content = {
        "command": f"python book/overhead.py --runs {runs}",
        "runs": runs,
        "median_seconds": {engine: round(median(cost), 2) for engine, cost in costs.items()},
        "least_seconds": {engine: round(min(cost), 2) for engine, cost in costs.items()},
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(ROOT / "book" / "overhead.json", text)
    print(text, end="")


def _measure(runs: int, options: list[str]) -> list[float]:
    """The seconds from the end of one run to the end of the next, less those of the experiment itself."""
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
        return [end - start - mine for ((start, _), (end, _)), mine in zip(pairwise(ends), own[1:])]


@contextmanager
def _cluster():
    """A Dask cluster of one worker on this machine; yields its address."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        yield cluster.scheduler_address


if __name__ == "__main__":
    main()
