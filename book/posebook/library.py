"""The library's pages: Sphinx reads posekit's docstrings as plain text in which `backticks` mark code."""

import re

FOREIGN = [("py:.*", r"Tensor|ndarray|(_io|collections|dataclasses|ipywidgets|jaxtyping|numpy|pathlib|plotly|torch)\..*")]
"""Names from other libraries: their documentation is elsewhere, and a build does not use the network."""


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.setup_extension("sphinx.ext.viewcode")  # "source" links to pages of this site: they need no net and no GitHub
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
    """Outside code a star is a star, as in (*batch, V), and not reStructuredText's emphasis."""
    in_example = False  # a doctest goes on until the next empty line
    for number, line in enumerate(lines):
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>>"))
        if in_example:
            continue
        parts = re.split(r"(`[^`]*`)", line)
        lines[number] = "".join(part if part.startswith("`") else part.replace("*", r"\*") for part in parts)


def _readable_factories(app, what, name, thing, options, signature, returns):
    """The "<factory>" of a dataclass is not Python, and a signature that is not Python gets no links; "..." is."""
    return signature and signature.replace("<factory>", "..."), returns
