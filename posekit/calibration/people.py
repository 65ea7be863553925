"""Cameras from the people they see: start from pairs of views, adjust everything, say how far to trust it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.calibration.bundle import BundleAdjustment, as_points, evidence, free_masks, initial_points
from posekit.calibration.relative import CAUCHY_PX
from posekit.calibration.report import CalibrationReport, report_on
from posekit.calibration.rig import Pairs, assemble, spanning_tree, study_pairs
from posekit.calibration.solver import Problem, adjust, residuals, robust_cost, robust_scale
from posekit.cameras import Cameras
from posekit.random import generator as seeded_generator
from posekit.skeleton import Skeleton

COARSE_POINTS, FINE_POINTS = 400, 1000
COARSE_STEPS, FINE_STEPS = 12, 30
PERSON_M = 1.5
"""What is taken for the largest distance between two joints of a person, until `set_scale` knows better."""


class Calibration(NamedTuple):
    """Cameras found, in the precision of the given intrinsics, and what speaks for and against them."""

    cameras: Cameras
    report: CalibrationReport


def guess_intrinsics(image_size_px: Float[Tensor, "V 2"], focal: float = 1.2) -> Cameras:
    """Pinholes with the "opencv" lens for cameras of which only the image sizes are known; extrinsics are the identity.

    Args:
        image_size_px: widths and heights.
        focal: focal length as a multiple of the longer side; 1.2 is a usual camera's.

    >>> guess_intrinsics(torch.tensor([[1920.0, 1080.0], [1080.0, 1920.0]])).focal_px[:, 0]
    tensor([2304., 2304.])
    """
    return Cameras.checked(
        R_world_to_camera=torch.eye(3).to(image_size_px).repeat(len(image_size_px), 1, 1),
        t_world_to_camera=torch.zeros(len(image_size_px), 3).to(image_size_px),
        focal_px=focal * image_size_px.amax(-1, keepdim=True).expand(-1, 2),
        center_px=image_size_px / 2,
        image_size_px=image_size_px,
    )


def calibrate_from_people(
    pixels: Float[Tensor, "F V J 2"],
    intrinsics: Cameras,
    confidence: Float[Tensor, "F V J"] | None = None,
    *,
    free_focal: bool | Sequence[bool] = False,
    free_k1: bool | Sequence[bool] = False,
    frames: int = 200,
    restarts: int = 3,
    skeleton: Skeleton | None = None,
    view_names: Sequence[str] | None = None,
    generator: torch.Generator | None = None,
) -> Calibration:
    """Where the cameras stand, from the 2D joints of people who move between them; no board, no 3D.

    Every pair of views proposes relative poses, which are chained to candidate rigs; the one that a short bundle
    adjustment likes best is adjusted further. This is done several times, from other random numbers; the lowest robust
    cost wins, and the report says whether the others agree. **Look at the report**: people who stay in place, views out of
    step and swapped sides give wrong cameras that look fine in pixels.

    The world is the first camera's: its origin there, z up in its image, y forward. The size is a guess (people are
    1.5 m from one end of the skeleton to the other): see `set_scale` and `set_upright`.

    Args:
        pixels: 2D joints of one person or several takes, synchronised; NaN where missing. Cameras that move between
            takes are calibrated per take.
        intrinsics: (V,) cameras of which only focal lengths, principal points, lenses and image sizes are read;
            `guess_intrinsics` makes them of image sizes.
        confidence: weights, 0 to 1; by default 1.
        free_focal, free_k1: whether focal lengths, and the lenses' first coefficients, are found as well; for all
            cameras or one value for each.
        frames: used at most, spread evenly over those in which two views see joints.
        restarts: at least 1; 2 or more show whether the result can be trusted.
        skeleton: names the joints of the report, and lets it look for swapped sides.
        view_names: for the report and for errors; by default numbers.
        generator: random numbers; by default those of seed 0. The same seed gives the same bits.

    Raises:
        ValueError: for fewer than two views; shapes that disagree; intrinsics that are missing for a camera; a view
            without joints, or without enough in common with others; views that look from one place; people all in one
            plane or one spot.
    """
    names = _names(view_names, pixels.shape[1])
    _check(pixels, intrinsics, names, skeleton)
    if restarts < 1 or frames < 1:
        raise ValueError(f"restarts and frames must be at least 1, got {restarts} and {frames}")
    numbers = seeded_generator(0) if generator is None else generator
    given, intrinsics = intrinsics.focal_px.dtype, _without_extrinsics(intrinsics.to(torch.float64))
    points, weights = as_points(pixels, confidence, intrinsics)
    chosen = _choose_frames(weights.view(len(names), len(pixels), -1), frames)
    kept = (chosen.unsqueeze(-1) * pixels.shape[2] + torch.arange(pixels.shape[2])).flatten()
    masks = free_masks(free_focal, free_k1, intrinsics)
    problem = Problem(points[:, kept], weights[:, kept], CAUCHY_PX, *masks, intrinsics.focal_px)
    best, costs, turns = _best_restart(problem, intrinsics, restarts, numbers, names)
    cameras, placed, final = _polish(problem, best.cameras)
    adjusted = _in_guessed_world(cameras, evidence(final, cameras, placed, len(chosen), cameras[0]))
    report = report_on(pixels, confidence, chosen, adjusted, (costs, turns), best.pairs, final, names, skeleton)
    return Calibration(adjusted.cameras.to(given), report)


class _Start(NamedTuple):
    cameras: Cameras
    distances: Tensor
    robust_px: float
    pairs: Pairs


def _names(view_names, views):
    names = tuple(map(str, range(views) if view_names is None else view_names))
    if len(names) != views:
        raise ValueError(f"view_names must name {views} views, got {names}")
    if views < 2:
        raise ValueError(f"a calibration needs at least two views, got {views}")
    return names


def _check(pixels, cameras, names, skeleton):
    if cameras.shape != (len(names),):
        raise ValueError(f"intrinsics must have shape {(len(names),)}, one for each view of the pixels, got {cameras.shape}")
    parts = (cameras.focal_px, cameras.center_px, cameras.image_size_px, cameras.radial, cameras.tangential)
    known = torch.cat(parts, dim=-1).isfinite().all(-1) & (cameras.focal_px > 0).all(-1)
    if not known.all():
        lost = ", ".join(name for name, whole in zip(names, known) if not whole)
        raise ValueError(f"the intrinsics of view {lost} are missing or not positive; `guess_intrinsics` gives a start")
    blind = [name for name, seen in zip(names, pixels.isfinite().all(-1).any(-1).any(0)) if not seen]
    if blind:
        raise ValueError(f"view {', '.join(blind)} has no 2D joint: all are NaN")
    if skeleton is not None and len(skeleton) != pixels.shape[2]:
        raise ValueError(f"{skeleton.name} has {len(skeleton)} joints, the pixels have {pixels.shape[2]}")


def _without_extrinsics(cameras):
    views = len(cameras)
    eye, zero = torch.eye(3, dtype=torch.float64).repeat(views, 1, 1), torch.zeros(views, 3, dtype=torch.float64)
    return replace(cameras, R_world_to_camera=eye, t_world_to_camera=zero)


def _choose_frames(weights, frames):
    """Numbers of at most so many frames, evenly spread over those with joints in two views."""
    usable = (weights > 0).any(-1).any(0).nonzero().squeeze(-1)
    return usable[torch.linspace(0, len(usable) - 1, min(frames, len(usable)), dtype=torch.float64).round().long()]


def _best_restart(problem, intrinsics, restarts, numbers, names):
    """The restart of least cost on some of the points; the costs of all; and their largest turns from the best."""
    few = problem.subset(torch.randperm(problem.pixels.shape[1], generator=numbers)[:FINE_POINTS])
    starts = [_restart(problem, few, intrinsics, numbers, names) for _ in range(restarts)]
    few = replace(few, robust_px=min(start.robust_px for start in starts))
    costs = torch.stack([robust_cost(few, start.distances) for start in starts])
    best = starts[int(costs.argmin())]
    return best, costs, torch.stack([_largest_turn(start.cameras, best.cameras) for start in starts])


def _restart(problem, few, intrinsics, numbers, names) -> _Start:
    """One calibration on few points, from the pairs up."""
    pinholes, ideal = undistorted(problem, intrinsics)
    pairs = study_pairs(ideal, pinholes, names, numbers)
    shaken = pairs.quality * (0.5 + torch.rand(len(pairs.quality), generator=numbers, dtype=torch.float64))
    tree = spanning_tree(shaken, names, pairs.faults)
    coarse = ideal.subset(torch.randperm(ideal.pixels.shape[1], generator=numbers)[:COARSE_POINTS])
    rigs = assemble(coarse, pinholes, pairs.poses, tree, names)
    rigs, _, costs = adjust(coarse, rigs, initial_points(coarse, rigs), COARSE_STEPS)
    best = rigs[costs.nan_to_num(nan=torch.inf).argmin()]
    placed = replace(intrinsics, R_world_to_camera=best.R_world_to_camera, t_world_to_camera=best.t_world_to_camera)
    cameras, points, last = _polish(few, placed)
    return _Start(cameras, residuals(few, cameras, points), last.robust_px, pairs)


def undistorted(problem: Problem, cameras: Cameras) -> tuple[Cameras, Problem]:
    """The same for pinholes: cameras without lenses, and where the 2D joints would be in their images."""
    rays = cameras.pixels_to_rays(problem.pixels)[..., :2]
    pinholes = replace(cameras, radial=cameras.radial[..., :0], tangential=cameras.tangential[..., :0], lens="none")
    ideal = rays * cameras.focal_px.unsqueeze(-2) + cameras.center_px.unsqueeze(-2)
    none = torch.zeros_like(problem.free_focal)
    return pinholes, replace(problem, pixels=ideal, free_focal=none, free_k1=none)


def _polish(problem, cameras):
    """Adjust extrinsics, then focal lengths, then lenses as well; the robust scale follows the residuals."""
    none = torch.zeros_like(problem.free_focal)
    stages = [replace(problem, free_focal=none, free_k1=none), replace(problem, free_k1=none), problem]
    if problem.free_k1.any():
        stages.append(problem)
    points = initial_points(problem, cameras)
    for stage in stages:
        stage = replace(stage, robust_px=robust_scale(residuals(stage, cameras, points), stage.weights))
        cameras, points, _ = adjust(stage, cameras, points, FINE_STEPS)
    return cameras, points, stage


def _largest_turn(a, b):
    """Largest difference, degrees, of a camera's turn relative to the first camera."""
    return roma.rotmat_geodesic_distance(a.R_world_to_camera, b.R_world_to_camera).rad2deg().max()


def _in_guessed_world(cameras, adjusted: BundleAdjustment):
    """z up in the first camera's image, y along its axis, and people of `PERSON_M`."""
    far = torch.cdist(adjusted.points.nan_to_num(), adjusted.points.nan_to_num())
    known = adjusted.points.isfinite().all(-1)
    far = far.where(known.unsqueeze(-1) & known.unsqueeze(-2), 0.0).amax((-2, -1))
    size = PERSON_M / far[far > 0].median()
    stood = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)  # camera axes to world axes
    moved = replace(
        cameras,
        R_world_to_camera=cameras.R_world_to_camera @ stood.mT,
        t_world_to_camera=cameras.t_world_to_camera * size,
    )
    return adjusted._replace(cameras=moved, points=adjusted.points @ stood.mT * size, centre_std=adjusted.centre_std * size)
