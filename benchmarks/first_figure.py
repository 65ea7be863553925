"""How soon a chapter's first figure can be turned, after `make book`: python benchmarks/first_figure.py [ROUNDS].

Target: 2 s on an ordinary machine; 3D takes longer where WebGL is computed in software. The browser starts once, and visits
each chapter with an empty cache; of several rounds the median counts.
"""

import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "tests"), str(ROOT / "book")]

from visits import PAGES, Visit, launched, served  # noqa: E402 - the tests' own way to a page

DRAWN = """() => {
    const figure = [...document.querySelectorAll("figure.pk-figure")].find((one) => one.checkVisibility());
    figure.scrollIntoView();
    return new Promise((resolve, reject) => {
        const look = () => (figure.dataset.ready ? resolve(performance.now()) : setTimeout(look, 5));
        setTimeout(() => reject(new Error("no figure within a minute")), 60000);
        look();
    });
}"""


def main(rounds: int) -> None:
    """Print the seconds of every chapter that has a figure."""
    site = ROOT / "_build" / "html"
    if not site.exists():
        sys.exit(f"{site} is not there; build it: make book")
    with served(site) as address, launched() as browser:
        for page in PAGES:
            if "pk-figure" in (site / f"{page}.html").read_text():
                soon = median([seconds(browser, address, page) for _ in range(rounds)])
                print(f"{page}: {soon:.2f} s", flush=True)


def seconds(browser, address: str, page: str) -> float:
    """From the request of a page until its first figure is drawn and answers to the hand."""
    with Visit(browser, address, page) as visit:
        return visit.page.evaluate(DRAWN) / 1000


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
