"""Every notebook: the pair agrees, no outputs are committed, and it runs with small parameters, as on Binder."""

import re
import tomllib
from pathlib import Path
from statistics import median

import jupytext
import nbformat
import papermill
import pytest
import yaml
from jupytext.compare import compare_notebooks
from traitlets.config import Config

from posebook import JUPYTER

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
SCRIPTS = sorted(NOTEBOOKS.glob("*.py"))
CHAPTERS = sorted(NOTEBOOKS.glob("[0-9]*.py"))
SMALL = {
    "02_lift_with_labels": dict(width=32, epochs=4, learning_rate=0.005),
    "04_test_time_adaptation": dict(width=32, epochs=4, adapt_epochs=12, one_steps=20),
    "05_sequences": dict(width=32, epochs=8, window=9, stride=4),
    "07_results": dict(width=16, epochs=3, adapt_epochs=1, stride=4),
    "08_labels_for_free": dict(width=32, epochs=6, seeds=2),
    "09_turn_the_person": dict(width=64, seeds=2),
    "10_tell_the_network": dict(width=64, seeds=2),
    "13_your_own_cameras": dict(seeds=2),
    "experiment": dict(width=16, epochs=1),
}

by_stem = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def execute(stem, tmp_path, **parameters):
    """Run a notebook by papermill, as a user would, over a private socket instead of a TCP port."""
    config = Config()
    config.KernelManager.transport = "ipc"
    return papermill.execute_notebook(
        NOTEBOOKS / f"{stem}.ipynb",
        tmp_path / "out.ipynb",
        parameters=parameters,
        kernel_name="python3",
        progress_bar=False,
        start_timeout=120,
        execution_timeout=300,
        config=config,
        cwd=tmp_path,
    )


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder to run in with the recorded runs, its path short enough for a socket; a kernel limited like a free container."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("JUPYTER_PATH", str(JUPYTER))
    monkeypatch.delenv("POSEKIT_QUIET", raising=False)  # as readers have it
    (tmp_path / "book").symlink_to(ROOT / "book")
    return tmp_path


def test_every_notebook_has_its_pair():
    assert [path.stem for path in SCRIPTS] == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


@by_stem
def test_the_pair_agrees_and_holds_no_outputs(script):
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    script_format = {"extension": ".py", "format_name": "percent"}
    compare_notebooks(notebook, jupytext.read(script), fmt=script_format, compare_outputs=False)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


@by_stem
def test_there_is_one_parameters_cell_and_cells_are_short(script):
    cells = jupytext.read(script).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    others = [cell for cell in cells if cell.cell_type == "code" and cell not in tagged]  # parameters: a line each
    assert not [cell.source for cell in others if cell.source.count("\n") >= 30]


@pytest.mark.parametrize("script", CHAPTERS, ids=lambda path: path.stem)
def test_the_median_code_cell_has_at_most_five_lines(script):
    lengths = [cell.source.count("\n") + 1 for cell in jupytext.read(script).cells if cell.cell_type == "code"]
    assert median(lengths) <= 5


@pytest.mark.parametrize("script", CHAPTERS, ids=lambda path: path.stem)
def test_shown_code_fits_the_page(script):
    """ruff breaks lines of code, but neither strings nor comments: these could still make a page scroll sideways."""
    limit = tomllib.loads((NOTEBOOKS / "ruff.toml").read_text())["line-length"]
    code = [cell for cell in jupytext.read(script).cells if cell.cell_type == "code"]
    hidden = {"remove-cell", "remove-input", "hide-input"}
    shown = [cell.source for cell in code if not hidden & set(cell.metadata.get("tags", []))]
    assert not [line for source in shown for line in source.splitlines() if len(line) > limit]


@by_stem
def test_it_is_in_the_table_of_contents(script):
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    assert f"notebooks/{script.stem}" in [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]


@pytest.mark.slow
@by_stem
def test_it_runs_with_small_parameters(script, workplace):
    unknown = set(SMALL.get(script.stem, {})) - set(papermill.inspect_notebook(script.with_suffix(".ipynb")))
    assert not unknown
    done = execute(script.stem, workplace, **SMALL.get(script.stem, {}))
    for cell in done.cells:
        if "LiftExplorer(" in cell.source:
            assert any(WIDGET_MIME in output.get("data", {}) for output in cell.outputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "end"),
    [
        ("sede", 1, r"ValueError: unknown parameter 'sede'.* learning_rate.*"),
        ("epochs", "many", "ValueError: epochs must be int, got str 'many'"),
    ],
)
def test_a_bad_parameter_stops_the_experiment_and_is_said_last(name, value, end, workplace):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        execute("experiment", workplace, **{name: value})
    assert re.fullmatch(end, str(error.value).strip().splitlines()[-1])
    assert not list(workplace.rglob("*-seed*.json"))


@pytest.mark.slow
def test_a_run_leaves_one_record(workplace):
    execute("experiment", workplace, results_dir="mine", name="row", seed=3, **SMALL["experiment"])
    assert (workplace / "mine" / "synthetic" / "row-seed3.json").is_file()


@by_stem
def test_each_solution_checks_its_conclusion(script):
    cells = jupytext.read(script).cells
    titles = [at for at, cell in enumerate(cells) if "## Exercise" in cell.source]
    solutions = [cell for cell in cells[titles[-1] :] if cell.cell_type == "code"] if titles else []
    assert not [cell.source for cell in solutions if "assert" not in cell.source]


def test_chapters_that_train_do_so_on_one_thread():
    trains = [path for path in CHAPTERS if re.search(r"\b(fit|adapt)\(", path.read_text()) and path.stem[0].isdigit()]
    assert len(trains) >= 5
    assert all("\ntorch.set_num_threads(1)" in path.read_text() for path in trains)
