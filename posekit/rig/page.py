"""The report of a recording as one HTML page that needs no server and asks for nothing outside itself."""

import json
from html import escape
from pathlib import Path

import torch
from torch import Tensor

from posekit.colors import COLORS, DARK, GHOST, dark_rules
from posekit.preview import views_svg
from posekit.rig.findings import Report
from posekit.rig.quality import Quality
from posekit.sequences import MultiViewDataset

MOST_DRAWN = 300
"""Frames of the turning person; of a longer recording, the first."""

STYLE = (
    f":root {{ --sound: {COLORS['left']}; --wrong: {COLORS['right']}; --line: {GHOST}; }}\n"
    f"@media (prefers-color-scheme: dark) {{ {dark_rules('svg')} }}"
    """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 1px solid var(--line); }
.finding { border-left: 4px solid var(--wrong); padding: .2rem 1rem; margin: 1rem 0; } .finding p { margin: .2rem 0; }
.sound { border-left: 4px solid var(--sound); padding: .2rem 1rem; }
svg { height: 300px; max-width: 100%; }
canvas { max-width: 100%; touch-action: none; cursor: grab; border: 1px solid var(--line); }
"""
)


def report_page(title: str, report: Report, dataset: MultiViewDataset, notes: tuple[str, ...] = ()) -> str:
    """The whole page.

    Args:
        title: of the recording.
        report: what its check came to.
        dataset: the recording with triangulated poses, for the pictures.
        notes: what else to say, such as what was recognised, one line each.
    """
    quality = report.quality
    findings = "".join(_finding(f.what, f.expected, f.cause) for f in report.findings)
    sections = {
        "What was read": f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>",
        "Findings": findings or '<p class="sound">Nothing speaks against this recording.</p>',
        "One moment": _pictures(dataset),
        "The person": _person(dataset),
        "Views": _views(quality),
        "Pairs of views": _pairs(quality),
        "Joints": _joints(quality),
        "Bones": _bones(quality),
    }
    body = "".join(f"<section><h2>{heading}</h2>{content}</section>" for heading, content in sections.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: quality of the recording</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}: quality of the recording</h1>{body}</body></html>\n"
    )


def _finding(what: str, expected: str, cause: str) -> str:
    return (
        f'<div class="finding"><p><strong>{escape(what)}</strong></p><p>Expected: {escape(expected)}.</p>'
        f"<p>Likely cause: {escape(cause)}.</p></div>"
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _views(quality: Quality) -> str:
    columns = zip(
        quality.view_names,
        quality.coverage.mean(-1),
        quality.view_error_px,
        quality.view_error_px / quality.height_px,
        quality.shifts().tolist(),
    )
    rows = [[name, f"{found:.0%}", f"{px:.1f} px", f"{share:.1%}", f"{shift}"] for name, found, px, share, shift in columns]
    return _table(["view", "joints found", "reprojection error", "of the person's height", "frames ahead"], rows)


def _pairs(quality: Quality) -> str:
    costs = quality.synchronisation.cost_px2
    names = [f"{quality.view_names[a]} and {quality.view_names[b]}" for a, b in quality.pairs.tolist()]
    columns = zip(names, quality.angle_deg, (-quality.synchronisation.best).tolist(), costs)
    rows = [[name, f"{angle:.0f}°", f"{shift}", _sparkline(cost)] for name, angle, shift, cost in columns]
    shifts = quality.synchronisation.shifts
    bars = f"misfit at shifts of {-shifts[-1]:d} to {-shifts[0]:+d} frames"
    return _table(["pair", "angle of the rays", "frames ahead", bars], rows)


def _sparkline(cost: Tensor) -> str:
    """Bars of text, the first shift on the right, as the sign of "ahead" is the other way round."""
    cost = cost.flip(0).nan_to_num()
    share = (cost - cost.min()) / (cost.max() - cost.min()).clamp(min=1e-9)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * value)] for value in share.tolist())


def _joints(quality: Quality) -> str:
    rows = []
    for joint, name in enumerate(quality.skeleton.joints):
        each = zip(quality.error_px[:, joint], quality.coverage[:, joint])
        cells = [f"{px:.0f} px, {found:.0%}" if found else "never" for px, found in each]
        rows.append([name, f"{quality.seen_twice[joint]:.0%}", *cells])
    return "<p>Median reprojection error, and how often the joint was found.</p>" + _table(
        ["joint", "by two views", *quality.view_names], rows
    )


def _bones(quality: Quality) -> str:
    columns = zip(quality.skeleton.joints[1:], quality.bone_m, quality.bone_spread)
    rows = [[name, f"{metres:.3f} m", f"{spread:.0%}"] for name, metres, spread in columns]
    return _table(["bone to", "median length", "middle half of the lengths"], rows)


def _pictures(dataset: MultiViewDataset) -> str:
    """The middle frame in every view: found in colour, the triangulated pose in grey."""
    frame = len(dataset) // 2
    cameras = dataset.frame_cameras[frame]
    reprojected = cameras.world_to_pixels(dataset.poses_world[frame])
    shown = views_svg(dataset.pixels[frame], cameras.image_size_px, dataset.view_names, dataset.skeleton, reprojected)
    return f"<p>Frame {frame}: the joints found, in colour, over the triangulated person, in grey.</p>{shown}"


def _person(dataset: MultiViewDataset) -> str:
    poses = dataset.poses_world[:MOST_DRAWN]
    if not poses.isfinite().any():
        return "<p>Nothing could be triangulated.</p>"
    flat = poses.flatten(0, 1)
    middle, low, high = (flat.nanquantile(torch.tensor(share), dim=0) for share in (0.5, 0.01, 0.99))
    placed = poses - torch.stack([middle[0], middle[1], low[2]])
    frames = [[[round(x, 3) for x in joint] if joint[0] == joint[0] else None for joint in pose] for pose in placed.tolist()]
    bones = [[a, b, COLORS[dataset.skeleton.sides[b]]] for a, b in dataset.skeleton.bones]
    data = dict(frames=frames, bones=bones, dark=DARK, rate=dataset.frame_rate, height=max((high - low)[2].item(), 1e-3))
    script = Path(__file__).with_name("person.js").read_text(encoding="utf-8")
    return (
        '<canvas id="person" width="420" height="420" role="img" '
        'aria-label="The triangulated person, moving and turning, blue on the left and orange on the right"></canvas>'
        f'<script type="application/json" id="person-data">{json.dumps(data)}</script><script>{script}</script>'
    )
