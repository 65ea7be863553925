"""The Sphinx extension that builds this book's site. Nothing in posekit imports it.

It draws plotly figures with one copy of plotly.js that the site itself serves, adds MathJax and the licences of all
that is bundled, and runs chapters again when posekit has changed, which the standard cache of executed chapters does
not notice. It also trains and serves the lifter of the front page and of "Try it", and serves the detector of "Lift
yourself" where that was fetched.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from posebook import accessible, figure, front_page, head, library, licences, minus, opening, outdated, records, references
from posebook.digest import digest_of, library_files
from posebook.figure import FIGURE_CLASS
from posebook.icons import cut_icons
from posebook.plotly_js import plotly_file
from posebook.tryit_page import copy_files, prepared
from posebook.yourself import copy_detector

ASSETS = Path(__file__).parent / "assets"
JUPYTER = Path(__file__).parent / "jupyter"  # its kernel is limited to the memory and time that readers have on Binder
VENDOR = "vendor"
PALETTE = "posebook-palette.css"
ICONS = "scripts/fontawesome.js"
FIRST = 400  # a priority before MathJax's 500: a page's first figure can be turned sooner
MATHJAX = f"{VENDOR}/mathjax/tex-mml-chtml.js"
PLOTLY = f"{VENDOR}/plotly.min.js"


def setup(app):
    """Sphinx's entry point."""
    accessible.setup(app)
    figure.setup(app)
    front_page.setup(app)
    head.setup(app)
    library.setup(app)
    licences.setup(app)
    minus.setup(app)
    opening.setup(app)
    outdated.setup(app)
    records.setup(app)
    references.setup(app)
    app.connect("config-inited", _configure)
    app.connect("builder-inited", _prepare_try_it)
    app.connect("html-page-context", _page_scripts)
    app.connect("build-finished", _copy_vendor)
    app.add_css_file("posebook.css")
    app.add_css_file(PALETTE)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _configure(app, config):
    config.html_static_path.append(str(ASSETS))
    config.mathjax_path = MATHJAX
    config.html_theme_options.setdefault("navbar_persistent", [])  # otherwise a bar repeats the search of the sidebar
    os.environ["POSEKIT_QUIET"] = "1"  # inherited by the chapters' kernels: no progress bars in pages
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(JUPYTER), os.environ.get("JUPYTER_PATH")]))
    cache = Path(app.srcdir) / "_build" / ".jupyter_cache"
    config.nb_execution_cache_path = str(cache / code_digest(Path(app.srcdir)))
    for old in cache.glob("*"):
        if old.is_dir() and str(old) != config.nb_execution_cache_path:
            shutil.rmtree(old)


def code_digest(root: Path) -> str:
    """Digest of everything besides their own cells that chapters' outputs depend on: library, records, kernel, versions."""
    book = root / "book"
    folders = [book / name for name in ("results", "calibration", "posebook/jupyter")]
    numbers = [*book.glob("*.json"), *(path for folder in folders for path in folder.rglob("*.json"))]
    return digest_of([*library_files(root), *sorted(numbers), book / "results" / "runs.yml", book / "claims.yml"], root)


def _prepare_try_it(app):
    if app.builder.name == "html":
        prepared(Path(app.srcdir))


def _page_scripts(app, pagename, templatename, context, doctree):
    body = context.get("body") or ""
    if f'id="{opening.PLACE}"' in body:  # the reader sees the figure at once, so plotly.js need not wait for the scripts
        address = context["pathto"](f"_static/{PLOTLY}", resource=True)
        context["metatags"] = context.get("metatags", "") + f'\n<link rel="preload" as="script" href="{address}" />\n'
    if f'class="{FIGURE_CLASS}"' in body:
        for script, attributes in figure.scripts(PLOTLY).items():
            app.add_js_file(script, loading_method="defer", priority=FIRST, **attributes)
    if pagename == "search":
        app.add_js_file("posebook-search.js", loading_method="defer")


def _copy_vendor(app, error):
    """Copy scripts from pinned packages to the site, so that pages fetch nothing from elsewhere."""
    if error or app.builder.name != "html":
        return
    static = Path(app.outdir) / "_static"
    copy_files(Path(app.srcdir), static)
    copy_detector(Path(app.srcdir), static)
    (static / PALETTE).write_text(figure.palette_css())
    _copy(plotly_file(), static / PLOTLY)
    theme = Path(find_spec("pydata_sphinx_theme").origin).parent / "theme" / "pydata_sphinx_theme" / "static"
    (static / ICONS).write_text(cut_icons(theme / ICONS, static.parent))
    mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    _copy(mathjax / "tex-mml-chtml.js", static / MATHJAX)
    fonts = "output/chtml/fonts/woff-v2"
    for font in (mathjax / fonts).iterdir():
        _copy(font, static / MATHJAX.replace("tex-mml-chtml.js", f"{fonts}/{font.name}"))


def _copy(source: Path, target: Path):
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
