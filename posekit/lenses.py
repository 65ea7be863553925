"""Lenses: how the plane z = 1 in front of a camera is bent on its way to the image, and the way back.

A lens is one object, `Lens`: a name, how many coefficients it has, and its two functions. `LENSES` is the table of
all of them. To add one, write the two functions and put the lens in the table; everything else takes its name.

Points of the plane are rays `(x / z, y / z)` without unit, so a lens sees what is in front of its camera. Coefficients
have leading axes that broadcast with those of the points. Everything is differentiable, and NaN in is NaN out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

LENS_REACH = 1.5
"""Distance from the optical axis, in the plane z = 1, up to which the polynomial of "opencv" and "human36m" is trusted
(56 degrees). Further out, `distort` holds the polynomial at its value there; see the page on conventions."""

TINY = 1e-24  # of a squared length: keeps the gradient of its root finite on the optical axis


@dataclass(frozen=True)
class Lens:
    """A model of a lens.

    Args:
        name: what cameras and records call it.
        radial: number of its radial coefficients k1, k2, ...
        tangential: number of its tangential coefficients p1, p2.
        distort: (rays, radial, tangential) -> bent rays; shapes as in the function `distort`.
        undistort: (bent, radial, tangential, iterations) -> rays, its inverse.
    """

    name: str
    radial: int
    tangential: int
    distort: Callable[[Tensor, Tensor, Tensor], Tensor]
    undistort: Callable[[Tensor, Tensor, Tensor, int], Tensor]


def find_lens(name: str) -> Lens:
    """The lens of that name.

    Raises:
        ValueError: for a name that is not in `LENSES`; the message lists those that are.

    >>> find_lens("fisheye").radial
    4
    """
    if name not in LENSES:
        raise ValueError(f"lens must be one of {tuple(LENSES)}, got {name!r}")
    return LENSES[name]


def distort(
    rays: Float[Tensor, "*#batch 2"],
    radial: Float[Tensor, "*#batch K"],
    tangential: Float[Tensor, "*#batch P"],
    lens: str = "opencv",
) -> Float[Tensor, "*batch 2"]:
    """Bend undistorted image-plane coordinates (x / z, y / z) as the lens does.

    Args:
        rays: points of the plane z = 1, no unit.
        radial: k1, k2, k3; for "fisheye" k1 to k4; none for "none".
        tangential: p1, p2, in OpenCV's order and meaning; none for "fisheye" and "none".
        lens: "opencv" is Brown-Conrady as in OpenCV's calibration module. "human36m" is the variant in
            Human3.6M's own projection code, which leaves the factor 2 out of the tangential terms. "fisheye" is the
            equidistant model of Kannala and Brandt as in OpenCV's fisheye module. "none" bends nothing.

    The polynomial of "opencv" and "human36m" is fitted inside the image and grows without bound outside. Beyond
    `LENS_REACH` it is therefore held at its value there. Only the gain is held, not the point: the image still moves
    out in proportion, so a stray point has a stray but moderate image and gradient. The polynomial of "fisheye" is in
    the angle off the axis, which is bounded, and needs no reach: a point that moves out for ever tends to the image of
    90 degrees, and its gradient to zero.

    Raises:
        ValueError: for an unknown lens.

    Source: D. C. Brown, "Close-range camera calibration", 1971; OpenCV, `projectPoints`. J. Kannala and S. Brandt,
        "A generic camera model and calibration method", TPAMI 2006; OpenCV, `fisheye::projectPoints`.

    >>> corner = torch.tensor([0.5, 0.5])
    >>> distort(corner, radial=torch.tensor([-0.2, 0.0, 0.0]), tangential=torch.zeros(2))
    tensor([0.4500, 0.4500])
    """
    return find_lens(lens).distort(rays, radial, tangential)


def undistort(
    bent: Float[Tensor, "*#batch 2"],
    radial: Float[Tensor, "*#batch K"],
    tangential: Float[Tensor, "*#batch P"],
    lens: str = "opencv",
    iterations: int = 10,
) -> Float[Tensor, "*batch 2"]:
    """The inverse of `distort`, by Newton's method; arguments as there.

    The root is found without gradients; one last Newton step with them makes the derivative exact.
    Valid where the lens is one-to-one, in the image and well around it: for "opencv" and "human36m" within
    `LENS_REACH`; for "fisheye" up to 90 degrees off the axis, and NaN beyond, where no ray reaches the plane z = 1.

    Raises:
        ValueError: for an unknown lens.

    >>> rays, k, p = torch.tensor([0.5, 0.5]), torch.tensor([-0.2, 0.0, 0.0]), torch.zeros(2)
    >>> undistort(distort(rays, k, p), k, p)
    tensor([0.5000, 0.5000])
    """
    return find_lens(lens).undistort(bent, radial, tangential, iterations)


def _newton(step: Callable[[Tensor], Tensor], start: Tensor, iterations: int) -> Tensor:
    """Repeat a step without gradients, then once with them: at the root that one has the root's exact derivative."""
    root = start.detach()
    with torch.no_grad():
        for _ in range(iterations):
            root = step(root)
    return step(root)


# "opencv" and "human36m": rays * gain + r^2 (p2, p1), where the gain has the radial polynomial and `factor` times the
# tangential terms.


def _distort_polynomial(rays, radial, tangential, factor):
    p2_p1 = tangential.flip(-1)
    r2 = (rays * rays).sum(-1, keepdim=True)
    within = rays * (LENS_REACH / r2.clamp(min=LENS_REACH**2).sqrt())
    r2 = r2.clamp(max=LENS_REACH**2)
    return rays * _gain(within, r2, radial, p2_p1, factor) + r2 * p2_p1


def _gain(rays, r2, radial, p2_p1, factor):
    k1, k2, k3 = radial.split(1, dim=-1)
    return 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + factor * (rays * p2_p1).sum(-1, keepdim=True)


def _undistort_polynomial(bent, radial, tangential, iterations, factor):
    return _newton(lambda rays: _polynomial_step(rays, bent, radial, tangential, factor), bent, iterations)


def _polynomial_step(rays, bent, radial, tangential, factor):
    k1, k2, k3 = radial.split(1, dim=-1)
    p2_p1 = tangential.flip(-1)
    r2 = (rays * rays).sum(-1, keepdim=True)
    gain = _gain(rays, r2, radial, p2_p1, factor)
    gain_slope = 2 * rays * (k1 + r2 * (2 * k2 + r2 * 3 * k3)) + factor * p2_p1
    error = rays * gain + r2 * p2_p1 - bent

    # The Jacobian [[a, b], [c, d]] of distort, inverted in closed form.
    x, y = rays.split(1, dim=-1)
    gain_x, gain_y = gain_slope.split(1, dim=-1)
    p2, p1 = p2_p1.split(1, dim=-1)
    a, b = gain + x * gain_x + 2 * x * p2, x * gain_y + 2 * y * p2
    c, d = y * gain_x + 2 * x * p1, gain + y * gain_y + 2 * y * p1
    error_x, error_y = error.split(1, dim=-1)
    step = torch.cat([d * error_x - b * error_y, a * error_y - c * error_x], dim=-1)
    return rays - step / (a * d - b * c)


# "fisheye": a ray at an angle theta off the axis appears at theta (1 + k1 theta^2 + ... + k4 theta^8) from the centre.


def _distort_fisheye(rays, radial, tangential):
    length = _length(rays)
    angle = length.atan()
    return rays * (_bent_angle(angle, radial) / length)


def _undistort_fisheye(bent, radial, tangential, iterations):
    length = _length(bent)
    angle = _newton(lambda angle: _fisheye_step(angle, length, radial), length, iterations)
    return (bent * (angle.tan() / length)).where(angle < math.pi / 2, torch.nan)


def _fisheye_step(angle, length, radial):
    k1, k2, k3, k4 = radial.split(1, dim=-1)
    a2 = angle * angle
    slope = 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))
    return angle - (_bent_angle(angle, radial) - length) / slope


def _bent_angle(angle, radial):
    k1, k2, k3, k4 = radial.split(1, dim=-1)
    a2 = angle * angle
    return angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))


def _length(points):
    return (points * points).sum(-1, keepdim=True).clamp(min=TINY).sqrt()


def _unbent(points, radial, tangential, iterations=0):
    return points.expand(*torch.broadcast_shapes(points.shape[:-1], radial.shape[:-1], tangential.shape[:-1]), 2)


def _polynomial_lens(name: str, factor: int) -> Lens:
    distort, undistort = (partial(function, factor=factor) for function in (_distort_polynomial, _undistort_polynomial))
    return Lens(name, radial=3, tangential=2, distort=distort, undistort=undistort)


LENSES: dict[str, Lens] = {
    lens.name: lens
    for lens in (
        _polynomial_lens("opencv", factor=2),
        _polynomial_lens("human36m", factor=1),
        Lens("fisheye", radial=4, tangential=0, distort=_distort_fisheye, undistort=_undistort_fisheye),
        Lens("none", radial=0, tangential=0, distort=_unbent, undistort=_unbent),
    )
}
"""All lenses, by name."""
