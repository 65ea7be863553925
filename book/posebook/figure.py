"""Plotly figures in pages: the data as inert JSON, a still picture, and an element for the browser to draw in.

MyST-NB finds renderers among the entry points of installed packages. This one belongs to the book, which is not
installed, so `setup` adds it to those found.
"""

import base64
import html
import json
import re

import numpy as np
from docutils import nodes
from myst_nb.core.render import load_mime_renders

from posebook.still import as_floats, is_chart, still_svg
from posekit.colors import CAMERA, COLORS, DARK, GHOST, dark_rules

MIME = "application/vnd.plotly.v1+json"
FIGURE_CLASS = "pk-figure"
NAMED = re.compile("fig-").match


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    found = load_mime_renders()  # cached: every later call gives this very list
    if PlotlyFigure not in found:
        found.append(PlotlyFigure)


def scripts(plotly: str) -> dict[str, dict[str, str]]:
    """The scripts of pages with figures, in order, with the attributes of their elements.

    Args:
        plotly: where plotly.js is, relative to the scripts.
    """
    return {"posebook-bodies.js": {}, "posebook-figures.js": {"data-plotly": plotly, "data-dark": json.dumps(DARK)}}


def scripts_html(plotly: str) -> str:
    """Those scripts as HTML, for a page beside them."""
    written = []
    for name, attributes in scripts(plotly).items():
        data = "".join(f' {key}="{html.escape(value, quote=True)}"' for key, value in attributes.items())
        written.append(f'<script defer src="{name}"{data}></script>')
    return "".join(written)


def palette_css() -> str:
    """Style that names the colours by what they stand for, and gives drawings in the page theirs when it is dark."""
    named = COLORS | {"truth": GHOST, "camera": CAMERA}
    light, dark = (
        "".join(f"--pk-{name}: {shown[color]}; " for name, color in named.items()) for shown in ({c: c for c in DARK}, DARK)
    )
    on_dark = 'html[data-theme="dark"]'
    return f"html {{ {light}}}\n{on_dark} {{ {dark}}}\n" + dark_rules(f"{on_dark} .bd-content svg")


class PlotlyFigure:
    """MyST-NB's renderer of plotly's mime type."""

    mime_priority_overrides = (("html", MIME, 5), ("dirhtml", MIME, 5))

    @staticmethod
    def handle_mime(renderer, data, inline):
        """A numbered figure with its caption; None leaves other types to other renderers.

        A tag of its cell that begins with "fig-" is its name: {numref}`fig-...` refers to it from any page.
        """
        if data.mime_type != MIME or inline:
            return None
        drawn = nodes.raw(text=figure_html(data.content), format="html", classes=["output", "pk-output"])
        names = list(filter(NAMED, data.cell_metadata.get("tags", ())))
        figure = nodes.figure("", drawn, nodes.caption("", caption(data.content["layout"]["meta"])), names=names)
        figure["ids"] = names or [f"figure-{data.cell_index}-{data.output_index}"]
        if names:
            renderer.renderer.document.note_explicit_target(figure, figure)
        return [figure]


def caption(meta: dict) -> str:
    """What stands under a figure: `caption` of its layout's meta, by default the first sentence of its alternative text."""
    return meta.get("caption") or meta["alt"].split(". ")[0].rstrip(".") + "."


def figure_html(figure: dict) -> str:
    """A `<figure>` that `posebook-figures.js` draws; without scripts and on paper the still picture takes its place.

    Raises:
        ValueError: for a figure without alternative text.
    """
    layout = figure.get("layout", {})
    alt = (layout.get("meta") or {}).get("alt")
    if not alt:
        raise ValueError("a plotly figure in a page needs an alternative text in layout.meta['alt']")
    height = int(layout.get("height") or 420)
    kept = {key: value for key, value in figure.items() if key != "frames"}
    kept["layout"] = {key: value for key, value in layout.items() if key not in ("template", "sliders", "updatemenus")}
    if figure.get("frames"):
        kept["motion"] = packed(figure["frames"])
    spec = json.dumps(kept, separators=(",", ":")).replace("<", "\\u003c")  # so that it cannot close the script element
    return (
        f'<figure class="{FIGURE_CLASS}" style="min-height:{height}px">'
        f'<script type="application/json">{spec}</script>'
        f'<div class="pk-still" role="img" aria-label="{html.escape(alt, quote=True)}">{still_svg(figure)}</div>'
        f"{_key(figure)}</figure>"
    )


def _key(figure: dict) -> str:
    """Which colour is which, for pictures of people; a chart has its own."""
    if is_chart(figure):
        return ""
    named = [trace for trace in figure["data"] if trace.get("showlegend") and "line" in trace]
    strokes = [f"<span>{_sample(trace)} {html.escape(trace['name'])}</span>" for trace in named]
    return f'<p class="pk-key">{"".join(strokes)}</p>' if strokes else ""


def _sample(trace: dict) -> str:
    """A dot in the trace's colour, or a line: thick for a person, thin for a ghost, with dots where it has its joints."""
    ghost = (trace.get("meta") or {"ghost": True})["ghost"]
    strokes = {"M3 4H21": 2 if ghost else 6} if "lines" in trace["mode"] else {"M12 4h.01": 8}
    if ghost and trace["mode"] == "lines+markers":
        strokes["M4 4h.01M20 4h.01"] = 5
    paths = "".join(f'<path d="{drawn}" stroke-width="{width}"/>' for drawn, width in strokes.items())
    look = f'stroke="{trace["line"]["color"]}" stroke-linecap="round"'
    return f'<svg viewBox="0 0 24 8" width="24" height="8" aria-hidden="true"><g {look}>{paths}</g></svg>'


GAP = np.iinfo(np.int16).min


def packed(frames: list[dict]) -> dict:
    """A figure's frames as one table of integers with a row per frame; `posebook-figures.js` reads it.

    Frames repeat each joint for each of its bones, so every column is kept once. 3D is in millimetres, 2D in tenths of a
    pixel; what lies beyond 16 bits, far outside the picture, is clipped.
    """
    axes = [[axis for axis in "xyz" if axis in trace] for trace in frames[0]["data"]]
    rows = [
        [
            (1000 if len(along) == 3 else 10) * as_floats(trace[axis])
            for trace, along in zip(frame["data"], axes)
            for axis in along
        ]
        for frame in frames
    ]
    table = np.array([np.concatenate(row) for row in rows])
    table = np.where(np.isnan(table), GAP, np.clip(table.round(), GAP + 1, -(GAP + 1)))
    values, columns = np.unique(table.astype("<i2"), axis=1, return_inverse=True)
    return {
        "traces": frames[0]["traces"],
        "sizes": [len(as_floats(trace["x"])) for trace in frames[0]["data"]],
        "axes": ["".join(along) for along in axes],
        "names": [frame["name"] for frame in frames],
        "columns": _base64(columns.astype("<u2")),
        "values": _base64(np.ascontiguousarray(values)),
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
