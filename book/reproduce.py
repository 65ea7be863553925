"""Rerun the recorded runs listed in book/results/runs.yml, each by papermill on notebooks/experiment.ipynb.

A run that has a record with the same settings is skipped. A run that is stopped loses only itself, and with --models
the next one continues from its last epoch. Usage: python book/reproduce.py [--jobs 2 | --scheduler ADDRESS]
[--threads 1] [--models DIR] [--list] [ROW ...], where a ROW is a name, a pattern such as "label_free*", or one seed's
run, "label_free-ours-seed0". Without a ROW, all are run. With --scheduler the workers of a Dask cluster run the
commands; they must see this folder under the same path. Records are written by this script alone, as runs end.
"""

import argparse
import asyncio
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import NamedTuple

from posekit.files import write_atomically
from posekit.records import load_record
from posekit.samples import counted
from posekit.settings import Experiment
from posekit.tables import read_list

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "book" / "results"
PATIENCE = 10  # seconds for a scheduler to answer
# Two kernels that start at the same moment can choose the same port; one of them then ends at once, and starts again.
NOT_STARTED = "Kernel died before replying to kernel_info"
STARTS = 3


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
        """Whether a record with the same settings is there; one that cannot be read is none, and is said."""
        try:
            return self.record.exists() and load_record(self.record).settings() == self.experiment
        except ValueError as error:
            _say(f"not counted: {error}")
            return False

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


class Task(NamedTuple):
    """What a thread or a Dask worker needs to know to make a record."""

    command: list[str]
    place: Path
    environment: dict[str, str]


class Stopped(Exception):
    """The command was ended from outside, so it says nothing about the run."""


def make_record(task: Task, stopped: Callable[[], bool], scratch: str | None = None) -> tuple[str, str | None]:
    """Run a task's command, with its results in a temporary folder within `scratch`.

    Returns:
        The text of the record, and the end of the command's error output if it failed, else None.

    Raises:
        Stopped: if `stopped` became true, or a signal ended the command.
    """
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory(prefix="posekit-", dir=scratch) as folder:
            error = _run([*task.command, "-p", "results_dir", folder], _environment() | task.environment, stopped)
            if error is None:
                return (Path(folder) / task.place).read_text(), None
        if NOT_STARTED not in error:
            break
    return "", error


def _run(command: list[str], environment: dict[str, str], stopped: Callable[[], bool]) -> str | None:
    words = [sys.executable, "-c", CHILD, str(os.getpid()), *command]
    outputs = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(words, cwd=ROOT, env=environment, **outputs) as child:
        error = None
        while error is None:
            if stopped():
                child.terminate()
            try:
                error = child.communicate(timeout=0.5)[1]
            except subprocess.TimeoutExpired:
                continue
    if child.returncode and (child.returncode < 0 or stopped()):
        raise Stopped(f"the command ended with exit code {child.returncode}")
    return error[-2000:] if child.returncode else None


def _make_record_on_worker(task: Task) -> tuple[str, str | None]:
    """`make_record` on a Dask worker, in the worker's own folder, which Dask removes even after a kill."""
    from distributed import Status, get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def stopped() -> bool:
        wanted = key in worker.state.tasks and worker.state.tasks[key].state == "executing"
        return not wanted or worker.status is not Status.running

    if not ROOT.exists():
        raise FileNotFoundError(f"{worker.address} does not see {ROOT}, which all workers must share")
    return make_record(task, stopped, worker.local_directory)


@contextmanager
def _on_threads(jobs: int) -> Iterator[Callable[[Task], Future]]:
    """Submit tasks to this machine; the commands that still run on leaving are ended."""
    leaving = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield partial(pool.submit, make_record, stopped=leaving.is_set)
        finally:
            leaving.set()
            pool.shutdown(cancel_futures=True)


@contextmanager
def _on_dask(address: str) -> Iterator[Callable[[Task], Future]]:
    """Submit tasks to a Dask cluster; the workers end the commands that still run on leaving."""
    try:
        from distributed import Client
    except ImportError:
        sys.exit("--scheduler needs Dask; install it with: pip install '.[cluster]'")
    try:
        workers = len(asyncio.run(_scheduler_at(address))["workers"])
    except (OSError, ValueError) as error:
        why = str(error) or f"nothing within {PATIENCE} s"
        sys.exit(f"--scheduler: no Dask scheduler answers at {address} ({why}); start one with: dask scheduler")
    _say(f"workers at {address}: {workers or 'none yet, waiting for the first'}")
    with Client(address, set_as_default=False) as client:
        yield partial(client.get_executor(pure=False, retries=2).submit, _make_record_on_worker)


async def _scheduler_at(address: str) -> dict:
    """What a scheduler says of itself. Asked first, since a `Client` waits without end for a server that is silent."""
    from distributed import rpc

    scheduler = rpc(address)
    try:
        found = await asyncio.wait_for(scheduler.identity(), PATIENCE)
    finally:
        await scheduler.close_rpc()
    if found["type"] != "Scheduler":
        raise ValueError(f"a {found['type'].lower()} does")
    return found


def read_runs(path: Path | None = None) -> list[Run]:
    """All runs of a list: rows times seeds. See `posekit.tables.read_list` for what it refuses."""
    rows = read_list(path or RESULTS / "runs.yml").rows
    return [Run(row.name, experiment) for row in rows for experiment in row.experiments]


def main() -> int:
    """Run what is asked for; returns the number of runs that failed."""
    asked = _arguments()
    runs = read_runs()
    if unknown := [row for row in asked.rows if not any(run.is_called(row) for run in runs)]:
        sys.exit(f"no row in book/results/runs.yml is called {', '.join(unknown)}")
    chosen = [run for run in runs if any(run.is_called(row) for row in asked.rows)]
    missing = [run for run in chosen if not run.is_recorded()]
    _say(f"{counted('run', len(chosen))}, {len(chosen) - len(missing)} of them recorded")
    if asked.list:
        for run in missing:
            if run.record.exists():
                _say(f"{run.record} is in the way: remove it first, or the command below will fail")
            print(shlex.join(run.command(*_options(asked), "-p", "results_dir", os.path.relpath(RESULTS, ROOT))))
        return 0
    engine = _on_dask(asked.scheduler) if asked.scheduler else _on_threads(asked.jobs)
    with engine as submit:
        runs = {submit(_task(run, asked)): run for run in missing}
        return sum(not _recorded(runs[future], future) for future in as_completed(runs))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=["*"], help="names or patterns of rows")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=int, default=1, help="how many runs at the same time")
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster to run on, such as tcp://head:8786")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads per run; 0 leaves it to torch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--test-every", type=int, default=1, help="epochs between two points of the error curves")
    parser.add_argument("--models", default="", help="folder for trained lifters and unfinished runs")
    parser.add_argument("--list", action="store_true", help="print the commands of missing runs; run nothing")
    return parser.parse_args()


def _options(asked: argparse.Namespace) -> list[str]:
    """How to run, as papermill's parameters."""
    options = dict(device=asked.device, threads=asked.threads, test_every=asked.test_every)
    options |= dict(models_dir=Path(asked.models).resolve()) if asked.models else {}
    return [word for name, value in options.items() for word in ("-p", name, str(value))]


def _task(run: Run, asked: argparse.Namespace) -> Task:
    environment = {"OMP_NUM_THREADS": str(asked.threads)} if asked.threads else {}
    environment |= {name: os.path.abspath(os.environ[name]) for name in ["POSEKIT_DATA"] if name in os.environ}
    return Task(run.command(*_options(asked)), run.place, environment)


def _recorded(run: Run, future: Future) -> bool:
    """Put the record of a finished run in place, atomically: until then, one with other settings stays."""
    try:
        text, error = future.result()
        if error is None:
            write_atomically(run.record, text)
    except CancelledError:
        error = "the scheduler is gone"
    except Exception as problem:  # the engine's, or the disk's: no command said so
        error = f"{type(problem).__name__}: {problem}"
    words = f"failed\n{error}" if error is not None else f"{load_record(run.record).metrics_mm}"
    print(f"{run.name}, seed {run.experiment.seed}: {words}", flush=True)
    return error is None


def _environment() -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)  # papermill lies beside this Python
    return os.environ | {"POSEKIT_QUIET": "1", "PATH": scripts + os.pathsep + os.environ["PATH"]}


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def script() -> int:
    """`main` as a process: Ctrl-C and SIGTERM stop it, and it cleans up."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: sys.exit("stopped"))
    return min(main(), 1)


if __name__ == "__main__":
    sys.exit(script())
