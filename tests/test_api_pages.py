"""The library's pages: every module is on one of them, and everything public in it says what it does."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import posekit
from posebook.library import _keep_stars

ROOT = Path(__file__).parent.parent
MODULES = sorted(module.name for module in pkgutil.walk_packages(posekit.__path__, "posekit."))


def public(name):
    """Functions and classes of a module, and the methods and properties its classes define, by full name."""
    module = importlib.import_module(name)
    own = [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == name]
    things = {f"{name}.{thing.__qualname__}": thing for thing in own if inspect.isroutine(thing) or inspect.isclass(thing)}
    for full_name, thing in list(things.items()):
        if inspect.isclass(thing):
            things |= {f"{full_name}.{key}": member for key, member in vars(thing).items() if _has_text(member)}
    return {full_name: thing for full_name, thing in things.items() if not re.search(r"\._", full_name)}


def _has_text(member):
    """Methods of all kinds and properties; not fields, which their class describes."""
    member = getattr(member, "__func__", getattr(member, "func", member))
    return inspect.isroutine(member) or isinstance(member, property)


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_says_what_it_does(name):
    assert importlib.import_module(name).__doc__
    assert not [full_name for full_name, thing in public(name).items() if not (inspect.getdoc(thing) or "").strip()]


def test_every_module_is_on_one_page():
    pages = "".join(page.read_text() for page in (ROOT / "book" / "api").glob("*.md"))
    assert sorted(re.findall(r"automodule:: (\S+)", pages)) == ["posekit", *MODULES]


@pytest.mark.slow
def test_everything_public_is_on_the_built_pages(site):
    text = "".join(page.read_text() for page in (site / "book" / "api").glob("*.html"))
    anchors = set(re.findall(r'id="(posekit[^"]*)"', text))
    names = {full_name for name in MODULES for full_name in public(name)}
    assert len(names) > 100
    assert not names - anchors


@pytest.mark.slow
def test_everything_public_leads_to_its_source(site):
    for page in (site / "book" / "api").glob("*.html"):
        links = re.findall(r'href="\.\./\.\./_modules/([\w/]+)\.html#', page.read_text())
        assert set(links) <= {name.replace(".", "/") for name in MODULES} | {"posekit/datasets"}
        assert len(links) > 10 or 'class="py ' not in page.read_text(), page.name


def test_stars_are_escaped_in_prose_but_not_in_code():
    lines = ["axes (*batch, V), as `(*batch, V)`:", "", ">>> 2 * 3", "6 * 1", "", "and * again"]
    _keep_stars(None, "function", "name", None, None, lines)
    assert lines == [r"axes (\*batch, V), as `(*batch, V)`:", "", ">>> 2 * 3", "6 * 1", "", r"and \* again"]
