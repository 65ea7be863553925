"""How a 3D point fits its 2D joints: distances in undistorted pixels, their derivatives, and what they say of the point.

Points are world metres `(*batch, J, 3)`; rays and cameras have one axis of views more, `(*batch, V, J, 3)` and
`(*batch, V)`. An undistorted pixel is a step on the plane z = 1 times the focal length.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from posekit.cameras import Cameras, inverse_depth


class Triangulation(NamedTuple):
    """Triangulated joints and the evidence for them.

    points: world metres; NaN where fewer than two views carry the joint.
    views: the number of views that carry each point, those of positive weight.
    error_px: weighted mean distance, over these views, between the point's projection and the 2D joint.
    weights: the weight of each view's squared distance, 0 to 1; 0 for a view that does not carry the point.
    angle: radians, 0 to pi / 2; the largest between two rays that carry the point, 0 for one camera twice.
    covariance: square metres, for noise of 1 px at weight 1, 1 / sqrt(w) px at weight w; infinite where rays do not fix it.
    noise_px: the standard deviation of a 2D joint of weight 1 that a robust triangulation found; None if none was sought.
    """

    points: Float[Tensor, "*batch J 3"]
    views: Int[Tensor, "*batch J"]
    error_px: Float[Tensor, "*batch J"]
    weights: Float[Tensor, "*batch V J"]
    angle: Float[Tensor, "*batch J"]
    covariance: Float[Tensor, "*batch J 3 3"]
    noise_px: float | None = None

    @property
    def deviation_m(self) -> Float[Tensor, "*batch J"]:
        """Standard deviation in metres along the worst direction, per pixel of noise; infinite where nothing fixes it."""
        known = self.covariance.isfinite().all((-2, -1))
        largest = torch.linalg.eigvalsh(self.covariance.where(known[..., None, None], 0.0))[..., -1]
        return largest.clamp(min=0).sqrt().where(known, torch.inf).where(self.views >= 2, torch.nan)


def rays_of(
    pixels: Float[Tensor, "*batch V J 2"], cameras: Cameras, weights: Float[Tensor, "*batch V J"]
) -> tuple[Float[Tensor, "*batch V J 3"], Float[Tensor, "*batch V J"]]:
    """2D joints as points at depth 1, and their weights: 0, beside some ray, for a pixel beyond the reach of the lens."""
    rays = cameras.pixels_to_rays(pixels)
    known = rays.isfinite().all(-1)
    return rays.where(known.unsqueeze(-1), rays.new_tensor([0.0, 0.0, 1.0])), weights * known


def project(
    points: Float[Tensor, "*batch J 3"], cameras: Cameras
) -> tuple[Float[Tensor, "*out V J 2"], Float[Tensor, "*out V J 1"]]:
    """Where each view sees the points on the plane z = 1, without its lens, and their inverse depths."""
    in_view = cameras.world_to_camera(points.unsqueeze(-3))
    inverse = inverse_depth(in_view[..., 2:])
    return in_view[..., :2] * inverse, inverse


def distances(
    points: Float[Tensor, "*batch J 3"], rays: Float[Tensor, "*#batch V J 3"], cameras: Cameras
) -> Float[Tensor, "*out V J"]:
    """Distances in undistorted pixels between the projections of points and the rays of the 2D joints."""
    xy, _ = project(points, cameras)
    return ((xy - rays[..., :2]) * cameras.focal_px.unsqueeze(-2)).norm(dim=-1)


def normal_equations(
    points: Float[Tensor, "*batch J 3"],
    rays: Float[Tensor, "*batch V J 3"],
    cameras: Cameras,
    weights: Float[Tensor, "*batch V J"],
) -> tuple[Float[Tensor, "*batch J 3 3"], Float[Tensor, "*batch J 3"]]:
    """Matrix and gradient of the sum over views of weight times squared distance, linearised at the points: A, b of A d = b.

    `points - d` has the smaller sum. The inverse of A is the covariance of the points for noise of 1 px.
    """
    xy, inverse = project(points, cameras)
    R, focal = cameras.R_world_to_camera.unsqueeze(-3), cameras.focal_px.unsqueeze(-2)  # (*batch, V, 1, ...)
    scale = focal * weights.sqrt().unsqueeze(-1)
    error = ((xy - rays[..., :2]) * scale).transpose(-3, -2).flatten(-2)  # (*batch, J, 2V)
    slope = (R[..., :2, :] - xy.unsqueeze(-1) * R[..., 2:, :]) * (inverse * scale).unsqueeze(-1)
    slope = slope.transpose(-4, -3).flatten(-3, -2)  # (*batch, J, 2V, 3)
    return slope.mT @ slope, (slope.mT @ error.unsqueeze(-1)).squeeze(-1)


def inverse_3x3(matrices: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Inverses by cross products, many times faster than LAPACK on small matrices; infinite for a singular matrix."""
    a, b, c = matrices.unbind(-2)
    across = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], dim=-1)
    determinant = (a * across[..., 0]).sum(-1)[..., None, None]
    size = matrices.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    return (across / determinant).where(determinant.abs() > 1e-15 * size.abs() ** 3, torch.inf)


@torch.no_grad()
def measured(
    points: Float[Tensor, "*batch J 3"],
    pixels: Float[Tensor, "*batch V J 2"],
    cameras: Cameras,
    weights: Float[Tensor, "*batch V J"],
    error_weights: Float[Tensor, "*batch V J"] | None = None,
    noise_px: float | None = None,
) -> Triangulation:
    """Points with the evidence for them.

    Args:
        points: those that fewer than two views carry become NaN.
        pixels: any finite value where missing.
        cameras: leading axes broadcastable to (*batch, V).
        weights: of squared distances.
        error_weights: of distances, for `error_px`; by default the square roots of the weights.
        noise_px: as in `Triangulation`.
    """
    error_weights = weights.sqrt() if error_weights is None else error_weights
    views = (weights > 0).sum(-2)
    enough = views >= 2
    points = points.where(enough.unsqueeze(-1), torch.nan)
    error = (cameras.world_to_pixels(points.unsqueeze(-3)) - pixels).norm(dim=-1)
    total = error_weights.sum(-2).where(enough, torch.nan)
    # The matrix of the normal equations does not depend on the rays.
    matrix, _ = normal_equations(points.nan_to_num(), points.new_zeros(*weights.shape, 3), cameras, weights)
    covariance = inverse_3x3(matrix).where(enough[..., None, None], torch.nan)
    angle = _largest_angle(points, cameras, weights)
    return Triangulation(points, views, (error_weights * error).sum(-2) / total, weights, angle, covariance, noise_px)


def _largest_angle(points, cameras, weights):
    towards = torch.nn.functional.normalize(cameras.centers_world.unsqueeze(-2) - points.unsqueeze(-3), dim=-1)
    towards = towards.transpose(-3, -2)  # (*batch, J, V, 3)
    carries = (weights > 0).transpose(-2, -1)
    both = carries.unsqueeze(-1) & carries.unsqueeze(-2)
    cosines = (towards @ towards.mT).abs().where(both, 1.0)
    return cosines.amin((-2, -1)).clamp(max=1.0).acos().where(carries.sum(-1) >= 2, torch.nan)
