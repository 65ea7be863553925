"""Where a second camera stands, from two pictures of the same points: essential matrices, batched over pairs of views.

The length between the cameras stays unknown and is 1. Source: R. Hartley and A. Zisserman, "Multiple view geometry",
2004, chapters 9 and 11; R. Hartley, "In defense of the eight-point algorithm", 1997.
"""

from typing import NamedTuple

import roma
import torch
from jaxtyping import Float
from torch import Tensor

CAP_PX = 10.0
"""Sampson distance, in pixels, from which on a match counts the same in the first selection."""
CAUCHY_PX = 5.0
"""Cauchy scale, in pixels, of the refinement."""
MOST_NOISE_PX = 10.0
MOST_POINTS = 600  # that candidates are scored and refined on


class RelativePoses(NamedTuple):
    """Candidates for every pair of views, the best first: x_b = R x_a + t, where t has length 1.

    cost: mean robust squared Sampson distance, px^2; infinite where a pair has fewer candidates.
    in_front: share of the matches that lie in front of both cameras.
    """

    R: Float[Tensor, "pairs K 3 3"]
    t: Float[Tensor, "pairs K 3"]
    cost: Float[Tensor, "pairs K"]
    in_front: Float[Tensor, "pairs K"]


def relative_poses(
    rays_a: Float[Tensor, "pairs N 3"],
    rays_b: Float[Tensor, "pairs N 3"],
    weights: Float[Tensor, "pairs N"],
    focal_px: Float[Tensor, " pairs"],
    generator: torch.Generator,
    samples: int = 500,
    refined: int = 8,
    kept: int = 3,
    least_in_front: float = 0.6,
) -> RelativePoses:
    """Candidates for how the second view of each pair stands in the first.

    Random eights of matches each propose an essential matrix; the best by capped Sampson distance are refined in their
    five degrees of freedom; each means four poses, of which those with most points in front of both cameras remain. More
    than one candidate is kept, since two views of people who stay in place can have several good ones.

    Args:
        rays_a, rays_b: undistorted matches, z = 1, as `Cameras.pixels_to_rays` gives them; any finite value where missing.
        weights: of the matches; 0 where missing.
        focal_px: which turns distances between rays into pixels, for example the mean of both cameras'.
        generator: of the random eights.
        samples, refined, kept: how many are drawn, refined, returned.
        least_in_front: candidates with a smaller share in front are dropped, unless none has as much.

    Raises:
        ValueError: if a pair has fewer than eight matches.
    """
    if ((weights > 0).sum(-1) < 8).any():
        raise ValueError("eight matches are the fewest that determine two views' pose")
    drawn = torch.multinomial((weights > 0).double(), 8 * samples, replacement=True, generator=generator)
    sample = drawn.view(len(drawn), samples, 8)
    E = _eight_point(rays_a, rays_b, weights, sample)
    few = _few(weights, generator)
    a, b, w = (_take(part, few) for part in (rays_a, rays_b, weights.unsqueeze(-1)))
    w = w.squeeze(-1)
    distance = sampson(E, a.unsqueeze(1), b.unsqueeze(1)) * focal_px[:, None, None]
    capped = (distance.clamp(-CAP_PX, CAP_PX) ** 2 * w.unsqueeze(1)).sum(-1)
    best = capped.argsort(dim=-1, stable=True)[:, :refined]
    E = E.gather(1, best[..., None, None].expand(-1, -1, 3, 3))
    R, t = _decomposed(E)
    R, t, cost = refine_relative(
        R[..., 0, :, :], t[..., 0, :], a.unsqueeze(1), b.unsqueeze(1), w.unsqueeze(1), focal_px[:, None]
    )
    R, t = _decomposed(cross_matrix(t) @ R)
    cost = cost.unsqueeze(-1).expand(R.shape[:-2])
    in_front = share_in_front(R, t, a[:, None, None], b[:, None, None], w[:, None, None])
    return _distinct(*(part.flatten(1, 2) for part in (R, t, cost, in_front)), kept, least_in_front)


def cross_matrix(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix [v]x that takes a vector to v x vector."""
    rows = vector.unsqueeze(-2).expand(*vector.shape, 3)
    return torch.linalg.cross(rows, torch.eye(3).to(vector).expand_as(rows)).mT


def sampson(
    E: Float[Tensor, "*batch 3 3"], a: Float[Tensor, "*#batch N 3"], b: Float[Tensor, "*#batch N 3"]
) -> Float[Tensor, "*batch N"]:
    """Signed distance of matches from b^T E a = 0, to first order, in the unit of the rays."""
    Ea, Eb = a @ E.mT, b @ E
    length2 = (Ea[..., :2] ** 2).sum(-1) + (Eb[..., :2] ** 2).sum(-1)
    return (b * Ea).sum(-1) / length2.clamp(min=1e-30).sqrt()


def depths(R: Tensor, t: Tensor, a: Tensor, b: Tensor) -> tuple[Float[Tensor, "*batch N"], Float[Tensor, "*batch N"]]:
    """Depths in both views at which two rays pass each other most closely: x_b = R x_a + t."""
    ra = a @ R.mT
    aa, bb, ab = (ra * ra).sum(-1), (b * b).sum(-1), (ra * b).sum(-1)
    at, bt = (ra * t.unsqueeze(-2)).sum(-1), (b * t.unsqueeze(-2)).sum(-1)
    det = (aa * bb - ab * ab).clamp(min=1e-15)
    return (ab * bt - bb * at) / det, (aa * bt - ab * at) / det


def share_in_front(R: Tensor, t: Tensor, a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
    """Weighted share of the matches that lie in front of both cameras."""
    za, zb = depths(R, t, a, b)
    return (((za > 0) & (zb > 0)) * weights).sum(-1) / weights.sum(-1)


def refine_relative(
    R: Float[Tensor, "*batch 3 3"],
    t: Float[Tensor, "*batch 3"],
    a: Float[Tensor, "*#batch N 3"],
    b: Float[Tensor, "*#batch N 3"],
    weights: Float[Tensor, "*#batch N"],
    focal_px: Float[Tensor, "*#batch"],
    iterations: int = 15,
) -> tuple[Tensor, Tensor, Tensor]:
    """Levenberg-Marquardt on the Cauchy-weighted Sampson distances: pose and cost, px^2."""
    damping = torch.full(R.shape[:-2], 1e-3, dtype=R.dtype)
    total = weights.sum(-1)

    def cost_of(R, t):
        distance = sampson(cross_matrix(t) @ R, a, b) * focal_px.unsqueeze(-1)
        return (CAUCHY_PX**2 * torch.log1p((distance / CAUCHY_PX) ** 2) * weights).sum(-1) / total

    cost = cost_of(R, t)
    for _ in range(iterations):
        across = _across(t)
        jacobian, distance = _linearised(R, t, across, a, b, focal_px)
        robust = weights / (1 + (distance / CAUCHY_PX) ** 2)
        weighted = jacobian * robust.unsqueeze(-2)  # (..., 5, N)
        matrix = weighted @ jacobian.mT
        side = (weighted * distance.unsqueeze(-2)).sum(-1)
        diagonal = torch.diagonal(matrix, dim1=-2, dim2=-1) * damping.unsqueeze(-1) + 1e-9
        step, _ = torch.linalg.solve_ex(matrix + torch.diag_embed(diagonal), -side)
        tried_R = roma.rotvec_to_rotmat(step[..., :3]) @ R
        tried_t = torch.nn.functional.normalize(t + (across @ step[..., 3:, None]).squeeze(-1), dim=-1)
        tried = cost_of(tried_R, tried_t)
        better = tried < cost
        R, t = tried_R.where(better[..., None, None], R), tried_t.where(better[..., None], t)
        cost = tried.where(better, cost)
        damping = (damping * torch.where(better, 0.2, 8.0)).clamp(1e-12, 1e12)
    return R, t, cost


def _linearised(R, t, across, a, b, focal_px):
    """Derivatives (..., 5, N) of the Sampson distances by the turn and by two ways to tilt t, and the distances."""
    E = cross_matrix(t) @ R
    by_turn = cross_matrix(t).unsqueeze(-3) @ cross_matrix(torch.eye(3).to(R)) @ R.unsqueeze(-3)
    by_tilt = cross_matrix(across.mT) @ R.unsqueeze(-3)
    dE = torch.cat([by_turn, by_tilt], dim=-3)
    Ea, Eb = a @ E.mT, b @ E
    dEa, dEb = a.unsqueeze(-3) @ dE.mT, b.unsqueeze(-3) @ dE
    height = (b * Ea).sum(-1)
    length = ((Ea[..., :2] ** 2).sum(-1) + (Eb[..., :2] ** 2).sum(-1)).clamp(min=1e-30).sqrt()
    d_height = (b.unsqueeze(-3) * dEa).sum(-1)
    d_length = (Ea.unsqueeze(-3) * dEa)[..., :2].sum(-1) + (Eb.unsqueeze(-3) * dEb)[..., :2].sum(-1)
    length, height = length.unsqueeze(-2), height.unsqueeze(-2)
    focal = focal_px[..., None, None]
    return focal * (d_height / length - height * d_length / length**3), (focal * height / length).squeeze(-2)


def _across(t):
    """Two unit vectors across t, as columns (..., 3, 2)."""
    helper = torch.nn.functional.one_hot(t.abs().argmin(-1), 3).to(t)
    first = torch.nn.functional.normalize(torch.linalg.cross(t, helper), dim=-1)
    return torch.stack([first, torch.linalg.cross(t, first)], dim=-1)


def _eight_point(rays_a, rays_b, weights, sample):
    """Essential matrices (pairs, samples, 3, 3) of samples of matches; coordinates are normalised as Hartley's."""
    to_a, to_b = _normalisation(rays_a, weights), _normalisation(rays_b, weights)
    a, b = _take(rays_a @ to_a.mT, sample.flatten(1)), _take(rays_b @ to_b.mT, sample.flatten(1))
    rows = (b.unsqueeze(-1) * a.unsqueeze(-2)).flatten(-2).unflatten(1, sample.shape[1:])  # (pairs, samples, 8, 9)
    _, vectors = torch.linalg.eigh(rows.mT @ rows)
    F = vectors[..., 0].unflatten(-1, (3, 3))
    return to_b.mT.unsqueeze(1) @ F @ to_a.unsqueeze(1)


def _normalisation(rays, weights):
    """The matrix (pairs, 3, 3) after which rays have mean 0 and mean square 1 on each axis."""
    total = weights.sum(-1)[:, None]
    mean = (rays[..., :2] * weights.unsqueeze(-1)).sum(1) / total
    spread = (((rays[..., :2] - mean.unsqueeze(1)) ** 2 * weights.unsqueeze(-1)).sum(1) / total).sqrt().clamp(min=1e-12)
    matrix = torch.diag_embed(torch.cat([1 / spread, torch.ones_like(spread[:, :1])], dim=-1))
    matrix[:, :2, 2] = -mean / spread
    return matrix


def _decomposed(E):
    """The four poses of an essential matrix: R (..., 4, 3, 3), t (..., 4, 3)."""
    U, _, Vh = torch.linalg.svd(E)
    U = U * torch.linalg.det(U).sign()[..., None, None]
    Vh = Vh * torch.linalg.det(Vh).sign()[..., None, None]
    W = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=E.dtype)
    first, second, t = U @ W @ Vh, U @ W.mT @ Vh, U[..., 2]
    return torch.stack([first, first, second, second], dim=-3), torch.stack([t, -t, t, -t], dim=-2)


def _few(weights, generator):
    """Indices (pairs, n) of at most `MOST_POINTS` matches of every pair, without repetition."""
    count = min(MOST_POINTS, int((weights > 0).sum(-1).min()))
    order = torch.rand(weights.shape, generator=generator, dtype=torch.float64) * (weights > 0)
    return order.topk(count, dim=-1).indices


def _take(values, index):
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


def explained_by_a_plane(
    rays_a: Float[Tensor, "pairs N 3"],
    rays_b: Float[Tensor, "pairs N 3"],
    weights: Float[Tensor, "pairs N"],
    focal_px: Float[Tensor, " pairs"],
    poses: RelativePoses,
) -> list[str]:
    """Why matches do not determine the pose, "" where they do: pairs whose matches one homography explains as well.

    Arguments are those of `relative_poses`, and what it found.
    """
    to_a, to_b = _normalisation(rays_a, weights), _normalisation(rays_b, weights)
    a, b, robust = rays_a @ to_a.mT, rays_b @ to_b.mT, weights
    for _ in range(10):
        rows = (cross_matrix(b).unsqueeze(-1) * a[..., None, None, :]).flatten(-2)[..., :2, :]  # b x H a = 0
        rows = (rows * robust.sqrt()[..., None, None]).flatten(1, 2)
        H = torch.linalg.eigh(rows.mT @ rows).eigenvectors[..., 0].unflatten(-1, (3, 3))
        H = torch.linalg.inv(to_b) @ H @ to_a
        miss = _homography_distance(H, rays_a, rays_b) * focal_px.unsqueeze(-1)
        robust = weights / (1 + (miss / CAUCHY_PX) ** 2)
    E = cross_matrix(poses.t[:, 0]) @ poses.R[:, 0]
    noise = _median(sampson(E, rays_a, rays_b).abs() * focal_px.unsqueeze(-1), weights)
    noise = noise.clamp(max=MOST_NOISE_PX)  # if nothing fits, a plane that fits no worse says nothing
    within = _median(miss, weights) < 0.3 + 1.9 * noise  # 1.75 times the noise if they do
    stretch = torch.linalg.svdvals(H)
    turned_only = stretch[:, 0] / stretch[:, 2].clamp(min=1e-12) < 1.05
    spot = 1 / torch.stack([to_a[:, 0, 0], to_a[:, 1, 1], to_b[:, 0, 0], to_b[:, 1, 1]]).amin(0) * focal_px < 5 + 4 * noise
    reasons = (
        (spot, "all joints are at one spot of the image"),
        (within & turned_only, "both look from one place, or so far away that they differ by a turn alone"),
        (within, "all that both see lies in one plane, within the noise"),
    )
    return [next((reason for mask, reason in reasons if mask[pair]), "") for pair in range(len(E))]


def _homography_distance(H, a, b):
    """Distance of matches from b ~ H a, to first order and shared between both images, in the unit of the rays."""
    moved = a @ H.mT
    depth = moved[..., 2:]
    image = moved[..., :2] / depth
    slope = (H[:, None, :2, :2] - image.unsqueeze(-1) * H[:, None, 2:, :2]) / depth.unsqueeze(-1)
    spread = torch.eye(2).to(a) + slope @ slope.mT
    error = (image - b[..., :2]).unsqueeze(-1)
    return (error * torch.linalg.solve(spread, error)).sum((-2, -1)).nan_to_num(nan=1e6).clamp(min=0).sqrt()


def _median(values, weights):
    return values.where(weights > 0, torch.nan).nanmedian(-1).values


def _distinct(R, t, cost, in_front, kept, least_in_front):
    """The best candidates that differ from better ones by more than 3 degrees in turn or 10 in the baseline."""
    needed = in_front.amax(-1, keepdim=True).clamp(max=least_in_front)  # where none has that many, the best ones remain
    cost = cost.where(in_front >= needed, torch.inf)
    row, left, chosen, costs = torch.arange(len(R)), cost, [], []
    for _ in range(kept):
        lowest, index = left.min(-1)
        chosen.append(index)
        costs.append(lowest)
        turn = roma.rotmat_geodesic_distance(R[row, index].unsqueeze(1).expand_as(R), R).rad2deg()
        tilt = (t[row, index].unsqueeze(1) * t).sum(-1).clamp(-1, 1).arccos().rad2deg()
        left = left.where((turn > 3) | (tilt > 10), torch.inf)
    index, row = torch.stack(chosen, dim=1), row.unsqueeze(1)
    return RelativePoses(R[row, index], t[row, index], torch.stack(costs, dim=1), in_front[row, index])
