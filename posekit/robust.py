"""The robust estimate behind `triangulation.triangulate_robustly`: every view has a say, the less the worse it fits.

The sum over views of q / (1 + q) is minimised, where q is the squared distance divided by the square of a width: a view
that fits counts as in least squares, and one that is far off hardly at all, no matter how far. The width is a
multiple of the typical error, which is estimated from the data. Many minima are possible, so that every pair of views
proposes a start, and so do all views together; the best of them is improved by iteratively reweighted least squares.

Source: S. Geman and D. McClure, "Statistical methods for tomographic image reconstruction", 1987 (the function);
    P. Rousseeuw, "Least median of squares regression", 1984 (the first estimate of the typical error).
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.reprojection import distances, inverse_3x3, normal_equations, rays_of

WIDTH = 7.0
"""Distance, in typical errors, at which a view counts a quarter.

Chosen without a test set: of 5, 7, 9 and 12 the smallest with which a view that is left out is foretold no worse than by
`triangulate`, on training takes of Human3.6M's detections and on the embedded recording of balancing.
"""
LEAST_WEIGHT = 0.05
"""A view that counts less does not carry the point; its distance is over 13 typical errors."""
LEAST_PX = 0.5
"""A typical error is never taken for less than this, so that rounding and small errors of the lens reject nothing."""
STEPS = 8  # of reweighted least squares
SAMPLE = 400  # frames, spread over all, that the typical error is estimated from
CHUNK = 1 << 18  # distances held at once: starts x views x joints x frames
MEDIAN_DISTANCE = math.sqrt(2 * math.log(2))  # of a 2D Gaussian of standard deviation 1


def chunks(
    pixels: Float[Tensor, "*batch V J 2"], cameras: Cameras, weights: Float[Tensor, "*batch V J"], stride: int = 1
) -> Iterator[tuple[Tensor, Cameras, Tensor]]:
    """Pixels (N, V, J, 2), cameras (N, V) and weights of some frames at a time; `stride` takes every stride-th only."""
    batch, (views, joints) = pixels.shape[:-3], pixels.shape[-3:-1]
    cameras = cameras.expand(*batch, views) if batch else cameras[None]
    pixels, weights, batch = pixels.reshape(-1, views, joints, 2), weights.reshape(-1, views, joints), batch or (1,)
    starts = 1 + views * (views - 1) // 2
    for frames in torch.arange(0, len(pixels), stride).split(max(1, CHUNK // (starts * views * joints))):
        yield pixels[frames], cameras[torch.unravel_index(frames, batch)], weights[frames]


def robust_points(
    pixels: Float[Tensor, "*batch V J 2"], cameras: Cameras, weights: Float[Tensor, "*batch V J"]
) -> tuple[Float[Tensor, "*batch J 3"], Float[Tensor, "*batch V J"], float]:
    """Points, the weight of each view's squared distance, and the noise in pixels that was found.

    Args:
        pixels: any finite value where missing. float64, as everything here.
        cameras: leading axes broadcastable to (*batch, V).
        weights: of distances; 0 where missing.
    """
    width = WIDTH * typical_px(pixels, cameras, weights)
    found = [_fit_and_noise(*part, width) for part in _with_rays(chunks(pixels, cameras, weights))]
    points, factors = (torch.cat(parts) for parts in list(zip(*found))[:2])
    squares, freedom = (sum(parts).item() for parts in list(zip(*found))[2:])
    weights = weights**2 * factors.view(weights.shape)
    return points.view(*weights.shape[:-2], -1, 3), weights, math.sqrt(squares / freedom) if freedom > 0 else math.nan


def typical_px(pixels: Float[Tensor, "*batch V J 2"], cameras: Cameras, weights: Float[Tensor, "*batch V J"]) -> float:
    """The size, in pixels, of the errors of most 2D joints of weight 1, whatever the share of outliers.

    At first from each joint's best start, by the distance that more than half of its views keep to; then twice from the
    median distance to the robust points. At least `LEAST_PX`. It is less than the standard deviation of Gaussian
    noise: errors that few views share between them look smaller than they are.
    """
    stride = max(1, math.prod(pixels.shape[:-3]) // SAMPLE)
    sample = [(*_starts(*part), *part) for part in _with_rays(chunks(pixels, cameras, weights, stride))]
    typical = _median_px([_least_median(*part[1:]) for part in sample])
    for _ in range(2):
        typical = _median_px([_corrected_distances(*part, WIDTH * typical) for part in sample])
    return typical


def _fit_and_noise(rays, cameras, weights, width):
    """Points, factors, and, for the noise, the sum of the weighted squared distances and their degrees of freedom."""
    points, factors = _fit(*_starts(rays, cameras, weights), rays, cameras, weights, width)
    factors = factors.where((factors >= LEAST_WEIGHT) & (weights > 0), 0.0)
    freedom = 2 * factors.sum(-2) - 3
    squares = (factors * (weights * distances(points, rays, cameras)) ** 2).sum(-2)
    return points, factors, squares[freedom > 0].sum(), freedom[freedom > 0].sum()


def _with_rays(parts):
    for pixels, cameras, weights in parts:
        rays, weights = rays_of(pixels, cameras, weights)
        yield rays, cameras, weights


def _median_px(distances: list[Tensor]) -> float:
    distance = torch.cat([torch.zeros(0, dtype=torch.float64), *distances])
    return max(LEAST_PX, distance.median().item() / MEDIAN_DISTANCE) if len(distance) else LEAST_PX


def _starts(rays, cameras, weights):
    """Points (N, S, J, 3) to start from, and their weighted distances (N, S, V, J), infinite where a start has no views."""
    points = torch.cat([_between_pairs(rays, cameras), _between_all(rays, cameras, weights).unsqueeze(-3)], dim=-3)
    distance = distances(points, rays.unsqueeze(-4), cameras[..., None, :]) * weights.unsqueeze(-3)
    seen = weights > 0
    first, second = _pairs(rays)
    usable = torch.cat([seen[:, first] & seen[:, second], seen.sum(-2, keepdim=True) >= 2], dim=-2)  # (N, S, J)
    return points, distance.nan_to_num(nan=torch.inf).where(usable.unsqueeze(-2), torch.inf)


def _pairs(rays):
    return torch.triu_indices(rays.shape[-3], rays.shape[-3], offset=1)


def _between_pairs(rays, cameras):
    """For every pair of views the middle of the shortest line between its rays."""
    first, second = _pairs(rays)
    directions = torch.nn.functional.normalize(rays, dim=-1) @ cameras.R_world_to_camera
    centers = cameras.centers_world.unsqueeze(-2)
    along, other, start, end = directions[:, first], directions[:, second], centers[:, first], centers[:, second]
    cosine = (along * other).sum(-1, keepdim=True)
    ahead, behind = (((end - start) * ray).sum(-1, keepdim=True) for ray in (along, other))
    sine2 = (1 - cosine**2).clamp(min=1e-12)
    return (start + end + ((ahead - cosine * behind) * along + (cosine * ahead - behind) * other) / sine2) / 2


def _between_all(rays, cameras, weights):
    """The point with the least weighted sum of squared distances from all rays, in space."""
    directions = torch.nn.functional.normalize(rays, dim=-1) @ cameras.R_world_to_camera
    across = torch.eye(3).to(rays) - directions.unsqueeze(-1) * directions.unsqueeze(-2)
    across = across * weights.square()[..., None, None]
    target = (across @ cameras.centers_world[..., None, :, None]).sum(-4)
    return (inverse_3x3(across.sum(-4)) @ target).squeeze(-1)


def _least_median(distance, rays, cameras, weights):
    """For each joint, over the starts, the least distance that more than half of the views keep to."""
    seen = (weights > 0).unsqueeze(-3)
    rising = distance.where(seen, torch.inf).sort(dim=-2).values
    half = (seen.sum(-2, keepdim=True) // 2).clamp(max=weights.shape[-2] - 1)
    least = rising.gather(-2, half.expand(*rising.shape[:-2], 1, -1)).amin((-3, -2))
    return least[least.isfinite()]


def _corrected_distances(points, distance, rays, cameras, weights, width):
    """Distances from the robust points, enlarged by what three unknowns of a point take away from 2 V residuals."""
    points, _ = _fit(points, distance, rays, cameras, weights, width)
    views = (weights > 0).sum(-2)
    enlarge = (2 * views / (2 * views - 3).clamp(min=1)).sqrt().unsqueeze(-2)
    carry = (weights > 0) & (views >= 2).unsqueeze(-2)
    return (distances(points, rays, cameras) * weights * enlarge)[carry]


def _fit(points, distance, rays, cameras, weights, width):
    """Improve the best of the starts: points (N, J, 3), and the factor (N, V, J) that each view's weight is left with."""
    best = _cost(distance, width).sum(-2).argmin(-2)[:, None, :, None]  # (N, 1, J, 1)
    start = points.gather(-3, best.expand(-1, 1, -1, 3)).squeeze(-3)
    start = start.where(start.isfinite(), 0.0)  # where no start has views; masked later
    points = start
    for _ in range(STEPS):
        matrix, slope = normal_equations(points, rays, cameras, weights**2 * _factors(points, rays, cameras, weights, width))
        damping = 1e-6 * matrix.diagonal(dim1=-2, dim2=-1).sum(-1) + 1e-9
        matrix = matrix + damping[..., None, None] * torch.eye(3).to(matrix)
        points = points - (inverse_3x3(matrix) @ slope.unsqueeze(-1)).squeeze(-1)
    before, after = (_cost(distances(p, rays, cameras) * weights, width).sum(-2, keepdim=True).mT for p in (start, points))
    points = points.where(after <= before, start)
    return points, _factors(points, rays, cameras, weights, width)


def _cost(distance, width):
    return 1 - 1 / (1 + (distance / width) ** 2)


def _factors(points, rays, cameras, weights, width):
    return 1 / (1 + (distances(points, rays, cameras) * weights / width) ** 2) ** 2
