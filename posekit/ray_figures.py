"""Figures of rays: where the views of a joint meet, and how far from the joint."""

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.colors import CAMERA, COLORS, GHOST
from posekit.drawing import UNNAMED, Layer, Panel, show
from posekit.figures import drawn_cameras, joined, room_around
from posekit.skeleton import Skeleton

POINTS = (COLORS["right"], COLORS["left"])
"""The colours of the points, in their order."""


def rays_figure(
    pixels: Float[Tensor, "S V 2"],
    points_world: dict[str, Float[Tensor, "S 3"]],
    pose_world: Float[Tensor, "J 3"],
    joint: str,
    cameras: Cameras,
    view_names: tuple[str, ...],
    skeleton: Skeleton,
    step_names: list[str],
    alt: str,
    start: int = 0,
    reach: float = 0.2,
    **options,
) -> go.Figure:
    """The rays on which the views see one joint, step by step, and the points made of them, over the true person in grey.

    The large panel shows a box around the joint, on a grid of 10 cm, and what lies in it of each ray, with its camera's name;
    the small one the room. Beside each step's name stands how far the points are from the joint.

    Args:
        pixels: where each view sees the joint at every step.
        points_world: one or two, by their name in the key, metres.
        pose_world: the true person.
        joint: its name in the skeleton.
        cameras: (V,).
        step_names: what the slider says.
        alt: what a reader who cannot see the figure should know.
        start: the step that is shown at first.
        reach: half the width of the box, metres.
    """
    true = pose_world[skeleton.index(joint)]
    points = {name: places.to(true).unsqueeze(1) for name, places in points_world.items()}
    far = 1.2 * cameras.world_to_camera(true.view(1, 3))[..., 2:]  # past the joint
    ends = cameras.camera_to_world(far * cameras.pixels_to_rays(pixels.unsqueeze(-2))).squeeze(-2)  # (S, V, 3)
    starts = cameras.centers_world.expand_as(ends)
    bones = tuple(pose_world[list(joints)] for joints in zip(*skeleton.bones))

    person = Layer(pose_world.unsqueeze(0), skeleton, ghost=True)
    around, extra = room_around(pose_world[:1], cameras.centers_world), drawn_cameras(cameras, view_names)
    room = Panel("the room", [person], box=around, fills=True, extra=extra, moving=[(_line(CAMERA, 3), joined(starts, ends))])

    names = [f"{step}: {off}" for step, off in zip(step_names, _errors_in_words(points, true))]
    look = dict(arrange="stack", frame_rate=2.0, frame_names=names, start=start, height=460)
    close = _close_panel((starts, ends), view_names, bones, points, true, reach)
    figure = show([close, room], alt, **look | options)
    figure.layout.meta |= dict(steps="step")
    return figure


def _close_panel(
    rays: tuple[Tensor, Tensor],
    view_names: tuple[str, ...],
    bones: tuple[Tensor, Tensor],
    points: dict[str, Tensor],
    true: Tensor,
    reach: float,
) -> Panel:
    """What lies in a box around the true joint: rays and bones, each as starts and ends, and lines from it to the points."""
    corner = true - torch.tensor([0.0, 0.0, 0.75 * reach])  # the middle of the box's floor
    box = ((-reach, reach), (-reach, reach), (0.0, 1.5 * reach))
    limbs = clipped(*(ends - corner for ends in bones), box).numpy()
    joint = (true - corner).numpy()[:, None]
    still = [_line(GHOST, 3, **dict(zip("xyz", limbs.T))), _point(GHOST, 9, **dict(zip("xyz", joint)))]
    inside = clipped(*(ends - corner for ends in rays), box)
    said = go.Scatter3d(mode="text", text=list(view_names), textfont=dict(color=CAMERA, size=13), **UNNAMED)
    moving = [
        (_line(CAMERA, 4, name="ray from a camera", showlegend=True), inside),
        (said, (inside[..., ::3, :] + torch.tensor([0.0, 0.0, 0.08 * reach])).clamp(max=1.4 * reach)),  # where a ray comes in
    ]
    for (name, places), color in zip(points.items(), POINTS):
        moving.append((_line(color, 3), torch.cat([true.expand_as(places), places], dim=1) - corner))
        moving.append((_point(color, 8, name=name, showlegend=True), places - corner))
    return Panel("close to the joint, on a grid of 10 cm", [], box=box, extra=still, moving=moving)


def clipped(
    starts: Float[Tensor, "*batch N 3"], ends: Float[Tensor, "*batch N 3"], box: tuple[tuple[float, float], ...]
) -> Float[Tensor, "*batch points 3"]:
    """The parts of lines that lie in a box, each as start, end and a gap; NaN for a line that passes it by."""
    low, high = starts.new_tensor(box).T
    way = ends - starts
    sides = torch.stack([(low - starts) / way, (high - starts) / way])  # where on its way a line crosses them
    first = sides.amin(0).amax(-1, keepdim=True).clamp(min=0)
    last = sides.amax(0).amin(-1, keepdim=True).clamp(max=1)
    return joined(*((starts + share * way).where(first < last, torch.nan) for share in (first, last)))


def _errors_in_words(points: dict[str, Tensor], true: Tensor) -> list[str]:
    """For every step how far each point is from the true one."""
    off = [1000 * (place - true).norm(dim=-1).flatten() for place in points.values()]
    names = [f"{name} " for name in points] if len(points) > 1 else [""]
    return [", ".join(f"{name}{mm:.0f} mm" for name, mm in zip(names, step)) for step in zip(*off)]


def _line(color: str, width: int, **where) -> go.Scatter3d:
    return go.Scatter3d(mode="lines", line=dict(color=color, width=width), **UNNAMED | where)


def _point(color: str, size: int, **options) -> go.Scatter3d:
    marker = dict(color=color, size=size, line=dict(width=0))
    return go.Scatter3d(mode="markers", marker=marker, line=dict(color=color), **UNNAMED | options)
