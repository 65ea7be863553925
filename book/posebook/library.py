"""The library's pages: Sphinx reads posekit's docstrings as plain text in which `backticks` mark code."""

import re

FOREIGN = [("py:.*", r"Tensor|(collections|ipywidgets|jaxtyping|numpy|pathlib|plotly|torch)\..*")]
"""Other libraries' names: their documentation lies elsewhere, and a build asks nothing of the net."""


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("config-inited", _configure)
    app.connect("autodoc-process-docstring", _keep_stars)
    app.connect("autodoc-process-signature", _readable_factories)


def _configure(app, config):
    config.add_module_names = False
    config.autodoc_member_order = "bysource"
    config.autodoc_typehints_format = "short"
    config.default_role = "code"
    config.python_maximum_signature_line_length = 80
    config.nitpick_ignore_regex = [*config.nitpick_ignore_regex, *FOREIGN]


def _keep_stars(app, what, name, thing, options, lines):
    """Outside backticks a star is a star, as in (*batch, V), and not reStructuredText's emphasis."""
    for number, line in enumerate(lines):
        parts = re.split(r"(`[^`]*`)", line)
        lines[number] = "".join(part if part.startswith("`") else part.replace("*", r"\*") for part in parts)


def _readable_factories(app, what, name, thing, options, signature, returns):
    """A dataclass's "<factory>" is not Python, and what is not Python gets no links: an ellipsis is."""
    return signature and signature.replace("<factory>", "..."), returns
