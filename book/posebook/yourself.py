"""The directive of "Lift yourself" on the page "Try it", and the detector that it needs, where `make pose-model` fetched it."""

import json
import shutil
from pathlib import Path

import torch
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from posekit.skeleton import HUMANEVA_15
from posekit.skeletons import KEYPOINTS, map_joints

YOURSELF_CLASS = "pk-yourself"
SERVED = "mediapipe-pose"
ABSENT = (
    "The detector is not in this copy of the book, so there is nothing to press here. "
    "`make pose-model` fetches it from npm (it needs a network), and `make book` then builds the page with it."
)


class LiftYourself(SphinxDirective):
    """A photo, a video or the camera, and the person in it, lifted. The content is for readers without JavaScript."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The element that `yourself.js` fills; or how to get the detector, where there is none."""
        folder = detector(Path(self.env.srcdir))
        for file in (folder / "package.json", __file__):
            self.env.note_dependency(str(file))
        if not shipped(folder):
            return self.parse_text_to_nodes(ABSENT)
        told = {"folder": SERVED, "bytes": size(folder), "keypoints": KEYPOINTS["mediapipe33"], "sources": sources()}
        script = json.dumps(told, separators=(",", ":"))
        for_few = nodes.container("", *self.parse_content_to_nodes(), classes=["pk-without-script"])
        begin = f'<div class="{YOURSELF_CLASS}"><script type="application/json">{script}</script>'
        return [nodes.raw(text=text, format="html") if isinstance(text, str) else text for text in (begin, for_few, "</div>")]


def detector(root: Path) -> Path:
    """Where `make pose-model` puts the detector's files."""
    return root / "data" / "mediapipe-pose"


def shipped(folder: Path) -> bool:
    """Whether the detector was fetched."""
    return (folder / "package.json").is_file()


def size(folder: Path) -> int:
    """Bytes that a browser fetches of the detector."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.name != "package.json")


def sources() -> list[list[int]]:
    """For each joint of the page's lifter the one or two keypoints of MediaPipe whose middle it is; none for one it lacks."""
    keypoints = KEYPOINTS["mediapipe33"]
    weights = map_joints(torch.eye(len(keypoints)), keypoints, HUMANEVA_15.joints, missing=True)
    return [row.nan_to_num().nonzero().flatten().tolist() for row in weights]


def copy_detector(root: Path, static: Path) -> None:
    """Copy the detector to the site, or remove it from there where it is gone."""
    folder = detector(root)
    shutil.rmtree(static / SERVED, ignore_errors=True)
    if shipped(folder):
        shutil.copytree(folder, static / SERVED)
