"""Entry points for readers and contributors: Colab, Binder, GitHub's workflows, hooks, the chapter template."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import jupytext
import papermill
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from traitlets.config import Config

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "notebooks" / "template" / "chapter.py"
CHAPTERS = sorted((ROOT / "notebooks").glob("*.py"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]}
REPOSITORY = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PINNED = {canonicalize_name(pin.name): pin.specifier for pin in PINS}


def colab_cells(chapter):
    return [cell for cell in jupytext.read(chapter).cells if "google.colab" in cell.source]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_prepares_colab_first_and_out_of_sight(chapter):
    (cell,) = colab_cells(chapter)
    assert cell.source == colab_cells(TEMPLATE)[0].source
    assert "remove-cell" in cell.metadata["tags"]
    code = [cell for cell in jupytext.read(chapter).cells if cell.cell_type == "code"]
    assert code[0].source == cell.source


RUN_CELL = """
import sys
sys.path.insert(0, sys.argv[1])
class Shell:
    def system(self, command): print("system", command)
    def run_line_magic(self, name, line): print("magic", name, line)
exec(sys.argv[2], {"get_ipython": Shell})
"""


def run_colab_cell(path):
    """What the cell asks of IPython, in a Python with nothing but the standard library and the contents of `path`."""
    command = [sys.executable, "-I", "-S", "-c", RUN_CELL, path, colab_cells(TEMPLATE)[0].source]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_elsewhere_the_cell_does_nothing(tmp_path):
    assert run_colab_cell(tmp_path) == []
    (tmp_path / "google").mkdir()  # Google has other packages, too
    assert run_colab_cell(tmp_path) == []


def test_on_colab_the_cell_installs_the_repository_and_goes_to_its_chapters(tmp_path):
    package = tmp_path / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "output.py").write_text("def enable_custom_widget_manager(): print('widgets')")
    widgets, clone, install, go = run_colab_cell(tmp_path)
    assert widgets == "widgets"
    *_, url, folder = clone.split()
    assert clone.startswith("system git clone ")
    assert url == REPOSITORY
    assert install.split()[:3] == ["magic", "pip", "install"]
    assert install.split()[-1] == folder
    assert go.split()[1::2] == ["cd", f"{folder}/notebooks"]


def test_binder_gets_the_pinned_torch_and_posekit_itself():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    (torch,) = re.findall(r"^torch==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f"pytorch-cpu={torch}" in conda
    assert "--constraint constraints.txt" in pip["pip"]
    assert "--editable .[book]" in pip["pip"]


def test_binder_starts_with_one_thread():
    done = subprocess.run([ROOT / "start", "sh", "-c", "echo $OMP_NUM_THREADS"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_everything_asked_for_is_pinned():
    for line in [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]:
        asked = Requirement(line)
        (version,) = PINNED[canonicalize_name(asked.name)]
        assert version.version in asked.specifier, line


def test_pins_suit_the_oldest_python_we_promise():
    oldest = re.match(r">=([\d.]+)", PROJECT["requires-python"])[1] + ".0"
    installed = [package.metadata for package in distributions() if canonicalize_name(package.name) in PINNED]
    assert len(installed) > 50
    needs = {about["Name"]: about.get("Requires-Python", "") for about in installed}
    assert not {name: need for name, need in needs.items() if oldest not in SpecifierSet(need)}


def make_targets():
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_make_and_only_targets_there_are(path):
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    called = [target for line in commands if line.startswith("make ") for target in line.split()[1:]]
    assert called
    assert set(called) <= make_targets()
    assert all(job["env"]["TORCH_INDEX"] == "${{ vars.TORCH_INDEX }}" for job in jobs)


def test_the_workflows_test_publish_and_check_links():
    text = {path.stem: path.read_text() for path in WORKFLOWS}
    assert "make test" in text["test"]
    assert "make book" in text["pages"]
    assert "make linkcheck" in text["weekly"]
    assert "cron:" in text["weekly"]


def test_hooks_need_no_network():
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}


@pytest.mark.parametrize("name", ["ruff-check", "ruff-format"])
def test_the_style_hooks_pass(name):
    command, *options = shlex.split(HOOKS[name]["entry"])
    tool = shutil.which(command, path=Path(sys.executable).parent) or command
    done = subprocess.run([tool, *options, *CHAPTERS, TEMPLATE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pair_hook_selects_the_pair_tests():
    *_, file, option, word = shlex.split(HOOKS["pairs"]["entry"])
    assert option == "-k"
    assert len(re.findall(rf"^def test_\w*{word}", (ROOT / file).read_text(), re.MULTILINE)) == 2


@pytest.mark.slow
def test_the_chapter_template_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    jupytext.write(jupytext.read(TEMPLATE), tmp_path / "chapter.ipynb")
    config = Config()
    config.KernelManager.transport = "ipc"
    papermill.execute_notebook(
        tmp_path / "chapter.ipynb", None, kernel_name="python3", progress_bar=False, execution_timeout=300, config=config
    )
