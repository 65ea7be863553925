"""What a network sees of a 2D pose, by how much is known of the camera, and the way back.

Three kinds, each with what it needs at test:

- "screen": a picture only. Pixels become rays through a camera that is assumed, the same for all.
- "rays": the intrinsics. Pixels become rays, the lens undone, and the camera is turned to face the root.
- "level": the intrinsics, tilt and height. The camera is turned towards the root about the vertical only, upright:
  gravity points along y, and the height of the camera over the floor z = 0 is an input.

Each is a turn of the camera about its own centre and so has an exact inverse. A joint is a depth along z times its ray.

Sources: F. Yu et al., "PCLs: geometry-aware neural reconstruction of 3D pose with perspective crop layers", CVPR 2021;
Y. Zhan et al., "Ray3D: ray-based 3D human pose estimation for monocular absolute 3D localization", CVPR 2022.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from posekit.cameras import Cameras
from posekit.poses import to_bones
from posekit.skeleton import Skeleton

KINDS = ("screen", "rays", "level")
NEEDS_AT_TEST = {"screen": "picture only", "rays": "intrinsics", "level": "intrinsics, tilt and height"}


class Seen(NamedTuple):
    """A 2D pose in a frame turned towards the person.

    rays: the joints at depth 1: (x / z, y / z, 1). Missing ones are filled in; see `fill_from_neighbours`.
    turned: rotation from the camera's frame into this one.
    extra: two numbers that the turned joints do not tell: the root's ray, or if level its elevation and the height.
    missing: joints that were not found.

    The rays of a person without any joint lead straight ahead, for NaN, even if masked later, would spoil the gradient
    of a whole batch.
    """

    rays: Float[Tensor, "*batch J 3"]
    turned: Float[Tensor, "*batch 3 3"]
    extra: Float[Tensor, "*batch 2"]
    missing: Bool[Tensor, "*batch J"]

    def features(self, skeleton: Skeleton) -> Float[Tensor, "*batch inputs"]:
        """Input of a network, 3J numbers: `extra`, every other joint's ray minus its parent's, and `missing`."""
        bones = to_bones(self.rays[..., :2], skeleton)[..., 1:, :].flatten(-2)
        return torch.cat([self.extra, bones, self.missing.to(bones)], dim=-1)

    def mirrored(self, kind: str, skeleton: Skeleton) -> "Seen":
        """What the mirror image of this person would look like to a mirrored camera; `turned` is left out."""
        sideways = self.extra.new_tensor([1.0 if kind == "level" else -1.0, 1.0])
        missing = self.missing[..., list(skeleton.partners)]
        return Seen(skeleton.mirror(self.rays), self.turned, self.extra * sideways, missing)

    def to_camera(self, poses: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch J 3"]:
        """Poses of this frame -> camera frame."""
        return poses @ self.turned

    def from_camera(self, poses: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch J 3"]:
        """The inverse of `to_camera`."""
        return poses @ self.turned.mT


def see(
    kind: str,
    rays: Float[Tensor, "*batch J 3"],
    skeleton: Skeleton,
    cameras: Cameras | None = None,
) -> Seen:
    """Turn a camera towards the person it sees.

    Args:
        kind: one of `KINDS`.
        rays: joints at depth 1 in the camera's frame, as `Cameras.pixels_to_rays` gives them; NaN where missing.
        skeleton: for the neighbours of missing joints.
        cameras: leading axes (*batch); needed for "level" only, and of them the third column of the rotation (which
            way is up) and the height of the centre over the floor z = 0.

    Raises:
        ValueError: for an unknown kind, or "level" without cameras.
    """
    if kind not in KINDS:
        raise ValueError(f"kind of input must be one of {', '.join(KINDS)}; got {kind!r}")
    missing = rays.isnan().any(-1)
    if missing.any():
        ahead = rays.new_tensor([0.0, 0.0, 1.0])
        rays = fill_from_neighbours(rays, skeleton).where(~missing.all(-1)[..., None, None], ahead)
    root = rays[..., 0, :]
    if kind == "level":
        if cameras is None:
            raise ValueError("level input needs cameras: their tilt (which way is up) and their height over the floor")
        up = cameras.R_world_to_camera[..., :, 2]
        height = (cameras.t_world_to_camera * -up).sum(-1, keepdim=True)  # centre = -R^T t, its third coordinate
        forward = normalize(root - (root * up).sum(-1, keepdim=True) * up, dim=-1)
        down = -up
    else:
        forward = normalize(root, dim=-1)
        straight_down = root.new_tensor([0.0, 1.0, 0.0])
        down = normalize(straight_down - forward[..., 1:2] * forward, dim=-1)
    turned = torch.stack(torch.broadcast_tensors(torch.linalg.cross(down, forward), down, forward), dim=-2)
    ahead = rays @ turned.mT
    ahead = ahead / ahead[..., 2:]
    extra = torch.cat([ahead[..., 0, 1:2], height.expand_as(ahead[..., 0, 1:2])], dim=-1) if kind == "level" else root[..., :2]
    return Seen(ahead, turned, extra, missing)


def fill_from_neighbours(rays: Float[Tensor, "*batch J xy"], skeleton: Skeleton) -> Float[Tensor, "*batch J xy"]:
    """Put each missing joint (NaN) at the nearest present one along the skeleton; a pose without any stays NaN."""
    present = rays.isfinite().all(-1)
    nearest = _by_distance(skeleton).to(rays.device)  # (J, J)
    first = present[..., nearest].int().argmax(-1)
    chosen = nearest.expand(*first.shape, -1).gather(-1, first.unsqueeze(-1))
    return rays.gather(-2, chosen.expand(*rays.shape))


def _by_distance(skeleton: Skeleton) -> Tensor:
    """For each joint all joints, the nearest along the bones (itself) first."""
    chains = [[joint, *skeleton.ancestors(joint)] for joint in range(len(skeleton))]
    apart = torch.tensor([[len(set(a) ^ set(b)) for b in chains] for a in chains])
    return apart.argsort(stable=True, dim=-1)
