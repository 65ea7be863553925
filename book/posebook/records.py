"""The records on the site itself: pages then lead to them without the network."""

import shutil
from pathlib import Path

from posekit.sources import RECORDS_ADDRESS

FOLDER = "records"


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    app.connect("html-page-context", _lead_to_copies)
    app.connect("build-finished", _copy)


def _lead_to_copies(app, pagename, templatename, context, doctree):
    if RECORDS_ADDRESS in (context.get("body") or ""):
        here = f"{'../' * pagename.count('/')}_static/{FOLDER}"
        context["body"] = context["body"].replace(f'href="{RECORDS_ADDRESS}', f'href="{here}')


def _copy(app, error):
    if not error and app.builder.name == "html":
        results = Path(app.srcdir) / "book" / "results"
        target = Path(app.outdir) / "_static" / FOLDER
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(results, target, ignore=lambda folder, names: [name for name in names if name.endswith(".yml")])
