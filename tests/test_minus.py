"""Minus signs in text."""

from docutils import nodes, utils

from posebook.minus import Minus


def test_negative_numbers_have_a_minus_sign_outside_of_code():
    document = utils.new_document("page")
    document += nodes.paragraph("", "by -0.6 mm (-5 %), of S1-3, 2026-11-30, x - 1, ", nodes.literal("", "f(-1) -2"))
    document += nodes.literal_block("", "-7")
    Minus(document).run()
    minus = "\N{MINUS SIGN}"
    assert document.astext().split("\n\n") == [f"by {minus}0.6 mm ({minus}5 %), of S1-3, 2026-11-30, x - 1, f(-1) -2", "-7"]
