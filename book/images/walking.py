"""Draws `walking.svg`, the moving picture of the README: a synthetic person walks, and three cameras see it.

python book/images/walking.py
"""

from pathlib import Path

import torch
from torch import Tensor

from posekit.colors import COLORS, FLOOR
from posekit.datasets import load_dataset

FRAMES, STRIDE, SECONDS = 40, 3, 4.0
PANEL, GAP = 200, 12  # SVG units


def main():
    """Write the picture beside this script."""
    people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",))
    moments = slice(0, FRAMES * STRIDE, STRIDE)
    poses = people.poses_world[moments]
    panels = [turned(poses - poses[:, :1] * torch.tensor([1.0, 1.0, 0.0]))]
    titles, tall = ["3D"], [PANEL]
    for view, name in enumerate(people.view_names):
        seen = people.pixels[moments, view]
        size = people.frame_cameras.image_size_px[0, view]
        panels.append(PANEL * seen / size[0])
        titles.append(f"camera {name}")
        tall.append(PANEL * float(size[1] / size[0]))
    width = len(panels) * (PANEL + GAP) - GAP
    drawn = enumerate(zip(panels, titles, tall))
    body = "".join(panel(points, people.skeleton, title, n * (PANEL + GAP), height) for n, (points, title, height) in drawn)
    words = "A synthetic person walks: turning in 3D, and as each of three cameras sees it"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {PANEL + 24}" role="img" aria-label="{words}" '
        f'font-family="sans-serif" font-size="13" fill="{FLOOR}">{body}</svg>\n'
    )
    (Path(__file__).parent / "walking.svg").write_text(svg)


def turned(poses: Tensor) -> Tensor:
    """Poses (F, J, 3) over the middle of the floor, seen by an eye that goes once around them: (F, J, 2) in a panel."""
    angle = torch.linspace(0, 2 * torch.pi, len(poses) + 1)[:-1, None]
    across = poses[..., 0] * angle.cos() + poses[..., 1] * angle.sin()
    away = poses[..., 1] * angle.cos() - poses[..., 0] * angle.sin()
    up = poses[..., 2] + 0.25 * away  # from a little above
    return torch.stack([PANEL / 2 + 85 * across, 0.93 * PANEL - 85 * up], dim=-1)


def panel(points: Tensor, skeleton, title: str, left: float, height: float) -> str:
    """One frame with its title, and a path for each side of the person; points (F, J, 2)."""
    lines = "".join(path(points, [b for b in skeleton.bones if skeleton.sides[b[1]] == side], COLORS[side]) for side in COLORS)
    border = f'<rect width="{PANEL}" height="{height:g}" fill="none" stroke="{FLOOR}"/>'
    words = f'<text x="{PANEL / 2:g}" y="{height + 18:g}" text-anchor="middle">{title}</text>'
    return f'<g transform="translate({left:g} 0)">{border}{lines}{words}</g>'


def path(points: Tensor, bones: list, color: str) -> str:
    """Bones of one colour as a path that changes from frame to frame."""
    frames = ["".join("M{:.0f} {:.0f}L{:.0f} {:.0f}".format(*pose[list(b)].flatten()) for b in bones) for pose in points]
    move = f'<animate attributeName="d" dur="{SECONDS:g}s" repeatCount="indefinite" values="{";".join(frames)}"/>'
    look = f'fill="none" stroke="{color}" stroke-width="5" stroke-linecap="round"'
    return f'<path d="{frames[0]}" {look}>{move}</path>'


if __name__ == "__main__":
    main()
