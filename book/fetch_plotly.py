"""Fetch plotly.js with nothing but the traces that the book draws, into `data/plotly/`: `make plotly`.

A page then loads little more than a third of it. Without these files pages load all of plotly.js, from the package plotly.
"""

import subprocess
import sys

from npm_package import fetch

from posebook.plotly_js import FOLDER, PARTIAL, VERSION, has_partial

PACKAGE = f"plotly.js-gl3d-dist-min@{VERSION}"
SHA256 = "a2e13872f0102c1cf959955d5d62a534a2321e812ae34f120924b488a2cde057"


def main() -> None:
    """Fetch it, unless it is there."""
    if has_partial():
        return
    try:
        fetch(PACKAGE, SHA256, (PARTIAL, "LICENSE"), FOLDER)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        sys.exit(f"{PACKAGE} was not fetched: {error}")


if __name__ == "__main__":
    main()
