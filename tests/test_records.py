import math
from dataclasses import replace
from pathlib import Path

import pytest

from posekit import records
from posekit.experiments import run
from posekit.records import by_row, by_seed, in_words, load_record, mean_and_spread, plus_minus, recorded, report_table, table
from posekit.settings import Experiment

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


def test_an_interrupted_save_leaves_nothing_that_looks_like_a_record(record, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(records.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        record.save(tmp_path)
    assert by_row(tmp_path) == {}


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
    assert plus_minus(1.25, 0.5, digits=1, sign="+") == "+1.2\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.5"
    assert [by_seed(row)[seed] for seed in (0, 1, 2)] == row
    assert in_words([]) == "not recorded yet"
    assert all(math.isnan(value) for value in mean_and_spread([]))


def test_recorded_runs_are_found_from_anywhere_in_the_checkout(tmp_path):
    assert recorded(REPOSITORY / "notebooks") == recorded(REPOSITORY)
    assert report_table("humaneva", start=REPOSITORY / "book")["supervised"] == 24.48
    with pytest.raises(FileNotFoundError, match="the book's repository has it"):
        recorded(tmp_path)


def test_a_table():
    assert table(["a", "b"], [["1", 2]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
