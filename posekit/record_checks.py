"""What the JSON of a record must hold, checked field by field. The book's page "Rerun anything" describes the fields."""

import math
from collections.abc import Iterator
from typing import Any

from posekit.files import shown
from posekit.settings import Experiment

CURVE = {"epoch", "loss", "report_mpjpe_mm"}
WORDS = ("posekit", "python", "torch", "platform", "device")
"""Fields of `provenance` that are text."""


def check_record(content: dict[str, Any]) -> None:
    """Check all fields of a record but its schema.

    Raises:
        ValueError: naming the field, what it should hold and what it holds.
    """
    unusable = [place for place, number in _numbers(content) if not _is_finite(number)]
    if unusable:
        raise ValueError(f"a record holds finite numbers only; these are not: {_listed(unusable)}")
    _check_experiment(content["experiment"])
    _check_errors("metrics_mm", content["metrics_mm"])
    _expect("report_mpjpe" in content["metrics_mm"], "metrics_mm", "report_mpjpe among the errors", list(content["metrics_mm"]))
    for action, errors in _dictionary("by_action", content["by_action"]).items():
        _check_errors(f"by_action.{shown(action)}", errors)
    _check_curve(_dictionary("curve", content["curve"]))
    _check_data(_dictionary("data", content["data"]))
    _check_provenance(_dictionary("provenance", content["provenance"]))


def _numbers(content: Any, place: str = "") -> Iterator[tuple[str, int | float]]:
    """Every number in nested dictionaries and lists, beside its place, such as "metrics_mm.mpjpe" or "curve.loss.3"."""
    if isinstance(content, int | float):
        yield place, content
    elif isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _numbers(value, f"{place}.{shown(key)}" if place else shown(key))


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that no float can hold
        return False


def _listed(places: list[str]) -> str:
    return ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")


def _expect(fits: bool, place: str, expected: str, found: Any) -> None:
    if not fits:
        raise ValueError(f"{place}: expected {expected}, found {shown(found)}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _dictionary(place: str, value: Any) -> dict[str, Any]:
    _expect(isinstance(value, dict), place, "a dictionary", value)
    return value


def _check_experiment(experiment: Any) -> None:
    missing = {"dataset", "method", "seed"} - set(_dictionary("experiment", experiment))
    _expect(not missing, "experiment", f"also {', '.join(sorted(missing))}", ", ".join(experiment))
    try:
        Experiment.parse(experiment)
    except ValueError as error:
        raise ValueError(f"experiment: {shown(str(error).splitlines()[0])}") from None


def _check_errors(place: str, errors: Any) -> None:
    for name, value in _dictionary(place, errors).items():
        _expect(_is_number(value) and value >= 0, f"{place}.{shown(name)}", "millimetres, not negative", value)


def _check_curve(curve: dict[str, Any]) -> None:
    names = set(curve)
    _expect(CURVE <= names <= CURVE | {"validation_loss"}, "curve", f"the columns {', '.join(sorted(CURVE))}", list(curve))
    for name, column in curve.items():
        _expect(isinstance(column, list), f"curve.{name}", "a list", column)
        may_be_null = name in ("report_mpjpe_mm", "validation_loss")
        wrong = [value for value in column if not (_is_number(value) or (may_be_null and value is None))]
        _expect(not wrong, f"curve.{name}", f"numbers{' or null' if may_be_null else ''} only", wrong[:1])
    lengths = {name: len(column) for name, column in curve.items()}
    _expect(len(set(lengths.values())) == 1, "curve", "columns of one length", lengths)
    epochs = curve["epoch"]
    _expect(epochs == list(range(1, len(epochs) + 1)), "curve.epoch", "1, 2, 3, ...", epochs)


def _check_data(data: dict[str, Any]) -> None:
    for name in ("frames_train", "frames_test"):
        _expect(_is_count(data.get(name)), f"data.{name}", "a number of frames", data.get(name))
    views = data.get("views")
    _expect(isinstance(views, list) and all(map(_is_text, views)), "data.views", "a list of names", views)
    digests = _dictionary("data.sha256", data.get("sha256"))
    _expect(
        set(digests) == {"train", "test"} and all(map(_is_text, digests.values())),
        "data.sha256",
        "two digests, train and test",
        digests,
    )
    if "joints" in data:
        joints = _dictionary("data.joints", data["joints"])
        counts = [joints.get(name) for name in ("measured", "predicted", "asked")]
        _expect(
            len(joints) == 3 and all(map(_is_count, counts)) and counts == sorted(counts),
            "data.joints",
            "asked, predicted and measured, each at most the one before",
            joints,
        )


def _check_provenance(provenance: dict[str, Any]) -> None:
    for name in WORDS:
        _expect(_is_text(provenance.get(name)), f"provenance.{name}", "text", provenance.get(name))
    for name in ("threads", "seconds", "peak_memory_mb"):
        value = provenance.get(name)
        _expect(_is_number(value) and value >= 0, f"provenance.{name}", "a number, not negative", value)
    commit, changes = provenance.get("commit"), provenance.get("uncommitted_changes")
    _expect(commit is None or _is_text(commit), "provenance.commit", "text or null", commit)
    _expect(changes is None or type(changes) is bool, "provenance.uncommitted_changes", "true, false or null", changes)
    if "lifter" in provenance:
        _check_provenance(_dictionary("provenance.lifter", provenance["lifter"]))
