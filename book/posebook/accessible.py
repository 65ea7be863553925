"""Fixes accessibility faults in the generated HTML, measured against WCAG 2.1; the tests check the result with axe-core."""

import re
from pathlib import Path

from bs4 import BeautifulSoup

NAMES = [  # the book's name twice, names that differ from what is to be read, and a menu outside all landmarks
    (re.compile(r"<title>([^<]+?) &#8212; \1\s*</title>"), r"<title>\1</title>"),
    (re.compile(r'(<button class="[^"]*search-button-field[^"]*"[^>]*?) aria-label="Search"'), r"\1"),
    (re.compile(r'(<i class="theme-switch [^>]*?) title="[^"]*"'), r"\1"),
    (re.compile(r'<summary aria-label="Toggle hidden content">'), "<summary>"),
    (
        re.compile(r'<div id="pst-primary-sidebar" class'),
        '<div id="pst-primary-sidebar" role="region" aria-label="Contents of the book" class',
    ),
]
PARAMETERS = re.compile(r"<dl>\s*(<dd>.*?)</dl>", re.DOTALL)


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    app.connect("html-page-context", _mend, priority=900)  # after the theme has added its functions
    app.connect("build-finished", _mend_templates)


def _mend(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = list_parameters(list_citations(context["body"]))
    if make := context.get("generate_toctree_html"):
        context["generate_toctree_html"] = lambda *args, **options: name_summaries(str(make(*args, **options)))


def _mend_templates(app, error):
    """What the theme's templates write, which no event of Sphinx shows before it is in a file."""
    if not error and app.builder.name == "html":
        for path in Path(app.outdir).rglob("*.html"):
            text = path.read_text()
            if (mended := name_rightly(text)) != text:
                path.write_text(mended)


def name_rightly(page: str) -> str:
    """A whole page whose buttons are called what is to be read on them, and whose menu is a region with a name."""
    for found, put in NAMES:
        page = found.sub(put, page)
    return page


def list_citations(page: str) -> str:
    """docutils gives bibliography entries a role that ARIA has since deprecated and that must not occur in lists."""
    return page.replace('role="doc-biblioentry"', 'role="listitem"')


def list_parameters(page: str) -> str:
    """Sphinx writes the parameters of a long signature as definitions without terms; this turns them into a list."""

    def as_list(found: re.Match) -> str:
        return f'<ul class="pk-parameters">{found[1].replace("<dd>", "<li>").replace("</dd>", "</li>")}</ul>'

    return PARAMETERS.sub(as_list, page)


def name_summaries(navigation: str) -> str:
    """The theme's arrows that unfold a chapter's sections have no name; this names them after the chapter."""
    soup = BeautifulSoup(navigation, "html.parser")
    for details in soup.select("a + details"):
        details.summary["aria-label"] = f"Pages of {details.find_previous_sibling('a').get_text()}"
    return str(soup)
