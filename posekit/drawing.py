"""How people are drawn: panels of skeletons side by side, still or moving, as one plotly figure.

Left is blue, right is vermilion, the middle grey, the true pose thin and grey; see `colors`.
3D panels are in metres with equal axes, one viewpoint and one scale; 2D panels are images in pixels. Every figure has
an alternative text in `layout.meta["alt"]`. `layout.meta` also holds two placements of the panels, "wide" and
"narrow", which the book's pages switch between.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.basedatatypes import BaseTraceType
from torch import Tensor

from posekit.colors import COLORS, FLOOR, GHOST
from posekit.skeleton import Skeleton

PERSON_BOX = ((-1.0, 1.0), (-1.0, 1.0), (0.0, 2.0))
EYE = dict(x=1.35, y=-1.15, z=0.55)
PLAYBACK_RATE = 15  # drawn frames per second
UNNAMED = dict(showlegend=False, hoverinfo="skip")
LOOK = dict(
    paper_bgcolor="rgba(0,0,0,0)",
    plot_bgcolor="rgba(0,0,0,0)",
    margin=dict(l=8, r=8, t=30, b=8),
    font=dict(size=13),
    legend=dict(orientation="h", x=0.5, xanchor="center", y=0, yanchor="top", itemclick=False, itemdoubleclick=False),
    uirevision="keep",
    dragmode="orbit",
)


@dataclass(frozen=True)
class Layer:
    """One person: poses (F, J, 2 or 3), with F = 1 for a still. A ghost is drawn thin and grey."""

    poses: Tensor
    skeleton: Skeleton
    ghost: bool = False
    name: str = ""


@dataclass(frozen=True)
class Panel:
    """A titled picture of some people: in an image if `image_size` (width, height) is given, otherwise in a 3D box.

    `extra` are further traces, and `moving` traces with their coordinates (F, N, 2 or 3) in every frame; NaN ends a line.
    """

    title: str
    layers: list[Layer]
    image_size: tuple[float, float] | None = None
    box: tuple = PERSON_BOX
    extra: list[go.Scatter3d] = field(default_factory=list)
    moving: list[tuple[BaseTraceType, Tensor]] = field(default_factory=list)


def show(
    panels: list[Panel],
    alt: str,
    *,
    arrange: str = "row",
    columns: int | None = None,
    height: int = 420,
    frame_rate: float | None = None,
    frame_names: Sequence[str] | None = None,
) -> go.Figure:
    """Draw panels side by side; given a frame rate, as an animation with a play button and a slider.

    Args:
        panels: what to draw. All layers and lines that move have the same number of frames.
        alt: what a reader who cannot see the figure should know.
        arrange: "row", "stack" (the first panel large, the others in a column beside it) or "grid" (square).
        columns: after how many panels the wide figure's "row" begins anew; default: never.
        height: of the wide figure, pixels.
        frame_rate: of the poses; frames are skipped so that about `PLAYBACK_RATE` are drawn per second.
        frame_names: what the slider says at every drawn frame; default the time.
    """
    stride = max(1, round(frame_rate / PLAYBACK_RATE)) if frame_rate else 1
    figure, moving = go.Figure(), []
    titles = []
    for index, panel in enumerate(panels):
        axes = _add_axes(figure, panel, index)
        for trace in panel.extra:
            figure.add_trace(trace.update(scene=axes["scene"]) if panel.image_size is None else trace.update(axes))
        for trace, lines in panel.moving:
            lines = _rounded(lines)[::stride]
            moving.append((len(figure.data), lines))
            figure.add_trace(trace.update(dict(zip("xyz", lines[0].T)) | axes))
        for layer in panel.layers:
            named = index == 0 and layer is next((one for one in panel.layers if not one.ghost), None)
            for side in COLORS:
                lines = _bone_lines(layer, side)[::stride]
                if lines.shape[1]:
                    moving.append((len(figure.data), lines))
                    figure.add_trace(_line_trace(lines[0], layer, side, axes, legend=named))
        titles.append(dict(text=panel.title, showarrow=False, xref="paper", yref="paper", xanchor="center", yanchor="bottom"))
    figure.update_layout(annotations=titles, **LOOK)
    wide, narrow = (_placement(panels, arrange, height, is_narrow, columns) for is_narrow in (False, True))
    for key, value in wide.items():
        figure.layout[key] = value
    figure.update_layout(meta=dict(alt=alt, wide=wide, narrow=narrow))
    if frame_rate:
        _animate(figure, [(index, lines) for index, lines in moving if len(lines) > 1], stride / frame_rate, frame_names)
    return figure


def _bone_lines(layer: Layer, side: str) -> np.ndarray:
    """(F, 3 x bones, D): parent, child, gap for every bone of one side, so that one trace draws them all."""
    skeleton = layer.skeleton
    bones = [bone for bone in skeleton.bones if skeleton.sides[bone[1]] == side]
    poses = layer.poses.detach().cpu()
    if not bones:
        return np.zeros((len(poses), 0, poses.shape[-1]), dtype=np.float32)
    ends = poses[:, torch.tensor(bones)]  # (F, bones, 2, D)
    gap = torch.full_like(ends[:, :, :1], torch.nan)
    return _rounded(torch.cat([ends, gap], dim=2).flatten(1, 2))


def _rounded(lines: Tensor) -> np.ndarray:
    """To 0.1 px in an image, 1 mm in a room."""
    return lines.detach().cpu().numpy().round(1 if lines.shape[-1] == 2 else 3).astype(np.float32)


def _line_trace(line: np.ndarray, layer: Layer, side: str, axes: dict, legend: bool):
    color = GHOST if layer.ghost else COLORS[side]
    style = dict(
        mode="lines" if layer.ghost else "lines+markers",
        name=layer.name or side,
        legendgroup=side,
        showlegend=legend and side != "centre",
        hoverinfo="skip",
        **axes,
    )
    if line.shape[-1] == 3:
        x, y, z = line.T
        style.update(line=dict(color=color, width=3 if layer.ghost else 7), marker=dict(size=3, color=color))
        return go.Scatter3d(x=x, y=y, z=z, **style)
    x, y = line.T
    style.update(line=dict(color=color, width=1.5 if layer.ghost else 2.5), marker=dict(size=4, color=color))
    return go.Scatter(x=x, y=y, **style)


def _add_axes(figure: go.Figure, panel: Panel, index: int) -> dict:
    """Give the panel its scene or its pair of axes; returns the keywords that place a trace in them."""
    suffix = "" if index == 0 else str(index + 1)
    if panel.image_size is None:
        ranges = dict(zip(("xaxis", "yaxis", "zaxis"), panel.box))
        spans = {axis[0]: high - low for axis, (low, high) in ranges.items()}
        largest = max(spans.values())
        figure.layout["scene" + suffix] = dict(
            **{axis: dict(range=limits, visible=False, autorange=False) for axis, limits in ranges.items()},
            aspectmode="manual",
            aspectratio={axis: 1.5 * span / largest for axis, span in spans.items()},
            camera=dict(eye=EYE, center=dict(x=0, y=0, z=-0.08)),
            uirevision="keep the reader's viewpoint",
            bgcolor="rgba(0,0,0,0)",
        )
        figure.add_trace(_floor(panel.box).update(scene="scene" + suffix))
        return dict(scene="scene" + suffix)
    width, height = panel.image_size
    hidden = dict(visible=False, fixedrange=True)
    figure.layout["xaxis" + suffix] = dict(range=[0, width], anchor="y" + suffix, constrain="domain", **hidden)
    figure.layout["yaxis" + suffix] = dict(
        range=[height, 0], anchor="x" + suffix, scaleanchor="x" + suffix, constrain="domain", **hidden
    )
    axes = dict(xaxis="x" + suffix, yaxis="y" + suffix)
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height], [0, 0]], dtype=np.float32).T
    figure.add_trace(go.Scatter(x=frame[0], y=frame[1], mode="lines", line=dict(color=GHOST, width=1), **UNNAMED, **axes))
    return axes


def _floor(box, step: float = 0.5) -> go.Scatter3d:
    """Grid lines on the ground, half a metre apart, instead of axes."""
    (x0, x1), (y0, y1), (z0, _) = box
    step = step if x1 - x0 < 4 else 2 * step
    lines = [[(x, y0), (x, y1)] for x in np.arange(x0, x1 + 1e-6, step)] + [
        [(x0, y), (x1, y)] for y in np.arange(y0, y1 + 1e-6, step)
    ]
    points = np.array([[*line, (np.nan, np.nan)] for line in lines], dtype=np.float32).reshape(-1, 2)
    z = np.full(len(points), z0, dtype=np.float32)
    return go.Scatter3d(x=points[:, 0], y=points[:, 1], z=z, mode="lines", line=dict(color=FLOOR, width=1), **UNNAMED)


def _placement(panels: list[Panel], arrange: str, height: int, narrow: bool, columns: int | None = None) -> dict:
    """Where each panel and title goes, as plotly layout keys."""
    count = len(panels)
    if arrange == "stack":
        cells, rows = _stacked(count, narrow)
    else:
        columns = columns or (count if arrange == "row" else round(count**0.5))
        columns = min(columns, 2) if narrow and arrange == "row" else columns
        rows = -(-count // columns)
        cells = [((i % columns) / columns, 1 - (i // columns + 1) / rows, 1 / columns, 1 / rows) for i in range(count)]
    pixels = height
    if narrow:
        pixels = {"stack": 460, "row": 60 + 250 * rows, "grid": 380}[arrange]
    title = 24 / pixels
    keys = {"height": pixels}
    for index, (panel, (x, y, w, h)) in enumerate(zip(panels, cells)):
        suffix = "" if index == 0 else str(index + 1)
        across, up = [x + 0.01, x + w - 0.01], [y + 0.01, y + h - title]
        if panel.image_size is None:
            keys |= {f"scene{suffix}.domain.x": across, f"scene{suffix}.domain.y": up}
        else:
            keys |= {f"xaxis{suffix}.domain": across, f"yaxis{suffix}.domain": up}
        keys |= {f"annotations[{index}].x": x + w / 2, f"annotations[{index}].y": up[1]}
    return keys


def _stacked(count: int, narrow: bool):
    """Cells (left, bottom, width, height) of one large panel and a column (narrow: a row) of small ones."""
    small = count - 1
    if narrow:
        return [(0, 0.32, 1, 0.68), *((i / small, 0, 1 / small, 0.32) for i in range(small))], 1
    return [(0, 0, 0.7, 1), *((0.7, 1 - (i + 1) / small, 0.3, 1 / small) for i in range(small))], 1


def _animate(figure: go.Figure, moving: list, seconds_per_frame: float, names: Sequence[str] | None) -> None:
    traces = [index for index, _ in moving]
    count = len(moving[0][1])
    names = names or [f"{k * seconds_per_frame:.2f} s" for k in range(count)]
    figure.frames = [
        go.Frame(name=name, traces=traces, data=[_moved(figure.data[index], lines[k]) for index, lines in moving])
        for k, name in enumerate(names)
    ]
    jump = dict(mode="immediate", transition=dict(duration=0))
    play = dict(**jump, fromcurrent=True, frame=dict(duration=1000 * seconds_per_frame, redraw=True))
    still = dict(**jump, frame=dict(duration=0, redraw=True))
    buttons = [
        dict(label="Play", method="animate", args=[None, play]),
        dict(label="Pause", method="animate", args=[[None], still]),
    ]
    steps = [dict(label=name, method="animate", args=[[name], still]) for name in names]
    figure.update_layout(
        updatemenus=[dict(type="buttons", direction="left", buttons=buttons, x=0, y=-0.02, xanchor="left", yanchor="top")],
        sliders=[dict(steps=steps, x=0.22, len=0.78, y=-0.02, currentvalue=dict(visible=False), pad=dict(t=8))],
        margin_b=70,
    )
    figure.layout.meta |= dict(frame_ms=1000 * seconds_per_frame)


def _moved(trace, line: np.ndarray):
    """The trace's type with new coordinates and nothing else."""
    return type(trace)(dict(zip("xyz", line.T)))
