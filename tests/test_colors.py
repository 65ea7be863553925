"""One palette: whatever else draws people takes its colours from `posekit.colors` or agrees with it."""

import re
from pathlib import Path

import pytest

from posebook.figure import palette_css
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
    suffixes, palette = (".py", ".js", ".css", ".md"), {*PALETTE, *colors.DARK.values()}
    again = [path.name for path in CODE if path.suffix in suffixes and {c.upper() for c in typed(path)} & palette]
    assert again == ["colors.py"]


WHITE, BLACK = "#FFFFFF", "#14181E"  # the theme's grounds


def luminance(color):
    """Relative luminance, as WCAG 2.1 defines it."""
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", [WHITE, BLACK])
def test_people_stand_out_from_the_page_and_from_their_ghosts(ground):
    shown = colors.DARK if ground == BLACK else {color: color for color in colors.DARK}
    assert contrast(shown[colors.GHOST], ground) >= 3
    assert contrast(shown[colors.COLORS["centre"]], shown[colors.GHOST]) >= 3
    for side in colors.COLORS.values():
        assert contrast(shown[side], ground) >= (6 if ground == BLACK else 3.8)
    for color in (colors.CAMERA, *colors.LINES):
        assert contrast(shown[color], ground) >= 3


def test_every_colour_has_a_counterpart_on_dark_pages():
    assert {*PALETTE, *colors.LINES, colors.SHADOW} == set(colors.DARK)


def test_pages_name_each_colour_with_its_counterpart():
    light, dark = (dict(re.findall(r"--pk-(\w+): (#\w+)", line)) for line in palette_css().splitlines()[:2])
    assert {light[side] for side in colors.COLORS} == set(colors.COLORS.values())
    assert dark == {name: colors.DARK[color] for name, color in light.items()}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_the_stage_the_truth_stands_out_from_the_room_and_the_people_from_the_truth(theme):
    css = (ROOT / "book" / "posebook" / "assets" / "stage.css").read_text()
    named = dict(re.findall(r"--pk-(\w+): ([^;]+);", css.splitlines()[1 if theme == "light" else 2]))
    truth, exact = named["grey"], named["good"]
    bodies = [colors.DARK[color] if theme == "dark" else color for color in colors.COLORS.values()]
    assert min(contrast(truth, ground) for ground in [*re.findall("#[0-9a-f]{6}", named["room"]), named["paper"]]) >= 2
    assert min(contrast(truth, color) for color in (exact, named["bad"], *bodies)) >= 1.5
