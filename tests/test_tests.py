"""The tests themselves: what it takes to run them."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent
BROWSER_LIBRARIES = {"playwright", "axe_playwright_python"}


def imported(path):
    """The packages that a file imports as it is loaded, and so whenever tests are collected."""
    nodes = ast.parse(path.read_text()).body
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def test_collecting_needs_no_browser_library():
    files = sorted(TESTS.rglob("*.py"))
    assert len(files) > 20
    assert not {path.name: found for path in files if (found := imported(path) & BROWSER_LIBRARIES)}
