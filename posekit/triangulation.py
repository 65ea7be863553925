"""3D joints from several calibrated views by geometry alone: the yardstick for everything that is learnt.

2D joints are pixels `(*batch, V, J, 2)`, NaN where missing; cameras have leading axes that broadcast with
`(*batch, V)`; results are world metres, float64 inside. Nothing loops over frames, views or joints.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from posekit.cameras import Cameras

CLOSED_FORMS = ("dlt", "midpoint")


class Triangulation(NamedTuple):
    """Triangulated joints and the evidence for them.

    points: world metres; NaN where fewer than two views saw the joint.
    views: the number of views that each point is computed from.
    error_px: weighted mean distance, over these views, between the point's projection and the 2D joint.
    """

    points: Float[Tensor, "*batch J 3"]
    views: Int[Tensor, "*batch J"]
    error_px: Float[Tensor, "*batch J"]


def triangulate(
    pixels: Float[Tensor, "*batch V J 2"],
    cameras: Cameras,
    confidence: Float[Tensor, "*batch V J"] | None = None,
    method: str = "dlt",
) -> Triangulation:
    """Closed-form triangulation of every joint from all views that saw it.

    Args:
        pixels: 2D joints; those that are NaN are left out.
        cameras: leading axes broadcastable to (*batch, V). The lens is undone first.
        confidence: weights, 0 to 1; by default 1. Weight 0 counts as missing.
        method: "dlt": minimises the algebraic error of the projection equations (Hartley and Zisserman,
            "Multiple view geometry", 2004, section 12.2). "midpoint": the point nearest to all rays in space.

    Raises:
        ValueError: for an unknown method.

    >>> from posekit.datasets import load_dataset
    >>> people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
    >>> found = triangulate(people.pixels, people.frame_cameras)
    >>> found.points.shape
    torch.Size([240, 15, 3])
    >>> bool((found.points - people.poses_world).norm(dim=-1).max() < 1e-4)  # metres: the 2D poses are exact
    True
    """
    if method not in CLOSED_FORMS:
        raise ValueError(f"method must be one of {CLOSED_FORMS}, got {method!r}")
    pixels, cameras = pixels.double(), cameras.to(torch.float64)
    weights = _weights(pixels, confidence)
    # A missing joint gets any finite value (the principal point): its weight is 0.
    pixels = pixels.where(pixels.isfinite().all(-1, keepdim=True), cameras.center_px.unsqueeze(-2))
    solve = _dlt if method == "dlt" else _midpoint
    return _measured(solve(cameras.pixels_to_rays(pixels), cameras, weights), pixels, cameras, weights)


def _weights(pixels, confidence):
    seen = pixels.isfinite().all(-1).double()
    return seen if confidence is None else seen * confidence.double().nan_to_num()


def _measured(points, pixels, cameras, weights) -> Triangulation:
    views = (weights > 0).sum(-2)
    points = points.where((views >= 2).unsqueeze(-1), torch.nan)
    total = weights.sum(-2).where(views >= 2, torch.nan)
    return Triangulation(points, views, (weights * _distances(points, pixels, cameras)).sum(-2) / total)


def _distances(points, pixels, cameras):
    """Distances in pixels between each view's 2D joints and the projections of the points, (*batch, V, J)."""
    return (cameras.world_to_pixels(points.unsqueeze(-3)) - pixels).norm(dim=-1)


def _dlt(rays, cameras, weights):
    """Rows x (r3 . X + t3) - (r1 . X + t1) = 0, likewise y: the eigenvector of A^T A of the smallest eigenvalue."""
    projection = torch.cat([cameras.R_world_to_camera, cameras.t_world_to_camera.unsqueeze(-1)], dim=-1)  # (..., V, 3, 4)
    first_two, third = projection[..., :2, :].unsqueeze(-4), projection[..., 2:, :].unsqueeze(-4)
    rows = rays.transpose(-3, -2)[..., :2, None] * third - first_two
    rows = rows * weights.transpose(-2, -1)[..., None, None]  # (*batch, J, V, 2, 4)
    rows = rows.flatten(-3, -2)
    _, vectors = torch.linalg.eigh(rows.mT @ rows)
    point = vectors[..., 0]
    return point[..., :3] / point[..., 3:]


def _midpoint(rays, cameras, weights):
    """Sum over views of w (1 - d d^T) (X - c) = 0 for ray directions d and camera centres c: three equations."""
    directions = torch.nn.functional.normalize(rays, dim=-1) @ cameras.R_world_to_camera  # (*batch, V, J, 3), world
    across = torch.eye(3).to(rays) - directions.unsqueeze(-1) * directions.unsqueeze(-2)
    across = across * weights[..., None, None]
    target = (across @ cameras.centers_world[..., None, :, None]).squeeze(-1).sum(-3)
    matrix = across.sum(-4)
    # Where fewer than two views saw a joint the matrix is singular; the result is masked later.
    enough = ((weights > 0).sum(-2) >= 2)[..., None, None]
    return torch.linalg.solve(matrix.where(enough, torch.eye(3).to(rays)), target)


def triangulate_robustly(
    pixels: Float[Tensor, "*batch V J 2"],
    cameras: Cameras,
    confidence: Float[Tensor, "*batch V J"] | None = None,
    threshold_px: float = 10.0,
) -> Triangulation:
    """Triangulation that leaves out 2D joints that do not fit the others.

    RANSAC's idea, but with every pair of views, since there are few: each pair proposes a point; the disagreement of a
    view is the squared distance between the projected point and its 2D joint, capped at `threshold_px` squared; the
    proposal with the least (weighted) disagreement wins, and the point is triangulated again from the views within the
    threshold.

    Args:
        pixels, cameras, confidence: as in `triangulate`.
        threshold_px: distance from which on a 2D joint does not fit.

    Raises:
        ValueError: with fewer than three views: two cannot outvote each other.

    Source: M. Fischler and R. Bolles, "Random sample consensus", 1981; the capped distance is that of P. Torr and
        A. Zisserman, "MLESAC", 2000.
    """
    count = pixels.shape[-3]
    if count < 3:
        raise ValueError(f"robust triangulation needs at least three views, got {count}")
    pixels, cameras = pixels.double(), cameras.to(torch.float64)
    weights = _weights(pixels, confidence)
    pair = torch.triu_indices(count, count, offset=1).T  # (pairs, 2)
    in_pair = torch.zeros(len(pair), count, dtype=torch.float64).scatter(1, pair, 1.0)
    each, cameras_each = pixels.unsqueeze(-4), cameras[..., None, :]
    each = each.expand(*pixels.shape[:-3], len(pair), *pixels.shape[-3:])  # (*batch, pairs, V, J, 2)
    proposals = triangulate(each, cameras_each, weights.unsqueeze(-3) * in_pair.unsqueeze(-1)).points
    distance = _distances(proposals, each, cameras_each)  # (*batch, pairs, V, J)
    distance = distance.nan_to_num(nan=torch.inf)  # of a pair with a missing joint
    disagreement = (distance.clamp(max=threshold_px) ** 2 * weights.unsqueeze(-3)).sum(-2)  # (*batch, pairs, J)
    best = disagreement.argmin(-2, keepdim=True).unsqueeze(-2)
    inliers = distance.gather(-3, best.expand_as(distance[..., :1, :, :])).squeeze(-3) < threshold_px
    return triangulate(pixels, cameras, weights * inliers)


def refine(
    points: Float[Tensor, "*batch J 3"],
    pixels: Float[Tensor, "*batch V J 2"],
    cameras: Cameras,
    confidence: Float[Tensor, "*batch V J"] | None = None,
    iterations: int = 5,
) -> Triangulation:
    """Move triangulated points to where the squared reprojection error, in pixels and with the lens, is smallest.

    Gauss-Newton with a little damping; the best estimate if 2D errors are Gaussian (Hartley and Zisserman 12.3).
    Points that are NaN stay NaN.

    Args:
        points: where to start, world metres; `triangulate` gives them.
        pixels, cameras, confidence: as in `triangulate`.
        iterations: Gauss-Newton steps.
    """
    pixels, cameras = pixels.double(), cameras.to(torch.float64)
    weights = _weights(pixels, confidence)
    known = points.isfinite().all(-1, keepdim=True)
    current = points.double().where(known, 0.0)
    pixels = pixels.where(pixels.isfinite(), 0.0)
    weights = weights * known.squeeze(-1).unsqueeze(-2)

    def residuals(points):
        return (cameras.world_to_pixels(points.unsqueeze(-3)) - pixels) * weights.sqrt().unsqueeze(-1)

    for _ in range(iterations):
        current.requires_grad_()
        error = residuals(current)
        jacobian = _jacobian(error, current)
        error = error.detach().transpose(-3, -2).flatten(-2).unsqueeze(-1)  # (*batch, J, 2V, 1)
        normal = jacobian.mT @ jacobian + 1e-9 * torch.eye(3, dtype=torch.float64)
        current = current.detach() - torch.linalg.solve(normal, jacobian.mT @ error).squeeze(-1)
    return _measured(current, pixels, cameras, weights)


def _jacobian(residuals, points):
    """Derivatives (*batch, J, 2V, 3) of residuals (*batch, V, J, 2), each of which depends on its own point only."""
    views = residuals.shape[-3]
    rows = torch.eye(2 * views, dtype=torch.float64).view(2 * views, *[1] * (residuals.ndim - 3), views, 1, 2)
    slopes = torch.autograd.grad(residuals, points, rows.expand(2 * views, *residuals.shape), is_grads_batched=True)[0]
    return slopes.movedim(0, -2)


def scene_distance(cameras: Cameras) -> float:
    """How far away the scene is: the mean depth of the point where the cameras' lines of sight come nearest to each other.

    A guess for a lifter's `scene_distance` where nothing else is known of the scene.

    Args:
        cameras: (*batch, V), two views or more; the mean is over all of them.

    Raises:
        ValueError: with fewer than two views, if all lines of sight are parallel, or if they meet behind a camera.

    >>> from posekit.datasets import load_dataset
    >>> cameras = load_dataset("synthetic", "train").cameras
    >>> f"{scene_distance(cameras):.1f} m"
    '4.1 m'
    """
    if not cameras.shape or cameras.shape[-1] < 2:
        raise ValueError(f"lines of sight meet only with two cameras or more, got cameras of shape {cameras.shape}")
    cameras = cameras.to(torch.float64)
    directions = cameras.R_world_to_camera[..., 2, :]
    if ((directions @ directions.mT).abs().amin((-2, -1)) > 1 - 1e-4).any():
        raise ValueError("the cameras' lines of sight are parallel, so they do not meet: measure the distance of the scene")
    ahead = torch.tensor([0.0, 0.0, 1.0]).to(directions).expand(*cameras.shape, 1, 3)
    point = _midpoint(ahead, cameras, torch.ones_like(ahead[..., 0]))
    depth = cameras.world_to_camera(point.unsqueeze(-3))[..., 2]
    if (depth <= 0).any():
        raise ValueError("the cameras' lines of sight meet behind a camera: measure the distance of the scene")
    return depth.mean().item()
