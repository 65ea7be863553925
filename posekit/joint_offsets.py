"""Joint offsets: how two definitions of the same joints differ, as constant vectors in the frame of the trunk.

A detector's hips and ankles are not those of markers, though they have the same names. Most of the difference turns with
the body and stays the same from pose to pose. So it can be told from few poses known in both definitions, and poses of
one definition become those of the other. Fitted on labels, offsets are labels too, though weak ones: a table that uses
them must say so.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.poses import trunk_frame
from posekit.skeleton import Skeleton

STEPS = 30
"""Of the fixed-point iteration of `JointOffsets.undo`; each brings it at least some times nearer."""


@dataclass(frozen=True)
class JointOffsets:
    """One constant vector a joint, the same on the left and, mirrored, on the right.

    Args:
        skeleton: of the poses, in both definitions.
        vectors: metres, along the trunk, from the right to the left shoulder, and across both; see `poses.trunk_frame`.
    """

    skeleton: Skeleton
    vectors: Float[Tensor, "J 3"]

    def apply(self, poses: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch J 3"]:
        """Poses of the first definition -> those of the second, in any frame; all NaN without a trunk."""
        return poses + self._turned_with(poses)

    def undo(self, poses: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch J 3"]:
        """The inverse of `apply`. The trunk of the first definition is not known, so it is found by iteration."""
        first = poses
        for _ in range(STEPS):
            first = poses - self._turned_with(first)
        return first

    def _turned_with(self, poses: Tensor) -> Tensor:
        return (trunk_frame(poses, self.skeleton).unsqueeze(-3) @ self.vectors.to(poses).unsqueeze(-1)).squeeze(-1)


def fit_offsets(first: Float[Tensor, "*batch J 3"], second: Float[Tensor, "*batch J 3"], skeleton: Skeleton) -> JointOffsets:
    """The offsets from one definition of the joints to another, of the same people in the same moments.

    Each is the median over all poses and both sides, so that some poses may be far off.

    Args:
        first: such as triangulated detections; world or camera frame, metres, NaN where missing.
        second: such as labels, in the same frame.
        skeleton: of both.

    Raises:
        ValueError: for a joint that no pose has in both definitions.

    >>> from posekit.datasets import load_dataset
    >>> people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))
    >>> lower = people.poses_world - 0.02 * trunk_frame(people.poses_world, people.skeleton)[:, None, :, 0]
    >>> (1000 * fit_offsets(lower, people.poses_world, people.skeleton).vectors[0]).round().int()  # 2 cm along the trunk
    tensor([20,  0,  0], dtype=torch.int32)
    """
    apart = (trunk_frame(first, skeleton).mT.unsqueeze(-3) @ (second - first).unsqueeze(-1)).reshape(-1, len(skeleton), 3)
    mirrored = apart[:, list(skeleton.partners)] * apart.new_tensor([1.0, -1.0, 1.0])
    vectors = torch.cat([apart, mirrored]).nanmedian(0).values
    lacking = [joint for joint, vector in zip(skeleton.joints, vectors) if vector.isnan().any()]
    if lacking:
        raise ValueError(f"no pose has {', '.join(lacking)} in both definitions, so their offsets cannot be told")
    return JointOffsets(skeleton, vectors)
