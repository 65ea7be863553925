"""What a page's head says: its title, a description and a picture for those who pass the link on, and no idle scripts."""

from urllib.parse import urljoin

from docutils import nodes
from markupsafe import escape

CARD = "card.png"
DESCRIPTION_LENGTH = 200
IDLE = ("sphinx-thebe", "THEBE_JS_URL", "thebe_selector")  # no page starts thebe, whose address is another host's


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    app.connect("html-page-context", _complete, priority=800)


def _complete(app, pagename, templatename, context, doctree):
    body = context.get("body") or ""
    context["script_files"][:] = [script for script in context.get("script_files", []) if needed(script, body)]
    context["css_files"][:] = [style for style in context.get("css_files", []) if needed(style, body)]
    title = nodes.Text(context.get("title") or "").astext()
    if doctree is not None:
        words = description(doctree) or app.config.html_title
        context["metatags"] = context.get("metatags", "") + tags(app.config, pagename, title or app.config.html_title, words)


def needed(asset, body: str) -> bool:
    """Whether a page has a use for a script or a stylesheet: MathJax needs formulas, and thebe has none."""
    said = f"{getattr(asset, 'filename', asset)} {getattr(asset, 'attributes', {}).get('body') or ''}"
    if any(word in said for word in IDLE):
        return False
    return "mathjax" not in said.lower() or 'class="math' in body


def description(doctree: nodes.document) -> str:
    """The first paragraph of a page's own text, cut at the end of a word."""
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, (nodes.section, nodes.container)):
            words = " ".join(paragraph.astext().split())
            if len(words) > 30:
                return words if len(words) <= DESCRIPTION_LENGTH else words[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0] + " …"
    return ""


def tags(config, pagename: str, title: str, words: str) -> str:
    """The meta elements of a page."""
    base = config.html_baseurl
    facts = {"og:type": "article", "og:site_name": config.html_title, "og:title": title, "og:description": words}
    if base:
        facts |= {"og:url": urljoin(base, f"{pagename}.html"), "og:image": urljoin(base, f"_static/{CARD}")}
        facts["og:image:alt"] = "A flat picture stands in a room, and the pose that a network lifts from it"
    shown = "".join(f'<meta property="{name}" content="{escape(value)}" />\n' for name, value in facts.items())
    card = '<meta name="twitter:card" content="summary_large_image" />\n'
    return f'\n<meta name="description" content="{escape(words)}" />\n{shown}{card}'
