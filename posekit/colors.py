"""Every colour of the figures, once: change one here, and the drawings under `book/images` that have it as well."""

COLORS = {"left": "#0072B2", "right": "#D55E00", "centre": "#404040"}
"""The sides of a person. Blue and vermilion, from Okabe and Ito's palette, differ for colour-blind readers too."""

GHOST = "#949494"
"""A true pose behind a lifted one, and the borders of images."""

FLOOR = "#9A9A9A"
"""The grid on the ground."""

CAMERA = "#009E73"
"""The cameras of a scene."""

SHADOW = "#000000"
"""Under a person; what hides light on a white page is, on a dark one, a patch of light."""

LINES = (COLORS["left"], COLORS["right"], CAMERA, "#CC79A7", "#8A6D00")
"""Curves, which differ in their dashes as well."""

DARK = {
    COLORS["left"]: "#56B4E9",
    COLORS["right"]: "#FF8C42",
    COLORS["centre"]: "#DEDEDE",
    GHOST: "#757575",
    FLOOR: "#6E6E6E",
    CAMERA: "#2FCB9B",
    SHADOW: "#F0F0F0",
    LINES[3]: "#E39BC4",
    LINES[4]: "#D9B53C",
}
"""Each colour's counterpart on a dark page."""


def dark_rules(drawings: str) -> str:
    """CSS that gives SVG the counterparts of its colours.

    Args:
        drawings: selector of SVG elements on a dark page.
    """
    looks = ((use, light, dark) for light, dark in DARK.items() for use in ("stroke", "fill"))
    return "".join(f'{drawings} [{use}="{light}"] {{ {use}: {dark}; }}\n' for use, light, dark in looks)
