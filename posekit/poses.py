"""Poses as bones, and how people stand in a world with z up.

A bone is the vector from a parent joint to its child, kept in the child's row; the root's row is zero.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.skeleton import Skeleton
from posekit.skeletons import map_joints


def to_bones(poses: Float[Tensor, "*batch J xyz"], skeleton: Skeleton) -> Float[Tensor, "*batch J xyz"]:
    """Every joint as the vector from its parent; the root as zero."""
    parents = [max(parent, 0) for parent in skeleton.parents]
    return poses - poses[..., parents, :]


def from_bones(bones: Float[Tensor, "*batch J xyz"], skeleton: Skeleton) -> Float[Tensor, "*batch J xyz"]:
    """The inverse of `to_bones` with the root at the origin. A joint beyond a missing bone is missing."""
    chain = torch.zeros(len(skeleton), len(skeleton)).to(bones)
    for joint in range(len(skeleton)):
        chain[joint, [joint, *skeleton.ancestors(joint)]] = 1
    missing = bones.isnan()
    poses = chain @ bones.where(~missing, 0.0)
    return poses.where(chain @ missing.to(bones) == 0, torch.nan) if missing.any() else poses


def turn(poses: Float[Tensor, "*batch J 3"], angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch J 3"]:
    """Turn poses about the world's vertical through the origin, counter-clockwise from above, radians."""
    cos, sin = angle.cos()[..., None], angle.sin()[..., None]
    x, y, z = poses.unbind(-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], dim=-1)


def jitter(bones: Float[Tensor, "*batch J 3"], axis: Float[Tensor, "*#batch J 3"]) -> Float[Tensor, "*batch J 3"]:
    """Turn every bone a little; its length stays.

    Args:
        bones: as `to_bones` gives them.
        axis: of the turn of each bone, as long as its angle in radians.
    """
    moved = bones + torch.linalg.cross(axis, bones)
    length = bones.norm(dim=-1, keepdim=True)
    return moved * (length / moved.norm(dim=-1, keepdim=True).clamp(min=1e-9))


def hip_heading(poses: Float[Tensor, "*batch J 3"], skeleton: Skeleton) -> Float[Tensor, "*batch"]:
    """Angle in the ground plane of the line from the right to the left hip, radians; 0 where a hip is missing."""
    across = poses[..., skeleton.index("left_hip"), :] - poses[..., skeleton.index("right_hip"), :]
    return torch.atan2(across[..., 1], across[..., 0]).nan_to_num()


def thorax(poses: Float[Tensor, "*batch J 3"], skeleton: Skeleton) -> Float[Tensor, "*batch 3"]:
    """The upper end of the trunk; of a skeleton without a thorax the middle of the shoulders."""
    return map_joints(poses, skeleton.joints, ("thorax",))[..., 0, :]


def trunk_frame(poses: Float[Tensor, "*batch J 3"], skeleton: Skeleton) -> Float[Tensor, "*batch 3 3"]:
    """Axes of the trunk as columns: up the spine, from the right to the left shoulder, forward or back."""
    up = thorax(poses, skeleton) - poses[..., 0, :]
    across = poses[..., skeleton.index("left_shoulder"), :] - poses[..., skeleton.index("right_shoulder"), :]
    up = torch.nn.functional.normalize(up, dim=-1)
    third = torch.nn.functional.normalize(torch.linalg.cross(up, across), dim=-1)
    return torch.stack([up, torch.linalg.cross(third, up), third], dim=-1)


def lowest_ankle(poses: Float[Tensor, "*batch J 3"], skeleton: Skeleton) -> Float[Tensor, "*batch"]:
    """Height of the lower ankle, metres; infinite where both are missing."""
    ankles = [skeleton.index("left_ankle"), skeleton.index("right_ankle")]
    return poses[..., ankles, 2].nan_to_num(nan=torch.inf).amin(-1)
