"""Records: what a run gave, as JSON, beside where it came from; and tables made of them.

Recorded runs of the report live in `book/results/<dataset>/<name>-seed<k>.json`.
"""

import json
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

from posekit.sequences import MultiViewDataset
from posekit.settings import Experiment
from posekit.training import Curve, Evaluation

SCHEMA = 1


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

    def settings(self) -> Experiment:
        """The experiment, with the defaults of parameters that are younger than the record."""
        return Experiment.parse(self.experiment)

    def save(self, results_dir: str | Path, name: str = "") -> Path:
        """Write `<results_dir>/<dataset>/<name>-seed<k>.json`, whole or not at all.

        Args:
            results_dir: folder; made if need be.
            name: of the row; default the method, the dropout and a digest of all settings but the seed.

        Raises:
            FileExistsError: if a record of another experiment has that name.
        """
        mine = self.settings()
        name = name or f"{mine.method}-dropout{mine.network.dropout.replace('->', 'to')}-{mine.but(seed=0).digest()[:6]}"
        path = Path(results_dir) / mine.data.dataset / f"{name}-seed{mine.seed}.json"
        if path.exists() and (old := load_record(path).settings()) != mine:
            differ = [key for key, value in mine.flat().items() if old.flat()[key] != value]
            raise FileExistsError(f"{path} holds another experiment (they differ in {', '.join(differ)}); name this one")
        path.parent.mkdir(parents=True, exist_ok=True)
        partly = path.with_suffix(".part")
        partly.write_text(json.dumps(asdict(self), indent=1) + "\n")
        os.replace(partly, path)
        return path


def load_record(path: str | Path) -> Record:
    """Read a record.

    Raises:
        ValueError: naming the file, if it is no record of this schema.
    """
    try:
        content = json.loads(Path(path).read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not a JSON file ({error})") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected a record of schema {SCHEMA}, found {found}")
    known = {f.name for f in fields(Record)}
    wrong = set(content) - known | {f.name for f in fields(Record) if f.default is MISSING} - set(content)
    if wrong:
        raise ValueError(f"{path}: missing or surplus keys {', '.join(sorted(wrong))}")
    return Record(**content)


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


def mean_and_spread(records: list[Record], metric: str = "report_mpjpe") -> tuple[float, float]:
    """Mean over seeds and sample standard deviation (NaN for a single seed), millimetres; both NaN without records."""
    values = [record.metrics_mm[metric] for record in records]
    if not values:
        return float("nan"), float("nan")
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else float("nan")


def is_lost(record: Record) -> bool:
    """Whether a run left people where no training that found them leaves them, its `report_mpjpe` above 20 cm."""
    return record.metrics_mm["report_mpjpe"] > 200


def in_words(records: list[Record], metric: str = "report_mpjpe") -> str:
    """Mean ± spread in millimetres, as tables print it; without records it says so."""
    if not records:
        return "not recorded yet"
    mean, spread = mean_and_spread(records, metric)
    return plus_minus(mean, spread) if spread == spread else f"{mean:.2f}"


def plus_minus(mean: float, spread: float, digits: int = 2, sign: str = "-") -> str:
    """Mean ± spread on one line; with the sign "+" a positive mean has one, too."""
    return f"{mean:{sign}.{digits}f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{spread:.{digits}f}"


def table(header: list[str], rows: list[list]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
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
        },
        provenance=provenance,
    )


def _rounded(metrics: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in metrics.items()}


def code_version() -> dict[str, Any]:
    """Which code this is; asked before a run, which may outlast the next commit."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--", "posekit", "notebooks")),
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _git(*arguments: str) -> str | None:
    try:
        here = Path(__file__).parent.parent
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None  # not a checkout
