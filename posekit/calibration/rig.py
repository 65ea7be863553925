"""From pairs of views to rigs: relative poses chained along a tree of views and brought to one scale."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.calibration.bundle import Problem, in_first_camera, initial_points
from posekit.calibration.relative import RelativePoses, depths
from posekit.cameras import Cameras

MOST_RIGS = 16
TYPICAL_DEPTH_M = 4.0  # a rig without a known scale gets people at this distance from its first camera

Edge = tuple[int, int]


def view_pairs(views: int) -> Tensor:
    """All pairs of views, (pairs, 2), the smaller number first."""
    return torch.triu_indices(views, views, offset=1).T


def spanning_tree(quality: Float[Tensor, " pairs"], views: int) -> list[Edge]:
    """The tree over all views with the best pairs, as edges (placed view, new view) in the order of placing.

    Source: R. Prim, "Shortest connection networks and some generalizations", 1957.

    Raises:
        ValueError: if pairs of quality above 0 do not connect all views.
    """
    pairs = view_pairs(views)
    table = torch.zeros(views, views).to(quality)
    table[pairs[:, 0], pairs[:, 1]] = quality
    table = table + table.T
    placed = torch.zeros(views, dtype=torch.bool)
    placed[table.amax(1).argmax()] = True
    edges = []
    while not placed.all():
        open_edges = table * (placed.unsqueeze(1) & ~placed)
        if not open_edges.any():
            lost = (~placed).nonzero().flatten().tolist()
            raise ValueError(f"views {lost} cannot be placed beside the others: no pair with them has a usable relative pose")
        parent, child = divmod(int(open_edges.argmax()), views)
        edges.append((parent, child))
        placed[child] = True
    return edges


def assemble(problem: Problem, cameras: Cameras, poses: RelativePoses, tree: list[Edge]) -> Cameras:
    """Candidate rigs (C, V): every combination of the pairs' candidates along a tree, the cheapest `MOST_RIGS` kept.

    The distance of a new view from its neighbour follows from the depths that views already placed give in that
    neighbour: it is the median of their ratios to the depths at unit distance.

    Args:
        problem: what the views saw.
        cameras: (V,) pinholes; their extrinsics are ignored.
        poses: candidates of all pairs, in the order of `view_pairs`.
        tree: as `spanning_tree` gives it.

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
        rigs, cost = _extended(rigs, cost, R, t * 1.0, more, length, parent, child)
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
    length = (known / unit).where(common, torch.nan).nanmedian(-1).values
    if length.isnan().all():
        raise ValueError(f"views {parent} and {child} share no joint with a third view: their distance has no scale")
    return length


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
    depth = rigs[:, :1].world_to_camera(initial_points(problem, rigs))[..., 2][:, seen].abs().median(-1).values
    return replace(rigs, t_world_to_camera=rigs.t_world_to_camera * (TYPICAL_DEPTH_M / depth)[:, None, None])
