"""Which plotly.js pages load: the one with nothing but the traces they draw, where `make plotly` fetched it, or all of it."""

from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent / "data" / "plotly"
PARTIAL = "plotly-gl3d.min.js"
VERSION = "4.1.1"  # that of the plotly.js in the package plotly
TRACES = ("scatter", "scatter3d", "mesh3d")
"""What the book's figures are made of; the partial one draws these and a few others, but no bars."""


def has_partial(folder: Path = FOLDER) -> bool:
    """Whether the partial one is there, in the version that the figures are made for."""
    file = folder / PARTIAL
    return file.is_file() and f"v{VERSION}\n" in file.read_text(errors="replace")[:200]


def whole() -> Path:
    """All of plotly.js."""
    return Path(find_spec("plotly").origin).parent / "package_data" / "plotly.min.js"


def plotly_file(folder: Path = FOLDER) -> Path:
    """The file that the pages load."""
    return folder / PARTIAL if has_partial(folder) else whole()
