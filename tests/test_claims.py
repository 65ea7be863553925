"""The register of claims: each explanation stands on its page, and what shows it exists."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
REGISTER = (ROOT / "book" / "claims.yml").read_text()
CLAIMS = yaml.safe_load(REGISTER)
KINDS = {"cell", "test", "rows", "cites"}

every_claim = pytest.mark.parametrize(
    ("page", "claim"),
    [(page, claim) for page, claims in CLAIMS.items() for claim in claims],
    ids=lambda value: value if isinstance(value, str) else value["words"][:40],
)


def parts(page):
    """A page's code and its prose."""
    text = (ROOT / page).read_text()
    if page.endswith(".py"):
        prose = [line[2:] for line in text.splitlines() if line.startswith("# ")]
        return [line for line in text.splitlines() if not line.startswith("# ")], prose
    blocks = re.findall(r"^```\{code-cell\}.*?^```", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join(blocks).splitlines(), text.splitlines()


def test_no_page_is_listed_twice():
    """YAML would let the second silently take the place of the first."""
    assert re.findall(r"^(\S+):$", REGISTER, flags=re.MULTILINE) == list(CLAIMS)


@every_claim
def test_its_words_stand_on_its_page(page, claim):
    assert any(claim["words"] in line for line in (ROOT / page).read_text().splitlines())


@every_claim
def test_it_names_what_shows_it(page, claim):
    assert set(claim) <= KINDS | {"words", "shown"}
    assert KINDS & set(claim)


@every_claim
def test_what_shows_it_exists(page, claim):
    if "cell" in claim:
        code, _ = parts(claim.get("shown", page))
        assert any(claim["cell"] in line for line in code)
    if "test" in claim:
        file, name = claim["test"].split("::")
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    for row in claim.get("rows", []):
        assert list((ROOT / "book" / "results").glob(f"{row}-seed*.json")), row
    if "cites" in claim:
        assert f"{{{claim['cites']}," in (ROOT / "book" / "references.bib").read_text()
        _, prose = parts(page)
        assert any("{cite}" in line and claim["cites"] in line for line in prose)


def test_no_words_are_listed_twice():
    words = [(page, claim["words"]) for page, claims in CLAIMS.items() for claim in claims]
    assert len(words) == len(set(words)) > 50
