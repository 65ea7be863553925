"""Still pictures of charts: readers on paper or without scripts see what plotly draws."""

import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posebook.still import still_svg
from posekit.datasets import load_dataset
from posekit.figures import bar_figure, curve_figure
from posekit.sliders import training_figure

EPOCHS = [1, 5, 10, 15]


def drawn(curves, log_y=False):
    """Lines as arrays (N, 2), and the tick labels of both axes as (number, position)."""
    figure = json.loads(curve_figure(curves, "epoch", "error & more", "alt", log_y).to_json())
    svg = ElementTree.fromstring(still_svg(figure))
    lines = [np.array([pair.split(",") for pair in line.get("points").split()], float) for line in svg.iter("polyline")]
    across, up = [], []
    for text in svg.iter("text"):
        if text.text.replace(".", "", 1).replace("e+", "").isdigit():
            if text.get("text-anchor") == "end":
                up.append((float(text.text), float(text.get("y")) - 4))
            else:
                across.append((float(text.text), float(text.get("x"))))
    return lines, np.array(across), np.array(up), svg


def test_all_lines_share_one_scale():
    (low, high), *_ = drawn({"low": (EPOCHS, [1, 2, 3, 4]), "high": (EPOCHS, [4, 5, 6, 8])})
    assert low[3, 1] == pytest.approx(high[0, 1])
    assert (low[:, 0] == high[:, 0]).all()
    assert high[3, 1] < high[0, 1] < low[0, 1]  # up is up


@pytest.mark.parametrize("log_y", [False, True])
@given(values=st.lists(st.floats(1, 5000), min_size=4, max_size=4).filter(lambda v: max(v) > 2 * min(v)))
def test_numbers_stand_where_the_line_has_them(log_y, values):
    (line,), across, up, _ = drawn({"error": (EPOCHS, values)}, log_y)
    scale = np.log10 if log_y else np.asarray
    order = np.argsort(values)
    assert 1 <= len(up) <= 20
    expected = np.interp(scale(up[:, 0]), scale(np.array(values)[order]), line[order, 1])
    assert np.abs(up[:, 1] - expected).max() < 1.5
    assert np.abs(across[:, 1] - np.interp(across[:, 0], EPOCHS, line[:, 0])).max() < 1.5


def test_axes_and_lines_are_named_and_a_single_line_needs_no_legend():
    *_, svg = drawn({"a < b": (EPOCHS, [1, 2, 3, 4]), "other": (EPOCHS, [1, 2, 3, 5])})
    said = [text.text for text in svg.iter("text")]
    assert {"a < b", "other", "epoch", "error & more"} <= set(said)
    dashes = [lines.get("stroke-dasharray") for lines in svg.iter("g") if lines.find("polyline") is not None]
    assert dashes[0] != dashes[1]
    *_, svg = drawn({"alone": (EPOCHS, [1, 2, 3, 4])})
    assert "alone" not in [text.text for text in svg.iter("text")]


def test_a_chart_among_pictures_has_its_numbers_and_its_mark():
    people = load_dataset("synthetic", "test", subjects=("S2",), actions=("Walking",))
    guesses = people.poses_camera()[[40, 40]]
    moment, true = people.views()[40], people.poses_world[40]
    figure = training_figure(guesses, moment, true, [0, 10], [500.0, 50.0], people.view_names, people.skeleton)
    svg = ElementTree.fromstring(still_svg(json.loads(figure.to_json())))
    places = {text.text: (float(text.get("x")), float(text.get("y"))) for text in svg.iter("text")}
    height = float(svg.get("viewBox").split()[3])
    assert all(0 < x < 720 and 0 < y < height for x, y in places.values())
    end = places["10"][0], places["50"][1] - 4
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in svg.iter("circle")]  # joints that were seen among them
    assert min(dots, key=lambda dot: math.dist(dot, end)) == pytest.approx(end, abs=1.5)
    assert {"epoch", "mm", "0", "500"} <= set(places)


def test_a_gap_in_the_data_is_a_gap_in_the_line():
    lines, *_ = drawn({"error": (EPOCHS, [1, None, 3, 4])})
    assert [len(line) for line in lines] == [1, 2]


def test_a_level_line_and_a_single_point_are_drawn():
    for epochs, values in ((EPOCHS, [2, 2, 2, 2]), ([1], [2])):
        (line,), *_ = drawn({"error": (epochs, values)})
        assert np.isfinite(line).all()


def test_bars_are_as_long_as_their_values_and_lie_in_the_rows_of_their_labels():
    bars = {"one": {"knee & ankle": 10.0, "hip": 5.0}, "other": {"hip": 20.0, "knee & ankle": 2.0}}
    figure = json.loads(bar_figure(bars, "error (mm)", "alt").to_json())
    svg = ElementTree.fromstring(still_svg(figure))
    rows = {text.text: float(text.get("y")) for text in svg.iter("text") if text.get("text-anchor") == "end"}
    assert list(rows) == ["knee & ankle", "hip"]
    drawn = [[pair.split(",") for pair in bar.get("points").split()] for bar in svg.iter("polyline")]
    (start, end) = np.array(drawn, dtype=float).swapaxes(0, 1)
    values = [value for series in bars.values() for value in series.values()]
    lengths = end[:, 0] - start[:, 0]
    np.testing.assert_allclose(lengths / lengths.max(), np.array(values) / max(values), atol=1e-3)
    labels = [label for series in bars.values() for label in series]
    apart = abs(rows["hip"] - rows["knee & ankle"])
    for middle, label in zip(end[:, 1], labels):
        assert abs(middle + 4 - rows[label]) < apart / 2
    said = {text.text.strip(): (float(text.get("x")), float(text.get("y"))) for text in svg.iter("text") if text.text}
    for value, right, middle in zip(values, *end.T):
        assert said[f"{value:.1f}"] == (pytest.approx(right + 2, abs=1), pytest.approx(middle + 4, abs=1))
    assert 0 < said["error (mm)"][1] < float(svg.get("viewBox").split()[3])
    assert {"one", "other", "error (mm)", "10.0", "20.0"} <= set(said)
