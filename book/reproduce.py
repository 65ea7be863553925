"""Rerun the recorded runs listed in book/results/runs.yml, each by papermill on notebooks/experiment.ipynb.

A run that has a record with the same settings is skipped. A run that is stopped loses only itself, and with --models
the next one continues from its last epoch. Usage: python book/reproduce.py [--jobs 2] [--threads 1] [--models DIR]
[--list] [ROW ...], where a ROW is a name, a pattern such as "label_free*", or one seed's run, "label_free-ours-seed0".
Without a ROW, all are run.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from posekit.files import write_atomically
from posekit.records import load_record
from posekit.settings import Experiment
from posekit.tables import read_list

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "book" / "results"


class Run(NamedTuple):
    """One row with one seed."""

    name: str
    experiment: Experiment

    @property
    def place(self) -> Path:
        """Its record's path within a folder of results."""
        return Path(self.experiment.data.dataset) / f"{self.name}-seed{self.experiment.seed}.json"

    @property
    def record(self) -> Path:
        """Where its record belongs."""
        return RESULTS / self.place

    def is_called(self, pattern: str) -> bool:
        """Whether the row's name, or the record's, matches a pattern."""
        return fnmatch(self.name, pattern) or fnmatch(self.record.stem, pattern)

    def is_recorded(self) -> bool:
        """Whether a record with the same settings is there."""
        return self.record.exists() and load_record(self.record).settings() == self.experiment

    def command(self, *options: str) -> list[str]:
        """The papermill command that makes the record."""
        return [*self.experiment.command(out="-"), "--no-progress-bar", "-p", "name", self.name, *options]


# Run as `python -c CHILD PARENT COMMAND ...`: becomes the command, which Linux ends with the parent, even a killed one.
CHILD = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG; exec keeps it
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent has ended")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Children:
    """The commands that run now, from several threads; none outlives this script."""

    def __init__(self, environment: dict[str, str]):
        self.environment = environment
        self.running: set[subprocess.Popen] = set()
        self.stopped = False

    def run(self, command: list[str]) -> str | None:
        """Run a command to its end; returns the end of its error output if it failed, else None."""
        words = [sys.executable, "-c", CHILD, str(os.getpid()), *command]
        outputs = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with subprocess.Popen(words, cwd=ROOT, env=self.environment, **outputs) as child:
            self.running.add(child)
            if self.stopped:
                child.terminate()
            error = child.communicate()[1]
            self.running.remove(child)
        return error[-2000:] if child.returncode else None

    def stop(self) -> None:
        """End the commands that run, and any that would start."""
        self.stopped = True
        for child in list(self.running):
            child.terminate()


def read_runs(path: Path | None = None) -> list[Run]:
    """All runs of a list: rows times seeds. See `posekit.tables.read_list` for what it refuses."""
    rows = read_list(path or RESULTS / "runs.yml").rows
    return [Run(row.name, experiment) for row in rows for experiment in row.experiments]


def main() -> int:
    """Run what is asked for; returns the number of runs that failed."""
    asked = _arguments()
    chosen = [run for run in read_runs() if any(run.is_called(row) for row in asked.rows)]
    missing = [run for run in chosen if not run.is_recorded()]
    _say(f"{len(chosen)} runs, {len(chosen) - len(missing)} of them recorded")
    if asked.list:
        for run in missing:
            if run.record.exists():
                _say(f"{run.record} has other settings: its run will fail unless you remove it first")
            print(shlex.join(run.command(*_options(asked, os.path.relpath(RESULTS, ROOT)))))
        return 0
    children = Children(_environment(asked.threads))
    with ThreadPoolExecutor(asked.jobs) as pool:
        try:
            return sum(not good for good in pool.map(lambda run: _execute(run, asked, children), missing))
        finally:  # this script is stopped, or nothing is left to do
            children.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=["*"], help="names or patterns of rows")
    parser.add_argument("--jobs", type=int, default=1, help="how many runs at the same time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads per run; 0 leaves it to torch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--test-every", type=int, default=1, help="epochs between two points of the error curves")
    parser.add_argument("--models", default="", help="folder for trained lifters and unfinished runs")
    parser.add_argument("--list", action="store_true", help="print the commands of missing runs; run nothing")
    return parser.parse_args()


def _options(asked: argparse.Namespace, results_dir: str | Path) -> list[str]:
    """How and where to run, as papermill's parameters."""
    options = dict(results_dir=results_dir, device=asked.device, threads=asked.threads, test_every=asked.test_every)
    options |= dict(models_dir=asked.models) if asked.models else {}
    return [word for name, value in options.items() for word in ("-p", name, str(value))]


def _execute(run: Run, asked: argparse.Namespace, children: Children) -> bool:
    """Make a run's record elsewhere, then put it in place: until then, one with other settings stays."""
    with tempfile.TemporaryDirectory(prefix="posekit-") as folder:
        error = children.run(run.command(*_options(asked, folder)))
        made = Path(folder) / run.place
        if error is None and made.exists():
            write_atomically(run.record, made.read_text())
    words = f"failed\n{error}" if error is not None else f"{load_record(run.record).metrics_mm}"
    print(f"{run.name}, seed {run.experiment.seed}: {words}", flush=True)
    return error is None


def _environment(threads: int) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)  # papermill lies beside this Python
    environment = os.environ | {"POSEKIT_QUIET": "1", "PATH": scripts + os.pathsep + os.environ["PATH"]}
    return environment | ({"OMP_NUM_THREADS": str(threads)} if threads else {})


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def script() -> int:
    """`main` as a process: SIGTERM stops it as Ctrl-C does, and cleans up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    return min(main(), 1)


if __name__ == "__main__":
    sys.exit(script())
