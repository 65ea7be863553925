"""Plotly figures in pages: the data as inert JSON, a still picture, and an element for the browser to draw in.

MyST-NB finds renderers among the entry points of installed packages. This one belongs to the book, which is not
installed, so `setup` adds it to those found.
"""

import html
import json

from docutils import nodes
from myst_nb.core.render import load_mime_renders

from posebook.still import still_svg

MIME = "application/vnd.plotly.v1+json"
FIGURE_CLASS = "pk-figure"


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    found = load_mime_renders()  # cached: every later call gives this very list
    if PlotlyFigure not in found:
        found.append(PlotlyFigure)


class PlotlyFigure:
    """MyST-NB's renderer of plotly's mime type."""

    mime_priority_overrides = (("html", MIME, 5), ("dirhtml", MIME, 5))

    @staticmethod
    def handle_mime(renderer, data, inline):
        """One raw HTML node for a figure; None leaves other types to other renderers."""
        if data.mime_type != MIME or inline:
            return None
        return [nodes.raw(text=figure_html(data.content), format="html", classes=["output", "pk-output"])]


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
    spec = json.dumps(figure, separators=(",", ":")).replace("<", "\\u003c")  # so that it cannot close the script element
    return (
        f'<figure class="{FIGURE_CLASS}" style="min-height:{height}px">'
        f'<script type="application/json">{spec}</script>'
        f'<div class="pk-still" role="img" aria-label="{html.escape(alt, quote=True)}">{still_svg(figure)}</div>'
        "</figure>"
    )
