"""Every colour of the figures, once: change one here, and the drawings under `book/images` that have it as well."""

COLORS = {"left": "#0072B2", "right": "#D55E00", "centre": "#808080"}
"""Of a person's sides: blue and vermilion, Okabe and Ito's pair that colour-blind readers can tell apart."""

GHOST = "#8A8A8A"
"""Of a true pose behind a lifted one, and of the borders of images."""

FLOOR = "#9A9A9A"
"""Of the grid on the ground."""

CAMERA = "#009E73"
"""Of cameras in a scene."""

LINES = (COLORS["left"], COLORS["right"], CAMERA, "#CC79A7", "#8A6D00")
"""Of curves, which are told apart by their dashes as well."""
