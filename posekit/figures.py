"""The book's figures: poses, drawn people, views, reprojections, curves, bars. `drawing` defines their look."""

import plotly.graph_objects as go
import torch
from torch import Tensor

from posekit.cameras import Cameras
from posekit.colors import CAMERA, GHOST, LINES
from posekit.drawing import LOOK, UNNAMED, Layer, Panel, show
from posekit.losses import reprojections
from posekit.metrics import mean_of_present, mpjpe, root_error
from posekit.renaming import renamed
from posekit.samples import Views
from posekit.scenes import Scene
from posekit.skeleton import Skeleton

PERSON_BOX = ((-1.0, 1.0), (-1.0, 1.0), (0.0, 2.0))  # the same for every pose that an explorer shows
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")

LOG_AXIS = dict(type="log", tickvals=[m * 10**e for e in range(-2, 5) for m in (1, 2, 3, 5, 7)], tickformat="~g")

CHART_AXIS = dict(
    gridcolor="rgba(138,138,138,0.3)", zeroline=False, linecolor=GHOST, fixedrange=True
)  # a drag or swipe moves no axis


def _still(poses: Tensor) -> Tensor:
    """Poses with a frame axis: (J, D) becomes (1, J, D)."""
    return poses if poses.ndim == 3 else poses.unsqueeze(0)


def _follow(poses: Tensor, leader: Tensor) -> Tensor:
    """Move the leader's root over the middle of the floor; the poses keep their place relative to it."""
    ground = leader[..., :1, :] * leader.new_tensor([1.0, 1.0, 0.0])
    return poses - ground


def pose_figure(
    poses_world: Tensor, skeleton: Skeleton, title: str = "", frame_rate: float | None = None, **options
) -> go.Figure:
    """One person in 3D, kept over the middle of the floor: poses (J, 3) or (F, J, 3), world metres."""
    poses = _still(poses_world)
    panel = Panel(title, [Layer(_follow(poses, poses), skeleton)])
    return show(
        [panel],
        f"A skeleton in 3D on a grid floor, blue on its left, orange on its right. {title}".strip(),
        frame_rate=frame_rate,
        **options,
    )


@renamed(truth_world="true_world")
def comparison_figure(
    lifted_world: dict[str, Tensor],
    true_world: Tensor,
    skeleton: Skeleton,
    frame_rate: float | None = None,
    tint: bool = False,
    **options,
) -> go.Figure:
    """Lifted poses side by side, one panel per method, each over the true pose, thin and grey. All in world metres.

    Under each panel stand its `mpjpe` and `root_error`, means over the frames; the caption says what they are.

    Args:
        lifted_world: (J, 3) or (F, J, 3) by the title of the panel.
        true_world: the same frames.
        tint: colour each joint by its mean distance from the true one, roots together.
    """
    true = _still(true_world)
    ghost = Layer(_follow(true, true), skeleton, ghost=True)
    panels = []
    for name, poses in lifted_world.items():
        lifted = _still(poses)
        errors = 1000 * mean_of_present(mpjpe.per_joint(lifted, true), dim=0) if tint else None
        person = Layer(_follow(lifted, true), skeleton, errors_mm=errors)
        panels.append(Panel(name, [ghost, person], note=_errors_in_words(lifted, true)))
    redder = "; the redder a joint, the farther it is off with the roots together" if tint else ""
    alt = f"Lifted skeletons in colour over the true one in grey, side by side: {', '.join(lifted_world)}{redder}."
    height = 340 if len(panels) > 2 else 420
    figure = show(panels, alt, frame_rate=frame_rate, **{"height": height, **options})
    means = ", each a mean over the whole clip" if frame_rate else ""
    caption = f"{alt} Under each: mpjpe, how far joints are off with the roots together, and root, how far the root is{means}."
    figure.layout.meta |= {"roots": True, "caption": caption}  # pages offer to put the roots together
    return figure


def _errors_in_words(lifted: Tensor, true: Tensor) -> str:
    shape, root = (1000 * metric(lifted, true).nanmean() for metric in (mpjpe, root_error))
    return f"mpjpe {shape:.0f} mm<br>root {root:.0f} mm"  # two lines, for narrow panels


@renamed(truth_world="true_world")
def lifting_figure(
    pixels: Tensor,
    lifted_world: Tensor,
    true_world: Tensor,
    camera: Cameras,
    skeleton: Skeleton,
    titles: tuple[str, str] = ("seen", "lifted"),
    **options,
) -> go.Figure:
    """One moment: what one camera saw, and the pose lifted from it, each over the true pose in grey.

    Args:
        pixels: 2D joints (J, 2) in the camera's image.
        lifted_world, true_world: (J, 3), world metres.
        camera: without leading axes.
        titles: of the image and of the 3D panel.
    """
    true, lifted = _still(true_world), _still(lifted_world)
    image = [
        Layer(_still(camera.world_to_pixels(true_world)), skeleton, ghost=True),
        Layer(_still(pixels), skeleton),
    ]
    person = [Layer(_follow(true, true), skeleton, ghost=True), Layer(_follow(lifted, true), skeleton)]
    panels = [
        image_panel(titles[0], image, camera),
        Panel(titles[1], person, box=PERSON_BOX),
    ]
    alt = (
        f"On the left a 2D pose in an image ({titles[0]}), on the right a pose in 3D ({titles[1]}), both in colour over the "
        "true one in grey."
    )
    return show(panels, alt, **options)


def scene_figure(
    poses_world: Tensor,
    cameras: Cameras,
    view_names: tuple[str, ...],
    skeleton: Skeleton,
    frame_rate: float | None = None,
    pixels: Tensor | None = None,
    **options,
) -> go.Figure:
    """A person in a room with the cameras that see them, and what each camera sees.

    Args:
        poses_world: (J, 3) or (F, J, 3), world metres.
        cameras: leading axis (V,).
        view_names: V names.
        pixels: the detections, (V, J, 2) or (F, V, J, 2); by default what exact ones would be.
    """
    poses = _still(poses_world)
    if pixels is None:
        pixels = cameras.world_to_pixels(poses.unsqueeze(1))
    pixels = pixels if pixels.ndim == 4 else pixels.unsqueeze(0)
    box = room_around(poses[:, 0], cameras.centers_world)
    room = Panel("the room", [Layer(poses, skeleton)], box=box, extra=drawn_cameras(cameras, view_names))
    images = [
        image_panel(f"camera {name}", [Layer(pixels[:, view], skeleton)], cameras[view]) for view, name in enumerate(view_names)
    ]
    alt = (
        f"A room with a person in 3D and {len(view_names)} cameras around them, drawn as pyramids; beside it, the 2D pose "
        f"that each of the cameras {', '.join(view_names)} sees."
    )
    look = dict(arrange="stack", frame_rate=frame_rate, height=440)
    return show([room, *images], alt, **look | options)


def rooms_figure(scenes: dict[str, Scene], skeleton: Skeleton, alt: str, **options) -> go.Figure:
    """Drawn people in the room with the cameras that see them, one panel per scene.

    Args:
        scenes: by the title of the panel.
        skeleton: of all people.
        alt: what a reader who cannot see the figure should know.
        options: of `drawing.show`, such as `columns` or `height`.
    """
    box = room_around(*[torch.cat([scene.poses_world[:, 0], scene.cameras.centers_world]) for scene in scenes.values()])
    panels = [
        Panel(title, [Layer(_still(pose), skeleton) for pose in scene.poses_world], box=box, extra=[_frusta(scene.cameras)])
        for title, scene in scenes.items()
    ]
    figure = show(panels, alt, **options)
    figure.update_traces(line_width=4, marker_size=1.5, selector=dict(type="scatter3d", mode="lines+markers"))
    return figure


def room_around(*points_world: Tensor, margin: float = 0.3) -> tuple:
    """A box on the floor, of half metres, around people's roots and cameras."""
    points = torch.cat(points_world)
    low, high = (2 * (points.amin(0) - margin)).floor() / 2, (2 * (points.amax(0) + margin)).ceil() / 2
    (x0, y0, _), (x1, y1, _) = low.tolist(), high.tolist()
    return (x0, x1), (y0, y1), (0.0, max(2.2, points[:, 2].amax().item() + 0.5))


def pictures_figure(scenes: dict[str, Scene], skeleton: Skeleton, alt: str, **options) -> go.Figure:
    """What the camera of each scene's first person sees, one image per scene; arguments as `rooms_figure`'s."""
    panels = []
    for title, scene in scenes.items():
        seen = scene.cameras.screen_to_pixels(scene.screen())[:1]
        panels.append(image_panel(title, [Layer(seen, skeleton)], scene.cameras[0]))
    return show(panels, alt, **{"height": 240, **options})


def image_panel(title: str, layers: list[Layer], camera: Cameras) -> Panel:
    """2D poses in the image of a camera (without leading axes), in its pixels."""
    return Panel(title, layers, image_size=tuple(camera.image_size_px.tolist()))


def camera_lines(cameras: Cameras, depth: float = 0.7) -> Tensor:
    """Each camera (*batch, V) as a pyramid from its centre to its image corners at a depth in metres: (*batch, N, 3).

    A NaN ends a line.
    """
    corners = cameras.image_size_px.unsqueeze(-2) * torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]]).to(cameras.image_size_px)
    corners = cameras.camera_to_world(depth * cameras.pixels_to_rays(corners))  # (*batch, V, 4, 3)
    center, gap = cameras.centers_world.unsqueeze(-2), torch.full_like(corners[..., :1, :], torch.nan)
    spokes = torch.stack([center.expand_as(corners), corners, gap.expand_as(corners)], dim=-2).flatten(-3, -2)
    rim = torch.cat([corners, corners[..., :1, :], gap], dim=-2)
    return torch.cat([spokes, rim], dim=-2).flatten(-3, -2)


def joined(starts: Tensor, ends: Tensor) -> Tensor:
    """N lines, from starts (N, 3) to ends, as one of 3 N points with a gap (NaN) after each; leading axes stay."""
    return torch.stack([starts, ends, torch.full_like(ends, torch.nan)], dim=-2).flatten(-3, -2)


def drawn_cameras(cameras: Cameras, view_names: tuple[str, ...]) -> list[go.Scatter3d]:
    """Cameras (V,) in a room: a pyramid for each, and its name."""
    return [_frusta(cameras), _labels(cameras, view_names)]


def _frusta(cameras: Cameras) -> go.Scatter3d:
    x, y, z = camera_lines(cameras).numpy().T
    return go.Scatter3d(x=x, y=y, z=z, mode="lines", line=dict(color=CAMERA, width=3), **UNNAMED)


def _labels(cameras: Cameras, names: tuple[str, ...]) -> go.Scatter3d:
    x, y, z = (cameras.centers_world + torch.tensor([0, 0, 0.35])).numpy().T
    return go.Scatter3d(x=x, y=y, z=z, mode="text", text=list(names), textfont=dict(color=CAMERA, size=13), **UNNAMED)


def views_figure(pixels: Tensor, cameras: Cameras, view_names: tuple[str, ...], skeleton: Skeleton, **options) -> go.Figure:
    """2D poses (V, J, 2) in their images."""
    panels = [
        image_panel(f"camera {name}", [Layer(_still(pixels[view]), skeleton)], cameras[view])
        for view, name in enumerate(view_names)
    ]
    return show(
        panels, f"The same moment as 2D poses in the images of cameras {', '.join(view_names)}.", **{"height": 240, **options}
    )


def reprojection_panels(poses_camera: Tensor, views: Views, view_names: tuple[str, ...], skeleton: Skeleton) -> list[Panel]:
    """The panels of `reprojection_figure`, row by row, for poses (F, V, J, 3) that are lifted anew in every frame."""
    with torch.no_grad():
        projected = views.cameras.screen_to_pixels(reprojections(poses_camera, views.cameras))  # (F, V, V, J, 2)
    seen = views.cameras.screen_to_pixels(views.screen)
    return [
        image_panel(
            f"{lifted_from} in {seen_by}",
            [Layer(_still(seen[j]), skeleton, ghost=True, name="seen", dots=True), Layer(projected[:, i, j], skeleton)],
            views.cameras[j],
        )
        for i, lifted_from in enumerate(view_names)
        for j, seen_by in enumerate(view_names)
    ]


def reprojection_figure(
    poses_camera: Tensor, views: Views, view_names: tuple[str, ...], skeleton: Skeleton, **options
) -> go.Figure:
    """One moment's V x V reprojections in colour over the 2D poses seen, in grey: row = lifted from, column = seen by.

    Args:
        poses_camera: one moment's lifted poses (V, J, 3), each in its view's camera frame.
        views: the same moment, without leading axes: `views.screen` is (V, J, 2).
    """
    panels = reprojection_panels(poses_camera.unsqueeze(0), views, view_names, skeleton)
    alt = (
        "In each row the pose lifted from one camera, projected into every camera, in colour over the 2D pose seen there, in "
        f"grey. These are {len(panels)} small images."
    )
    return show(panels, alt, arrange="grid", **{"height": 560, **options})


def curve_figure(curves: dict[str, tuple[list, list]], x_title: str, y_title: str, alt: str, log_y: bool = False) -> go.Figure:
    """Named curves of (x values, y values); None and NaN leave gaps."""
    figure = go.Figure()
    for (name, (x, y)), color, dash in zip(curves.items(), LINES * 3, DASHES * 3):
        figure.add_trace(go.Scatter(x=x, y=y, name=name, mode="lines", line=dict(color=color, dash=dash, width=2)))
    figure.update_layout(**LOOK | dict(margin=dict(l=60, r=10, t=20, b=50), height=380, dragmode=False))
    figure.update_layout(
        xaxis=dict(title=x_title, **CHART_AXIS),
        yaxis=dict(title=y_title, **(LOG_AXIS if log_y else {}), **CHART_AXIS),
        legend=dict(x=0, xanchor="left", y=1.02, yanchor="bottom"),  # above, where it hides no line
        showlegend=len(curves) > 1,
        meta=dict(alt=alt),
    )
    return figure


def bar_figure(bars: dict[str, dict[str, float]], x_title: str, alt: str) -> go.Figure:
    """Horizontal bars with their values, from zero: for each series (named in the legend) a value by label.

    Labels come from the top in the order of the first series. Bars are thick lines, so that pages need not load plotly's.
    """
    labels = list(dict.fromkeys(label for values in bars.values() for label in values))
    figure = go.Figure()
    for place, ((name, values), color) in enumerate(zip(bars.items(), LINES)):
        rows = [labels.index(label) + 0.8 * ((place + 0.5) / len(bars) - 0.5) for label in values]
        lengths = [end for value in values.values() for end in (0.0, value, None)]
        heights = [end for row in rows for end in (row, row, None)]
        line = dict(mode="lines", line=dict(color=color, width=18), hoverinfo="skip")
        figure.add_trace(go.Scatter(x=lengths, y=heights, name=name, **line))
        said = dict(mode="text", text=[f" {value:.1f}" for value in values.values()], textposition="middle right", **UNNAMED)
        figure.add_trace(go.Scatter(x=list(values.values()), y=rows, cliponaxis=False, **said))
    longest = max(value for values in bars.values() for value in values.values())
    figure.update_layout(**LOOK | dict(margin=dict(l=8, r=48, t=30, b=50), dragmode=False))  # r: a value beside it
    figure.update_layout(
        height=100 + (14 + 22 * len(bars)) * len(labels),
        xaxis=dict(title=x_title, range=[0, 1.02 * longest], **CHART_AXIS),
        yaxis=dict(
            title="",
            range=[len(labels) - 0.5, -0.5],
            tickvals=list(range(len(labels))),
            ticktext=labels,
            ticksuffix=" ",
            showgrid=False,
            zeroline=False,
            automargin=True,
            fixedrange=True,
        ),
        legend=dict(x=0, xanchor="left", y=1.02, yanchor="bottom", traceorder="normal"),
        showlegend=len(bars) > 1,
        meta=dict(alt=alt),
    )
    return figure
