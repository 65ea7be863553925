"""A few thousand of the damaged files that `make fuzz` reads; the readers run in a child process with limits."""

import json
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parent / "fuzz" / "run.py"


def fuzz(cases: int, *targets: str) -> subprocess.CompletedProcess:
    command = [sys.executable, RUN, *targets, "--cases", str(cases), "--seed", "1"]
    return subprocess.run(command, capture_output=True, text=True)


def test_damaged_data_and_lifters_give_documented_errors_only():
    done = fuzz(3000, "npz", "humaneva", "lifter")
    assert done.returncode == 0, done.stdout + done.stderr


def test_damaged_records_and_checkpoints_give_documented_errors_only():
    done = fuzz(900, "record", "checkpoint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_dies_hangs_or_is_undocumented_is_a_fault(monkeypatch):
    monkeypatch.syspath_prepend(RUN.parent)
    from run import faults

    good = [(0, "npz", "loaded", 0.1, 1.0), (1, "npz", "refused", 0.1, 1.0)]
    bad = [(2, "?", "died: -11", 0.0, 0.0), (3, "npz", "KeyError: 'a'", 0.1, 1.0)]
    bad += [(4, "npz", "refused", 2.5, 1.0), (5, "npz", "loaded", 0.1, 600.0)]
    assert faults(good + bad) == bad


def test_figures_are_counted_by_target_and_kept_beside_those_of_others(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(RUN.parent)
    from run import keep

    results = [(0, "npz", "loaded", 0.1, 1.4), (1, "npz", "refused", 0.3, 1.0), (2, "npz", "KeyError: 'a'", 0.1, 0.0)]
    kept = tmp_path / "fuzz.json"
    kept.write_text('{"lifter": 1, "npz": 2}')
    keep(kept, results, {"seed": 0})
    npz = dict(cases=3, loaded=1, refused=1, faults=1, slowest_s=0.3, most_mb=1, run={"seed": 0})
    assert json.loads(kept.read_text()) == {"lifter": 1, "npz": npz}
