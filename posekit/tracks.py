"""Triangulation of whole recordings: what the frames around a frame, and a body that does not change, add to its views.

A detector that is wrong in one view often is so for a single frame, or mistakes left for right. One frame's views alone
may not tell which of them is wrong; its neighbours do.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.reprojection import Triangulation, distances, inverse_3x3, measured, normal_equations, rays_of
from posekit.robust import LEAST_PX, LEAST_WEIGHT, MEDIAN_DISTANCE, WIDTH
from posekit.sequences import MultiViewDataset
from posekit.skeleton import Skeleton
from posekit.smoothing import smooth_over_time
from posekit.triangulation import triangulate_robustly

STEPS = 3  # of Gauss-Newton
BONE_STEPS = 20, 6  # of Newton's method: towards the nearest pose of these lengths, then to the lengths themselves


def triangulate_tracks(dataset: MultiViewDataset, sigma: float = 3.0, rounds: int = 2) -> Triangulation:
    """Smooth trajectories, with views weighted by how well they fit the trajectory rather than the single frame.

    Robust points are smoothed over time; then, in every round, each view gets a weight by its distance from the smooth
    track's projection, as in `triangulate_robustly`, the joints are triangulated with these weights and smoothed again.

    Args:
        dataset: with three views or more; its `poses_world` are not read.
        sigma: standard deviation in frames of `smooth_over_time`.
        rounds: of weighing and triangulating.

    Raises:
        ValueError: with fewer than three views, or for a sigma that is not positive.
    """
    cameras, trust = dataset.frame_cameras.to(torch.float64), dataset.confidence.double().nan_to_num()
    pixels = dataset.pixels.double().where(dataset.pixels.isfinite(), cameras.center_px.unsqueeze(-2))
    rays, trust = rays_of(pixels, cameras, trust)
    found = triangulate_robustly(dataset.pixels, cameras, trust)
    points, weights = found.points, found.weights
    for _ in range(rounds):
        track = _smooth(points, weights, dataset, sigma)
        lost = track.isnan().any(-1).unsqueeze(1)
        distance = distances(track.nan_to_num(), rays, cameras) * trust
        seen = distance[(trust > 0) & ~lost]
        typical = max(LEAST_PX, seen.median().item() / MEDIAN_DISTANCE) if len(seen) else LEAST_PX
        factor = 1 / (1 + (distance / (WIDTH * typical)) ** 2) ** 2
        weights = trust**2 * factor.where((factor >= LEAST_WEIGHT) & ~lost, 0.0)
        enough = ((weights > 0).sum(1) >= 2).unsqueeze(-1)
        points = track.nan_to_num()
        for _ in range(STEPS):
            matrix, slope = normal_equations(points, rays, cameras, weights)
            matrix = matrix.where(enough.unsqueeze(-1), torch.eye(3, dtype=torch.float64))
            points = points - (inverse_3x3(matrix) @ slope.unsqueeze(-1)).squeeze(-1)
        points = points.where(enough, torch.nan)
    return measured(_smooth(points, weights, dataset, sigma), pixels, cameras, weights, noise_px=found.noise_px)


def _smooth(points, weights, dataset, sigma):
    return smooth_over_time(points, weights.sum(-2), dataset, sigma)


def with_constant_bones(
    poses_world: Float[Tensor, "F J 3"], dataset: MultiViewDataset, skeleton: Skeleton | None = None
) -> Float[Tensor, "F J 3"]:
    """The nearest poses whose bones have one length throughout a clip, the same left and right.

    The length of a bone is the median over the clip and both sides; the joints move as little as possible, by the sum of
    squared distances. A bone of which an end is missing (NaN) is left out.

    Args:
        poses_world: one for each frame of the dataset.
        dataset: for its clips; nothing else of it is read.
        skeleton: of the poses; by default the dataset's.
    """
    skeleton = skeleton or dataset.skeleton
    index = torch.tensor([child for _, child in skeleton.bones])
    partner = torch.tensor([(index == skeleton.partners[child]).nonzero().item() for child in index.tolist()])
    lengths = skeleton.bone_lengths(poses_world.double())
    medians = [
        torch.stack([part, part[:, partner]]).flatten(0, 1).nanmedian(0).values
        for part in (lengths[clip.start : clip.stop] for clip in dataset.clips)
    ]
    return to_bone_lengths(poses_world, skeleton, torch.stack(medians)[dataset.clip_of_frame])


def to_bone_lengths(
    poses: Float[Tensor, "*batch J 3"], skeleton: Skeleton, lengths: Float[Tensor, "*#batch bones"]
) -> Float[Tensor, "*batch J 3"]:
    """The nearest poses with bones of these lengths; NaN joints stay NaN, and their bones are left out."""
    given = poses.double()
    known = given.isfinite().all(-1)
    parents, children = map(list, zip(*skeleton.bones))
    bound = known[..., parents] & known[..., children] & lengths.isfinite()
    start = given.where(known.unsqueeze(-1), 0.0)
    lengths, eye = lengths.double().nan_to_num(), torch.eye(len(parents), dtype=torch.float64)
    ends = torch.zeros(len(parents), len(skeleton), dtype=torch.float64)
    ends[range(len(parents)), children], ends[range(len(parents)), parents] = 1.0, -1.0
    current = start
    nearest, exact = BONE_STEPS
    for step in range(nearest + exact):
        bone = ends @ current
        length = bone.norm(dim=-1).clamp(min=1e-9)
        direction = (bone / length.unsqueeze(-1)) * bound.unsqueeze(-1)
        slope = direction.unsqueeze(-2) * ends.unsqueeze(-1)  # (*batch, bones, J, 3)
        flat = slope.flatten(-2)
        if step >= nearest:  # a bone much shorter than the noise oscillates about its nearest place: settle it where it is
            start = current
        moved = (flat @ (current - start).flatten(-2).unsqueeze(-1)).squeeze(-1)
        wanted = moved - (length - lengths) * bound
        pull = torch.linalg.solve(flat @ flat.mT + 1e-12 * eye + eye * ~bound.unsqueeze(-1), wanted)
        current = start + (slope * pull[..., None, None]).sum(-3)
    return current.where(known.unsqueeze(-1), torch.nan).to(poses.dtype)


def undo_swaps(dataset: MultiViewDataset) -> MultiViewDataset:
    """The dataset with left and right exchanged back in those views and frames where that fits the other views better.

    For every view the people are triangulated from all the other views, robustly; a view is exchanged where its joints
    with a side are then less than half as far from that projection, in the median.

    Raises:
        ValueError: with fewer than four views: of three, two are left, which cannot outvote each other.
    """
    count = len(dataset.view_names)
    if count < 4:
        raise ValueError(f"{dataset.name}: swaps can be told with four views or more, got {count}")
    partners, sided = list(dataset.skeleton.partners), [side != "centre" for side in dataset.skeleton.sides]
    other = dataset.pixels[..., partners, :]
    swapped = []
    for view in range(count):
        rest = [v for v in range(count) if v != view]
        found = triangulate_robustly(dataset.pixels[:, rest], dataset.frame_cameras[:, rest], dataset.confidence[:, rest])
        expected = dataset.frame_cameras[:, view].world_to_pixels(found.points.float())
        now, then = ((p[:, view] - expected).norm(dim=-1)[:, sided].nanmedian(-1).values for p in (dataset.pixels, other))
        swapped.append(then < now / 2)
    swap = torch.stack(swapped, dim=1).unsqueeze(-1)
    confidence = dataset.confidence[..., partners].where(swap, dataset.confidence)
    return replace(dataset, pixels=other.where(swap.unsqueeze(-1), dataset.pixels), confidence=confidence)
