"""The front door: what `import posekit` offers, and what it leaves alone; and how the modules stand on each other."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import posekit

FOLDER = Path(posekit.__file__).parent
FIGURES = {f"posekit.{name}" for name in ("drawing", "figures", "ray_figures", "rig_figures", "sliders", "widgets")}


def test_it_offers_about_fifteen_names_that_say_what_they_are():
    assert 10 <= len(posekit.__all__) <= 20
    assert posekit.__all__ == sorted(posekit.__all__)
    assert all(getattr(posekit, name).__doc__ for name in posekit.__all__)


def test_importing_it_loads_no_figures_and_no_widgets():
    heavy = "{'plotly', 'ipywidgets', 'matplotlib', 'papermill', 'anywidget', 'IPython', 'scipy'}"
    code = f"import sys, posekit; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def imports():
    """For each module the modules of posekit that it imports, inside functions too."""
    graph = {}
    for path in sorted(FOLDER.rglob("*.py")):
        name = ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts).removesuffix(".__init__")
        nodes = ast.walk(ast.parse(path.read_text()))
        graph[name] = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module.startswith("posekit")}
    return graph


def test_modules_do_not_import_in_a_circle():
    TopologicalSorter(imports()).prepare()  # raises a CycleError that names the circle


def test_only_figures_import_figures():
    above = {name for name, imported in imports().items() if imported & FIGURES}
    assert above <= FIGURES
