"""The library's pages: every room is on one of them, and everything public in it says what it does."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import posekit

ROOT = Path(__file__).parent.parent
ROOMS = sorted(module.name for module in pkgutil.walk_packages(posekit.__path__, "posekit."))


def public(room):
    """Functions and classes that live in a room, and the methods and properties its classes define, by full name."""
    module = importlib.import_module(room)
    there = [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == room]
    things = {f"{room}.{thing.__qualname__}": thing for thing in there if inspect.isroutine(thing) or inspect.isclass(thing)}
    for name, thing in list(things.items()):
        if inspect.isclass(thing):
            things |= {f"{name}.{key}": member for key, member in vars(thing).items() if _has_text(member)}
    return {name: thing for name, thing in things.items() if not re.search(r"\._", name)}


def _has_text(member):
    """Methods of all kinds and properties; not fields, which their class describes."""
    member = getattr(member, "__func__", getattr(member, "func", member))
    return inspect.isroutine(member) or isinstance(member, property)


@pytest.mark.parametrize("room", ROOMS)
def test_everything_public_says_what_it_does(room):
    assert importlib.import_module(room).__doc__
    assert not [name for name, thing in public(room).items() if not (inspect.getdoc(thing) or "").strip()]


def test_every_room_is_on_one_page():
    pages = "".join(page.read_text() for page in (ROOT / "book" / "api").glob("*.md"))
    assert sorted(re.findall(r"automodule:: (\S+)", pages)) == ROOMS


@pytest.mark.slow
def test_everything_public_is_on_the_built_pages(site):
    text = "".join(page.read_text() for page in (site / "book" / "api").glob("*.html"))
    anchors = set(re.findall(r'id="(posekit[^"]*)"', text))
    names = {name for room in ROOMS for name in public(room)}
    assert len(names) > 100
    assert not names - anchors
