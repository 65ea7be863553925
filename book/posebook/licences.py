"""The page "Licences": of the packages whose files the site carries, and of all the book runs on, from their metadata."""

import json
import re
import shutil
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from posebook.yourself import SERVED, detector, shipped

FONT_AWESOME = ["scripts/fontawesome.js.LICENSE.txt", "vendor/fontawesome/OFL.txt"]
IN_SITE = {  # the packages whose files a build copies, a test compares them; and texts beside those files under `_static`
    "myst-nb": [],
    "plotly": [],
    "pydata-sphinx-theme": ["scripts/bootstrap.js.LICENSE.txt", *FONT_AWESOME],
    "Sphinx": [],
    "sphinx-book-theme": [],
    "sphinx-copybutton": [],
    "sphinx_design": [],
    "sphinx-mathjax-offline": ["vendor/mathjax/LICENSE"],
    "sphinx-thebe": [],
    "sphinx-togglebutton": [],
}
TEXTS = "licences"
DETECTOR_TEXT = Path(__file__).with_name("mediapipe_LICENSE.txt")  # its package names the licence and has no text
LICENCE_FILE = re.compile(r"\.dist-info/(?:.*/)?([^/]*(?:licen[cs]e|copying|notice)[^/]*)$", re.IGNORECASE)


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    app.add_directive("licences", Licences)
    app.connect("build-finished", _copy_texts)


class Licences(SphinxDirective):
    """A table of packages with their versions and licences: those of the `site`, or all those the book is `built-with`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table, in the build's own words for each licence."""
        which = directives.choice(self.arguments[0], ("site", "built-with"))
        pins = Path(self.env.srcdir) / "constraints.txt"
        for file in (pins, __file__):
            self.env.note_dependency(str(file))
        if which == "built-with":
            lines = ["| package | version | licence |", "| --- | --- | --- |"]
            lines += [_row(package) for package in installed(pins)]
        else:
            static = "../" * self.env.docname.count("/") + "_static/"
            lines = ["| package | version | licence | text |", "| --- | --- | --- | --- |"]
            for name in IN_SITE:
                links = [f'<a href="{static}{text}">{Path(text).name}</a>' for text in texts_in_site(distribution(name))]
                lines.append(f"{_row(distribution(name))} {', '.join(links)} |")
            about = detector(Path(self.env.srcdir)) / "package.json"
            self.env.note_dependency(str(about))
            if shipped(about.parent):
                named = json.loads(about.read_text())
                text = f'<a href="{static}{TEXTS}/{SERVED}/LICENSE">LICENSE</a>'
                lines.append(f"| {named['name']} (npm) | {named['version']} | {named['license']} | {text} |")
        return self.parse_text_to_nodes("\n".join(lines))


def installed(pins: Path) -> list[Distribution]:
    """Those of the pinned packages that are there, in the order of the file."""
    found = []
    for name in re.findall(r"^([\w.-]+)==", pins.read_text(), re.MULTILINE):
        try:
            found.append(distribution(name))
        except PackageNotFoundError:  # for tests, another Python or another system
            continue
    return found


def licence_of(package: Distribution) -> str:
    """What a package says of its licence: the expression, or else a short field, the classifiers, or its text's first line.

    Raises:
        ValueError: if it says nothing.
    """
    about = package.metadata
    if expression := about.get("License-Expression"):
        return expression
    field = about.get("License", "").strip()
    if field and field != "UNKNOWN" and "\n" not in field:
        return field
    classifiers = [line.rsplit(" :: ", 1)[-1] for line in about.get_all("Classifier", []) if line.startswith("License ::")]
    if classifiers:
        return " or ".join(classifiers)
    for file in licence_files(package):
        return file.read_text().strip().splitlines()[0]
    raise ValueError(f"{about['Name']}: neither its metadata nor a file names its licence")


def licence_files(package: Distribution) -> list[Path]:
    """The texts that a package brings in its metadata's folder."""
    return [Path(package.locate_file(file)) for file in package.files or [] if LICENCE_FILE.search(str(file))]


def texts_in_site(package: Distribution) -> list[str]:
    """Where a package's licence and notices lie under the site's `_static`."""
    name = package.metadata["Name"]
    return [*(f"{TEXTS}/{name}/{file.name}" for file in licence_files(package)), *IN_SITE[name]]


def _row(package: Distribution) -> str:
    return f"| {package.metadata['Name']} | {package.version} | {licence_of(package)} |"


def _copy_texts(app, error):
    if error or app.builder.name != "html":
        return
    texts = {f"{name}/{file.name}": file for name in IN_SITE for file in licence_files(distribution(name))}
    if shipped(detector(Path(app.srcdir))):
        texts[f"{SERVED}/LICENSE"] = DETECTOR_TEXT
    for name, file in texts.items():
        target = Path(app.outdir) / "_static" / TEXTS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
