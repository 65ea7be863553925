"""The directive of the page "Try it", and its files, kept under `_build` until something they depend on changes."""

import json
import math
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from posebook.digest import digest_of, library_files
from posebook.stage_still import Eye, key_html, still_scene

TRYIT_CLASS = "pk-tryit"
ALT = (
    "The lifted body in 3D, blue on its left, orange on its right, over the true one in grey; "
    "the camera and its picture stand before it, with rays from the picture's joints to the body's."
)
GREY = "the truth, or before you moved a joint"
logger = logging.getLogger(__name__)


class TryIt(SphinxDirective):
    """A 2D pose to drag, and the 3D pose lifted from it. The directive's content is for readers without JavaScript."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The element that `tryit.js` fills, with a still picture of the first example in it."""
        folder = prepared(Path(self.env.srcdir))
        for file in (folder / "manifest.json", __file__):
            self.env.note_dependency(str(file))
        begun = json.loads((folder / "start.json").read_text())
        still = still_scene(begun, begun["lifted"][0], begun["truth"][0], still_eye(begun["camera"]), begun["camera"])
        for_few = nodes.container("", *self.parse_content_to_nodes(), classes=["pk-without-script"])
        picture = f'<figure class="pk-lifted"><div class="pk-still" role="img" aria-label="{ALT}">{still}</div></figure>'
        return [_html(f'<div class="{TRYIT_CLASS}">'), for_few, _html(picture + key_html(GREY)), _html("</div>")]


def still_eye(camera: dict) -> Eye:
    """A place from which camera, picture and person are seen apart."""
    x, y, _ = camera["R"][2]
    return Eye(math.atan2(-y, -x) + 0.75, 0.25)


def _html(text: str) -> nodes.raw:
    return nodes.raw(text=text, format="html")


def prepared(root: Path) -> Path:
    """The folder with the trained lifter's files; trains and writes them if they are missing or out of date."""
    folder = root / "_build" / "tryit"
    own = [Path(__file__).with_name(name) for name in ("tryit.py", "front.py")]
    digest = digest_of([*library_files(root), *own], root)
    manifest = folder / "manifest.json"
    if not manifest.exists() or json.loads(manifest.read_text())["digest"] != digest:
        from posebook.tryit import export  # imports torch, and only if it is needed

        logger.info("training the lifters of the front page and of 'Try it', about a minute")
        export(folder, digest)
    return folder


def copy_files(root: Path, static: Path) -> None:
    """Copy what the browser fetches to the site's static files."""
    target = static / "tryit"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("manifest.json", "weights.bin", "fixtures.json"):
        shutil.copyfile(root / "_build" / "tryit" / name, target / name)
