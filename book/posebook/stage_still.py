"""Still pictures of the scenes that `stage.js` draws, as SVG: for print, for readers without scripts, and until it draws."""

from typing import NamedTuple

import numpy as np

from posekit.colors import CAMERA, COLORS

AWAY_M = 7.0  # distance of the eye
HEAD_M, LIMB_M = 0.105, 0.09
RIM_M = 0.016  # by how much the true body is stouter, as in stage.js
WORST_M = 0.1  # a joint off by that much has the last colour of the scale, as in front.js
TRUTH, FLOOR = "var(--pk-grey)", "var(--pk-grid)"  # of stage.css
CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))


class Eye(NamedTuple):
    """Where a scene is seen from, radians."""

    azimuth: float
    elevation: float


def still_scene(
    stage: dict, person, truth, eye: Eye, camera: dict | None = None, size: tuple[int, int] = (720, 440), tinted: bool = False
) -> str:
    """A lifted pose over the true one in grey; with a camera, also its picture and the rays to the joints.

    Args:
        stage: names and bones, as `front.stage_numbers` gives them.
        person, truth: (J, 3) world metres.
        eye: seen from there; everything fits into the picture.
        camera: as `front.camera_numbers` gives it.
        size: width and height of the picture.
        tinted: put the pelvises together, and colour each bone by how far its joint is off, instead of left and right.
    """
    person, truth = np.asarray(person), np.asarray(truth)
    if tinted:
        person = person - person[0] + truth[0]
    off = np.linalg.norm(person - truth, axis=-1)
    frame = [on_picture(camera, 2 * camera["middle"] * np.array(corner)) for corner in CORNERS] if camera else []
    floor = truth[0] * [1, 1, 0]
    around = [floor + np.array([x, y, z]) for x in (-0.7, 0.7) for y in (-0.7, 0.7) for z in (0, 1.9)]
    put = placed([*around, *frame, *([camera["center"]] if camera else [])], eye, size)

    def line(a, b, color, metres=0.0, opacity=1.0):
        (x1, y1, near), (x2, y2, far) = put(a), put(b)
        width = max(metres * (near + far) / 2, 1)
        look = f'stroke="{color}" stroke-width="{width:.1f}" stroke-opacity="{opacity:g}" stroke-linecap="round"'
        return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {look}/>'

    bones = [(side, a, b) for side, pairs in stage["bones"].items() for a, b in pairs]
    depth_sorted = sorted(bones, key=lambda bone: put((person[bone[1]] + person[bone[2]]) / 2)[2])
    parts = [line(*ends, FLOOR, opacity=0.25) for ends in grid(floor)]
    if camera:
        parts += [line(camera["center"], corner, CAMERA, opacity=0.6) for corner in frame]
        parts += [line(a, b, CAMERA, 0.01) for a, b in zip(frame, frame[1:] + frame[:1])]
    head = stage["joints"].index("head")

    def ball(at, color, metres):
        x, y, scale = put(at)
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{metres * scale:.1f}" fill="{color}"/>'

    def color(side, joint):
        return tint(off[joint]) if tinted else COLORS[side]

    parts += [line(truth[a], truth[b], TRUTH, LIMB_M + 2 * RIM_M) for _, a, b in bones]
    parts.append(ball(truth[head], TRUTH, HEAD_M + RIM_M))
    parts += [line(person[a], person[b], color(side, b), LIMB_M) for side, a, b in depth_sorted]
    parts.append(ball(person[head], color("centre", head), HEAD_M))
    if camera:
        flat = [on_picture(camera, seen_by(camera, joint)) for joint in truth]
        parts += [line(a, b, CAMERA, opacity=0.35) for a, b in zip(flat, person)]
        parts += [line(flat[a], flat[b], COLORS[side], 0.015) for side, a, b in bones]
    return f'<svg viewBox="0 0 {size[0]} {size[1]}" aria-hidden="true">{"".join(parts)}</svg>'


def tint(metres: float) -> str:
    """The colour of a joint that is off by so much, on the scale beside the panels."""
    return f"color-mix(in srgb, var(--pk-bad) {min(metres / WORST_M, 1):.0%}, var(--pk-good))"


def key_html(truth: str) -> str:
    """What the colours of a scene mean.

    Args:
        truth: what is grey.
    """
    names = {"left": "left", "right": "right", "truth": truth}
    keys = (f'<span><i class="pk-line pk-{name}"></i>{text}</span>' for name, text in names.items())
    return f'<div class="pk-keys">{"".join(keys)}</div>'


def placed(points, eye: Eye, size: tuple[int, int], margin: float = 10):
    """A function from world points to (x, y, pixels per metre), such that the given points just fit the picture."""
    points = np.asarray(points)
    (ca, sa), (ce, se) = ((np.cos(angle), np.sin(angle)) for angle in eye)
    axes = np.array([[-sa, ca, 0], [se * ca, se * sa, -ce], [ce * ca, ce * sa, se]])
    target = (points.min(0) + points.max(0)) / 2

    def seen(point):
        x, y, nearer = axes @ (np.asarray(point) - target)
        return np.array([x, y]) / (AWAY_M - nearer), AWAY_M - nearer

    flat = np.array([seen(point)[0] for point in points])
    low, high = flat.min(0), flat.max(0)
    scale = ((np.array(size) - 2 * margin) / (high - low)).min()
    shift = np.array(size) / 2 - scale * (low + high) / 2

    def put(point):
        at, depth = seen(point)
        return *(scale * at + shift), scale / depth

    return put


def grid(middle, half: float = 1.5, step: float = 0.5):
    """Both ends of each line of a grid on the floor."""
    ticks = np.arange(-half, half + step / 2, step)
    along = np.array([[-half], [half]]) * [[0, 1, 0]]
    across = [middle + along + np.array([t, 0, 0]) for t in ticks]
    return across + [middle + along[:, [1, 0, 2]] + np.array([0, t, 0]) for t in ticks]


def seen_by(camera: dict, point) -> np.ndarray:
    """A world point in the camera's picture, pixels."""
    x, y, z = np.array(camera["R"]) @ (np.asarray(point) - camera["center"])
    return camera["focal"] * np.array([x, y]) / z + camera["middle"]


def on_picture(camera: dict, pixel) -> np.ndarray:
    """Where a pixel is in the room, if the picture stands before its camera; world metres."""
    x, y = (np.asarray(pixel) - camera["middle"]) / camera["focal"]
    return np.array(camera["R"]).T @ (camera["plane"] * np.array([x, y, 1])) + camera["center"]
