"""The list of recorded runs, and rerunning them."""

import subprocess
import sys

import pytest

from posekit.records import load_record
from posekit.settings import Experiment

LIST = """
- name: first
  seeds: [3, 4]
  width: 8
  epochs: 1

- name: second
  like: first
  method: supervised
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "runs.yml"
        path.write_text(text)
        return path

    return write


def test_rows_take_over_what_they_are_like(reproduce, write):
    runs = reproduce.read_runs(write(LIST))
    assert [(run.name, run.experiment.seed) for run in runs] == [("first", 3), ("first", 4), ("second", 3), ("second", 4)]
    assert runs[2].experiment == Experiment().but(method="supervised", width=8, epochs=1, seed=3)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("like: first", "like: third"), "second is like third, which is not above it"),
        (("name: second", "name: first"), "two rows are called first"),
        (("method: supervised", "method: magic"), "second: method must be one of"),
        (("width: 8", "wdith: 8"), "first: unknown parameter 'wdith'"),
    ],
)
def test_a_bad_list_is_refused_by_file_and_row(reproduce, write, change, complaint):
    with pytest.raises(ValueError, match=r"runs\.yml") as error:
        reproduce.read_runs(write(LIST.replace(*change)))
    assert complaint in str(error.value)


def test_runs_are_chosen_by_row_or_by_seed(reproduce, write):
    runs = reproduce.read_runs(write(LIST))
    assert [run.is_called("f*") for run in runs] == [True, True, False, False]
    assert [run.is_called("*-seed4") for run in runs] == [False, True, False, True]


@pytest.fixture
def copy(reproduce, monkeypatch, write, tmp_path):
    """`main` on a list and folder of its own, with the real notebook."""
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path)
    read = reproduce.read_runs
    monkeypatch.setattr(reproduce, "read_runs", lambda: read(tmp_path / "runs.yml"))
    write(LIST.replace("[3, 4]", "[3]"))

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *arguments])
        return reproduce.main()

    return main


@pytest.mark.slow
def test_missing_runs_are_made_and_recorded_ones_skipped(reproduce, copy, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(reproduce.Run, "command", _into(tmp_path, reproduce.Run.command))
    assert copy("first", "--threads", "1") == 0
    record = load_record(tmp_path / "synthetic" / "first-seed3.json")
    assert record.experiment["width"] == 8
    assert copy("first") == 0
    assert "1 runs, 1 of them recorded" in capsys.readouterr().out


def _into(folder, command):
    return lambda run, *options: [str(folder) if word == "book/results" else word for word in command(run, *options)]


def test_a_failed_run_keeps_the_record_that_was_there(reproduce, copy, tmp_path, monkeypatch, capsys):
    other = tmp_path / "synthetic" / "first-seed3.json"
    other.parent.mkdir()
    recorded = next(iter(sorted((reproduce.ROOT / "book" / "results" / "humaneva").glob("*.json"))))
    other.write_bytes(recorded.read_bytes())  # of other settings
    failure = [sys.executable, "-c", "import sys; sys.exit('broken')"]
    monkeypatch.setattr(reproduce.Run, "command", lambda run, *options: failure)
    assert copy("first") == 1
    assert "failed\nbroken" in capsys.readouterr().out
    assert other.read_bytes() == recorded.read_bytes()


def test_the_list_says_what_is_missing_and_runs_nothing(copy, capsys, tmp_path):
    assert copy("--list") == 0
    out = capsys.readouterr().out
    assert "2 runs, 0 of them recorded" in out
    assert "papermill notebooks/experiment.ipynb - -k python3 -p method supervised -p seed 3 -p width 8" in out
    assert not list(tmp_path.rglob("*.json"))


def test_the_script_runs_as_it_stands(reproduce):
    done = subprocess.run([sys.executable, reproduce.__file__, "--list", "no-such-row"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "0 runs, 0 of them recorded")
