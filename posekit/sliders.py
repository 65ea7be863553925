"""Figures with a slider over something other than time: a person's size, a change to a scene, how long a network learned."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.colors import CAMERA, COLORS
from posekit.drawing import EYE, UNNAMED, Layer, Panel, show
from posekit.figures import (
    CHART_AXIS,
    LOG_AXIS,
    camera_lines,
    drawn_cameras,
    image_panel,
    joined,
    reprojection_panels,
    room_around,
)
from posekit.samples import Views
from posekit.scenes import Scene
from posekit.skeleton import Skeleton

STEPS_PER_SECOND = 3.0  # when the slider plays by itself
SCENES_PER_SECOND = 0.7


def scaled_from(camera: Cameras, pose_world: Float[Tensor, "J 3"], sizes: Float[Tensor, " F"]) -> Float[Tensor, "F J 3"]:
    """A person so many times as large and as far away from a camera (without leading axes); world metres."""
    return camera.camera_to_world(sizes[:, None, None] * camera.world_to_camera(pose_world))


def sizes_figure(
    pose_world: Float[Tensor, "J 3"],
    cameras: Cameras,
    view_names: tuple[str, ...],
    skeleton: Skeleton,
    sizes: Sequence[float],
    start: int = 0,
    **options,
) -> go.Figure:
    """A person who grows and moves away along the rays of the first camera, over the person as they are, in grey.

    The room shows these rays, and beside it is what every camera sees. In the first camera's image nothing moves. The
    slider also says by how many pixels each image moves, on average.

    Args:
        pose_world: world metres.
        cameras: (V,).
        view_names: V names.
        sizes: how many times as large and as far away, one for each step of the slider.
        start: the step shown first, and in the still picture.
    """
    grown = scaled_from(cameras[0], pose_world, torch.tensor(sizes))
    seen, before = cameras.world_to_pixels(grown.unsqueeze(1)), cameras.world_to_pixels(pose_world)  # (F, V, J, 2)
    room = Panel(
        "the room",
        [Layer(pose_world.unsqueeze(0), skeleton, ghost=True, name="as before"), Layer(grown, skeleton)],
        box=_box(grown.flatten(0, 1), cameras.centers_world[:1]),
        extra=[*drawn_cameras(cameras[:1], view_names[:1]), _rays(cameras[0].centers_world, grown[sizes.index(max(sizes))])],
    )
    images = [
        image_panel(
            f"camera {name}",
            [Layer(before[None, view], skeleton, ghost=True, name="as before"), Layer(seen[:, view], skeleton)],
            cameras[view],
        )
        for view, name in enumerate(view_names)
    ]
    moved_px = (seen - before).norm(dim=-1).nanmean(dim=-1)  # (F, V)
    first, *others = view_names
    alt = (
        f"A person who grows and moves away along the rays of camera {first}, over the person as they were, in grey. In the "
        f"image of {first} the two cover each other at every size; in those of {' and '.join(others)} they part, the farther "
        "the more the size differs from 1."
    )
    names = [_in_words(size, moved, view_names) for size, moved in zip(sizes, moved_px.tolist())]
    options = dict(frame_rate=STEPS_PER_SECOND, frame_names=names, start=start, height=480) | options
    figure = show([room, *images], alt, arrange="stack", **options)
    figure.layout.meta |= dict(steps="size", loop=(0, len(sizes) - 1, False))  # there and back
    return figure


def _in_words(size: float, moved_px: list[float], view_names: tuple[str, ...]) -> str:
    moves = ", ".join(f"{name} {px:.0f} px" for name, px in zip(view_names, moved_px))
    return f"{size:.2f} times as large; moved: {moves}"


def _rays(center_world: Tensor, pose_world: Tensor) -> go.Scatter3d:
    """From a camera through each joint of a pose."""
    x, y, z = joined(center_world.expand_as(pose_world), pose_world).numpy().T
    return go.Scatter3d(x=x, y=y, z=z, mode="lines", line=dict(color=CAMERA, width=1), **UNNAMED)


def _box(*points_world: Tensor) -> tuple:
    """Half metres around people and cameras, with some room, down to the lowest foot."""
    points = torch.cat(points_world)
    points = points[points.isfinite().all(-1)]
    (x0, y0, low), (x1, y1, high) = points.amin(0).tolist(), points.amax(0).tolist()
    across, along = ((math.floor(2 * least - 0.6) / 2, math.ceil(2 * most + 0.6) / 2) for least, most in ((x0, x1), (y0, y1)))
    return across, along, (min(0.0, low) - 0.1, max(2.2, high + 0.3))


def scenes_figure(scenes: dict[str, Scene], skeleton: Skeleton, start: int = 1, **options) -> go.Figure:
    """One drawn person after the other in a room, and what their camera sees, over the first of them, in grey.

    Args:
        scenes: one person each, by what the slider says of them.
        skeleton: of all people.
        start: the step shown first, and in the still picture.
    """
    poses = torch.cat([scene.poses_world for scene in scenes.values()])
    seen = torch.cat([scene.cameras.screen_to_pixels(scene.screen()) for scene in scenes.values()])
    pyramids = torch.stack([camera_lines(scene.cameras, depth=0.4) for scene in scenes.values()])
    first, camera = next(iter(scenes)), next(iter(scenes.values())).cameras[0]
    line = go.Scatter3d(mode="lines", line=dict(color=CAMERA, width=3), **UNNAMED)
    room = Panel(
        "the room",
        [Layer(poses[:1], skeleton, ghost=True, name=first), Layer(poses, skeleton)],
        box=room_around(poses[:, 0], *[scene.cameras.centers_world for scene in scenes.values()], margin=0.2),
        moving=[(line, pyramids)],
    )
    layers = [Layer(seen[:1], skeleton, ghost=True, name=first), Layer(seen, skeleton)]
    image = image_panel("what the camera sees", layers, camera)
    alt = (
        f"A room with one person and one camera, and the picture that the camera sees, in {len(scenes)} steps: "
        f"{', '.join(scenes)}. In grey, {first}."
    )
    options = dict(frame_rate=SCENES_PER_SECOND, frame_names=list(scenes), start=start) | options
    figure = show([room, image], alt, arrange=_room_beside_image, **options)
    figure.layout.meta |= dict(steps="change")
    return figure


def _room_beside_image(narrow: bool) -> tuple[list[tuple], int]:
    if narrow:
        return [(0, 0.42, 1, 0.58), (0.1, 0, 0.8, 0.42)], 560
    return [(0, 0, 0.6, 1), (0.6, 0, 0.4, 1)], 400


def training_figure(
    poses_camera: Float[Tensor, "F V J 3"],
    views: Views,
    true_world: Float[Tensor, "J 3"],
    epochs: Sequence[int],
    errors_mm: Sequence[float],
    view_names: tuple[str, ...],
    skeleton: Skeleton,
    start: int = -1,
    **options,
) -> go.Figure:
    """How a lifter learns: what it makes of one moment after so many epochs, and the error there, on one slider.

    The guesses from all views stand side by side, each over the true pose, in grey. Beside them are their V x V
    reprojections over what the cameras saw; below, a mark moves along the error curve.

    Args:
        poses_camera: the moment lifted from every view after each of the epochs, in that view's camera frame.
        views: the moment, without leading axes.
        true_world: the true pose, world metres.
        epochs, errors_mm: the curve, with a step of the slider at each point of it.
        view_names: V names.
        start: the step shown first, and in the still picture; by default the last.
    """
    curve = torch.tensor([list(map(float, epochs)), list(map(float, errors_mm))]).T  # (F, 2)
    ground = true_world[:1] * true_world.new_tensor([1.0, 1.0, 0.0])
    guesses = views.cameras.camera_to_world(poses_camera) - ground  # kept over the middle of the floor
    panels = [
        _side_by_side(guesses, (true_world - ground).unsqueeze(0), view_names, skeleton),
        _curve_panel(curve),
        *reprojection_panels(poses_camera, views, view_names, skeleton),
    ]
    alt = (
        f"What a network makes of one moment as it learns: {len(epochs)} steps from epoch {epochs[0]} to {epochs[-1]}, and the "
        f"error at each. In 3D the {len(view_names)} guesses from {', '.join(view_names)} stand side by side, each over the "
        "true pose, in grey; beside them are their reprojections into all views over what was seen, in grey; "
        f"and a mark on the curve of the test error, which goes from {errors_mm[0]:.0f} to {errors_mm[-1]:.0f} mm."
    )
    names = [f"after epoch {epoch}: {error:.0f} mm" for epoch, error in zip(epochs, errors_mm)]
    options = dict(frame_rate=STEPS_PER_SECOND, frame_names=names, start=start % len(names)) | options
    figure = show(panels, alt, arrange=_training_places, **options)
    figure.layout.meta |= dict(steps="epoch")
    return figure


def _side_by_side(
    guesses: Float[Tensor, "F V J 3"], true: Float[Tensor, "1 J 3"], view_names: tuple[str, ...], skeleton: Skeleton
) -> Panel:
    """Every view's guess over the true pose, a step to the right of that of the view before it, and its name above it."""
    right = true.new_tensor([-EYE["y"], EYE["x"], 0.0]) / math.hypot(EYE["x"], EYE["y"])
    places = [(view - (len(view_names) - 1) / 2) * right for view in range(len(view_names))]
    people = [
        layer
        for view, place in enumerate(places)
        for layer in (Layer(true + place, skeleton, ghost=True), Layer(guesses[:, view] + place, skeleton))
    ]
    x, y, _ = torch.stack(places).T.numpy()
    said = go.Scatter3d(
        x=x,
        y=y,
        z=[2.0] * len(view_names),
        mode="text",
        text=list(view_names),
        textfont=dict(color=COLORS["centre"], size=13),
        **UNNAMED,
    )
    reach = 0.5 * math.ceil(2 * (max(map(abs, [*x, *y])) + 0.5))
    return Panel("lifted from", people, box=((-reach, reach), (-reach, reach), (0.0, 2.2)), extra=[said])


def _curve_panel(curve: Tensor) -> Panel:
    """A curve of (epoch, millimetres), and a mark that moves along it."""
    line = go.Scatter(x=curve[:, 0].numpy(), y=curve[:, 1].numpy(), mode="lines", line=dict(color=COLORS["left"]), **UNNAMED)
    mark = go.Scatter(mode="markers", marker=dict(color=COLORS["right"], size=12), name="epoch", **UNNAMED)
    (first, low), (last, high) = curve.amin(0).tolist(), curve.amax(0).tolist()
    margin = 0.04 * (last - first) or 1.0
    x = dict(title=_small("epoch"), range=[first - margin, last + margin]) | CHART_AXIS
    y = dict(title=_small("mm"), range=[math.log10(low / 1.2), math.log10(high * 1.2)]) | LOG_AXIS | CHART_AXIS
    return Panel("test error (report_mpjpe)", [], extra=[line], moving=[(mark, curve.unsqueeze(1))], axes=(x, y))


def _small(text: str) -> dict:
    return dict(text=text, font=dict(size=13), standoff=4)


def _training_places(narrow: bool) -> tuple[list[tuple], int]:
    """Room and curve on the left, the nine reprojections on the right; on a phone they lie below."""
    if narrow:
        grid = [(column / 3, 0.45 - 0.15 * (row + 1), 1 / 3, 0.15) for row in range(3) for column in range(3)]
        return [(0, 0.71, 1, 0.29), (0, 0.46, 1, 0.25), *grid], 700
    grid = [(0.43 + 0.19 * column, 1 - (row + 1) / 3, 0.19, 1 / 3) for row in range(3) for column in range(3)]
    return [(0, 0.4, 0.43, 0.6), (0, 0, 0.43, 0.4), *grid], 450
