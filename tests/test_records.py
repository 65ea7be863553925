import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest
import torch

from posekit import files, records
from posekit.datasets import load_dataset
from posekit.experiments import run
from posekit.record_checks import check_record
from posekit.records import (
    by_row,
    by_seed,
    change_in_words,
    changes_by_seed,
    code_version,
    errors_by_seed,
    in_words,
    is_lost,
    load_record,
    make_record,
    mean_and_spread,
    plus_minus,
    recorded,
    report_table,
    table,
)
from posekit.settings import Experiment
from posekit.training import Curve, evaluate_poses

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def record():
    return run(Experiment().but(width=16, epochs=1, batch_size=500))[0]


def test_records_survive_the_disk(record, tmp_path):
    path = record.save(tmp_path, "row")
    assert path == tmp_path / "synthetic" / "row-seed0.json"
    assert load_record(path) == record
    assert by_row(tmp_path) == {"synthetic/row": [record]}
    assert record.save(tmp_path, "row") == path  # the same experiment may be recorded again


def test_records_without_a_name_are_kept_apart_by_their_settings(record, tmp_path):
    first = record.save(tmp_path)
    other_seed = replace(record, experiment=record.experiment | {"seed": 1}).save(tmp_path)
    other_width = replace(record, experiment=record.experiment | {"width": 99}).save(tmp_path)
    assert first.name.startswith("label_free-dropout0.0-")
    assert first.name.replace("seed0", "seed1") == other_seed.name
    assert len({first, other_seed, other_width}) == 3


def test_another_experiment_does_not_overwrite_a_record(record, tmp_path):
    path = record.save(tmp_path, "mine")
    before = path.read_bytes()
    other = replace(record, experiment=record.experiment | {"width": 99})
    with pytest.raises(FileExistsError, match=r"mine-seed0.json holds another experiment \(they differ in width\)"):
        other.save(tmp_path, "mine")
    assert path.read_bytes() == before


def test_a_file_in_the_place_of_the_folder_is_named(record, tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(NotADirectoryError, match=f"records need a folder, and {tmp_path}/results is a file"):
        record.save(tmp_path / "results")


def test_an_interrupted_save_leaves_nothing_that_looks_like_a_record(record, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        record.save(tmp_path)
    assert by_row(tmp_path) == {}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_one_record_may_be_written_by_many_at_once(record, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: record.save(tmp_path, "row"), range(64)))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == list(paths)
    assert load_record(paths.pop()) == record


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_by_field(record, tmp_path, value):
    bad = replace(
        record,
        metrics_mm=record.metrics_mm | {"mpjpe": value},
        curve=record.curve | {"loss": [1.0, value]},
        experiment=record.experiment | {"noise_px": value},
    )
    with pytest.raises(ValueError, match=r"not: experiment\.noise_px, metrics_mm\.mpjpe, curve\.loss\.1$"):
        bad.save(tmp_path)
    assert not list(tmp_path.rglob("*"))


def test_a_file_with_a_number_that_is_not_finite_is_no_record(record, tmp_path):
    path = record.save(tmp_path)
    path.write_text(path.read_text().replace(str(record.metrics_mm["mpjpe"]), "NaN"))
    with pytest.raises(ValueError, match=r"seed0\.json: not a JSON file \(NaN is no number\)"):
        load_record(path)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("experiment", [], "experiment: expected a dictionary, found \\[]"),
        ("experiment.width", "512", "experiment: width must be int, got str '512'"),
        ("experiment.width", None, "experiment: width must be int, got NoneType None"),
        ("experiment.colour", 3, "experiment: unknown parameter 'colour'"),
        ("experiment.seed", 2**70, "experiment: seed must "),
        ("metrics_mm", {"mpjpe": 1.0}, "metrics_mm: expected report_mpjpe among the errors"),
        ("metrics_mm.mpjpe", None, "metrics_mm.mpjpe: expected millimetres, not negative, found None"),
        ("metrics_mm.mpjpe", True, "metrics_mm.mpjpe: expected millimetres, not negative, found True"),
        ("metrics_mm.mpjpe", -1, "metrics_mm.mpjpe: expected millimetres, not negative, found -1"),
        ("metrics_mm.mpjpe", 10**400, "a record holds finite numbers only; these are not: metrics_mm.mpjpe"),
        ("by_action.Walking", [1.0], "by_action.Walking: expected a dictionary"),
        ("by_action.Walking.mpjpe", "1", "by_action.Walking.mpjpe: expected millimetres, not negative, found 1"),
        ("curve.epoch", [1, 2], "curve: expected columns of one length"),
        ("curve.epoch", [2], "curve.epoch: expected 1, 2, 3, ..."),
        ("curve.loss", [None], "curve.loss: expected numbers only, found \\[None]"),
        ("curve.report_mpjpe_mm", ["x"], "curve.report_mpjpe_mm: expected numbers or null only"),
        ("curve.loss", 0.5, "curve.loss: expected a list"),
        ("curve.speed", [1.0], "curve: expected the columns epoch, loss, report_mpjpe_mm"),
        ("data.views", "C1", "data.views: expected a list of names, found C1"),
        ("data.frames_test", -3, "data.frames_test: expected a number of frames, found -3"),
        ("data.sha256", {"train": "ab"}, "data.sha256: expected two digests"),
        ("data.joints.measured", 10**9, "data.joints: expected asked, predicted and measured, each at most the one before"),
        ("data.joints.asked", 0.5, "data.joints: expected asked"),
        ("provenance.torch", 2, "provenance.torch: expected text, found 2"),
        ("provenance.seconds", "long", "provenance.seconds: expected a number"),
        ("provenance.commit", 7, "provenance.commit: expected text or null, found 7"),
        ("provenance.uncommitted_changes", "no", "provenance.uncommitted_changes: expected true, false or null, found no"),
    ],
)
def test_a_field_of_another_kind_is_refused_by_file_and_field(record, tmp_path, field, value, complaint):
    path = record.save(tmp_path, "row")
    content = json.loads(path.read_text())
    *place, last = field.split(".")
    reduce(dict.__getitem__, place, content)[last] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"row-seed0\\.json: {complaint}") as refused:
        load_record(path)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match=f"^{complaint}"):
        check_record(content)


def test_a_record_says_how_many_joints_were_measured(record, tmp_path):
    test = load_dataset("synthetic", "test")
    joints = test.confidence.numel()
    assert record.data["joints"] == {"asked": joints, "predicted": joints, "measured": joints}
    some_missing = replace(test, poses_world=test.poses_world.clone().index_fill_(1, torch.tensor([3]), torch.nan))
    evaluation = evaluate_poses(test.poses_camera(), some_missing)
    made = make_record(record.experiment, Curve(), evaluation, test, some_missing, record.provenance)
    assert made.data["joints"] == {"asked": joints, "predicted": joints, "measured": joints * 14 // 15}
    assert load_record(made.save(tmp_path, "row")) == made


def test_records_from_before_joints_were_counted_stay_valid(record, tmp_path):
    path = record.save(tmp_path, "row")
    content = json.loads(path.read_text())
    del content["data"]["joints"]
    path.write_text(json.dumps(content))
    assert load_record(path).metrics_mm == record.metrics_mm


def test_a_record_says_what_it_is(record):
    shown = replace(record, metrics_mm={"report_mpjpe": 30.94, "mpjpe": 1.0})
    assert repr(shown) == "Record(synthetic, label_free, seed 0: report_mpjpe 30.9 mm)"


@pytest.mark.parametrize(("error", "lost"), [(199.0, False), (201.0, True), (math.inf, True), (math.nan, True)])
def test_a_run_is_lost_if_it_left_people_far_away_or_nowhere(record, error, lost):
    assert is_lost(replace(record, metrics_mm={"report_mpjpe": error})) is lost


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not a JSON file"),
        ("[]", "expected a record of schema 1, found list"),
        ('{"schema": 0}', "expected a record of schema 1, found 0"),
        ('{"schema": 1, "metrics": 3}', "missing or surplus keys"),
    ],
)
def test_what_is_no_record_is_refused_by_name(tmp_path, text, complaint):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"old.json: {complaint}"):
        load_record(path)


def test_rows_gather_seeds(record, tmp_path):
    for seed, error in enumerate((10.0, 12.0, 17.0)):
        one = replace(record, experiment=record.experiment | {"seed": seed}, metrics_mm={"report_mpjpe": error})
        one.save(tmp_path, "row")
    (row,) = by_row(tmp_path).values()
    assert mean_and_spread(row) == pytest.approx((13.0, 3.605551275))
    assert in_words(row) == "13.00\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}3.61"
    assert in_words(row[:1]) == "10.00"
    assert plus_minus(-1.25, float("nan"), digits=1) == "\N{MINUS SIGN}1.2"
    assert plus_minus(1.25, 0.5, digits=1, sign="+") == "+1.2\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.5"
    assert [by_seed(row)[seed] for seed in (0, 1, 2)] == row
    assert in_words([]) == "not recorded yet"
    assert all(math.isnan(value) for value in mean_and_spread([]))


def test_rows_are_compared_seed_by_seed(record):
    def row(**errors):
        return [
            replace(record, experiment=record.experiment | {"seed": int(seed[1:])}, metrics_mm={"report_mpjpe": error})
            for seed, error in errors.items()
        ]

    base, more, fewer = row(_1=10.0, _2=20.0), row(_2=23.0, _0=9.0, _1=11.0), row(_1=11.0)
    assert errors_by_seed(base) == {1: 10.0, 2: 20.0}
    assert changes_by_seed(more, base) == {1: 1.0, 2: 3.0}
    assert change_in_words(more, base) == "+2.0\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.4"
    assert change_in_words(fewer, fewer[:]) == "+0.0"
    assert changes_by_seed(fewer, base) == {}
    assert change_in_words(fewer, base) == change_in_words(base, base) == change_in_words([], base) == "–"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit; returns a function that puts posekit into one of its folders."""

    def git(*words):
        who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    def put(folder):
        module = tmp_path / folder / "posekit" / "records.py"
        module.parent.mkdir(parents=True)
        module.touch()
        git("add", ".")
        git("commit", "-m", "first")
        monkeypatch.setattr(records, "__file__", str(module))
        return module

    git("init")
    return put


def test_a_record_names_the_commit_of_posekits_own_repository(repository):
    module = repository(".")
    assert len(code_version()["commit"]) == 40
    assert code_version()["uncommitted_changes"] is False
    module.write_text("# changed")
    assert code_version()["uncommitted_changes"] is True


def test_a_record_names_no_commit_of_another_project(repository):
    repository("venv/site-packages")
    assert code_version() == {"commit": None, "uncommitted_changes": None, "posekit": code_version()["posekit"]}


def test_a_record_names_no_commit_without_a_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "__file__", str(tmp_path / "posekit" / "records.py"))
    (tmp_path / "posekit").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_version()["uncommitted_changes"] is None


def test_recorded_runs_are_found_from_anywhere_in_the_checkout(tmp_path):
    assert recorded(REPOSITORY / "notebooks") == recorded(REPOSITORY)
    assert report_table("humaneva", start=REPOSITORY / "book")["supervised"] == 24.48
    with pytest.raises(FileNotFoundError, match="the book's repository has it"):
        recorded(tmp_path)


def test_a_table():
    assert table(["a", "b"], [["1", 2]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
    cells = [["a", "**1.0** ± 2", "–", "3 to 4", "1 view"], ["b", "not recorded yet", "+5 %", "−6", "2 views"]]
    assert table([*"names"], cells).splitlines()[1] == "| --- | ---: | ---: | ---: | --- |"


def test_peak_memory_is_this_process_own():
    """On Linux getrusage would start a child at its parent's peak."""
    child = "from posekit.records import peak_memory_mb; print(peak_memory_mb())"
    parent = f"import subprocess, sys; held = b'x' * 900_000_000; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert 50 < int(done.stdout) < 700
