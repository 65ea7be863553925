"""Which plotly.js pages load, and what it must be able to draw."""

import re
from pathlib import Path

from posebook.plotly_js import PARTIAL, TRACES, VERSION, plotly_file, whole

ROOT = Path(__file__).parent.parent


def test_the_partial_one_is_of_the_version_that_the_figures_are_made_for():
    assert f"plotly.js v{VERSION}\n" in whole().read_text()[:100]


def test_figures_are_made_of_traces_that_it_draws():
    files = [*ROOT.glob("posekit/**/*.py"), *ROOT.glob("notebooks/*.py"), *ROOT.glob("book/posebook/*.py")]
    made = {name for file in files for name in re.findall(r"\bgo\.([A-Z]\w+)\(", file.read_text())}
    scripts = "".join(file.read_text() for file in ROOT.glob("book/posebook/assets/posebook-*.js"))
    made |= set(re.findall(r'type: "(\w+3d|bar|scatter\w*)"', scripts))
    assert {name.lower() for name in made - {"Figure", "FigureWidget", "Frame"}} == set(TRACES)


def test_pages_load_it_where_it_was_fetched_and_else_all_of_plotly(tmp_path):
    folder = tmp_path / "data" / "plotly"
    assert plotly_file(folder) == whole()
    folder.mkdir(parents=True)
    (folder / PARTIAL).write_text(f"/**\n* plotly.js (gl3d - minified) v{VERSION}\n*/")
    assert plotly_file(folder) == folder / PARTIAL
    (folder / PARTIAL).write_text("/**\n* plotly.js (gl3d - minified) v1.0.0\n*/")
    assert plotly_file(folder) == whole(), "of another version"
