"""One palette: whatever else draws people takes its colours from `posekit.colors` or agrees with it."""

import re
from pathlib import Path

import pytest

from posekit import colors

ROOT = Path(__file__).parent.parent
IMAGES = sorted((ROOT / "book" / "images").glob("*.svg"))
CODE = sorted(path for folder in ("posekit", "book/posebook", "notebooks") for path in (ROOT / folder).rglob("*.*"))
PALETTE = {*colors.COLORS.values(), colors.GHOST, colors.FLOOR, colors.CAMERA}


def typed(path):
    """The colours that a file spells out, without pure greys of three digits."""
    return set(re.findall(r"#[0-9A-Fa-f]{6}\b", path.read_text(errors="ignore").replace("&#", "")))


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_drawings_use_the_palette(path):
    assert {color.upper() for color in typed(path)} <= {color.upper() for color in PALETTE}


def test_drawings_of_people_have_both_sides():
    drawn = [path.stem for path in IMAGES if {colors.COLORS["left"], colors.COLORS["right"]} <= typed(path)]
    assert {"logo", "scene", "axes_world", "network", "procedure"} <= set(drawn)


def test_no_code_types_a_colour_of_the_palette_again():
    suffixes = (".py", ".js", ".css", ".md")
    again = [path.name for path in CODE if path.suffix in suffixes and {c.upper() for c in typed(path)} & PALETTE]
    assert again == ["colors.py"]
