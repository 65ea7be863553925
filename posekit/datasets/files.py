"""Where data files lie, and clear words when something asked for is not there."""

import os
from pathlib import Path

from posekit.clips import check_names


def find_files(dataset: str, names: tuple[str, ...], data_root: str | Path | None, how_to_get: str) -> list[Path]:
    """Paths of a dataset's files, in `<data_root>/<dataset>/` or `<data_root>/`; it defaults to `$POSEKIT_DATA`, then `data/`.

    Raises:
        FileNotFoundError: naming what is missing, where it was looked for and how to get it.
    """
    folder = Path(data_root or os.environ.get("POSEKIT_DATA") or "data")
    for place in (folder / dataset, folder):
        if all((place / name).is_file() for name in names):
            return [place / name for name in names]
    raise FileNotFoundError(
        f"{dataset} needs {' and '.join(names)}; looked in {(folder / dataset).absolute()} and {folder.absolute()}. "
        f"To get them: {how_to_get}. Then set POSEKIT_DATA to the folder, or pass data_root=..."
    )


def choose(what: str, asked, valid: tuple[str, ...]) -> None:
    """Raise a ValueError that lists the valid names unless all that is asked for is among them."""
    check_names(what, asked)
    unknown = [name for name in asked if name not in valid]
    if unknown:
        raise ValueError(f"unknown {what} {', '.join(map(repr, unknown))}; choose from {', '.join(valid)}")
