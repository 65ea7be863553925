"""Figures of rigs: the line on which one view's joint must lie in another, and cameras that move to their places."""

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.colors import CAMERA, COLORS, GHOST
from posekit.drawing import UNNAMED, Layer, Panel, show
from posekit.figures import camera_lines
from posekit.skeleton import Skeleton

LINE_POINTS = 24
NEAR, FAR = 0.2, 20.0  # where an epipolar line begins and ends, in distances between the two cameras


def epipolar_lines(pixels: Float[Tensor, "*J 2"], first: Cameras, second: Cameras) -> Float[Tensor, "*J P 2"]:
    """Where the points of one image can be in another: the image of each point's ray. NaN behind the second camera.

    Args:
        pixels: in the first camera's image.
        first, second: cameras without leading axes. A lens bends the lines.
    """
    base = (second.centers_world - first.centers_world).norm()
    inverse = torch.linspace(1 / NEAR, 1 / FAR, LINE_POINTS).to(pixels) / base
    along = first.pixels_to_rays(pixels).unsqueeze(-2) / inverse.unsqueeze(-1)
    points = second.world_to_camera(first.camera_to_world(along))
    visible = points[..., 2:] > 0.05 * base
    return second.camera_to_pixels(points).where(visible, torch.nan)


def epipolar_figure(
    pixels: Float[Tensor, "2 J 2"], cameras: Cameras, view_names: tuple[str, str], skeleton: Skeleton, **options
) -> go.Figure:
    """Two views of one moment; for each joint of the first, as the slider moves over them, its line in the second.

    Args:
        pixels: 2D joints, none missing.
        cameras: (2,); of their extrinsics only the pose of one relative to the other counts, and not its length.
        view_names: two names.
    """
    lines = epipolar_lines(pixels[0], cameras[0], cameras[1])
    width, height = cameras.image_size_px[1]
    inside = (lines > -0.02 * width) & (lines < 1.02 * torch.stack([width, height]))
    lines = lines.where(inside.all(-1, keepdim=True), torch.nan)
    dots = [(_dot(), pixels[view].unsqueeze(1)) for view in (0, 1)]
    stroke = go.Scatter(mode="lines", line=dict(color=COLORS["right"], width=2.5), **UNNAMED)
    moving = ([dots[0]], [(stroke, lines), dots[1]])
    panels = [
        Panel(
            f"camera {name}",
            [Layer(pixels[view : view + 1], skeleton, ghost=True, name="seen")],
            tuple(size.tolist()),
            moving=traces,
        )
        for view, (name, size, traces) in enumerate(zip(view_names, cameras.image_size_px, moving))
    ]
    alt = (
        f"One joint of a person seen by cameras {' and '.join(view_names)}, and in the second image the line of all places "
        "where it can be. The joint lies on the line. A slider goes from joint to joint."
    )
    names = [joint.replace("_", " ") for joint in skeleton.joints]
    return _stepped(show(panels, alt, frame_rate=1.0, frame_names=names, **{"height": 320} | options), "joint")


def _dot() -> go.Scatter:
    return go.Scatter(mode="markers", marker=dict(color=COLORS["left"], size=11), **UNNAMED)


def moving_rig_figure(
    cameras: Cameras,
    poses_world: Float[Tensor, "S J 3"],
    true: Cameras,
    skeleton: Skeleton,
    step_names: list[str],
    alt: str,
    **options,
) -> go.Figure:
    """Cameras that move step by step, with a person as they see it, over the true cameras in grey.

    Args:
        cameras: (S, V), one rig per step.
        poses_world: the person triangulated at each step, in the world of the true cameras.
        true: (V,).
        step_names: what the slider says.
    """
    places = torch.cat([true.centers_world, cameras.centers_world.flatten(0, 1)])
    low, high = (places.amin(0) - 0.9).tolist(), (places.amax(0) + 0.9).tolist()
    box = (low[0], high[0]), (low[1], high[1]), (0.0, max(2.4, high[2]))
    x, y, z = camera_lines(true).numpy().T
    ghosts = go.Scatter3d(x=x, y=y, z=z, mode="lines", line=dict(color=GHOST, width=2), **UNNAMED)
    rig = go.Scatter3d(mode="lines", line=dict(color=CAMERA, width=4), **UNNAMED)
    moving = [(rig, camera_lines(cameras))]
    panel = Panel("", [Layer(poses_world, skeleton)], box=box, extra=[ghosts], moving=moving)
    figure = show([panel], alt, frame_rate=2.0, frame_names=step_names, **{"height": 440} | options)
    return _stepped(figure, "step")


def _stepped(figure: go.Figure, what: str) -> go.Figure:
    """Name what the slider goes over, for those who cannot see it."""
    figure.layout.meta |= dict(steps=what)
    return figure
