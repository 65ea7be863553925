"""The directive of the page "Try it", and its files, kept under `_build` until something they depend on changes."""

import json
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from posebook.digest import digest_of, library_files
from posebook.figure import figure_html

TRYIT_CLASS = "pk-tryit"
logger = logging.getLogger(__name__)


class TryIt(SphinxDirective):
    """A 2D pose to drag, and the 3D pose lifted from it. The directive's content is for readers without JavaScript."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The element that `tryit.js` fills, with the figure of the first example in it."""
        folder = prepared(Path(self.env.srcdir))
        for file in (folder / "manifest.json", __file__):
            self.env.note_dependency(str(file))
        figure = json.loads((folder / "figure.json").read_text())
        opening, closing = f'<div class="{TRYIT_CLASS}">', "</div>"
        for_few = nodes.container("", *self.parse_content_to_nodes(), classes=["pk-without-script"])
        return [_html(opening), for_few, _html(figure_html(figure)), _html(closing)]


def _html(text: str) -> nodes.raw:
    return nodes.raw(text=text, format="html")


def prepared(root: Path) -> Path:
    """The folder with the trained lifter's files; trains and writes them if they are missing or out of date."""
    folder = root / "_build" / "tryit"
    digest = digest_of([*library_files(root), Path(__file__).with_name("tryit.py")], root)
    manifest = folder / "manifest.json"
    if not manifest.exists() or json.loads(manifest.read_text())["digest"] != digest:
        from posebook.tryit import export  # imports torch, and only if it is needed

        logger.info("training the lifter of the page 'Try it', about half a minute")
        export(folder, digest)
    return folder


def copy_files(root: Path, static: Path) -> None:
    """Copy what the browser fetches to the site's static files."""
    target = static / "tryit"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("manifest.json", "weights.bin", "fixtures.json"):
        shutil.copyfile(root / "_build" / "tryit" / name, target / name)
