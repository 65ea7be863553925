"""Cameras from the people they see."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.calibration.bundle import (
    BundleAdjustment,
    Problem,
    adjust,
    as_points,
    initial_points,
    mask_of,
    moved_back,
    residuals,
    robust_cost,
    robust_scale,
)
from posekit.calibration.relative import RelativePoses, depths, relative_poses
from posekit.calibration.rig import assemble, spanning_tree, view_pairs
from posekit.cameras import Cameras

COARSE_POINTS, FINE_POINTS = 400, 1000


class Start(NamedTuple):
    cameras: Cameras
    points: Tensor
    cost: float
    robust_px: float


def guess_intrinsics(image_size_px: Float[Tensor, "V 2"], focal: float = 1.2) -> Cameras:
    size = image_size_px.double()
    views = len(size)
    return Cameras.checked(
        R_world_to_camera=torch.eye(3, dtype=torch.float64).repeat(views, 1, 1),
        t_world_to_camera=torch.zeros(views, 3, dtype=torch.float64),
        focal_px=focal * size.amax(-1, keepdim=True).expand(-1, 2),
        center_px=size / 2,
        image_size_px=size,
    )


def find(problem, intrinsics, generator):
    """One start."""
    pinhole, ideal = pinholes(problem, intrinsics)
    rays = pinhole.pixels_to_rays(ideal.pixels)
    pairs = view_pairs(len(pinhole))
    a, b = pairs.T
    weights = (problem.weights[a] * problem.weights[b]).sqrt()
    focal = pinhole.focal_px.mean(-1)
    poses = relative_poses(rays[a], rays[b], weights, (focal[a] * focal[b]).sqrt(), generator)
    quality = pair_quality(poses, rays[a], rays[b], weights)
    tree = spanning_tree(quality * (0.5 + torch.rand(len(pairs), generator=generator, dtype=torch.float64)), len(pinhole))
    order = torch.randperm(ideal.pixels.shape[1], generator=generator)
    few = replace(ideal.subset(order[:COARSE_POINTS]), robust_px=5.0)
    rigs = assemble(few, pinhole, poses, tree)
    rigs, _, cost = adjust(few, rigs, initial_points(few, rigs), 12)
    best = rigs[cost.argmin()]
    return replace(intrinsics, R_world_to_camera=best.R_world_to_camera, t_world_to_camera=best.t_world_to_camera), cost, tree, poses


def fine(problem, cameras, free=True):
    none = torch.zeros_like(problem.free_focal)
    stages = [replace(problem, free_focal=none, free_k1=none)] * 2
    if problem.free_focal.any() or problem.free_k1.any():
        stages += [replace(problem, free_k1=none), problem, problem]
    points = initial_points(problem, cameras)
    for stage in stages:
        stage = replace(stage, robust_px=robust_scale(residuals(stage, cameras, points), stage.weights))
        cameras, points, cost = adjust(stage, cameras, points, 40)
    return cameras, points, cost, stage


def pinholes(problem, cameras):
    rays = cameras.pixels_to_rays(problem.pixels)[..., :2]
    flat = replace(cameras, radial=cameras.radial[..., :0], tangential=cameras.tangential[..., :0], lens="none")
    return flat, replace(problem, pixels=rays * cameras.focal_px.unsqueeze(-2) + cameras.center_px.unsqueeze(-2))


def pair_quality(poses, a, b, weights):
    R, t = poses.R[:, 0], poses.t[:, 0]
    sin = torch.linalg.cross(torch.nn.functional.normalize(a @ R.mT, dim=-1), torch.nn.functional.normalize(b, dim=-1)).norm(dim=-1)
    sin = sin.where(weights > 0, torch.nan).nanmedian(-1).values
    return sin * weights.sum(-1) / (1 + poses.cost[:, 0])
