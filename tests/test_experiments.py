import inspect
import json
import re
import shlex
from dataclasses import asdict, fields, replace
from pathlib import Path

import jupytext
import pytest

from posekit import experiments
from posekit.experiments import Experiment, notebook_parameters, run

TINY = Experiment(width=16, epochs=2, batch_size=500)


@pytest.fixture(scope="module")
def record():
    return run(TINY)[0]


def test_a_run_fills_a_record(record):
    assert record.experiment == asdict(TINY)
    assert set(record.metrics_mm) == {"report_mpjpe", "mpjpe", "root_error", "pa_mpjpe", "n_mpjpe"}
    assert set(record.by_action) == {"Walking", "Jog", "Box"}
    assert record.curve["epoch"] == [1, 2]
    assert record.curve["report_mpjpe_mm"][-1] == record.metrics_mm["report_mpjpe"]
    assert (record.data["frames_train"], record.data["views"]) == (3600, ["C1", "C2", "C3"])
    assert re.fullmatch(r"[0-9a-f]{64}", record.data["sha256"]["train"])
    expected = {
        "commit",
        "uncommitted_changes",
        "posekit",
        "python",
        "torch",
        "platform",
        "device",
        "threads",
        "peak_memory_mb",
        "seconds",
    }
    assert set(record.provenance) == expected


def test_the_same_experiment_gives_the_same_numbers(record):
    again = run(TINY)[0]
    assert (again.metrics_mm, again.curve) == (record.metrics_mm, record.curve)
    assert run(replace(TINY, seed=1))[0].metrics_mm != record.metrics_mm


@pytest.mark.parametrize(
    "options",
    [
        dict(method="supervised"),
        dict(method="adaptation", adapt_epochs=1, dropout="0.5"),
        dict(method="sequence", window=9),
        dict(method="sequence", batch_size=1, window=0, positions="none", parametrisation="published"),
        dict(method="temporal_convolution", window=9),
        dict(stride=5, noise_px=3.0, cameras="C1+C2", test_cameras="C3"),
        dict(loss_terms="cross", lens="human36m"),
        dict(parametrisation="published", lens="human36m", dropout="0.5->0.0"),
        dict(norm="layer", schedule="constant"),
    ],
    ids=str,
)
def test_every_way_runs(options):
    assert run(replace(TINY, epochs=1, **options))[0].metrics_mm["mpjpe"] > 0


@pytest.mark.parametrize("kind", ["dlt", "midpoint", "refined", "robust"])
def test_triangulation_needs_no_training(kind):
    record, lifter = run(Experiment(method="triangulation", triangulation=kind))
    assert lifter is None
    assert record.metrics_mm["mpjpe"] < 0.1
    assert record.curve["epoch"] == []


def test_adaptation_takes_a_kept_source_model_and_does_not_train_again(tmp_path):
    source, _ = run(replace(TINY, dropout="0.5"), models_dir=tmp_path)
    (kept,) = tmp_path.iterdir()
    before = kept.read_bytes()
    adaptation = replace(TINY, dropout="0.5", method="adaptation", adapt_epochs=1)
    with_kept, _ = run(adaptation, models_dir=tmp_path)
    assert with_kept.metrics_mm == run(adaptation)[0].metrics_mm
    assert with_kept.metrics_mm != source.metrics_mm
    assert kept.read_bytes() == before
    assert list(tmp_path.iterdir()) == [kept]


def test_one_camera_cannot_train_without_labels():
    with pytest.raises(ValueError, match="at least two views"):
        run(replace(TINY, cameras="C1"))


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        (dict(sede=1), "unknown parameter 'sede'"),
        (dict(epochs="many"), "epochs must be int, got str 'many'"),
        (dict(epochs=1.5), "epochs must be int, got float 1.5"),
        (dict(seed=True), "seed must be int, got bool True"),
        (dict(method="supervized"), "method must be one of supervised, .*; got 'supervized'"),
        (dict(dropout="half"), "dropout must be like"),
        (dict(dropout="1.5"), "dropout must be like"),
        (dict(width=0), "width must be positive"),
        (dict(loss_terms="own+corss"), "loss_terms must be some of own\\+cross\\+consistency"),
    ],
)
def test_bad_parameters_list_the_valid_ones(parameters, complaint):
    with pytest.raises(ValueError, match=complaint) as error:
        Experiment.parse(parameters)
    for f in fields(Experiment):
        assert f"  {f.name}: " in str(error.value)


def test_numbers_as_papermill_gives_them():
    parsed = Experiment.parse(dict(dropout=0.5, learning_rate=1, epochs=3))
    assert (parsed.dropout, parsed.learning_rate, parsed.epochs) == ("0.5", 1.0, 3)


def test_notebook_parameters_find_literals_misspelt_ones_too():
    namespace = dict(width=3, sede=1, device="cpu", _i=2, json=json, run=run)
    assert notebook_parameters(namespace, "device") == dict(width=3, sede=1)


def test_the_notebooks_parameters_are_the_experiments_with_the_same_defaults():
    notebook = jupytext.read(Path(inspect.getfile(experiments)).parent.parent / "notebooks" / "experiment.py")
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    namespace = {}
    exec(cell.source, namespace)
    options = ("results_dir", "name", "models_dir", "device", "threads", "test_every")
    assert Experiment.parse(notebook_parameters(namespace, *options)) == Experiment()
    assert set(notebook_parameters(namespace)) == {f.name for f in fields(Experiment)} | set(options)


def test_the_command_is_quoted_for_a_shell_and_means_the_same_run():
    experiment = Experiment(dropout="0.5->0.0", seed=3)
    text = experiment.command_text()
    assert text.splitlines()[1:] == ["  -p dropout '0.5->0.0' \\", "  -p seed 3"]
    assert shlex.split(text.replace("\\\n", "")) == experiment.command()
