"""Rerun the recorded runs listed in book/results/runs.yml, each by papermill on notebooks/experiment.ipynb.

A run whose record is there with the same settings is skipped; a killed run loses only itself, and with --models goes on
from its last epoch. Usage: python book/reproduce.py [--jobs 2] [--threads 1] [--models DIR] [--list] [ROW ...], where
a ROW is a name or a pattern of names such as "label_free*", or of one seed's run, "label_free-ours-seed0"; none means all.
"""

import argparse
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from posekit.records import load_record
from posekit.settings import Experiment

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "book" / "results"


class Run(NamedTuple):
    """One row with one seed."""

    name: str
    experiment: Experiment

    @property
    def record(self) -> Path:
        """Where its record belongs."""
        return RESULTS / self.experiment.data.dataset / f"{self.name}-seed{self.experiment.seed}.json"

    def is_called(self, pattern: str) -> bool:
        """Whether the row's name, or the record's, matches a pattern."""
        return fnmatch(self.name, pattern) or fnmatch(self.record.stem, pattern)

    def is_recorded(self) -> bool:
        """Whether a record with the same settings is there."""
        return self.record.exists() and load_record(self.record).settings() == self.experiment

    def command(self, *options: str) -> list[str]:
        """The papermill command that makes the record."""
        place = ["-p", "results_dir", "book/results", "-p", "name", self.name]
        return [*self.experiment.command(out="-"), "--no-progress-bar", *place, *options]


def read_runs(path: Path = RESULTS / "runs.yml") -> list[Run]:
    """All runs of a list: rows times seeds, each with what it takes over from the row it is `like`.

    Raises:
        ValueError: naming file and row, for an unknown `like`, a name used twice, or parameters that are not valid.
    """
    rows: dict[str, dict[str, Any]] = {}
    runs = []
    for row in yaml.safe_load(path.read_text()):
        name = row.pop("name")
        if name in rows:
            raise ValueError(f"{path}: two rows are called {name}")
        like = row.pop("like", None)
        if like and like not in rows:
            raise ValueError(f"{path}: {name} is like {like}, which is not above it")
        rows[name] = (rows[like] if like else {"seeds": [0]}) | row
        parameters = dict(rows[name])
        try:
            runs += [Run(name, Experiment.parse(parameters | {"seed": seed})) for seed in parameters.pop("seeds")]
        except ValueError as error:
            raise ValueError(f"{path}: {name}: {error}") from None
    return runs


def main() -> int:
    """Run what is asked for; returns the number of runs that failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=["*"], help="names or patterns of rows")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads a run; 0 leaves it to torch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--test-every", type=int, default=1, help="epochs between two points of the error curves")
    parser.add_argument("--models", default="", help="folder for trained lifters and unfinished runs")
    parser.add_argument("--list", action="store_true", help="say what is missing, run nothing")
    asked = parser.parse_args()

    chosen = [run for run in read_runs() if any(run.is_called(row) for row in asked.rows)]
    missing = [run for run in chosen if not run.is_recorded()]
    print(f"{len(chosen)} runs, {len(chosen) - len(missing)} of them recorded", flush=True)
    options = ["-p", "device", asked.device, "-p", "test_every", str(asked.test_every)]
    options += ["-p", "threads", str(asked.threads), *(["-p", "models_dir", asked.models] if asked.models else [])]
    if asked.list:
        print("\n".join(shlex.join(run.command()) for run in missing))
        return 0

    def execute(run: Run) -> bool:
        aside = run.record.with_suffix(".replaced")  # a record of other settings is kept until the new one is there
        if run.record.exists():
            run.record.replace(aside)
        done = subprocess.run(run.command(*options), cwd=ROOT, env=_environment(asked.threads), capture_output=True, text=True)
        if run.record.exists():
            aside.unlink(missing_ok=True)
        elif aside.exists():
            aside.replace(run.record)
        words = "failed\n" + done.stderr[-2000:] if done.returncode else f"{load_record(run.record).metrics_mm}"
        print(f"{run.name}, seed {run.experiment.seed}: {words}", flush=True)
        return done.returncode == 0

    with ThreadPoolExecutor(asked.jobs) as pool:
        return sum(not good for good in pool.map(execute, missing))


def _environment(threads: int) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)  # papermill lies beside this Python
    environment = os.environ | {"POSEKIT_QUIET": "1", "PATH": scripts + os.pathsep + os.environ["PATH"]}
    return environment | ({"OMP_NUM_THREADS": str(threads)} if threads else {})


if __name__ == "__main__":
    sys.exit(min(main(), 1))
