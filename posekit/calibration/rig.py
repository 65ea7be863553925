"""From pairs of views to rigs: relative poses chained along a tree of views and brought to one scale."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.calibration.bundle import in_first_camera, initial_points
from posekit.calibration.relative import RelativePoses, depths, explained_by_a_plane, relative_poses
from posekit.calibration.solver import Problem
from posekit.cameras import Cameras

FEWEST_MATCHES = 30
MOST_RIGS = 16
TYPICAL_DEPTH_M = 4.0  # a rig without a known scale gets people at this distance from its first camera

Edge = tuple[int, int]


class Pairs(NamedTuple):
    """All pairs of views.

    poses: candidates; their costs are infinite where the pair is of no use.
    quality: 0 where it is of no use; grows with matches, agreement and the angle between the rays.
    faults: what makes it of no use, or "".
    """

    poses: RelativePoses
    quality: Float[Tensor, " pairs"]
    faults: tuple[str, ...]


def view_pairs(views: int) -> Tensor:
    """All pairs of views, (pairs, 2), the smaller number first."""
    return torch.triu_indices(views, views, offset=1).T


def study_pairs(problem: Problem, cameras: Cameras, names: Sequence[str], generator: torch.Generator) -> Pairs:
    """Relative poses of all pairs of pinholes, and which pairs can be built on.

    Raises:
        ValueError: if no two views have enough joints in common.
    """
    rays, focal = cameras.pixels_to_rays(problem.pixels), cameras.focal_px.mean(-1)
    a, b = view_pairs(len(cameras)).T
    weights = (problem.weights[a] * problem.weights[b]).sqrt()
    count = (weights > 0).sum(-1)
    enough = count >= FEWEST_MATCHES
    faults = [
        f"{names[i]} and {names[j]} have {n} joints in common, of {FEWEST_MATCHES} needed" for i, j, n in zip(a, b, count)
    ]
    if not enough.any():
        raise ValueError("no two views have enough in common: " + "; ".join(faults))
    scale = (focal[a] * focal[b]).sqrt()
    part = (rays[a[enough]], rays[b[enough]], weights[enough], scale[enough])
    found = relative_poses(*part, generator)
    plane = explained_by_a_plane(*part, found)
    poses = RelativePoses(*(torch.full((len(a), *values.shape[1:]), torch.inf).to(values) for values in found))
    for values, some in zip(poses, found):
        values[enough] = some
    quality = torch.zeros(len(a)).to(rays)
    quality[enough] = _quality(found, *part[:3])
    for pair, reason in zip(enough.nonzero().flatten().tolist(), plane):
        faults[pair] = f"{names[a[pair]]} and {names[b[pair]]}: {reason}" if reason else ""
        quality[pair] *= not reason
    return Pairs(poses, quality, tuple(faults))


def _quality(poses, rays_a, rays_b, weights):
    turned, rays_b = (torch.nn.functional.normalize(rays, dim=-1) for rays in (rays_a @ poses.R[:, 0].mT, rays_b))
    sine = torch.linalg.cross(turned, rays_b).norm(dim=-1).where(weights > 0, torch.nan).nanmedian(-1).values
    return sine * weights.sum(-1) / (1 + poses.cost[:, 0])


def spanning_tree(quality: Float[Tensor, " pairs"], names: Sequence[str], faults: Sequence[str]) -> list[Edge]:
    """The tree over all views with the best pairs, as edges (placed view, new view) in the order of placing.

    Source: R. Prim, "Shortest connection networks and some generalizations", 1957.

    Raises:
        ValueError: if pairs of quality above 0 do not connect all views; the message has their faults.
    """
    views = len(names)
    pairs = view_pairs(views)
    table = torch.zeros(views, views).to(quality)
    table[pairs[:, 0], pairs[:, 1]] = quality
    table = table + table.T
    placed = torch.zeros(views, dtype=torch.bool)
    placed[table.amax(1).argmax()] = True
    edges = []
    while not placed.all():
        reachable = table * (placed.unsqueeze(1) & ~placed)
        if not reachable.any():
            lost = ", ".join(name for name, at in zip(names, placed) if not at)
            raise ValueError(f"view {lost} cannot be placed beside the others: {'; '.join(filter(None, faults))}")
        parent, child = divmod(int(reachable.argmax()), views)
        edges.append((parent, child))
        placed[child] = True
    return edges


def assemble(problem: Problem, cameras: Cameras, poses: RelativePoses, tree: list[Edge], names: Sequence[str]) -> Cameras:
    """Candidate rigs (C, V): every combination of the pairs' candidates along a tree, the cheapest `MOST_RIGS` kept.

    The distance of a new view from its neighbour follows from the depths that views already placed give in that
    neighbour: it is the median of their ratios to the depths at unit distance.

    Args:
        problem: what the views saw.
        cameras: (V,) pinholes; their extrinsics are ignored.
        poses: candidates of all pairs, in the order of `view_pairs`.
        tree: as `spanning_tree` gives it.
        names: of the views.

    Raises:
        ValueError: if views have no joints in common that would bring them to one scale.
    """
    views = len(cameras)
    pair_of = {tuple(pair): index for index, pair in enumerate(view_pairs(views).tolist())}
    rays = cameras.pixels_to_rays(problem.pixels)
    eye = torch.eye(3, dtype=torch.float64)
    rigs = replace(cameras, R_world_to_camera=eye.repeat(views, 1, 1), t_world_to_camera=torch.zeros(views, 3).to(rays))
    rigs, cost = rigs[None], torch.zeros(1).to(rays)
    placed = torch.zeros(views, dtype=torch.bool)
    for parent, child in tree:
        R, t, more = _candidates(poses, pair_of[min(parent, child), max(parent, child)], inverse=parent > child)
        length = torch.ones(len(rigs), len(R)).to(rays)
        if placed.any():
            both = (problem.weights[parent] > 0) & (problem.weights[child] > 0)
            length = _baselines(_seen_by(problem, placed), rigs, R, t, rays, both, parent, child)
            if length.isnan().all():
                pair = f"{names[parent]} and {names[child]}"
                raise ValueError(f"views {pair} share no joint with a third view: their distance has no scale")
        rigs, cost = _extended(rigs, cost, R, t, more, length, parent, child)
        placed[[parent, child]] = True
    return _sized(problem, in_first_camera(rigs)[0])


def _candidates(poses, pair, inverse):
    usable = poses.cost[pair] < torch.inf
    R, t, cost = poses.R[pair, usable], poses.t[pair, usable], poses.cost[pair, usable]
    return (R.mT, -(R.mT @ t.unsqueeze(-1)).squeeze(-1), cost) if inverse else (R, t, cost)


def _seen_by(problem, placed):
    """The problem with the weights of views that are not placed yet at 0."""
    return replace(problem, weights=problem.weights * placed.unsqueeze(-1))


def _baselines(problem, rigs, R, t, rays, both, parent, child):
    """Distances (C, K) between parent and child, in every rig's unit."""
    points = initial_points(problem, rigs)
    known = rigs[:, parent].world_to_camera(points)[..., 2].unsqueeze(1)  # (C, 1, N)
    unit, _ = depths(R, t, rays[parent], rays[child])  # (K, N)
    common = both & ((problem.weights > 0).sum(0) >= 2) & (known > 0) & (unit > 0)
    return (known / unit).where(common, torch.nan).nanmedian(-1).values


def _extended(rigs, cost, R, t, more, length, parent, child):
    """Every rig with every candidate of one more view, the cheapest first."""
    total = (cost.unsqueeze(-1) + more).where(length.isfinite(), torch.inf).flatten()
    kept = total.argsort(stable=True)[: min(MOST_RIGS, int(total.isfinite().sum()))]
    rig, candidate = kept // len(R), kept % len(R)
    rigs = rigs[rig]
    shift = R[candidate] @ rigs.t_world_to_camera[:, parent, :, None]
    turned, shifted = rigs.R_world_to_camera.clone(), rigs.t_world_to_camera.clone()
    turned[:, child] = R[candidate] @ rigs.R_world_to_camera[:, parent]
    shifted[:, child] = shift.squeeze(-1) + t[candidate] * length[rig, candidate, None]
    return replace(rigs, R_world_to_camera=turned, t_world_to_camera=shifted), total[kept]


def _sized(problem, rigs):
    """People at a plausible distance."""
    seen = (problem.weights > 0).sum(0) >= 2
    depth = initial_points(problem, rigs)[:, seen, 2].abs().median(-1).values
    return replace(rigs, t_world_to_camera=rigs.t_world_to_camera * (TYPICAL_DEPTH_M / depth)[:, None, None])
