"""The page "How this is tested" names only tests that exist, and figures of every kind of file that is fuzzed."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = sorted(set(re.findall(r"`(tests/[\w/.]+)::(\w+)`", (ROOT / "book" / "how_tested.md").read_text())))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file, name):
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_kind_of_file_has_figures():
    kinds = re.findall(r'^        "(\w+)": Target\(', (ROOT / "tests" / "fuzz" / "targets.py").read_text(), re.MULTILINE)
    figures = json.loads((ROOT / "book" / "fuzz.json").read_text())
    assert len(kinds) == 5
    assert sorted(kinds) == sorted(figures)
    for figure in figures.values():
        assert figure["cases"] == figure["loaded"] + figure["refused"] + figure["faults"] <= figure["run"]["cases"]
