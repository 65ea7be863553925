"""Small still pictures as SVG, for what a notebook shows of a dataset. No library draws them, so none is loaded."""

from html import escape

from jaxtyping import Float
from torch import Tensor

from posekit.colors import COLORS, GHOST
from posekit.skeleton import Skeleton

HEIGHT = 160  # of a picture on the page, CSS pixels: three of 4 : 3 stand side by side


def views_svg(
    pixels: Float[Tensor, "V J 2"],
    image_size_px: Float[Tensor, "V 2"],
    view_names: tuple[str, ...],
    skeleton: Skeleton,
    behind: Float[Tensor, "V J 2"] | None = None,
) -> str:
    """One moment's 2D poses in their images, side by side; bones with a missing joint (NaN) are left out.

    Args:
        pixels: in colour.
        image_size_px: of the images.
        view_names: V names.
        skeleton: of the poses.
        behind: poses in grey behind them, such as reprojections.
    """
    ghosts = [None] * len(view_names) if behind is None else behind.cpu()
    pictures = (
        _picture(pose, ghost, width, height, name, skeleton)
        for pose, ghost, (width, height), name in zip(pixels.cpu(), ghosts, image_size_px.tolist(), view_names)
    )
    return f'<div style="display: flex; flex-wrap: wrap; gap: 8px">{"".join(pictures)}</div>'


def _picture(pose, ghost, width, height, name, skeleton):
    thick = height / 100
    lines = "" if ghost is None else _lines(ghost, skeleton, dict.fromkeys(COLORS, GHOST))
    lines += _lines(pose, skeleton, COLORS)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" height="{HEIGHT}" role="img" aria-label="2D pose, camera {escape(name)}">'
        f'<rect width="100%" height="100%" fill="none" stroke="{GHOST}" stroke-width="{thick:g}"/>'
        f'<g stroke-width="{1.5 * thick:g}" stroke-linecap="round">{lines}</g>'
        f'<text x="{3 * thick:g}" y="{9 * thick:g}" font-size="{8 * thick:g}" fill="currentColor">{escape(name)}</text></svg>'
    )


def _lines(pose, skeleton, colors):
    bones = [bone for bone in skeleton.bones if pose[list(bone)].isfinite().all()]
    return "".join(
        '<line x1="{:.0f}" y1="{:.0f}" x2="{:.0f}" y2="{:.0f}" stroke="{}"/>'.format(
            *pose[list(bone)].flatten().tolist(), colors[skeleton.sides[bone[1]]]
        )
        for bone in bones
    )
