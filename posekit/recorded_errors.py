"""The errors that a detector made on a recording, for scenes of the same people to carry.

Real errors are like no simple noise: they go with the pose, last for many frames, and depend on the side from which a
person is seen. So a scene takes the errors of its own frames, in one of the views that were recorded, and is turned so
that its camera sees the person from about that side.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from posekit.cameras import Cameras
from posekit.poses import hip_heading
from posekit.sequences import MultiViewDataset
from posekit.skeleton import Skeleton


class RecordedErrors(NamedTuple):
    """How far the 2D joints of F frames are from the images of the poses, in V views.

    across_m: at the person's distance, metres, along the image's axes; NaN where a joint was not found.
    confidence: 0 (missing) to 1.
    side: heading of the hips seen from the camera, radians; see `side_seen`.
    """

    across_m: Float[Tensor, "F V J 2"]
    confidence: Float[Tensor, "F V J"]
    side: Float[Tensor, "F V"]

    @classmethod
    def of(cls, dataset: MultiViewDataset) -> "RecordedErrors":
        """Those of a dataset's 2D joints against its poses."""
        cameras, poses = dataset.frame_cameras, dataset.poses_world.unsqueeze(1)
        errors = dataset.pixels - cameras.world_to_pixels(poses)
        found = errors.isfinite().all(-1)
        heading = hip_heading(dataset.poses_world, dataset.skeleton)
        return cls(
            (errors / pixels_per_metre(cameras, poses[..., :1, :])).where(found.unsqueeze(-1), torch.nan),
            dataset.confidence * found,
            side_seen(heading.unsqueeze(1), poses[..., 0, :], cameras),
        )

    def frames(self, kept: Bool[Tensor, " F"]) -> "RecordedErrors":
        """Those of some frames only."""
        return RecordedErrors(*(part[kept] for part in self))

    def at(self, frames: Int[Tensor, "N T"], view: Int[Tensor, " N"]) -> "RecordedErrors":
        """Those of N stretches of frames, each in one view: axes (N, T), of `side` (N,), that of the middle frame."""
        middle = frames[:, frames.shape[1] // 2]
        return RecordedErrors(
            self.across_m[frames, view[:, None]], self.confidence[frames, view[:, None]], self.side[middle, view]
        )

    def mirrored(self, skeleton: Skeleton) -> "RecordedErrors":
        """Those of mirrored people."""
        return RecordedErrors(
            skeleton.mirror(self.across_m), self.confidence[..., list(skeleton.partners)], torch.pi - self.side
        )

    def where(self, condition: Tensor, other: "RecordedErrors") -> "RecordedErrors":
        """These for the stretches (N,) for which the condition holds, others for the rest."""
        return RecordedErrors(*(own.where(condition.view(-1, *[1] * (own.ndim - 1)), their) for own, their in zip(self, other)))


def pixels_per_metre(cameras: Cameras, roots_world: Float[Tensor, "*points 1 3"]) -> Float[Tensor, "*out 1 2"]:
    """How many pixels a metre across the line of sight has, at the root's depth."""
    return cameras.focal_px.unsqueeze(-2) / cameras.world_to_camera(roots_world)[..., 2:]


def side_seen(
    heading: Float[Tensor, "*people"], roots_world: Float[Tensor, "*places 3"], cameras: Cameras
) -> Float[Tensor, "*out"]:
    """From which side people are seen: the heading of their hips less the direction towards the camera, radians."""
    towards = cameras.centers_world - roots_world
    return heading - torch.atan2(towards[..., 1], towards[..., 0])
