"""3D joints from several calibrated views by geometry alone: the yardstick for everything that is learnt.

2D joints are pixels `(*batch, V, J, 2)`, NaN where missing; cameras have leading axes that broadcast with
`(*batch, V)`; results are world metres, float64 inside. Nothing loops over frames, views or joints.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.reprojection import Triangulation, measured, rays_of
from posekit.robust import chunks, robust_points

CLOSED_FORMS = ("dlt", "midpoint")


def triangulate(
    pixels: Float[Tensor, "*batch V J 2"],
    cameras: Cameras,
    confidence: Float[Tensor, "*batch V J"] | None = None,
    method: str = "dlt",
) -> Triangulation:
    """Closed-form triangulation of every joint from all views that saw it.

    Args:
        pixels: 2D joints; those that are NaN, or beyond the reach of the lens, are left out.
        cameras: leading axes broadcastable to (*batch, V). The lens is undone first.
        confidence: weights of the equations, 0 to 1, so that squared errors count with its square; by default 1. Weight
            0 counts as missing.
        method: "dlt": minimises the algebraic error of the projection equations in pixels (Hartley and Zisserman,
            "Multiple view geometry", 2004, section 12.2). "midpoint": the point nearest to all rays in space.

    Raises:
        ValueError: for an unknown method, or a negative confidence.

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
    pixels = _filled(pixels, cameras)
    rays, weights = rays_of(pixels, cameras, weights)
    points = (_dlt if method == "dlt" else _midpoint)(rays, cameras, weights)
    return measured(points, pixels, cameras, weights**2, weights)


def _weights(pixels, confidence):
    seen = pixels.isfinite().all(-1).double()
    if confidence is None:
        return seen
    confidence = confidence.double().nan_to_num()
    if (confidence < 0).any():
        raise ValueError(f"confidence must not be negative, got {confidence.min():g}")
    return seen * confidence


def _filled(pixels, cameras):
    """A missing joint gets any finite value (the principal point): its weight is 0."""
    return pixels.where(pixels.isfinite().all(-1, keepdim=True), cameras.center_px.unsqueeze(-2))


def _dlt(rays, cameras, weights):
    """Rows f (x (r3 . X + t3) - (r1 . X + t1)) = 0, likewise y: the eigenvector of A^T A of the smallest eigenvalue.

    The focal length f makes an error count in pixels, so that views of different lenses are weighed as they see.
    """
    projection = torch.cat([cameras.R_world_to_camera, cameras.t_world_to_camera.unsqueeze(-1)], dim=-1)  # (..., V, 3, 4)
    first_two, third = projection[..., :2, :].unsqueeze(-4), projection[..., 2:, :].unsqueeze(-4)
    rows = rays.transpose(-3, -2)[..., :2, None] * third - first_two
    focal = cameras.focal_px / cameras.focal_px.mean((-2, -1), keepdim=True)
    rows = rows * focal.unsqueeze(-3).unsqueeze(-1) * weights.transpose(-2, -1)[..., None, None]  # (*batch, J, V, 2, 4)
    rows = rows.flatten(-3, -2)
    _, vectors = torch.linalg.eigh(rows.mT @ rows)
    point = vectors[..., 0]
    return point[..., :3] / point[..., 3:]


def _midpoint(rays, cameras, weights):
    """Sum over views of w^2 (1 - d d^T) (X - c) = 0 for ray directions d and camera centres c: three equations."""
    directions = torch.nn.functional.normalize(rays, dim=-1) @ cameras.R_world_to_camera  # (*batch, V, J, 3), world
    across = torch.eye(3).to(rays) - directions.unsqueeze(-1) * directions.unsqueeze(-2)
    across = across * weights.square()[..., None, None]
    target = (across @ cameras.centers_world[..., None, :, None]).squeeze(-1).sum(-3)
    matrix = across.sum(-4)
    # Where fewer than two views saw a joint the matrix is singular; the result is masked later.
    enough = ((weights > 0).sum(-2) >= 2)[..., None, None]
    return torch.linalg.solve(matrix.where(enough, torch.eye(3).to(rays)), target)


def triangulate_robustly(
    pixels: Float[Tensor, "*batch V J 2"],
    cameras: Cameras,
    confidence: Float[Tensor, "*batch V J"] | None = None,
    threshold_px: float | None = None,
) -> Triangulation:
    """Triangulation in which a view has the less say the worse it fits; a blunder has none.

    What fits is judged by the noise of the data: the standard deviation of the 2D joints is estimated over all frames
    given, so give one recording at a time. Then every joint has the point of least robust distance, see `posekit.robust`,
    found from every pair of views and improved by reweighted least squares in undistorted pixels. Memory is bounded,
    whatever the number of frames.

    Args:
        pixels, cameras, confidence: as in `triangulate`.
        threshold_px: None, or a fixed distance from which on a 2D joint does not fit at all. Then each pair of views
            proposes a point; the one with the least sum of squared distances, each capped at the threshold, wins, and
            `triangulate` takes the views within it (Fischler and Bolles, "Random sample consensus", 1981; the capped
            distance is that of Torr and Zisserman, "MLESAC", 2000).

    Raises:
        ValueError: with fewer than three views: two cannot outvote each other; for a negative confidence.

    >>> from posekit.datasets import load_dataset
    >>> from posekit.random import generator
    >>> people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
    >>> noisy = people.with_detector_noise(4.0, 0.0, generator(0))
    >>> noisy.pixels[:, 0, 7] += 100.0  # a blunder in one view
    >>> found = triangulate_robustly(noisy.pixels, noisy.frame_cameras)
    >>> f"{found.noise_px:.0f} px of noise; joint 7 is carried by {found.views[:, 7].double().mean():.0f} views"
    '4 px of noise; joint 7 is carried by 2 views'
    """
    count = pixels.shape[-3]
    if count < 3:
        raise ValueError(f"robust triangulation needs at least three views, got {count}")
    pixels, cameras = pixels.double(), cameras.to(torch.float64)
    weights = _weights(pixels, confidence)
    if threshold_px is not None:
        inliers = torch.cat([_within(threshold_px, *part) for part in chunks(pixels, cameras, weights)])
        return triangulate(pixels, cameras, weights * inliers.view(weights.shape))
    pixels = _filled(pixels, cameras)
    points, weights, noise_px = robust_points(pixels, cameras, weights)
    return measured(points, pixels, cameras, weights, noise_px=noise_px)


def _within(threshold_px, pixels, cameras, weights):
    """Which 2D joints lie within the threshold of the pair's point that the views disagree with least, (N, V, J)."""
    count = pixels.shape[-3]
    pair = torch.triu_indices(count, count, offset=1).T  # (pairs, 2)
    in_pair = torch.zeros(len(pair), count, dtype=torch.float64).scatter(1, pair, 1.0)
    each, cameras_each = pixels.unsqueeze(-4), cameras[..., None, :]
    each = each.expand(*pixels.shape[:-3], len(pair), *pixels.shape[-3:])  # (N, pairs, V, J, 2)
    proposals = triangulate(each, cameras_each, weights.unsqueeze(-3) * in_pair.unsqueeze(-1)).points
    distance = (cameras_each.world_to_pixels(proposals.unsqueeze(-3)) - each).norm(dim=-1)  # (N, pairs, V, J)
    distance = distance.nan_to_num(nan=torch.inf)  # of a pair with a missing joint
    disagreement = (distance.clamp(max=threshold_px) ** 2 * weights.unsqueeze(-3)).sum(-2)  # (N, pairs, J)
    best = disagreement.argmin(-2, keepdim=True).unsqueeze(-2)
    return distance.gather(-3, best.expand_as(distance[..., :1, :, :])).squeeze(-3) < threshold_px


def refine(
    start: Float[Tensor, "*batch J 3"] | Triangulation,
    pixels: Float[Tensor, "*batch V J 2"],
    cameras: Cameras,
    confidence: Float[Tensor, "*batch V J"] | None = None,
    iterations: int = 5,
) -> Triangulation:
    """Move triangulated points to where the squared reprojection error, in pixels and with the lens, is smallest.

    Gauss-Newton with a little damping; the best estimate if 2D errors are Gaussian (Hartley and Zisserman 12.3).
    Points that are NaN stay NaN, and are carried by no view.

    Args:
        start: a result of `triangulate` or `triangulate_robustly`, whose weights are kept; or points, world metres.
        pixels, cameras: as in `triangulate`.
        confidence: the weights of the squared errors, where `start` has none of its own; by default 1.
        iterations: Gauss-Newton steps.

    Raises:
        ValueError: for a confidence beside a result that has weights.
    """
    pixels, cameras = pixels.double(), cameras.to(torch.float64)
    if isinstance(start, Triangulation) and confidence is not None:
        raise ValueError("start is a Triangulation, whose weights are kept: leave confidence out, or give start.points")
    points, weights = start.points if isinstance(start, Triangulation) else start, _weights(pixels, confidence)
    error_weights, noise_px = weights, None
    if isinstance(start, Triangulation):
        weights, error_weights, noise_px = start.weights, start.weights.sqrt(), start.noise_px
    known = points.isfinite().all(-1, keepdim=True)
    current = points.double().where(known, 0.0)
    pixels = pixels.where(pixels.isfinite(), 0.0)
    weights, error_weights = (w * known.squeeze(-1).unsqueeze(-2) for w in (weights, error_weights))

    def residuals(points):
        return (cameras.world_to_pixels(points.unsqueeze(-3)) - pixels) * weights.sqrt().unsqueeze(-1)

    for _ in range(iterations):
        current.requires_grad_()
        error = residuals(current)
        jacobian = _jacobian(error, current)
        error = error.detach().transpose(-3, -2).flatten(-2).unsqueeze(-1)  # (*batch, J, 2V, 1)
        normal = jacobian.mT @ jacobian + 1e-9 * torch.eye(3, dtype=torch.float64)
        current = current.detach() - torch.linalg.solve(normal, jacobian.mT @ error).squeeze(-1)
    return measured(current, pixels, cameras, weights, error_weights, noise_px)


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
