"""A still SVG picture of a plotly figure's first frame, for print, for readers without scripts, and until it draws.

Covers what `posekit.figures` uses: scatter and scatter3d lines, markers and text. 3D is drawn from the figure's eye.
"""

import base64
import html

import numpy as np

WIDTH = 720


def still_svg(figure: dict) -> str:
    """SVG of the figure, `WIDTH` units wide; colours follow the page through currentColor where not given."""
    layout = figure["layout"]
    height = int(layout.get("height") or 420)
    parts = []
    for trace in figure["data"]:
        points = _points(trace, layout, height)
        color = (trace.get("line") or trace.get("textfont") or {}).get("color", "currentColor")
        if "lines" in trace.get("mode", "lines"):
            width = min(float((trace.get("line") or {}).get("width", 2)), 3)
            parts += [
                f'<polyline points="{run}" stroke="{color}" stroke-width="{width:g}" fill="none"/>' for run in _runs(points)
            ]
        for text, (x, y) in zip(trace.get("text") or (), points):
            parts.append(f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}" text-anchor="middle">{html.escape(str(text))}</text>')
    for note in layout.get("annotations", ()):
        x, y = note["x"] * WIDTH, (1 - note["y"]) * height
        parts.append(
            f'<text x="{x:.0f}" y="{y:.0f}" fill="currentColor" text-anchor="middle">{html.escape(note["text"])}</text>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" font-size="13" font-family="sans-serif" aria-hidden="true">{"".join(parts)}</svg>'
    )


def _points(trace: dict, layout: dict, height: int) -> np.ndarray:
    """The trace's points (N, 2) in the picture."""
    if trace["type"] == "scatter3d":
        return _project(trace, layout[trace.get("scene", "scene")], height)
    x_axis = layout["xaxis" + trace.get("xaxis", "x")[1:]]
    y_axis = layout["yaxis" + trace.get("yaxis", "y")[1:]]
    x, y = _numbers(trace["x"]), _numbers(trace["y"])
    if y_axis.get("type") == "log":
        y = np.log10(y)
    across, up = _scaled(x, x_axis.get("range")), _scaled(y, y_axis.get("range"))
    left, right = x_axis.get("domain", (0.08, 0.98))
    bottom, top = y_axis.get("domain", (0.12, 0.96))
    box_width, box_height = (right - left) * WIDTH, (top - bottom) * height
    if "scaleanchor" in y_axis:  # an image: one scale for both axes, centred in its cell
        (x0, x1), (y0, y1) = x_axis["range"], y_axis["range"]
        fitted = min(box_width / abs(x1 - x0), box_height / abs(y1 - y0))
        used = fitted * np.array([abs(x1 - x0), abs(y1 - y0)])
    else:
        used = np.array([box_width, box_height])
    corner = np.array([left * WIDTH + (box_width - used[0]) / 2, (1 - top) * height + (box_height - used[1]) / 2])
    return corner + used * np.stack([across, 1 - up], axis=-1)


def _project(trace: dict, scene: dict, height: int) -> np.ndarray:
    """Parallel projection of a 3D trace along the scene's line of sight."""
    axes = [scene[axis + "axis"]["range"] for axis in "xyz"]
    aspect = np.array([scene["aspectratio"][axis] for axis in "xyz"])
    points = np.stack([_scaled(_numbers(trace[axis]), limits) - 0.5 for axis, limits in zip("xyz", axes)], -1) * aspect
    eye = np.array([scene["camera"]["eye"][axis] for axis in "xyz"])
    center = scene["camera"].get("center", {})
    points = points - np.array([center.get(axis, 0) for axis in "xyz"])
    sight = -eye / np.linalg.norm(eye)
    right = np.cross(sight, (0, 0, 1))
    right /= np.linalg.norm(right)
    (x0, x1), (y0, y1) = scene["domain"]["x"], scene["domain"]["y"]
    scale = 0.62 * min((x1 - x0) * WIDTH, (y1 - y0) * height)
    middle = np.array([(x0 + x1) / 2 * WIDTH, (1 - (y0 + y1) / 2) * height])
    return middle + scale * np.stack([points @ right, -points @ np.cross(right, sight)], axis=-1)


def _scaled(values: np.ndarray, limits) -> np.ndarray:
    low, high = limits if limits else (np.nanmin(values), np.nanmax(values))
    return (values - low) / ((high - low) or 1)


def _numbers(values) -> np.ndarray:
    """A plotly array, plain or as {dtype, bdata}, as floats."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"]).astype(float)
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _runs(points: np.ndarray):
    """Polyline point lists, broken where a coordinate is missing."""
    run = []
    for x, y in [*points, (np.nan, np.nan)]:
        if np.isfinite(x) and np.isfinite(y):
            run.append(f"{x:.1f},{y:.1f}")
        elif run:
            yield " ".join(run)
            run = []
