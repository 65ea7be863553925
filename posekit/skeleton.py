"""Skeletons: which joints a pose has, how they are connected, and which are left and which right.

A pose is a tensor `(..., J, 3)` in metres, or `(..., J, 2)` in an image. Joint 0 is the root (the pelvis).
"""

import re
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Skeleton:
    """A tree of named joints. Sides are read from the names: "left_knee" mirrors "right_knee".

    Args:
        name: of the layout, for records and error messages.
        joints: J names, the root first.
        parents: for each joint the index of its parent, -1 for the root.

    Raises:
        ValueError: if the parents do not form a tree rooted at joint 0, a side has no partner, or a name has its side
            anywhere but at the beginning ("RHip", "mouth_left"), where it would pass for a joint of the centre.

    >>> legs = Skeleton(
    ...     name="legs",
    ...     joints=("pelvis", "left_knee", "left_foot", "right_knee", "right_foot"),
    ...     parents=(-1, 0, 1, 0, 3),
    ... )
    >>> legs
    Skeleton("legs": 5 joints)
    >>> legs.sides
    ('centre', 'left', 'left', 'right', 'right')
    >>> [legs.joints[partner] for partner in legs.partners][:3]
    ['pelvis', 'right_knee', 'right_foot']
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]

    def __post_init__(self):
        if len(self.parents) != len(self.joints):
            raise ValueError(f"{self.name}: {len(self.joints)} joints but {len(self.parents)} parents")
        if self.parents[0] != -1 or any(not 0 <= p < len(self.joints) for p in self.parents[1:]):
            raise ValueError(f"{self.name}: parents must be -1 for the root and joint indices after it, got {self.parents}")
        for child in range(len(self.joints)):
            if len(self.ancestors(child)) > len(self.joints):
                raise ValueError(f"{self.name}: joint {self.joints[child]!r} is its own ancestor")
        for joint in self.joints:
            _check_side(self.name, joint, self.joints)
            if _other_side(joint) not in self.joints:
                raise ValueError(f"{self.name}: {joint!r} has no partner {_other_side(joint)!r}")

    def __len__(self) -> int:
        return len(self.joints)

    def __repr__(self) -> str:
        return f'Skeleton("{self.name}": {len(self)} joints)'

    def index(self, joint: str) -> int:
        """Index of a joint by name.

        Raises:
            ValueError: for a name it does not have; the message lists those it has.
        """
        if joint not in self.joints:
            raise ValueError(f"{self.name} has no joint {joint!r}; it has {', '.join(self.joints)}")
        return self.joints.index(joint)

    def ancestors(self, joint: int) -> list[int]:
        """The chain from a joint's parent up to the root (cut short where the parents form a cycle)."""
        chain = []
        while self.parents[joint] >= 0 and len(chain) <= len(self.joints):
            joint = self.parents[joint]
            chain.append(joint)
        return chain

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """The J - 1 bones, one pair (parent, child) for every joint but the root."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)

    @cached_property
    def sides(self) -> tuple[str, ...]:
        """For each joint "left", "right" or "centre". A bone has the side of its child."""
        return tuple(next((s for s in ("left", "right") if j.startswith(s)), "centre") for j in self.joints)

    @cached_property
    def partners(self) -> tuple[int, ...]:
        """For each joint the index of its mirror image (itself on the centre line)."""
        return tuple(self.joints.index(_other_side(joint)) for joint in self.joints)

    def bone_lengths(self, poses: Float[Tensor, "*batch J xyz"]) -> Float[Tensor, "*batch bones"]:
        """Length of every bone, in the unit of the poses."""
        parents, children = map(list, zip(*self.bones))
        return (poses[..., children, :] - poses[..., parents, :]).norm(dim=-1)

    def mirror(self, poses: Float[Tensor, "*batch J axes"]) -> Float[Tensor, "*batch J axes"]:
        """Swap left and right and negate the first axis, as a mirror beside the person does.

        Valid in any frame whose x axis points sideways: camera (3D), centred screen coordinates (2D).
        Mirroring twice gives the poses back.
        """
        flip = poses.new_tensor([-1.0] + [1.0] * (poses.shape[-1] - 1))
        return poses[..., list(self.partners), :] * flip


def _other_side(joint: str) -> str:
    if joint.startswith("left"):
        return "right" + joint.removeprefix("left")
    if joint.startswith("right"):
        return "left" + joint.removeprefix("right")
    return joint


def words(name: str) -> list[str]:
    """The words of a name, in lower case, whatever joins them.

    >>> words("RBigToe"), words("mouth_left")
    (['r', 'big', 'toe'], ['mouth', 'left'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]


def _check_side(skeleton: str, joint: str, joints: tuple[str, ...]) -> None:
    """Raise a ValueError for a name that has a side but does not begin with it in words."""
    if joint.startswith(("left", "right")):
        return
    other = {"l": "r", "r": "l", "L": "R", "R": "L"}.get(joint[:1], "") + joint[1:]  # "rhip" where there is a "lhip"
    if {"l", "r", "left", "right"} & set(words(joint)) or (other[1:] == joint[1:] and other in joints):
        raise ValueError(
            f"{skeleton}: {joint!r} looks like a joint of one side, but sides are read from names that begin with left "
            f"or right: write right_hip for RHip, left_mouth for mouth_left"
        )


def to_root_anchored(poses: Float[Tensor, "*batch J xyz"]) -> Float[Tensor, "*batch J xyz"]:
    """Absolute joints -> the root absolute, every other joint relative to it, as a lifter predicts them."""
    root = poses[..., :1, :]
    return poses - root + _at_root(root, poses)


def from_root_anchored(poses: Float[Tensor, "*batch J xyz"]) -> Float[Tensor, "*batch J xyz"]:
    """The inverse of `to_root_anchored`: every joint absolute again."""
    root = poses[..., :1, :]
    return poses + root - _at_root(root, poses)


def _at_root(root: Tensor, poses: Tensor) -> Tensor:
    """The root in row 0 and zeros below it, in the shape of the poses."""
    is_root = poses.new_zeros(poses.shape[-2], 1)
    is_root[0] = 1
    return root * is_root


def check_joints(screen: Tensor, joints: int) -> None:
    """Raise a ValueError unless the poses have as many joints as the lifter takes."""
    if screen.shape[-2] != joints:
        raise ValueError(f"this lifter takes poses of {joints} joints, got {screen.shape[-2]}: another skeleton?")


HUMANEVA_15 = Skeleton(
    name="humaneva15",
    joints=(
        "pelvis", "thorax",
        "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
        "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle",
        "head",
    ),
    parents=(-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1),
)  # fmt: skip
"""HumanEva's 15 joints, in the order of VideoPose3D's files."""

HUMAN36M_17 = Skeleton(
    name="human36m17",
    joints=(
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "spine", "thorax", "neck", "head",
        "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)  # fmt: skip
"""The 17 of Human3.6M's 32 joints that are normally used, in the usual order."""
