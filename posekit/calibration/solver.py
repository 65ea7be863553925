"""The solver of bundle adjustment: Levenberg and Marquardt's damping, with the points eliminated.

Batched float64 tensor code: `*batch` are rigs adjusted side by side, V views, N points; cameras stand in the frame of the
first one, which does not move. Source: B. Triggs et al., "Bundle adjustment: a modern synthesis", 2000.
"""

from dataclasses import dataclass, replace

import roma
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from posekit.cameras import NEAR_M, Cameras, inverse_depth
from posekit.lenses import distort

PER_CAMERA = 8  # turn (3), shift (3), log of the focal length, k1
DAMPING = (1e-12, 1e12)


@dataclass(frozen=True)
class Problem:
    """What is minimised, and over what.

    Args:
        pixels: 2D joints, any finite value where missing.
        weights: of the squared residuals; 0 where missing.
        robust_px: Cauchy scale: a residual of this size counts half.
        free_focal, free_k1: cameras whose focal length, and whose first lens coefficient, are adjusted as well.
        focal_px: what the focal lengths are expected to be.
        focal_prior: standard deviation of the logarithm of the focal length about that; infinite for no prior.
    """

    pixels: Float[Tensor, "V N 2"]
    weights: Float[Tensor, "V N"]
    robust_px: float
    free_focal: Bool[Tensor, " V"]
    free_k1: Bool[Tensor, " V"]
    focal_px: Float[Tensor, "V 2"]
    focal_prior: float = torch.inf

    @property
    def focal_weight(self) -> float:
        """Of the squared deviation of a logarithm, in px^2, so that a deviation as expected counts as a typical residual."""
        return (self.robust_px / 3 / self.focal_prior) ** 2

    def subset(self, index: Tensor) -> "Problem":
        """The same problem with some of its points."""
        return replace(self, pixels=self.pixels[:, index], weights=self.weights[:, index])

    def free(self) -> Tensor:
        """Indices of the adjusted parameters among the V times 8."""
        posed = torch.arange(len(self.free_focal)) > 0
        columns = [posed.unsqueeze(-1).expand(-1, 6), self.free_focal.unsqueeze(-1), self.free_k1.unsqueeze(-1)]
        return torch.cat(columns, dim=-1).flatten().nonzero().squeeze(-1)


def residuals(problem: Problem, cameras: Cameras, points: Tensor) -> Float[Tensor, "*batch V N"]:
    """Distances in pixels between 2D joints and the images of the points."""
    return (cameras.world_to_pixels(points.unsqueeze(-3)) - problem.pixels).norm(dim=-1)


def robust_scale(distances: Float[Tensor, "V N"], weights: Float[Tensor, "V N"]) -> float:
    """Three times the median of the distances that count, at least 1 px."""
    return max(1.0, 3 * distances[weights > 0].median().item())


def robust_cost(problem: Problem, distances: Tensor) -> Float[Tensor, "*batch"]:
    """Weighted mean of s^2 log(1 + (r / s)^2), px^2."""
    scale2 = problem.robust_px**2
    costs = scale2 * torch.log1p(distances**2 / scale2)
    return (costs * problem.weights).sum((-2, -1)) / problem.weights.sum()


def adjust(
    problem: Problem, cameras: Cameras, points: Float[Tensor, "*batch N 3"], iterations: int
) -> tuple[Cameras, Float[Tensor, "*batch N 3"], Float[Tensor, "*batch"]]:
    """Levenberg-Marquardt on every rig of the batch, each with its own damping; cameras in the frame of the first.

    Returns cameras, points and robust cost.
    """
    damping = torch.full(cameras.shape[:-1], 1e-3, dtype=torch.float64)

    def cost_of(cameras, points):
        prior = problem.focal_weight * (_drift(problem, cameras) ** 2).sum(-1) / problem.weights.sum()
        return robust_cost(problem, residuals(problem, cameras, points)) + prior

    cost, still = cost_of(cameras, points), 0
    for _ in range(iterations):
        system = _normal_equations(problem, cameras, points)
        tried = _moved(cameras, points, *_step(problem, system, damping))
        tried_cost = cost_of(*tried)
        better = tried_cost < cost  # false where it is NaN
        gain = torch.where(better, (cost - tried_cost) / cost.clamp(min=1e-30), 0.0)
        cameras, points = _where(better, tried[0], cameras), tried[1].where(better[..., None, None], points)
        cost = tried_cost.where(better, cost)
        damping = (damping * torch.where(better, 0.2, 8.0)).clamp(*DAMPING)
        still = still + 1 if (gain < 1e-7).all() else 0
        if still == 2 or (cost < 1e-22).all():
            break
    return cameras, points, cost


def _normal_equations(problem, cameras, points):
    """Blocks of J^T W J and J^T W r: cameras (V, 8, 8), points (N, 3, 3), mixed (N, V * 8, 3), and both right sides."""
    by_camera, by_point, error = _linearised(problem, cameras, points)
    distance2 = (error * error).sum(-1)
    weights = problem.weights / (1 + distance2 / problem.robust_px**2)
    weighted = by_camera * weights[..., None, None]
    cameras_block = weighted.flatten(-3, -2).mT @ by_camera.flatten(-3, -2)
    cameras_side = (weighted * error.unsqueeze(-1)).sum((-3, -2))
    points_block = (by_point.mT @ (by_point * weights[..., None, None])).sum(-4)  # the sum over views
    points_side = (by_point * (weights.unsqueeze(-1) * error).unsqueeze(-1)).sum((-4, -2))
    mixed = (weighted.mT @ by_point).transpose(-4, -3).flatten(-3, -2)
    cameras_block[..., 6, 6] += problem.focal_weight
    cameras_side[..., 6] += problem.focal_weight * _drift(problem, cameras)
    return cameras_block, cameras_side.flatten(-2), points_block, points_side, mixed, _scale_direction(cameras)


def _drift(problem, cameras):
    return (cameras.focal_px / problem.focal_px).log()[..., 0]


def _linearised(problem, cameras, points):
    """Derivatives of the images by camera (..., V, N, 2, 8) and by point (..., V, N, 2, 3), and what they miss by."""
    turned = points.unsqueeze(-3) @ cameras.R_world_to_camera.mT
    seen_from = turned + cameras.t_world_to_camera.unsqueeze(-2)
    xy, z = seen_from[..., :2], seen_from[..., 2:]
    inverse = inverse_depth(z)
    slope = torch.where(z > NEAR_M, -inverse * inverse, -(NEAR_M**-2))
    bent, by_ray, by_k1 = _bent(xy * inverse, cameras)
    focal = cameras.focal_px.unsqueeze(-2)
    by_ray = by_ray * focal.unsqueeze(-1)
    by_depth = (by_ray @ (xy * slope).unsqueeze(-1)).squeeze(-1)
    by_place = torch.cat([by_ray * inverse.unsqueeze(-1), by_depth.unsqueeze(-1)], dim=-1)  # (..., V, N, 2, 3)
    by_turn = torch.linalg.cross(turned.unsqueeze(-2).expand_as(by_place), by_place)
    by_camera = torch.cat([by_turn, by_place, (bent * focal).unsqueeze(-1), (by_k1 * focal).unsqueeze(-1)], dim=-1)
    by_point = by_place @ cameras.R_world_to_camera.unsqueeze(-3)
    return by_camera, by_point, bent * focal + cameras.center_px.unsqueeze(-2) - problem.pixels


def _bent(rays, cameras):
    """Rays through the lens, with the derivatives by ray (..., 2, 2) and by the first coefficient (..., 2)."""
    if cameras.lens == "none":
        return rays, torch.eye(2).to(rays).expand(*rays.shape, 2), torch.zeros_like(rays)
    with torch.enable_grad():
        rays = rays.detach().requires_grad_()
        radial = cameras.radial.detach().unsqueeze(-2).expand(*rays.shape[:-1], -1).clone().requires_grad_()
        bent = distort(rays, radial, cameras.tangential.unsqueeze(-2), cameras.lens)
        # Every image depends on its own ray alone, so that the gradient of a sum is every image's derivative.
        slopes = [torch.autograd.grad(bent[..., axis].sum(), (rays, radial), retain_graph=True) for axis in (0, 1)]
    by_ray = torch.stack([by_ray for by_ray, _ in slopes], dim=-2)
    return bent.detach(), by_ray, torch.stack([by_radial[..., 0] for _, by_radial in slopes], dim=-1)


def _scale_direction(cameras):
    """The change of all parameters (V * 8) by which only the distance from the first camera to the furthest grows."""
    t = cameras.t_world_to_camera
    far = _furthest(t)
    change = torch.zeros(*t.shape[:-1], PER_CAMERA).to(t)
    change[..., 3:6] = t * far / (t * far).norm(dim=(-2, -1), keepdim=True)
    return change.flatten(-2)


def _furthest(t):
    """1 for the camera furthest from the origin, where the first camera is, 0 for the others, (..., V, 1)."""
    index = t.norm(dim=-1).argmax(-1, keepdim=True)
    return torch.zeros_like(t[..., 0]).scatter(-1, index, 1.0).unsqueeze(-1)


def _reduced(problem, system, damping):
    """The points eliminated: the free cameras' matrix and right side, and what leads back to the points."""
    cameras_block, cameras_side, points_block, points_side, mixed, scale = system
    damped = points_block + _damped_diagonal(points_block, damping.unsqueeze(-1))
    across = mixed @ torch.linalg.inv(damped)  # (..., N, V * 8, 3)
    flat = across.transpose(-3, -2).flatten(-2)
    matrix = _block_diagonal(cameras_block) - flat @ mixed.transpose(-3, -2).flatten(-2).mT
    side = cameras_side - (across @ points_side.unsqueeze(-1)).squeeze(-1).sum(-2)
    free = problem.free()
    matrix, side, scale = matrix[..., free, :][..., free], side[..., free], scale[..., free]
    size = torch.diagonal(cameras_block, dim1=-2, dim2=-1)[..., 3:6].amax((-2, -1)).clamp(min=1e-12)[..., None, None]
    return matrix + size * scale.unsqueeze(-1) * scale.unsqueeze(-2), side, damped, free


def _step(problem, system, damping):
    cameras_block, _, _, points_side, mixed, _ = system
    matrix, side, damped, free = _reduced(problem, system, damping)
    diagonal = torch.diagonal(cameras_block, dim1=-2, dim2=-1).flatten(-2)[..., free]
    matrix = matrix + torch.diag_embed(diagonal * damping.unsqueeze(-1) + 1e-9)
    solved, _ = torch.linalg.solve_ex(matrix, -side)
    cameras_step = torch.zeros(*side.shape[:-1], mixed.shape[-2]).to(side).index_copy(-1, free, solved)
    points_right = -points_side - (mixed.mT @ cameras_step[..., None, :, None]).squeeze(-1)
    return cameras_step.unflatten(-1, (-1, PER_CAMERA)), torch.linalg.solve(damped, points_right)


def _damped_diagonal(matrix, damping):
    """Marquardt's: the diagonal times the damping, and a little more so that a point nobody sees stays put."""
    diagonal = torch.diagonal(matrix, dim1=-2, dim2=-1)
    return torch.diag_embed(diagonal * damping.unsqueeze(-1) + 1e-9 * (1 + diagonal.amax(-1, keepdim=True)))


def _block_diagonal(blocks):
    views, size = blocks.shape[-3:-1]
    eye = torch.eye(views).to(blocks)
    return torch.einsum("...vij,vu->...viuj", blocks, eye).reshape(*blocks.shape[:-3], views * size, views * size)


def _moved(cameras, points, cameras_step, points_step):
    """Take a step, then bring the distance to the furthest camera back to what it was."""
    before = cameras.t_world_to_camera
    t, far = before + cameras_step[..., 3:6], _furthest(before)
    length = ((before * far).norm(dim=(-2, -1)) / (t * far).norm(dim=(-2, -1)))[..., None, None]
    bent = torch.zeros_like(cameras.radial)
    bent[..., :1] = cameras_step[..., 7:]
    moved = replace(
        cameras,
        R_world_to_camera=roma.rotvec_to_rotmat(cameras_step[..., :3]) @ cameras.R_world_to_camera,
        t_world_to_camera=t * length,
        focal_px=cameras.focal_px * cameras_step[..., 6:7].clamp(-0.5, 0.5).exp(),
        radial=cameras.radial + bent,
    )
    return moved, (points + points_step) * length


def _where(condition, yes: Cameras, no: Cameras) -> Cameras:
    names = ("R_world_to_camera", "t_world_to_camera", "focal_px", "radial")
    pairs = {name: (getattr(yes, name), getattr(no, name)) for name in names}
    return replace(
        no,
        **{
            name: a.where(condition.view(*condition.shape, *[1] * (a.ndim - condition.ndim)), b)
            for name, (a, b) in pairs.items()
        },
    )


def deviations(problem: Problem, cameras: Cameras, points: Float[Tensor, "N 3"]) -> dict[str, Float[Tensor, " V"]]:
    """Standard deviations by camera of turn (degrees), centre and focal length (as a share), for one rig.

    They follow from the points-eliminated matrix and the spread of the residuals.
    """
    system = _normal_equations(problem, cameras, points)
    matrix, _, _, free = _reduced(problem, system, torch.zeros(cameras.shape[:-1], dtype=torch.float64))
    seen = problem.weights > 0
    unknowns = 3 * (seen.sum(0) >= 2).sum() + len(free)
    error = residuals(problem, cameras, points)
    robust = problem.weights / (1 + (error / problem.robust_px) ** 2)
    variance = (robust * error**2).sum() / (2 * seen.sum() - unknowns).clamp(min=1)
    scale = torch.diagonal(matrix).clamp(min=1e-30).sqrt()
    values, vectors = torch.linalg.eigh(matrix / scale / scale.unsqueeze(-1))
    inverse = (vectors / values.clamp(min=1e-14)) @ vectors.mT / scale / scale.unsqueeze(-1)
    full = torch.zeros(len(cameras) * PER_CAMERA, dtype=torch.float64)
    full[free] = (torch.diagonal(inverse) * variance).clamp(min=0)
    full = full.view(-1, PER_CAMERA)
    return dict(
        rotation_std_deg=full[:, :3].sum(-1).sqrt().rad2deg(),
        centre_std=full[:, 3:6].sum(-1).sqrt(),
        focal_std=full[:, 6].sqrt(),
    )
