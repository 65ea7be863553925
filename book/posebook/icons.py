"""The theme's Font Awesome script cut down to the icons that the site shows: 2,000 of them weigh more than the rest of it."""

import re
from pathlib import Path

ICON = re.compile(r'"?([\w-]+)"?:\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?')  # name: [.., [aliases], ..]
USED = re.compile(r"\bfa-([a-z0-9-]+)")


def cut_icons(script: Path, site: Path) -> str:
    """The script without the icons that neither a page of the site nor a script of its theme names.

    Raises:
        ValueError: if no icon is left: the script is not written as expected.
    """
    scripts = [path for path in (site / "_static" / "scripts").glob("*.js") if path.name != script.name]
    used = {name for path in [*site.rglob("*.html"), *scripts] for name in USED.findall(path.read_text())}
    kept = []

    def needed(icon: re.Match) -> str:
        names = {icon[1], *re.findall(r'"([\w-]+)"', icon[2])}
        kept.extend(names & used)
        return icon[0] if names & used else ""

    text = ICON.sub(needed, script.read_text())
    if not kept:
        raise ValueError(f"{script}: expected Font Awesome's icons as name: [width, height, aliases, ...], found none in use")
    return text
