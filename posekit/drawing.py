"""How people are drawn: panels of skeletons side by side, still or moving, as one plotly figure.

Left is blue, right is vermilion, the middle grey, the true pose thin and grey; see `colors`.
3D panels are in metres with equal axes, one viewpoint and one scale, from where all of their boxes can be seen;
2D panels are images in pixels. Every figure has an alternative text in `layout.meta["alt"]`. `layout.meta` also holds
two placements of the panels, "wide" and "narrow", which the book's pages switch between, and "loop", the stretch of a
moving figure that they repeat. A trace of bones says in its `meta` whose they are; pages clothe them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, product

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.basedatatypes import BaseTraceType
from torch import Tensor

from posekit.colors import COLORS, FLOOR, GHOST
from posekit.skeleton import Skeleton

EYE = dict(x=1.35, y=-1.15, z=0.55)
"""Where a viewer stands, as a direction from the middle of the box."""

HALF_VIEW = np.tan(np.pi / 8)  # plotly's camera sees 45 degrees from top to bottom
PAGE_PX = {"wide": 720, "narrow": 330}  # of a figure in the book
STACKED_PX = dict(large=313, row=147)  # heights, where a large panel stands over rows of small ones
MARGIN = 0.97
INSIDE = 0.002  # metres; plotly leaves out a line that lies on the border of its box
PLAYBACK_RATE = 30  # drawn frames per second
Arrangement = str | Callable[[bool], tuple[list[tuple], int]]
UNNAMED = dict(showlegend=False, hoverinfo="skip")
# Not visible=False: plotly would then shape letters that nobody sees, a tenth of what a room's first drawing takes.
UNSEEN_AXIS = dict(autorange=False, title="", ticks="", tickvals=[], showticklabels=False) | dict.fromkeys(
    ("showgrid", "zeroline", "showline", "showbackground", "showspikes"), False
)
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
    """One person: poses (F, J, 2 or 3), with F = 1 for a still. A ghost is drawn thin and grey.

    `name` stands in the key, instead of the sides or "truth". `errors_mm` (J) tints the joints. With `dots` a ghost has its
    joints drawn too, which tells it from other ghosts.
    """

    poses: Tensor
    skeleton: Skeleton
    ghost: bool = False
    name: str = ""
    errors_mm: Tensor | None = None
    dots: bool = False


@dataclass(frozen=True)
class Panel:
    """A titled picture of some people: in an image if `image_size` (width, height) is given, otherwise in a 3D box.

    Without a `box`, one is fitted to the people of all such panels. All boxes have one scale, except for one that `fills`
    its panel. A `note`, in lines parted by "<br>", stands under it.
    `extra` are further traces, and `moving` traces with their coordinates (F, N, 2 or 3) in every frame; NaN ends a line.
    With `axes`, plotly's for x and y, the panel is a chart of these traces instead.
    """

    title: str
    layers: list[Layer]
    image_size: tuple[float, float] | None = None
    box: tuple | None = None
    fills: bool = False
    extra: list[BaseTraceType] = field(default_factory=list)
    note: str = ""
    moving: list[tuple[BaseTraceType, Tensor]] = field(default_factory=list)
    axes: tuple[dict, dict] | None = None

    @property
    def is_room(self) -> bool:
        """Whether it is drawn in 3D."""
        return self.image_size is None and self.axes is None


def show(
    panels: list[Panel],
    alt: str,
    *,
    arrange: Arrangement = "row",
    columns: int | None = None,
    height: int = 420,
    frame_rate: float | None = None,
    frame_names: Sequence[str] | None = None,
    start: int = 0,
) -> go.Figure:
    """Draw panels side by side; given a frame rate, as an animation with a play button and a slider.

    Args:
        panels: what to draw. All layers and lines that move have the same number of frames.
        alt: what a reader who cannot see the figure should know.
        arrange: "row", "stack" (the first panel large, the others in a column beside it) or "grid" (square); or a function
            that tells for the wide or, given True, the narrow figure each panel's (left, bottom, width, height) as shares
            of the whole, and the whole's height in pixels.
        columns: after how many panels the wide figure's "row" begins anew; default: never.
        height: of the wide figure, pixels.
        frame_rate: of the poses; frames are skipped so that about `PLAYBACK_RATE` are drawn per second.
        frame_names: what the slider says at every drawn frame; default the time.
        start: the drawn frame to begin with, which is also that of the still picture.
    """
    stride = max(1, round(frame_rate / PLAYBACK_RATE)) if frame_rate else 1
    panels = _with_boxes(panels)
    figure, moving, named, numbers = go.Figure(), [], set(), count()
    for index, panel in enumerate(panels):
        axes = _add_axes(figure, panel, index)
        for trace in panel.extra:
            figure.add_trace(trace.update(axes))
        for trace, lines in panel.moving:
            lines = _rounded(lines)[::stride]
            moving.append((len(figure.data), lines))
            figure.add_trace(trace.update(dict(zip("xyz", lines[0].T)) | axes))
        for layer in panel.layers:
            for trace, lines in _person(layer, axes, next(numbers), named):
                moving.append((len(figure.data), lines[::stride]))
                figure.add_trace(trace)
    figure.update_layout(annotations=_texts(panels), **LOOK)
    placements = {name: _placement(panels, arrange, height, name == "narrow", columns) for name in PAGE_PX}
    for key, value in placements["wide"].items():
        if key != "eye":
            figure.layout[key] = value
    for scene in {trace.scene for trace in figure.data if trace.type == "scatter3d"}:
        figure.layout[scene].camera.eye = placements["wide"]["eye"]
    figure.update_layout(meta=dict(alt=alt, **placements))
    if frame_rate:
        moving = [(index, lines) for index, lines in moving if len(lines) > 1]
        _animate(figure, moving, stride / frame_rate, frame_names, start)
        steps = frame_names and (0, len(frame_names) - 1, True)  # steps of something, which begin anew
        figure.layout.meta |= dict(loop=steps or _loop([lines for _, lines in moving]))
    return figure


def _with_boxes(panels: list[Panel]) -> list[Panel]:
    """The panels, with one box around the people of all those that have none: a square floor, and no less than a person."""
    people = [layer.poses for panel in panels if panel.is_room and panel.box is None for layer in panel.layers]
    if not people:
        return panels
    points = torch.cat([poses.detach().cpu().flatten(0, -2) for poses in people])
    points = points[points.isfinite().all(-1)]
    reach = 0.25 * np.ceil(points[:, :2].abs().amax().clamp(0.6, 1.9).item() / 0.25 + 0.4)
    low, high = points[:, 2].amin().clamp(-0.3, 0).item(), points[:, 2].amax().clamp(1.6, 3.9).item() + 0.12
    box = ((-reach, reach), (-reach, reach), (low, high))
    return [replace(panel, box=box) if panel.is_room and not panel.box else panel for panel in panels]


def _texts(panels: list[Panel]) -> list[dict]:
    """Titles, one per panel, and after them the notes."""
    at = dict(showarrow=False, xref="paper", yref="paper", xanchor="center")
    titles = [dict(text=panel.title, yanchor="bottom", **at) for panel in panels]
    return titles + [dict(text=panel.note, yanchor="top", **at) for panel in panels if panel.note]


def _loop(moving: list[np.ndarray]) -> tuple[int, int, bool]:
    """First and last frame of what is played again and again, and whether the last joins the first.

    It joins if some later half of the clip ends nearly where it began: not farther off than three frames' movement.
    Otherwise it is played there and back.
    """
    rooms = [lines for lines in moving if lines.shape[-1] == 3]
    table = torch.cat([torch.from_numpy(lines).flatten(1).nan_to_num() for lines in rooms or moving], dim=1)
    apart = torch.cdist(table, table)
    first, last = torch.triu_indices(len(table), len(table), max(2, len(table) // 2))
    if len(first):
        best = apart[first, last].argmin()
        if apart[first[best], last[best]] <= 3 * apart.diagonal(1).median():
            return first[best].item(), last[best].item() - 1, True
    return 0, len(table) - 1, False


def _person(layer: Layer, axes: dict, number: int, named: set[str]) -> list[tuple]:
    """A layer's traces, each with what it shows in every frame (F, points, D). `named` holds what is in the key already."""
    made = []
    for side in COLORS:
        lines = _bone_lines(layer, side)
        if lines.shape[1]:
            made.append((_line_trace(lines[0], layer, side, axes, number, named), lines))
    if layer.errors_mm is not None:
        joints = _rounded(layer.poses)
        made.append((_tinted(joints[0], layer.errors_mm, axes, number), joints))
    return made


def _bones(skeleton: Skeleton, side: str) -> list[tuple[int, int]]:
    return [bone for bone in skeleton.bones if skeleton.sides[bone[1]] == side]


def _bone_lines(layer: Layer, side: str) -> np.ndarray:
    """(F, 3 x bones, D): parent, child, gap for every bone of one side, so that one trace draws them all."""
    bones = _bones(layer.skeleton, side)
    poses = layer.poses.detach().cpu()
    if not bones:
        return np.zeros((len(poses), 0, poses.shape[-1]), dtype=np.float32)
    ends = poses[:, torch.tensor(bones)]  # (F, bones, 2, D)
    gap = torch.full_like(ends[:, :, :1], torch.nan)
    return _rounded(torch.cat([ends, gap], dim=2).flatten(1, 2))


def _rounded(lines: Tensor) -> np.ndarray:
    """To 0.1 px in an image, 1 mm in a room."""
    return lines.detach().cpu().numpy().round(1 if lines.shape[-1] == 2 else 3).astype(np.float32)


def _head(skeleton: Skeleton, side: str) -> int | None:
    """Which point of a side's lines is the head: its top, or in a detector's skeleton the nose."""
    names = [skeleton.joints[child] for _, child in _bones(skeleton, side)]
    name = next((name for name in ("head", "nose") if name in names), None)
    return None if name is None else 3 * names.index(name) + 1


def _root(skeleton: Skeleton, side: str) -> int | None:
    """Which point of a side's lines is the root, where a bone begins there."""
    parents = [parent for parent, _ in _bones(skeleton, side)]
    return 3 * parents.index(0) if 0 in parents else None


def _line_trace(line: np.ndarray, layer: Layer, side: str, axes: dict, number: int, named: set[str]):
    color = GHOST if layer.ghost else COLORS[side]
    name = layer.name or ("truth" if layer.ghost else side)
    head, root = _head(layer.skeleton, side), _root(layer.skeleton, side)
    places = {key: point for key, point in (("head", head), ("root", root)) if point is not None}
    style = dict(
        mode="lines" if layer.ghost and not layer.dots else "lines+markers",
        name=name,
        legendgroup=name,
        showlegend=name not in {*named, "centre"},
        hoverinfo="skip",
        meta=dict(person=number, ghost=layer.ghost) | places,
        **axes,
    )
    named.add(name)
    joint, skull = (4, 18) if line.shape[-1] == 3 else (4, 12)
    sizes = joint if head is None or layer.ghost else [skull if point == head else joint for point in range(len(line))]
    marker = dict(size=sizes, color=color, line=dict(width=0))  # of its own accord plotly rings markers of several sizes
    if line.shape[-1] == 3:
        x, y, z = line.T
        style.update(line=dict(color=color, width=3 if layer.ghost else 9), marker=marker)
        return go.Scatter3d(x=x, y=y, z=z, **style)
    x, y = line.T
    style.update(line=dict(color=color, width=1.5 if layer.ghost else 3.5), marker=marker | dict(opacity=1))
    return go.Scatter(x=x, y=y, **style)


def _tinted(joints: np.ndarray, errors_mm: Tensor, axes: dict, number: int) -> go.Scatter3d:
    """Joints in the colour of their errors: pale where they are exact, dark red from 150 mm."""
    marker = dict(
        size=4, color=errors_mm.detach().cpu().numpy().round().astype(np.float32), cmin=0, cmax=150, colorscale="YlOrRd"
    )
    return go.Scatter3d(
        **dict(zip("xyz", joints.T)),
        mode="markers",
        marker=marker,
        meta=dict(person=number, ghost=False, joints=True),
        **UNNAMED,
        **axes,
    )


def _add_axes(figure: go.Figure, panel: Panel, index: int) -> dict:
    """Give the panel its scene or its pair of axes; returns the keywords that place a trace in them."""
    suffix = "" if index == 0 else str(index + 1)
    if panel.is_room:
        ranges = zip(("xaxis", "yaxis", "zaxis"), panel.box)
        figure.layout["scene" + suffix] = dict(
            **{axis: dict(range=limits, **UNSEEN_AXIS) for axis, limits in ranges},
            aspectmode="manual",
            aspectratio=dict(zip("xyz", _aspect(panel.box))),
            camera=dict(eye=EYE, center=dict(x=0, y=0, z=0)),
            uirevision="keep the reader's viewpoint",
            bgcolor="rgba(0,0,0,0)",
        )
        figure.add_trace(_floor(panel.box).update(scene="scene" + suffix))
        return dict(scene="scene" + suffix)
    if panel.axes:
        for letter, other, look in zip("xy", "yx", panel.axes):
            figure.layout[f"{letter}axis{suffix}"] = look | dict(anchor=other + suffix)
        return dict(xaxis="x" + suffix, yaxis="y" + suffix)
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


def _aspect(box) -> np.ndarray:
    """Lengths of a box's sides in plotly's units."""
    spans = np.ptp(np.array(box), axis=1)
    return 1.5 * spans / spans.max()


def _distance(box, width: float, height: float) -> float:
    """How far off, along `EYE`, a camera sees all corners of a box in a panel of that many pixels, in plotly's units."""
    corners = np.array(list(product((-0.5, 0.5), repeat=3))) * _aspect(box)
    sight = -np.array([EYE[axis] for axis in "xyz"]) / np.linalg.norm(list(EYE.values()))
    right = np.cross(sight, (0, 0, 1))
    right /= np.linalg.norm(right)
    across, up, along = (np.abs(corners @ right), np.abs(corners @ np.cross(right, sight)), corners @ sight)
    reach = MARGIN * HALF_VIEW * np.array([width / height, 1.0])
    return float(np.max(np.maximum(across / reach[0], up / reach[1]) - along))


def _floor(box) -> go.Scatter3d:
    """Grid lines on the ground, half a metre apart, in a whole room a metre, close by 10 cm, instead of axes."""
    (x0, x1), (y0, y1) = (map(float, ends) for ends in box[:2])
    shorter = min(x1 - x0, y1 - y0)
    step = 0.1 if shorter < 1 else 0.5 if shorter < 4 else 1.0
    lines = [[(x, y0), (x, y1)] for x in _marks(x0, x1, step)] + [[(x0, y), (x1, y)] for y in _marks(y0, y1, step)]
    points = np.array([[*line, (np.nan, np.nan)] for line in lines]).reshape(-1, 2)
    points = points.clip((x0 + INSIDE, y0 + INSIDE), (x1 - INSIDE, y1 - INSIDE)).astype(np.float32)
    z = np.zeros(len(points), dtype=np.float32)
    return go.Scatter3d(x=points[:, 0], y=points[:, 1], z=z, mode="lines", line=dict(color=FLOOR, width=1), **UNNAMED)


def _marks(low: float, high: float, step: float) -> np.ndarray:
    """From one border to the other, so that the floor is closed; the last step may be a shorter one."""
    return np.append(np.arange(low, high - 1e-6, step), high)


def _placement(panels: list[Panel], arrange: Arrangement, height: int, narrow: bool, columns: int | None = None) -> dict:
    """Where each panel and title goes, as plotly layout keys."""
    total = len(panels)
    page_px = PAGE_PX["narrow" if narrow else "wide"] - 16  # the figure's own margins
    if callable(arrange):
        cells, pixels = arrange(narrow)
    elif arrange == "stack":
        cells, rows = _stacked(total, narrow)
    else:
        columns = columns or (total if arrange == "row" else round(total**0.5))
        columns = min(columns, 2) if narrow and arrange == "row" else columns
        rows = -(-total // columns)
        cells = [((i % columns) / columns, 1 - (i // columns + 1) / rows, 1 / columns, 1 / rows) for i in range(total)]
    if not callable(arrange):
        stacked = STACKED_PX["large"] + rows * STACKED_PX["row"]
        pixels = {"stack": stacked, "row": 60 + 250 * rows, "grid": 380}[arrange] if narrow else height
    lines = max(panel.note.count("<br>") + bool(panel.note) for panel in panels)
    title, note = 24 / pixels, (2 + 18 * lines) / pixels
    keys, distances, notes = {"height": pixels}, {}, count(len(panels))
    for index, (panel, (x, y, w, h)) in enumerate(zip(panels, cells)):
        suffix = "" if index == 0 else str(index + 1)
        beside, below = (58 / page_px, 46 / pixels) if panel.axes else (0, 0)  # for the numbers along a chart
        across, up = [x + 0.01 + beside, x + w - 0.01], [y + 0.01 + note + below, y + h - title]
        if panel.is_room:
            keys |= {f"scene{suffix}.domain.x": across, f"scene{suffix}.domain.y": up}
            distances[suffix] = _distance(panel.box, np.ptp(across) * page_px, np.ptp(up) * pixels)
        else:
            keys |= {f"xaxis{suffix}.domain": across, f"yaxis{suffix}.domain": up}
        keys |= {f"annotations[{index}].x": x + w / 2, f"annotations[{index}].y": up[1]}
        if panel.note:
            place = f"annotations[{next(notes)}]"
            keys |= {f"{place}.x": x + w / 2, f"{place}.y": up[0]}
    length = np.linalg.norm(list(EYE.values()))
    filling = {suffix: panel.box for suffix, panel in zip(distances, (p for p in panels if p.is_room)) if panel.fills}
    away = max((d for suffix, d in distances.items() if suffix not in filling), default=length)
    for suffix, box in filling.items():
        keys[f"scene{suffix}.aspectratio"] = dict(zip("xyz", _aspect(box) * away / distances[suffix]))
    keys["eye"] = {axis: round(away / length * along, 4) for axis, along in EYE.items()}
    return keys


def _stacked(count: int, narrow: bool):
    """Cells (left, bottom, width, height) of one large panel and a column (narrow: rows of two or three) of small ones."""
    small = count - 1
    if not narrow:
        large = 0.58 if small == 1 else 0.7
        return [(0, 0, large, 1), *((large, 1 - (i + 1) / small, 1 - large, 1 / small) for i in range(small))], 1
    columns = min(small, 3) if small != 4 else 2
    rows = -(-small // columns)
    low = STACKED_PX["row"] / (STACKED_PX["large"] + rows * STACKED_PX["row"])
    cells = [((i % columns) / columns, (rows - 1 - i // columns) * low, 1 / columns, low) for i in range(small)]
    return [(0, rows * low, 1, 1 - rows * low), *cells], rows


def _animate(figure: go.Figure, moving: list, seconds_per_frame: float, names: Sequence[str] | None, start: int) -> None:
    for index, lines in moving:
        figure.data[index].update(dict(zip("xyz", lines[start].T)))
    traces = [index for index, _ in moving]
    names = names or [f"{k * seconds_per_frame:.2f} s" for k in range(len(moving[0][1]))]
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
        sliders=[dict(active=start, steps=steps, x=0.22, len=0.78, y=-0.02, currentvalue=dict(visible=False), pad=dict(t=8))],
        margin_b=70,
    )
    figure.layout.meta |= dict(frame_ms=1000 * seconds_per_frame, start=start)


def _moved(trace, line: np.ndarray):
    """The trace's type with new coordinates and nothing else."""
    return type(trace)(dict(zip("xyz", line.T)))
