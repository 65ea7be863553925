"""Bundle adjustment: cameras and points moved together until the points' images are where the 2D joints are.

A rig has no position, heading or size of its own: the first camera stays where it is, and so does its distance to the
camera that is furthest from it at the start. The numerical part is `posekit.calibration.solver`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import roma
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from posekit.calibration.solver import Problem, adjust, deviations, residuals, robust_cost, robust_scale
from posekit.cameras import Cameras
from posekit.triangulation import triangulate


class BundleAdjustment(NamedTuple):
    """An adjusted rig and the evidence for it.

    cameras: moved, in the world of the start; the first camera has not moved.
    points: the joints' places, metres if the start's were; NaN where fewer than two views saw the joint.
    cost_px2: mean robust squared residual, s^2 log(1 + (r / s)^2).
    residuals_px: distance of every 2D joint from the image of its point; NaN where missing.

    The last three are standard deviations by camera that the residuals imply: `rotation_std_deg` of the turn (degrees),
    `centre_std` of the centre (the unit of the points) and `focal_std` of the focal length (as a share of it), all
    relative to the first camera, which has none. They are infinite where the images do not determine the value.
    """

    cameras: Cameras
    points: Float[Tensor, "F J 3"]
    cost_px2: float
    residuals_px: Float[Tensor, "F V J"]
    rotation_std_deg: Float[Tensor, " V"]
    centre_std: Float[Tensor, " V"]
    focal_std: Float[Tensor, " V"]


def bundle_adjust(
    pixels: Float[Tensor, "F V J 2"],
    cameras: Cameras,
    confidence: Float[Tensor, "F V J"] | None = None,
    *,
    free_focal: bool | Sequence[bool] = False,
    free_k1: bool | Sequence[bool] = False,
    focal_prior: float = torch.inf,
    robust_px: float | None = None,
    iterations: int = 60,
) -> BundleAdjustment:
    """Improve a calibration on 2D joints: extrinsics, and on request focal lengths and the lenses' first coefficient.

    The start must be roughly right (some tens of degrees): `calibrate_from_people` finds one. What the gauge leaves
    free stays as given: the first camera's place and its distance to the camera that is furthest at the start. The
    principal points are never adjusted: people do not determine them.

    Args:
        pixels: 2D joints; those that are NaN are left out.
        cameras: (V,), where to start.
        confidence: weights of the squared residuals, 0 to 1; by default 1.
        free_focal, free_k1: for all cameras or one value for each.
        focal_prior: how far, as a share, the focal lengths are expected to be off; infinite for no expectation.
        robust_px: scale of the Cauchy weights; by default 3 times the median residual, at least 1 px, estimated twice.
        iterations: at most this many steps.

    Raises:
        ValueError: for fewer than two views, shapes that disagree, cameras or lenses that cannot be adjusted, or if no
            joint is seen by two views.
    """
    points, weights = as_points(pixels, confidence, cameras)
    masks = free_masks(free_focal, free_k1, cameras)
    given, cameras = cameras.focal_px.dtype, cameras.to(torch.float64)
    # Rounded rotations are made exact: their transposes stand for inverses, and an error would grow from call to call.
    cameras = replace(cameras, R_world_to_camera=roma.special_procrustes(cameras.R_world_to_camera))
    problem = Problem(points, weights, robust_px or 1.0, *masks, cameras.focal_px, focal_prior)
    start, world = in_first_camera(cameras)
    local, placed = start, initial_points(problem, start)
    for _ in range(1 if robust_px else 2):
        if robust_px is None:
            problem = replace(problem, robust_px=robust_scale(residuals(problem, local, placed), weights))
        local, placed, _ = adjust(problem, local, placed, iterations)
    found = evidence(problem, *_as_large_as(start, local, placed), len(pixels), world)
    return found._replace(cameras=found.cameras.to(given))


def _as_large_as(start: Cameras, local: Cameras, points: Tensor) -> tuple[Cameras, Tensor]:
    """A rig and its points scaled about the first camera until the one furthest from it at the start is as far again.

    On the way another may have become the furthest, whose distance the solver then keeps.
    """
    before, after = start.t_world_to_camera.norm(dim=-1), local.t_world_to_camera.norm(dim=-1)
    scale = before.max() / after[before.argmax()]
    return replace(local, t_world_to_camera=scale * local.t_world_to_camera), scale * points


def evidence(problem: Problem, local: Cameras, points: Tensor, frames: int, world: Cameras) -> BundleAdjustment:
    """What an adjustment found, with cameras and points of the first camera's frame moved to the world."""
    error = residuals(problem, local, points).where(problem.weights > 0, torch.nan)
    seen = ((problem.weights > 0).sum(0) >= 2).unsqueeze(-1)
    return BundleAdjustment(
        cameras=moved_back(local, world),
        points=world.camera_to_world(points).where(seen, torch.nan).unflatten(0, (frames, -1)),
        cost_px2=robust_cost(problem, error.nan_to_num()).item(),
        residuals_px=error.unflatten(-1, (frames, -1)).transpose(0, 1),
        **deviations(problem, local, points),
    )


def as_points(pixels: Tensor, confidence: Tensor | None, cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Frames times joints as N points: pixels (V, N, 2) without NaN, and weights (V, N), 0 unless two views see it."""
    views = pixels.shape[1]
    if views < 2:
        raise ValueError(f"a calibration needs at least two views, got {views}")
    if cameras.shape != (views,):
        raise ValueError(f"cameras must have shape {(views,)}, one for each view of the pixels, got {cameras.shape}")
    if confidence is not None and confidence.shape != pixels.shape[:-1]:
        raise ValueError(f"confidence must have shape {tuple(pixels.shape[:-1])}, got {tuple(confidence.shape)}")
    seen = pixels.isfinite().all(-1)
    weights = seen.double() if confidence is None else confidence.double().nan_to_num() * seen
    weights = weights * ((weights > 0).sum(1, keepdim=True) >= 2)
    if not weights.any():
        raise ValueError("no joint is seen by two views at once")
    points = pixels.double().where(seen.unsqueeze(-1), cameras.center_px.double().unsqueeze(-2))
    return points.transpose(0, 1).reshape(views, -1, 2), weights.transpose(0, 1).reshape(views, -1)


def free_masks(
    free_focal: bool | Sequence[bool], free_k1: bool | Sequence[bool], cameras: Cameras
) -> tuple[Bool[Tensor, " V"], Bool[Tensor, " V"]]:
    """One truth value for each camera, of one for all or of as many as there are cameras, for both arguments."""
    masks = []
    for name, values in (("free_focal", free_focal), ("free_k1", free_k1)):
        mask = torch.as_tensor(values, dtype=torch.bool)
        if mask.shape not in ((), cameras.shape):
            raise ValueError(f"{name} must be one truth value or one for each of {len(cameras)} views, got {values}")
        masks.append(mask.expand(len(cameras)))
    if masks[1].any() and not cameras.radial.shape[-1]:
        raise ValueError(f'free_k1: the lens {cameras.lens!r} has no coefficient; use lens="opencv"')
    return masks[0], masks[1]


def in_first_camera(cameras: Cameras) -> tuple[Cameras, Cameras]:
    """Cameras in the frame of the first one, and the first one itself, which leads back."""
    first = cameras[..., :1]
    R = cameras.R_world_to_camera @ first.R_world_to_camera.mT
    t = cameras.t_world_to_camera - (R @ first.t_world_to_camera.unsqueeze(-1)).squeeze(-1)
    return replace(cameras, R_world_to_camera=R, t_world_to_camera=t), cameras[..., 0]


def moved_back(local: Cameras, world: Cameras) -> Cameras:
    """The inverse of `in_first_camera`."""
    R = local.R_world_to_camera @ world.R_world_to_camera
    shift = (local.R_world_to_camera @ world.t_world_to_camera[..., None, :, None]).squeeze(-1)
    return replace(local, R_world_to_camera=R, t_world_to_camera=local.t_world_to_camera + shift)


def initial_points(problem: Problem, cameras: Cameras) -> Float[Tensor, "*batch N 3"]:
    """Triangulated points to start from; the origin's neighbourhood where fewer than two views see one."""
    pixels = problem.pixels.expand(*cameras.shape, *problem.pixels.shape[1:])
    found = triangulate(pixels, cameras, problem.weights.expand(pixels.shape[:-1])).points
    return found.where(found.isfinite().all(-1, keepdim=True), 1.0)
