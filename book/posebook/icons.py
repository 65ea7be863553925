"""The theme's Font Awesome script reduced to the icons that the site shows: all 2,000 would outweigh the rest of the site."""

import re
from pathlib import Path

ICON = re.compile(r'"?([\w-]+)"?:\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?')  # name: [.., [aliases], ..]
USED = re.compile(r"\bfa-([a-z0-9-]+)")


def cut_icons(script: Path, site: Path) -> str:
    """The script without the icons that no page of the site and no script of its theme mentions.

    Raises:
        ValueError: if no icon is left, which means that the script does not have the expected form.
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
