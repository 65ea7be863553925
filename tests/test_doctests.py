"""Every example in a docstring of posekit runs and prints what it says.

`pytest --doctest-modules` would pass over the examples of functions without a word: the shape checks of the tests wrap
every function, and doctest takes a wrapped function for one of another module.
"""

import doctest
import importlib
import pkgutil

import pytest

import posekit
from posekit.metrics import mpjpe

MODULES = ["posekit", *sorted(module.name for module in pkgutil.walk_packages(posekit.__path__, "posekit."))]
FEWEST = 12  # examples, so that none vanishes unseen


class Finder(doctest.DocTestFinder):
    def _from_module(self, module, thing):
        thing = getattr(thing, "__func__", getattr(thing, "fget", thing))
        return getattr(thing, "__module__", None) == module.__name__


def examples():
    found = (test for name in MODULES for test in Finder(exclude_empty=True).find(importlib.import_module(name), name))
    return [test for test in found if test.examples]


EXAMPLES = examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_prints_what_it_says(example):
    said = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append, clear_globs=False)
    assert not said, "".join(said)
    if example.name == "posekit":  # the main job is done, and not only printed
        true = example.globs["test"].poses_camera()
        all_at_the_root = mpjpe(true[..., :1, :].expand_as(true), true).mean().item()
        assert example.globs["errors_mm"]["mpjpe"] < 1000 * all_at_the_root / 2


def test_the_main_entry_points_have_examples():
    names = {example.name.removeprefix("posekit.") for example in EXAMPLES}
    assert len(names) >= FEWEST
    assert {"posekit", "cameras.Cameras", "datasets.load_dataset", "triangulation.triangulate"} <= names
