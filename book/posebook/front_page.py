"""The directives of the front page, `lifting-scene` and `three-lifters`, and the files of the pages that draw on a stage."""

import html
import json
import math
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from posebook.stage_still import Eye, key_html, still_scene
from posebook.tryit_page import TRYIT_CLASS, TryIt, prepared
from posebook.yourself import YOURSELF_CLASS, LiftYourself
from posekit.epipolar import EPIPOLAR_CLASS

FRONT_CLASS = "pk-lifting"
STILL_FRAME = 21  # of the walk, for the still pictures
ALT = (
    "A room with a camera whose flat picture stands before it: a blue and orange stick figure. "
    "Rays go from the picture's joints to a walking body in 3D, blue on its left and orange on its right, lifted by a network. "
    "The true body behind it is grey."
)


FILES = {
    FRONT_CLASS: ("stage.css", "stage.js", "front.js"),
    TRYIT_CLASS: ("stage.css", "picture.css", "stage.js", "picture.js", "room.js", "tryit.js"),
    YOURSELF_CLASS: ("stage.css", "stage.js", "room.js", "yourself.js"),
    EPIPOLAR_CLASS: ("picture.css", "picture.js", "epipolar.js"),
}
"""What the pages need that have an element of a class."""


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    app.add_directive("lifting-scene", LiftingScene)
    app.add_directive("three-lifters", ThreeLifters)
    app.add_directive("try-it", TryIt)
    app.add_directive("lift-yourself", LiftYourself)
    app.connect("html-page-context", _page_files)


def _page_files(app, pagename, templatename, context, doctree):
    body = context.get("body") or ""
    for name, files in FILES.items():
        if f'class="{name}"' in body:
            for file in files:
                if file.endswith(".css"):
                    app.add_css_file(file)
                else:
                    app.add_js_file(file, loading_method="defer")


class LiftingScene(SphinxDirective):
    """A walk that the reader's browser lifts; `front.js` draws it over the still picture given here."""

    def run(self) -> list[nodes.Node]:
        """The page's data and the still picture."""
        data = front_data(self)
        camera = data["camera"]
        eye = Eye(math.atan2(camera["center"][1], camera["center"][0]) + 0.85, 0.2)
        still = still_scene(data, data["lifted"][STILL_FRAME], data["truth"][STILL_FRAME], eye, camera)
        script = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
        data_html = f'<script type="application/json">{script}</script>'
        under = f'<div class="pk-under">{key_html("the truth, never shown to it")}</div>'
        return [raw(f'<figure class="{FRONT_CLASS}">{data_html}{still_html(still, ALT)}{under}</figure>')]


class ThreeLifters(SphinxDirective):
    """The same walk, lifted by three networks of one size that differ in what they learned from."""

    def run(self) -> list[nodes.Node]:
        """Three panels, each with its name and its error over the test set."""
        data = front_data(self)
        eye = Eye(math.atan2(data["camera"]["center"][1], data["camera"]["center"][0]) + 0.7, 0.14)
        parts = []
        for panel in data["panels"]:
            pose, truth = panel["poses"][STILL_FRAME], data["truth"][STILL_FRAME]
            still = still_scene(data, pose, truth, eye, size=(360, 400), tinted=True)
            learned = LEARNED[panel["name"]]
            alt = f"The walking body as lifted by the network that learned {learned}, over the true one, which is grey."
            caption = f"<b>{panel['name']}</b> <span>{panel['error_mm']:.0f} mm on average</span>"
            parts.append(f'<figure class="pk-panel">{still_html(still, alt)}<figcaption>{caption}</figcaption></figure>')
        scale = "<span>0 mm</span><i></i><span>100 mm and more,</span><span>pelvis on pelvis</span>"
        key = f'<p class="pk-scale">Joints off by {scale}</p>'
        return [raw(f'<div class="pk-compared">{"".join(parts)}{key}</div>')]


LEARNED = {"without labels": "without labels", "with labels": "from labels", "triangulated": "from triangulated poses"}


def front_data(directive: SphinxDirective) -> dict:
    """What `front.json` holds."""
    file = prepared(Path(directive.env.srcdir)) / "front.json"
    for path in (file, __file__):
        directive.env.note_dependency(str(path))
    return json.loads(file.read_text())


def still_html(still: str, alt: str) -> str:
    """The picture that stands until the canvas is drawn, without scripts, and on paper."""
    return f'<div class="pk-still" role="img" aria-label="{html.escape(alt, quote=True)}">{still}</div>'


def raw(text: str) -> nodes.raw:
    """A node of HTML."""
    return nodes.raw(text=text, format="html")
