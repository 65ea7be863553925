"""Two views of one moment, and the line on which each joint of one view must lie in the other.

Lines are straight in undistorted pixels: those of a lens that bends nothing, with the camera's focal length and principal
point. Source: R. Hartley and A. Zisserman, "Multiple view geometry", 2004, chapter 9.
"""

import html
import json

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.calibration.relative import cross_matrix
from posekit.cameras import Cameras
from posekit.colors import CAMERA, COLORS
from posekit.skeleton import Skeleton

EPIPOLAR_CLASS = "pk-epipolar"
"""Class of the element that `epipolar_html` makes, by which the book's script finds it."""

AROUND = 1.2  # side of the pictures, in extents of the larger person
GAP, TITLE = 0.04, 0.08  # between the pictures and above them, in sides


def undistorted_pixels(pixels: Float[Tensor, "*points J 2"], cameras: Cameras) -> Float[Tensor, "*out J 2"]:
    """Pixels -> the pixels that a lens which bends nothing would have given."""
    rays = cameras.pixels_to_rays(pixels)[..., :2]
    return rays * cameras.focal_px.unsqueeze(-2) + cameras.center_px.unsqueeze(-2)


def fundamental_matrix(first: Cameras, second: Cameras) -> Float[Tensor, "*batch 3 3"]:
    """F, of norm 1, with `b^T F a = 0` for the images a and b of one point, as undistorted pixels (x, y, 1).

    So `F a` is the line on which b must lie, and `F^T b` that of a; (l, m, n) is the line l x + m y + n = 0.

    Args:
        first: sees a.
        second: sees b. Only its pose relative to the first counts, and not the length between them.
    """
    R = second.R_world_to_camera @ first.R_world_to_camera.mT
    t = second.t_world_to_camera - (R @ first.t_world_to_camera.unsqueeze(-1)).squeeze(-1)
    F = _pixels_to_rays(second).mT @ cross_matrix(t) @ R @ _pixels_to_rays(first)
    return F / F.norm(dim=(-2, -1), keepdim=True)


def _pixels_to_rays(cameras: Cameras) -> Tensor:
    """The matrix that takes undistorted pixels (x, y, 1) to rays (x, y, 1)."""
    matrix = torch.diag_embed(torch.cat([1 / cameras.focal_px, torch.ones_like(cameras.focal_px[..., :1])], dim=-1))
    matrix[..., :2, 2] = -cameras.center_px / cameras.focal_px
    return matrix


def epipolar_html(
    pixels: Float[Tensor, "2 J 2"], cameras: Cameras, view_names: tuple[str, str], skeleton: Skeleton, joint: str
) -> str:
    """A still picture of one moment in two views, undistorted, with a joint of the first and its line in the second.

    In the book a script makes of it a figure in which every joint of either view can be moved.

    Args:
        pixels: 2D joints, none missing.
        cameras: (2,)
        joint: name of the one whose line is shown.
    """
    poses = undistorted_pixels(pixels, cameras).double().numpy()
    low, high = poses.min(1), poses.max(1)
    side = AROUND * (high - low).max()
    corners = (low + high - side) / 2
    pair = {
        "joints": [name.replace("_", " ") for name in skeleton.joints],
        "bones": {name: [bone for bone in skeleton.bones if skeleton.sides[bone[1]] == name] for name in COLORS},
        "colors": COLORS | {"line": CAMERA},
        "side": round(side, 2),
        "views": [
            {"name": name, "left": round(x, 2), "top": round(y, 2), "pose": pose.round(3).tolist()}
            for name, (x, y), pose in zip(view_names, corners, poses)
        ],
        "F": fundamental_matrix(cameras[0], cameras[1]).tolist(),
        "joint": skeleton.index(joint),
    }
    script = json.dumps(pair, separators=(",", ":")).replace("<", "\\u003c")  # so that it cannot close the script element
    first, second = view_names
    what = f"The {pair['joints'][pair['joint']]} in camera {first}, and the line on which camera {second} must see it"
    what = html.escape(what, quote=True)
    return (
        f'<figure class="{EPIPOLAR_CLASS}"><script type="application/vnd.posekit.epipolar+json">{script}</script>'
        f'<div class="pk-still">{_still(pair, f"{what}. It passes through that joint.")}<p>{what}.</p></div></figure>'
    )


def _still(pair: dict, alt: str) -> str:
    """Both pictures side by side as SVG."""
    side, joint = pair["side"], pair["joint"]
    seen = [*pair["views"][0]["pose"][joint], 1]
    lines = ["", _line(*_across(np.array(pair["F"]) @ seen, pair["views"][1], side), pair["colors"]["line"])]
    panels = [_panel(pair, view, lines[view], view * (1 + GAP) * side) for view in (0, 1)]
    box = f"0 0 {(2 + GAP) * side:.0f} {(1 + TITLE) * side:.0f}"
    look = f'style="max-width:720px" font-size="{0.045 * side:.0f}" font-family="sans-serif"'
    return f'<svg viewBox="{box}" {look} role="img" aria-label="{alt}">{"".join(panels)}</svg>'


def _across(line: np.ndarray, view: dict, side: float) -> tuple[np.ndarray, np.ndarray]:
    """Two points of a line on either side of a view's picture."""
    middle = np.array([view["left"], view["top"]]) + side / 2
    length = np.linalg.norm(line[:2])
    nearest = middle - line[:2] * (line[:2] @ middle + line[2]) / length**2
    along = side * np.array([-line[1], line[0]]) / length
    return nearest - along, nearest + along


def _panel(pair: dict, number: int, line: str, shift: float) -> str:
    """One picture: its frame and title, the line if it has one, the bones, and a dot on the joint."""
    view, side, colors = pair["views"][number], pair["side"], pair["colors"]
    pose, box = view["pose"], f"{view['left']} {view['top']} {side} {side}"
    bones = "".join(_line(pose[a], pose[b], colors[name]) for name, bones in pair["bones"].items() for a, b in bones)
    x, y = pose[pair["joint"]]
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.018 * side:.1f}" fill="{colors["line"]}"/>'
    place = f'x="{shift:.1f}" y="{TITLE * side:.1f}" width="{side}" height="{side}"'
    frame = f'x="{view["left"]}" y="{view["top"]}" width="{side}" height="{side}"'
    return (
        f'<text x="{shift + side / 2:.0f}" y="{0.055 * side:.0f}" text-anchor="middle" fill="currentColor">'
        f"camera {html.escape(view['name'])}</text>"
        f'<svg {place} viewBox="{box}" stroke-width="{0.008 * side:.1f}">'
        f'<rect {frame} fill="none" stroke="currentColor" stroke-opacity="0.4"/>{line}{bones}{dot}</svg>'
    )


def _line(start, end, color: str) -> str:
    (x1, y1), (x2, y2) = start, end
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" stroke-linecap="round"/>'
