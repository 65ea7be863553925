"""Every number has a source: the recorded runs are whole, listed, and what the pages quote."""

import json
import math
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from posebook import code_digest
from posekit.parameters import SEQUENCE_METHODS
from posekit.records import load_record, recorded, report_table
from posekit.settings import PARAMETERS
from posekit.smoothing import reach_of
from posekit.tables import listed

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "book" / "results"
RECORDS = sorted(RESULTS.rglob("*.json"))
PAGES = sorted([*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.py"), ROOT / "README.md"])
MILLIMETRES = re.compile(r"(\d+(?:\.\d+)?)\s?(?:mm\b|millimet)")
KNOWN = {"screen": "picture only", "rays": "intrinsics", "level": "tilt and height"}
PROVENANCE = {
    "commit": str,
    "uncommitted_changes": bool,
    "posekit": str,
    "python": str,
    "torch": str,
    "platform": str,
    "device": str,
    "threads": int,
    "peak_memory_mb": int,
    "seconds": float,
}

every_record = pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}/{path.stem}")


@every_record
def test_a_record_is_an_experiment_with_finite_errors(path):
    record = load_record(path)
    experiment = record.settings()
    assert set(record.experiment) <= set(PARAMETERS)
    assert path.parent.name == experiment.data.dataset
    assert path.stem.endswith(f"-seed{experiment.seed}")
    by_views = {"triangulated_mpjpe"} if experiment.data.measured_against == "labels+views" else set()
    for metrics in (record.metrics_mm, *record.by_action.values()):
        assert set(metrics) == {"report_mpjpe", "mpjpe", "root_error", "pa_mpjpe", "n_mpjpe"} | by_views
        assert all(math.isfinite(value) and value >= 0 for value in metrics.values())
    assert record.data["frames_train"] > 0
    assert record.data["frames_test"] > 0
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in record.data["sha256"].values())
    lengths = {len(column) for column in record.curve.values()}
    assert len(lengths) == 1


@every_record
def test_a_record_says_where_it_comes_from(path):
    provenance = load_record(path).provenance
    for name, kind in PROVENANCE.items():
        assert isinstance(provenance[name], kind), name
    assert re.fullmatch(r"[0-9a-f]{40}", provenance["commit"])


@every_record
def test_the_last_point_of_a_curve_is_the_recorded_error(path):
    record = load_record(path)
    if record.curve["epoch"]:
        assert record.curve["report_mpjpe_mm"][-1] == pytest.approx(record.metrics_mm["report_mpjpe"], rel=1e-3)


def test_every_record_is_in_the_list_with_its_settings(reproduce):
    listed = {run.record: run for run in reproduce.read_runs()}
    for path in RECORDS:
        assert path in listed, f"{path} is in no row of runs.yml"
        assert listed[path].is_recorded(), f"{path} has other settings than its row in runs.yml"


def test_every_run_of_the_list_is_recorded(reproduce):
    missing = [f"{run.name}, seed {run.experiment.seed}" for run in reproduce.read_runs() if not run.is_recorded()]
    assert not missing, "make reproduce runs them; see CONTRIBUTING.md"


def test_every_commit_of_a_record_is_in_the_history_or_known_to_be_earlier():
    """Code that made a record can be checked out, but for the commits that the list names."""

    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)

    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("needs the whole history")
    commits = {load_record(path).provenance["commit"] for path in RECORDS}
    lacking = {commit for commit in commits if git("merge-base", "--is-ancestor", commit, "HEAD").returncode}
    assert lacking == set(listed(ROOT).earlier_commits)


def needed(experiment, views):
    """What a method needs at test, in the words of the list."""
    if experiment.method in ("adaptation", "triangulation"):
        names = experiment.data.test_cameras
        return f"{views if names == 'all' else len(names.split('+'))} views, full calibration"
    window = experiment.input.window if experiment.method in SEQUENCE_METHODS else experiment.input.frames
    window += sum(2 * reach_of(sigma) for sigma in (experiment.input.smooth_2d, experiment.data.smooth_3d))
    seen = {0: "1 view, whole clip", 1: "1 view, 1 frame"}.get(window, f"1 view, {window} frames")
    return f"{seen}, {KNOWN[experiment.input.needs]}" if experiment.method == "scenes" else seen


def says_all(at_test, needed):
    """Whether a row says what it needs; that it needs no more than a picture it may leave out."""
    return at_test.removesuffix(", picture only") == needed.removesuffix(", picture only")


def test_every_table_says_what_its_rows_need_at_test():
    runs = recorded(ROOT)
    for shown in listed(ROOT).tables.values():
        for row in shown.rows:
            views = len(runs[row.key][0].data["views"])
            assert all(says_all(row.at_test, needed(experiment, views)) for experiment in row.experiments), row.name


def test_every_table_is_drawn_on_a_page():
    """By its name, or by a pattern of the page "Results", which then draws new tables as well."""
    text = "".join(path.read_text() for path in PAGES)
    patterns = [pattern for call in re.findall(r"folded\((.+?)\)", text) for pattern in re.findall(r'"([\w*]+)"', call)]
    for name, shown in listed(ROOT).tables.items():
        assert shown.rows
        called = (f'tables["{name}"].markdown(runs)', f'html_table(tables["{name}"], runs)')
        drawn = any(call in text for call in called) or any(fnmatch(name, pattern) for pattern in patterns)
        assert drawn, f"no page draws the table {name}"


@pytest.mark.parametrize(
    "name",
    [
        "book/results/runs.yml",
        "book/results/synthetic/row-seed0.json",
        "book/report_tables.json",
        "book/overhead.json",
        "book/calibration/peer.json",
        "book/claims.yml",
        "posekit/losses.py",
        "posekit/datasets/balancing.npz",
        "posekit/rig/person.js",
        "constraints.txt",
    ],
)
def test_the_chapters_are_executed_anew_when_what_they_read_changes(name, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digests = [path.write_text(text) and code_digest(tmp_path) for text in ("before", "after")]
    assert digests[0] != digests[1]


@pytest.fixture(scope="module")
def known_values():
    """All errors in millimetres that records or the report's tables hold."""
    records = [load_record(path) for path in RECORDS]
    errors = [metrics for record in records for metrics in (record.metrics_mm, *record.by_action.values())]
    errors += [report_table(dataset) for dataset in ("humaneva", "human36m")]
    return [value for metrics in errors for value in metrics.values()]


def prose(path):
    """A page's text without its code: what a writer typed for readers."""
    text = path.read_text()
    if path.suffix == ".py":
        return "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_quotes_an_error_that_nothing_holds(path, known_values):
    """A typed figure must be a record's or the report's, to its own digits; one from the literature cites its source."""
    for line in prose(path).splitlines():
        if "{cite" in line:
            continue
        for figure in MILLIMETRES.findall(line):
            digits = len(figure.partition(".")[2])
            assert any(round(value, digits) == float(figure) for value in known_values), f"{path.name}: {line}"


def test_the_reports_tables_say_where_they_come_from():
    assert "2022" in json.loads((ROOT / "book" / "report_tables.json").read_text())["source"]
