"""The list of references with the keys that the text has, such as "Jain et al., 2022"."""

from pybtex.plugin import register_plugin
from pybtex.richtext import Text
from pybtex.style.formatting.unsrt import Style as UnsrtStyle
from pybtex.style.labels import BaseLabelStyle

STYLE = "posebook"


class AuthorAndYear(BaseLabelStyle):
    """Labels of surnames and the year; the text has "et al." from three authors on."""

    def format_labels(self, sorted_entries):
        """One label for each entry."""
        return map(label, sorted_entries)


class References(UnsrtStyle):
    """The plain style, sorted by author, with such labels."""

    default_sorting_style = "author_year_title"
    default_label_style = f"{STYLE}_labels"


def label(entry) -> str:
    """Surnames and year of an entry, as sphinxcontrib-bibtex's author_year style has them in the text."""
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [Text.from_latex(" ".join([*person.prelast_names, *person.last_names])).render_as("text") for person in people]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names) or entry.key
    return f"{who}, {entry.fields['year']}" if "year" in entry.fields else who


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    register_plugin("pybtex.style.labels", f"{STYLE}_labels", AuthorAndYear)
    register_plugin("pybtex.style.formatting", STYLE, References)
    app.connect("config-inited", _configure)


def _configure(app, config):
    config.bibtex_default_style = STYLE
