"""The front door: what `import posekit` offers, and what it leaves alone."""

import subprocess
import sys

import posekit


def test_it_offers_about_fifteen_names_that_say_what_they_are():
    assert 10 <= len(posekit.__all__) <= 20
    assert posekit.__all__ == sorted(posekit.__all__)
    assert all(getattr(posekit, name).__doc__ for name in posekit.__all__)


def test_importing_it_loads_no_figures_and_no_widgets():
    heavy = "{'plotly', 'ipywidgets', 'matplotlib', 'papermill', 'anywidget', 'IPython', 'scipy'}"
    code = f"import sys, posekit; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
