"""Every colour of the figures, once: change one here, and the drawings under `book/images` that have it as well."""

COLORS = {"left": "#0072B2", "right": "#D55E00", "centre": "#808080"}
"""The sides of a person. Blue and vermilion, from Okabe and Ito's palette, differ for colour-blind readers too."""

GHOST = "#8A8A8A"
"""A true pose behind a lifted one, and the borders of images."""

FLOOR = "#9A9A9A"
"""The grid on the ground."""

CAMERA = "#009E73"
"""The cameras of a scene."""

LINES = (COLORS["left"], COLORS["right"], CAMERA, "#CC79A7", "#8A6D00")
"""Curves, which differ in their dashes as well."""
