"""Figures of rigs: cameras that move to their places."""

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.colors import CAMERA, GHOST
from posekit.drawing import UNNAMED, Layer, Panel, show
from posekit.figures import camera_lines
from posekit.skeleton import Skeleton


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
    still, moved = camera_lines(true), camera_lines(cameras)
    shown = torch.cat([still, moved.flatten(0, 1), poses_world.flatten(0, 1)])
    low, high = (f(shown[shown.isfinite().all(-1)], dim=0) for f in (torch.amin, torch.amax))
    (x0, y0, _), (x1, y1, top) = (low - 0.1).tolist(), (high + 0.1).tolist()
    box = (x0, x1), (y0, y1), (0.0, top)
    x, y, z = still.numpy().T
    ghosts = go.Scatter3d(x=x, y=y, z=z, mode="lines", line=dict(color=GHOST, width=2), **UNNAMED)
    rig = go.Scatter3d(mode="lines", line=dict(color=CAMERA, width=4), **UNNAMED)
    moving = [(rig, moved)]
    panel = Panel("", [Layer(poses_world, skeleton)], box=box, extra=[ghosts], moving=moving)
    figure = show([panel], alt, frame_rate=2.0, frame_names=step_names, **{"height": 440} | options)
    figure.layout.meta |= dict(steps="step")  # what the slider goes over, for those who cannot see it
    return figure
