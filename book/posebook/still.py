"""A still SVG picture of a plotly figure's first frame, for print, for readers without scripts, and while plotly loads.

Covers what posekit's figures use: scatter and scatter3d lines, markers and text. 3D is drawn as seen from the figure's eye.
A chart, that is, a figure with axis titles, gets ticks and a legend.
"""

import base64
import html
from collections import defaultdict

import numpy as np

from posekit.drawing import HALF_VIEW

WIDTH = 720
LEGEND_COLUMNS = 3
LEGEND_ROW = 0.05  # of the height
LABELS = 0.3  # of the width, where an axis has words for its numbers
DASHES = {"dash": "9 6", "dot": "2 4", "dashdot": "9 4 2 4", "longdash": "16 6"}


def still_svg(figure: dict) -> str:
    """SVG of the figure, `WIDTH` units wide; what has no colour of its own takes the page's through currentColor."""
    height = int(figure["layout"].get("height") or 420)
    drawn = "".join(_lines(figure, height))
    return f'<svg viewBox="0 0 {WIDTH} {height}" font-size="13" font-family="sans-serif" aria-hidden="true">{drawn}</svg>'


def is_chart(figure: dict) -> bool:
    """Whether it shows numbers along axes rather than people."""
    return "title" in figure["layout"].get("yaxis", {})


def _lines(figure: dict, height: int) -> list[str]:
    """SVG of lines, their text, and what surrounds them."""
    layout = _with_ranges(figure)
    parts = _legend(figure, layout, height) if is_chart(figure) else []
    end = "butt" if is_chart(figure) else "round"
    charts = [name for name in layout if name.startswith("yaxis") and "title" in layout[name]]
    for name in charts:
        parts += _chart_frame(layout["x" + name[1:]], layout[name], height)
    for trace in figure["data"]:
        points = _points(trace, layout, height)
        color = next((trace[part]["color"] for part in ("line", "textfont", "marker") if part in trace), "currentColor")
        if "lines" in trace.get("mode", "lines"):
            look = f'stroke="{color}" stroke-width="{_thickness(trace, layout, height):.2g}"{_dashes(trace)} fill="none"'
            runs = "".join(f'<polyline points="{run}"/>' for run in _runs(points))
            parts.append(f'<g {look} stroke-linecap="{end}">{runs}</g>')
        if _has_dots(trace):
            parts += [_dot(x, y, color, trace) for x, y in points if np.isfinite(x + y)]
        parts += _head(trace, points, color, _thickness(trace, layout, height))
        parts += _words(trace, points, color)
    for note in layout.get("annotations", ()):
        below = 14 if note["yanchor"] == "top" else -5
        for line, text in enumerate(note["text"].split("<br>")):
            parts.append(_text(note["x"] * WIDTH, (1 - note["y"]) * height + below + 16 * line, text))
    return parts


def _has_dots(trace: dict) -> bool:
    """Whether its points are drawn; those of a person lie inside their limbs."""
    mode, person = trace.get("mode", ""), trace.get("meta") or {}
    seen = "lines" not in mode or person.get("ghost", False)
    return "markers" in mode and seen and isinstance(trace["marker"]["color"], str)


def _words(trace: dict, points: np.ndarray, color: str) -> list[str]:
    """A trace's text: in its middle, or on the right of its points and then in the colour of the page."""
    said = [(x, y, text) for text, (x, y) in zip(trace.get("text") or (), points) if text and np.isfinite(x + y)]
    if trace.get("textposition") == "middle right":
        return [_text(x + 2, y + 4, text, anchor="start") for x, y, text in said]
    return [_text(x, y, text, color) for x, y, text in said]


def _thickness(trace: dict, layout: dict, height: int) -> float:
    """Of a line in the picture: in 3D a person's limbs are as thick as in the live figure, and ghosts thin."""
    width = float((trace.get("line") or {}).get("width", 2))
    person = trace.get("meta") or {}
    if trace["type"] != "scatter3d" or "person" not in person:
        return width
    if person["ghost"]:
        return 1.5
    scene = layout[trace.get("scene", "scene")]
    metre = scene["aspectratio"]["z"] / np.ptp(scene["zaxis"]["range"])
    (low, high), eye = scene["domain"]["y"], np.linalg.norm(list(scene["camera"]["eye"].values()))
    return max(2.0, 0.07 * metre * (high - low) * height / (2 * HALF_VIEW * eye))


def _head(trace: dict, points: np.ndarray, color: str, thick: float) -> list[str]:
    """A filled circle around the head of a person who is no ghost."""
    person = trace.get("meta") or {}
    if "head" not in person or person["ghost"] or not np.isfinite(points[person["head"]]).all():
        return []
    top, neck = points[person["head"]], points[person["head"] - 1]
    x, y = 0.75 * top + 0.25 * neck if trace["type"] == "scatter3d" else top
    return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{1.7 * thick:.1f}" fill="{color}"/>']


def _points(trace: dict, layout: dict, height: int) -> np.ndarray:
    """The trace's points (N, 2) in the picture."""
    if trace["type"] == "scatter3d":
        return _project(trace, layout[trace.get("scene", "scene")], height)
    axes = [layout[_axis_of(trace, letter)] for letter in "xy"]
    across, up = (_scaled(_along(axis, trace[letter]), axis["range"]) for axis, letter in zip(axes, "xy"))
    corner, size = _box(*axes, height)
    return corner + size * np.stack([across, 1 - up], axis=-1)


def _box(x_axis: dict, y_axis: dict, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Top left corner and size of the rectangle that two axes span in the picture."""
    (left, right), (bottom, top) = x_axis["domain"], y_axis["domain"]
    size = np.array([(right - left) * WIDTH, (top - bottom) * height])
    corner = np.array([left * WIDTH, (1 - top) * height])
    if "scaleanchor" not in y_axis:
        return corner, size
    # an image: the same scale on both axes, centred in its cell
    span = np.abs([np.ptp(x_axis["range"]), np.ptp(y_axis["range"])])
    used = span * min(size / span)
    return corner + (size - used) / 2, used


def _axis_of(trace: dict, letter: str) -> str:
    """The name that a trace's axis has in the layout: "x2" becomes "xaxis2"."""
    return f"{letter}axis{trace.get(letter + 'axis', letter)[1:]}"


def _along(axis: dict, values) -> np.ndarray:
    """A 2D trace's numbers along an axis; their logarithms if the axis is logarithmic."""
    return np.log10(as_floats(values)) if axis.get("type") == "log" else as_floats(values)


def _with_ranges(figure: dict) -> dict:
    """The layout, with range and domain for every 2D axis; a range that is not given is that of all its traces."""
    layout = dict(figure["layout"])
    legend = LEGEND_ROW * -(-len(figure["data"]) // LEGEND_COLUMNS)
    domains = {"x": (0.1, 0.98), "y": (0.17, 0.95 - legend)}
    along = defaultdict(list)
    for trace in figure["data"]:
        if trace["type"] == "scatter":
            for letter in "xy":
                axis = _axis_of(trace, letter)
                along[axis].append(_along(layout[axis], trace[letter]))
    if "ticktext" in layout.get("yaxis", {}):
        height = layout["height"]
        domains = {"x": (LABELS, 0.98), "y": (50 / height, 1 - 30 / height)}
    for axis, parts in along.items():
        numbers = np.concatenate(parts)
        limits = np.nanmin(numbers), np.nanmax(numbers)
        layout[axis] = {"range": limits, "domain": domains[axis[0]]} | layout[axis]
    return layout


def _chart_frame(x_axis: dict, y_axis: dict, height: int) -> list[str]:
    """SVG of what surrounds a chart's lines: grid, ticks and titles."""
    (left, top), (width, tall) = _box(x_axis, y_axis, height)
    middle_x, middle_y, bottom = left + width / 2, top + tall / 2, top + tall
    grid, parts = [], []
    for x, label in _ticks(x_axis):
        x = left + width * x
        grid.append(f"M{x:.1f},{top:.1f}v{tall:.1f}")
        parts.append(_text(x, bottom + 18, label))
    for y, label in _ticks(y_axis):
        y = bottom - tall * y
        if y_axis.get("showgrid", True):
            grid.append(f"M{left:.1f},{y:.1f}h{width:.1f}")
        parts.append(_text(left - 6, y + 4, label, anchor="end"))
    parts.append(f'<path d="{"".join(grid)}" stroke="currentColor" stroke-opacity="0.2"/>')
    parts.append(_text(middle_x, bottom + 42, x_axis["title"]["text"]))
    parts.append(_text(max(16, left - 56), middle_y, y_axis["title"]["text"], turn=-90))
    return parts


def _legend(figure: dict, layout: dict, height: int) -> list[str]:
    """SVG of the names of a chart's lines."""
    (left, _), (width, _) = _box(layout["xaxis"], layout["yaxis"], height)
    parts = []
    named = [trace for trace in figure["data"] if layout.get("showlegend") and trace.get("showlegend", True)]
    for place, trace in enumerate(named):
        row, column = divmod(place, LEGEND_COLUMNS)
        x, y = left + column * width / LEGEND_COLUMNS, 16 + LEGEND_ROW * height * row
        line = f'stroke="{trace["line"]["color"]}" stroke-width="2"{_dashes(trace)}'
        is_line = "lines" in trace.get("mode", "lines")
        sample = f'<path d="M{x:.1f},{y:.1f}h36" {line}/>' if is_line else _dot(x + 18, y, trace["line"]["color"], trace)
        parts.append(sample + _text(x + 42, y + 4, trace["name"], anchor="start"))
    return parts


def _ticks(axis: dict) -> list[tuple[float, str]]:
    """Positions along an axis, from 0 to 1, and their labels: the axis's own ticks, or about five round numbers."""
    low, high = axis["range"]
    if "tickvals" in axis:
        numbers = as_floats(axis["tickvals"])
        places = _along(axis, axis["tickvals"])
    else:
        rough = (high - low) / 5 or 1
        power = 10 ** np.floor(np.log10(rough))
        step = power * min((1, 2, 5, 10), key=lambda m: abs(m * power - rough))
        numbers = places = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1) + 0.0  # no minus zero
    labels = axis.get("ticktext") or [f"{number:g}" for number in numbers]
    return [(place, label) for place, label in zip(_scaled(places, (low, high)), labels) if 0 <= place <= 1]


def _text(x: float, y: float, text: str, color: str = "currentColor", anchor: str = "middle", turn: int = 0) -> str:
    turned = f' transform="rotate({turn} {x:.0f} {y:.0f})"' if turn else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}" text-anchor="{anchor}"{turned}>{html.escape(str(text))}</text>'


def _dot(x: float, y: float, color: str, trace: dict) -> str:
    filled = "none" if "open" in (trace.get("marker") or {}).get("symbol", "") else color
    radius, edge = (1.5, 1) if "lines" in trace.get("mode", "") else (5, 2)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{filled}" stroke="{color}" stroke-width="{edge}"/>'


def _dashes(trace: dict) -> str:
    pattern = DASHES.get((trace.get("line") or {}).get("dash"))
    return f' stroke-dasharray="{pattern}"' if pattern else ""


def _project(trace: dict, scene: dict, height: int) -> np.ndarray:
    """The view that plotly's camera has of a 3D trace."""
    axes = [scene[axis + "axis"]["range"] for axis in "xyz"]
    aspect = np.array([scene["aspectratio"][axis] for axis in "xyz"])
    points = np.stack([_scaled(as_floats(trace[axis]), limits) - 0.5 for axis, limits in zip("xyz", axes)], -1) * aspect
    eye, center = (np.array([scene["camera"][name][axis] for axis in "xyz"]) for name in ("eye", "center"))
    sight = (center - eye) / np.linalg.norm(center - eye)
    right = np.cross(sight, (0, 0, 1))
    right /= np.linalg.norm(right)
    points = points - eye
    flat = np.stack([points @ right, -points @ np.cross(right, sight)], axis=-1) / (points @ sight)[:, None]
    (x0, x1), (y0, y1) = scene["domain"]["x"], scene["domain"]["y"]
    middle = np.array([(x0 + x1) / 2 * WIDTH, (1 - (y0 + y1) / 2) * height])
    return middle + flat * (y1 - y0) * height / (2 * HALF_VIEW)


def _scaled(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    low, high = limits
    return (values - low) / ((high - low) or 1)


def as_floats(values) -> np.ndarray:
    """A plotly array, plain or as {dtype, bdata}, as floats."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"]).astype(float)
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _runs(points: np.ndarray):
    """Point lists for polylines, interrupted where a coordinate is missing."""
    run = []
    for x, y in [*points, (np.nan, np.nan)]:
        if np.isfinite(x) and np.isfinite(y):
            run.append(f"{x:.1f},{y:.1f}")
        elif run:
            yield " ".join(run)
            run = []
