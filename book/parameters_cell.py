"""Write the parameters cell of notebooks/experiment.py anew from its declaration, posekit/settings.py."""

from pathlib import Path

import jupytext

from posekit.settings import parameters_cell

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "experiment.py"


def main() -> None:
    """Replace the cell; everything else in the notebook stays as it is."""
    text = NOTEBOOK.read_text()
    (cell,) = [c for c in jupytext.reads(text, fmt="py:percent").cells if "parameters" in c.metadata.get("tags", [])]
    NOTEBOOK.write_text(text.replace(cell.source, parameters_cell()))


if __name__ == "__main__":
    main()
