"""Draws `book/posebook/assets/card.png`, the picture that goes with a link to the book. Needs the tests' Chromium.

python book/images/card.py
"""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
PAGE = """<body style="margin: 0; background: white; font-family: sans-serif; color: #222; padding: 44px 60px">
<h1 style="font-size: 66px; margin: 0 0 10px">Lifting poses without labels</h1>
<p style="font-size: 31px; margin: 0 0 26px">
How a small network learns 3D poses from one camera's 2D joints,
with several views in the place of labels</p>
<div style="height: 370px; display: flex; justify-content: center">{scene}</div></body>"""


def main():
    """Write the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    scene = (HERE / "scene.svg").read_text().replace("<svg ", '<svg style="height: 100%" ', 1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 630})
        page.set_content(PAGE.format(scene=scene))
        page.screenshot(path=HERE.parent / "posebook" / "assets" / "card.png")


if __name__ == "__main__":
    main()
