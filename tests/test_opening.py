"""A page opens with the figure of the cell tagged so, before any code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from posekit.figures import curve_figure

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
BUILD = """
import sys
from sphinx.application import Sphinx
options = {"extensions": ["myst_nb", "posebook.figure", "posebook.opening"], "nb_execution_mode": "off", "numfig": True}
app = Sphinx(".", None, "out", "doctrees", "html", options, status=None, warning=sys.stderr)
app.build()
"""


def tagged(cells, tag):
    return [cell for cell in cells if cell.cell_type == "code" and tag in cell.metadata.get("tags", [])]


def opening_chapters():
    return [path for path in CHAPTERS if tagged(jupytext.read(path).cells, "opening")]


def test_the_chapters_open_with_a_figure():
    """The page of results does so with a chart that is not plotly's."""
    assert set(CHAPTERS) - set(opening_chapters()) == {ROOT / "notebooks" / "07_results.py"}


@pytest.mark.parametrize("path", opening_chapters(), ids=lambda path: path.stem)
def test_a_chapter_has_one_opening_and_hides_its_imports_and_alternative_texts(path):
    cells = jupytext.read(path).cells
    (opening,) = tagged(cells, "opening")
    assert re.search(r"^\w+_figure\(", opening.source, re.M)
    hidden = [cell for tag in ("hide-input", "hide-cell", "remove-input", "remove-cell") for cell in tagged(cells, tag)]
    shown = [cell for cell in cells if cell.cell_type == "code" and cell not in hidden]
    assert not [cell.source for cell in shown if re.search(r"^(import|from) |^alt = |\bMarkdown\(table\(", cell.source, re.M)]


def page_of(folder, *cells):
    """The HTML that a notebook of such cells becomes, with what the build complained about."""
    language = {"language_info": {"name": "python", "pygments_lexer": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells), metadata=language), folder / "index.ipynb")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "book")])
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (folder / "out" / "index.html").read_text(), done.stderr


def code(source, *tags, figure=None):
    mime = "application/vnd.plotly.v1+json"
    outputs = [nbformat.v4.new_output("display_data", {mime: json.loads(figure.to_json())})] if figure else []
    return nbformat.v4.new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


@pytest.fixture
def cells():
    figure = curve_figure({"error": ([1, 2], [3, 4])}, "epoch", "mm", "A line that rises. It says more.")
    text = nbformat.v4.new_markdown_cell
    return [
        text("# Title"),
        code("import torch"),
        text("Then we draw."),
        code("draw()", "opening", "fig-rising", figure=figure),
        text("It ends, as {numref}`fig-rising` shows."),
    ]


@pytest.mark.slow
def test_the_figure_stands_before_any_code_numbered_and_leaves_a_link(tmp_path, cells):
    page, complaints = page_of(tmp_path, *cells)
    assert complaints == ""
    places = [
        "<h1",
        'id="opening"',
        'class="pk-figure"',
        "A line that rises.</span>",
        ">torch<",
        "Then we draw.",
        ">draw<",
        'href="#opening"',
        "It ends, as",
    ]
    assert [page.find(place) for place in places] == sorted(page.find(place) for place in places)
    assert all(place in page for place in places)
    assert page.count('class="pk-figure"') == 1
    assert re.search(r'href="#fig-rising"><span class="std std-numref">Fig. 1<', page)
    assert 'id="fig-rising"' in page


@pytest.mark.slow
def test_a_reference_to_no_figure_is_complained_about(tmp_path, cells):
    cells[-1].source = "As {numref}`fig-falling` shows."
    _, complaints = page_of(tmp_path, *cells)
    assert "fig-falling" in complaints


def test_every_named_figure_is_referred_to_and_chapters_with_several_refer_to_them():
    for path in CHAPTERS:
        cells = jupytext.read(path).cells
        names = [tag for cell in cells for tag in cell.metadata.get("tags", []) if tag.startswith("fig-")]
        prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert set(names) <= set(re.findall(r"{numref}`(fig-[\w-]+)`", prose)), path
        drawn = [cell for cell in cells if cell.cell_type == "code" and re.search(r"^(\w+_figure|show)\(", cell.source, re.M)]
        assert names or len(drawn) < 2, path


@pytest.mark.slow
def test_a_cell_that_drew_nothing_is_complained_about(tmp_path, cells):
    cells[3] = code("draw()", "opening")
    page, complaints = page_of(tmp_path, *cells)
    assert "a cell tagged opening needs an output" in complaints
    assert 'id="opening"' not in page
