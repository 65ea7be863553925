"""A chapter's page opens with its finished figure: what a cell tagged "opening" draws is moved up, right below the title.

The chapter computes the figure where it belongs, and a notebook shows it there. On a page the reader sees first what the
chapter comes to, and finds a link at its old place.
"""

from docutils import nodes
from sphinx.util import logging

TAG = "tag_opening"  # MyST-NB makes a class of each cell's tags
PLACE = "opening"
logger = logging.getLogger(__name__)


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    app.connect("doctree-read", _open)


def _open(app, doctree):
    for cell in [node for node in doctree.findall(nodes.container) if TAG in node["classes"]]:
        open_with(doctree, cell)


def open_with(doctree: nodes.document, cell: nodes.container):
    """Move a cell's outputs below the page's title, and leave its code, and a link, where they were."""
    outputs = [node for node in cell.children if "cell_output" in node["classes"]]
    titles = list(doctree.findall(nodes.title))
    if not outputs or not titles:
        logger.warning("a cell tagged opening needs an output, and its page a title", location=cell)
        return
    moved = nodes.container("", classes=["cell"], nb_element="cell_code", ids=[PLACE])
    for output in outputs:
        cell.remove(output)
        moved += output
    link = nodes.reference("", "This figure opens the page.", internal=True, refid=PLACE)
    cell.parent.insert(cell.parent.index(cell) + 1, nodes.paragraph("", "", link))
    section = titles[0].parent
    section.insert(section.index(titles[0]) + 1, moved)
