"""The minus sign in text: Python prints a hyphen before a negative number."""

import re

from docutils import nodes
from sphinx.addnodes import desc_signature
from sphinx.transforms.post_transforms import SphinxPostTransform

HYPHEN = re.compile(r"(?<![^\s(])-(?=\d)")
AS_TYPED = (desc_signature, nodes.FixedTextElement, nodes.literal, nodes.math, nodes.math_block, nodes.raw)


def setup(app):
    """Sphinx's entry point, called by posebook's."""
    app.add_post_transform(Minus)


class Minus(SphinxPostTransform):
    """Puts minus signs into the words of a page and of its cells' outputs, not into code."""

    default_priority = 500  # after myst-nb has chosen what of an output is shown

    def run(self, **_):
        """Of docutils."""
        for text in list(self.document.findall(nodes.Text)):
            if (signed := with_minus(text)) != text and not _is_code(text):
                text.parent.replace(text, nodes.Text(signed))


def with_minus(text: str) -> str:
    """A text whose negative numbers have minus signs."""
    return HYPHEN.sub("\N{MINUS SIGN}", text)


def _is_code(text: nodes.Text) -> bool:
    node = text.parent
    while node is not None:
        if isinstance(node, AS_TYPED):
            return True
        node = node.parent
    return False
