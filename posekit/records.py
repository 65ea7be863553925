"""Records: what a run gave, as JSON, beside where it came from; and tables made of them.

Recorded runs of the report live in `book/results/<dataset>/<name>-seed<k>.json`.
"""

import json
import math
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import MISSING, asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from posekit.files import shown, write_atomically
from posekit.record_checks import check_record
from posekit.sequences import MultiViewDataset
from posekit.settings import Experiment
from posekit.training import Curve, Evaluation

SCHEMA = 1
NUMBER = re.compile(r"[^A-Za-z]*\d[^A-Za-z]*( to [\d.]+)?|–|not recorded yet")  # a cell of a table


@dataclass(frozen=True)
class Record:
    """What one run gave. The page "Rerun anything" of the book explains the fields."""

    experiment: dict[str, Any]
    metrics_mm: dict[str, float]
    by_action: dict[str, dict[str, float]]
    curve: dict[str, list]
    data: dict[str, Any]
    provenance: dict[str, Any]
    schema: int = SCHEMA

    def __repr__(self) -> str:
        e = self.experiment
        errors = ", ".join(f"{name} {value:.1f} mm" for name, value in list(self.metrics_mm.items())[:1])
        return f"Record({e['dataset']}, {e['method']}, seed {e['seed']}: {errors})"

    def settings(self) -> Experiment:
        """The experiment, with the defaults of parameters that are younger than the record."""
        return Experiment.parse(self.experiment)

    def save(self, results_dir: str | Path, name: str = "") -> Path:
        """Write it where `place_for` says, atomically.

        Raises:
            ValueError: for a number that is not finite or a field of another type, naming the field.
            OSError: as `place_for`.
        """
        check_record(asdict(self))
        path = place_for(self.settings(), results_dir, name)
        write_atomically(path, json.dumps(asdict(self), indent=1, allow_nan=False) + "\n")
        return path


def place_for(experiment: Experiment, results_dir: str | Path, name: str = "") -> Path:
    """Where an experiment's record belongs: `<results_dir>/<dataset>/<name>-seed<k>.json`.

    Ask before a long run, for it tells what would keep the record from being written.

    Args:
        experiment: the settings.
        results_dir: folder; made if need be.
        name: of the row; default the method, the dropout and a digest of all settings but the seed.

    Raises:
        FileExistsError: if a record of another experiment has that name.
        NotADirectoryError: if `results_dir` is a file, or in one.
        PermissionError: if nothing can be written there.
    """
    default = f"{experiment.method}-dropout{experiment.network.dropout.replace('->', 'to')}-{experiment.but(seed=0).digest()}"
    path = Path(results_dir) / experiment.data.dataset / f"{name or default}-seed{experiment.seed}.json"
    if path.exists() and (old := load_record(path).settings()) != experiment:
        differ = [key for key, value in experiment.flat().items() if old.flat()[key] != value]
        raise FileExistsError(f"{path} holds another experiment (they differ in {', '.join(differ)}); name this one")
    place = next(folder for folder in path.parents if folder.exists())
    if not place.is_dir():
        raise NotADirectoryError(f"records need a folder, and {place} is a file: no record can be written into {path.parent}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"no record can be written into {path.parent}")
    return path


def load_record(path: str | Path) -> Record:
    """Read a record.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file and the field, if it is no record of this schema.
    """
    try:
        content = json.loads(Path(path).read_text(), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a JSON file ({error})") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected a record of schema {SCHEMA}, found {shown(found)}")
    known = {f.name for f in fields(Record)}
    wrong = set(content) - known | {f.name for f in fields(Record) if f.default is MISSING} - set(content)
    if wrong:
        raise ValueError(f"{path}: missing or surplus keys {shown(', '.join(sorted(wrong)))}")
    try:
        check_record(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Record(**content)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def recorded(start: str | Path = ".") -> dict[str, list[Record]]:
    """The report's recorded runs, as `by_row` groups them, from `book/results`; see `book_folder`."""
    return by_row(book_folder(start) / "results")


def report_table(dataset: str, name: str = "table_1", start: str | Path = ".") -> dict[str, float]:
    """The 2022 report's numbers for a dataset, millimetres by row, from `book/report_tables.json`.

    Args:
        dataset: "humaneva" or "human36m".
        name: "table_1", or "figure_4" (HumanEva-I only): what can be read off its curve of dropout 0.5 to 0.0.
        start: a folder in the checkout.
    """
    return json.loads((book_folder(start) / "report_tables.json").read_text())[name][dataset]


def book_folder(start: str | Path = ".") -> Path:
    """The folder `book` of the checkout that `start` lies in.

    Raises:
        FileNotFoundError: outside a checkout of the book.
    """
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        if (folder / "book" / "report_tables.json").is_file():
            return folder / "book"
    raise FileNotFoundError(f"no book/report_tables.json in {start} or above; the book's repository has it")


def by_row(folder: str | Path) -> dict[str, list[Record]]:
    """Records under a folder grouped over seeds: "<dataset>/<name>" -> records. A row without any has an empty list."""
    rows: dict[str, list[Record]] = defaultdict(list)
    for path in sorted(Path(folder).rglob("*-seed*.json")):
        name = re.sub(r"-seed\d+$", "", path.stem)
        rows[f"{path.parent.name}/{name}"].append(load_record(path))
    return rows


def by_seed(records: list[Record]) -> dict[int, Record]:
    """A row's records by their seeds."""
    return {record.experiment["seed"]: record for record in records}


def errors_by_seed(records: list[Record], metric: str = "report_mpjpe") -> dict[int, float]:
    """A row's errors by their seeds, millimetres."""
    return {seed: record.metrics_mm[metric] for seed, record in by_seed(records).items()}


def changes_by_seed(records: list[Record], base: list[Record], metric: str = "report_mpjpe") -> dict[int, float]:
    """How much larger a row's error is than a base row's from the same seed, millimetres.

    Empty unless the row has every seed of the base: what differs then is the row, not the choice of seeds.
    """
    errors, before = errors_by_seed(records, metric), errors_by_seed(base, metric)
    return {seed: errors[seed] - before[seed] for seed in before} if set(before) <= set(errors) else {}


def mean_and_spread(records: list[Record], metric: str = "report_mpjpe") -> tuple[float, float]:
    """Mean over seeds and sample standard deviation (NaN for a single seed), millimetres; both NaN without records."""
    return _mean_and_spread([record.metrics_mm[metric] for record in records])


def _mean_and_spread(values: list[float]) -> tuple[float, float]:
    mean = statistics.mean(values) if values else math.nan
    return mean, statistics.stdev(values) if len(values) > 1 else math.nan


def took_all(record: Record) -> bool:
    """Whether its `seconds` are surely those of all its work: not if it may have taken a lifter that another run had kept.

    Older records do not say whether they did; they have no curve then.
    """
    return bool(record.curve["epoch"]) or record.experiment["method"] == "triangulation"


def is_lost(record: Record) -> bool:
    """Whether a run left people where no training that found them leaves them, its `report_mpjpe` above 20 cm or NaN."""
    return not record.metrics_mm["report_mpjpe"] <= 200


def in_words(records: list[Record], metric: str = "report_mpjpe", digits: int = 2) -> str:
    """Mean ± spread in millimetres, as tables print it; without records it says so."""
    return plus_minus(*mean_and_spread(records, metric), digits) if records else "not recorded yet"


def change_in_words(records: list[Record], base: list[Record], metric: str = "report_mpjpe", digits: int = 1) -> str:
    """Mean ± spread of `changes_by_seed`; a dash for the base itself, and where seeds differ."""
    changes = list(changes_by_seed(records, base, metric).values())
    return plus_minus(*_mean_and_spread(changes), digits, sign="+") if changes and records is not base else "–"


def plus_minus(mean: float, spread: float, digits: int = 2, sign: str = "-") -> str:
    """Mean ± spread on one line, the mean alone if the spread is NaN; with the sign "+" a positive mean has one, too."""
    words = f"{mean:{sign}.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return words if math.isnan(spread) else f"{words}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{spread:.{digits}f}"


def table(header: list[str], rows: list[list]) -> str:
    """A Markdown table. Columns of numbers stand on the right, but for the first, which names the lines."""
    columns = list(zip(*[map(str, row) for row in rows]))[1:]
    rules = ["---:" if all(map(NUMBER.fullmatch, column)) else "---" for column in columns]
    lines = [header, ["---", *rules], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def make_record(
    experiment: dict[str, Any],
    curve: Curve,
    evaluation: Evaluation,
    train: MultiViewDataset,
    test: MultiViewDataset,
    provenance: dict[str, Any],
) -> Record:
    """Put a run's outcome beside where it came from."""
    return Record(
        experiment=experiment,
        metrics_mm=_rounded(evaluation.metrics_mm),
        by_action={action: _rounded(metrics) for action, metrics in evaluation.by_action.items()},
        curve={
            "epoch": curve.epoch,
            "loss": [float(f"{value:.5g}") for value in curve.loss],
            "report_mpjpe_mm": [None if value is None else round(value, 3) for value in curve.report_mpjpe_mm],
        },
        data={
            "frames_train": len(train),
            "frames_test": len(test),
            "views": list(train.view_names),
            "sha256": {"train": train.sha256(), "test": test.sha256()},
            "joints": {
                "asked": evaluation.joints_asked,
                "predicted": evaluation.joints_predicted,
                "measured": evaluation.joints_measured,
            },
        },
        provenance=provenance,
    )


def _rounded(metrics: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in metrics.items()}


def code_version() -> dict[str, Any]:
    """Which code this is; asked before a run, which may outlast the next commit.

    The commit and whether there are changes on top are None where posekit does not run from its own repository:
    one that merely has it installed somewhere inside says nothing about posekit.
    """
    commit = changes = None
    folder = Path(__file__).resolve().parent.parent
    if _git(folder, "rev-parse", "--show-toplevel") == str(folder):
        commit = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--", "posekit", "notebooks")
    return {
        "commit": commit,
        "uncommitted_changes": None if changes is None else changes != "",
        "posekit": version("posekit"),
    }


def machine(device: str) -> dict[str, Any]:
    """Which machine this is, and the most memory the process has held so far."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device,
        "threads": torch.get_num_threads(),
        "peak_memory_mb": peak_memory_mb(),
    }


def peak_memory_mb() -> int:
    """The most memory this process has held so far."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()  # Linux's ru_maxrss starts at the parent's peak
        return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10)
    except (OSError, StopIteration):
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers in a folder; None without git or a repository."""
    try:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
