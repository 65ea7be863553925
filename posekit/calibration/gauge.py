"""What images cannot tell of a rig, set from what else is known: its size, which way is up, and how to compare two.

A rig moved, turned and scaled together with the people sees the same images. Poses `(frames, joints, xyz)` are those
that `triangulate` finds with the cameras; both change together, so triangulate again afterwards.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.poses import thorax
from posekit.skeleton import Skeleton

LEG_OF_STATURE = 0.491
"""Thigh and shank together, as a share of the stature, .245 and .246 (R. Drillis and R. Contini, 1966)."""

BODY_WEIGHT_M = 0.05  # as far as feet spread less than this, the spine says which way is up


def set_scale(
    cameras: Cameras,
    poses_world: Float[Tensor, "F J 3"],
    skeleton: Skeleton,
    *,
    lengths_m: Mapping[str, float] | None = None,
    stature_m: float | None = None,
) -> Cameras:
    """Scale a rig about the world's origin so that the people in it have the size they have.

    Either `lengths_m`, the true lengths of bones, or `stature_m`, the mean height of the people, whose legs are then
    taken for 0.491 of it. The ratio is that of the sums of the bones' median lengths. Noise lengthens triangulated
    bones, and the rig then comes out small: by about 1 % at 5 px.

    Args:
        cameras: (V,) or any leading axes.
        poses_world: triangulated with these cameras; NaN where missing.
        skeleton: of the poses.
        lengths_m: metres, by the joint at the end of the bone: `{"left_knee": 0.43}` is the left thigh.
        stature_m: metres.

    Raises:
        ValueError: unless exactly one of the two is given and positive, or for a bone that the skeleton does not have or
            that no pose has.
    """
    if (lengths_m is None) == (stature_m is None):
        raise ValueError(f"give either lengths_m or stature_m, got {lengths_m} and {stature_m}")
    if lengths_m is None:
        # Both legs' sums are one length each: in the mean over thighs and shanks of both sides it is counted twice.
        half = LEG_OF_STATURE * stature_m / 2
        lengths_m = {f"{side}_{joint}": half for side in ("left", "right") for joint in ("knee", "ankle")}
    ends = [skeleton.index(joint) for joint in lengths_m]
    if not ends or not all(length > 0 for length in lengths_m.values()):
        raise ValueError(f"known lengths must be positive and at least one, got {lengths_m}")
    if 0 in ends:
        raise ValueError(f"lengths_m: {skeleton.joints[0]!r} is the root, no bone ends there")
    found = skeleton.bone_lengths(poses_world)[..., [end - 1 for end in ends]].nanmedian(0).values
    if not found.isfinite().all():
        lost = [joint for joint, length in zip(lengths_m, found) if not length.isfinite()]
        raise ValueError(f"no pose has the bones to {', '.join(lost)}")
    ratio = sum(lengths_m.values()) / found.sum()
    return replace(cameras, t_world_to_camera=cameras.t_world_to_camera * ratio.to(cameras.t_world_to_camera))


def set_upright(
    cameras: Cameras,
    poses_world: Float[Tensor, "F J 3"],
    skeleton: Skeleton,
    ankle_height_m: float = 0.08,
) -> Cameras:
    """Turn and move the world so that z is up, the floor is at 0 and the people's middle is above the origin.

    The floor is the plane through every pose's lower ankle, fitted robustly, since feet are lifted; which side of it is
    up, the spines say. Where people stay in place a plane cannot be fitted, and the mean spine is taken for vertical.

    Args:
        cameras: (V,) or any leading axes.
        poses_world: triangulated with these cameras, metres; NaN where missing.
        skeleton: of the poses; with ankles, and a thorax or shoulders.
        ankle_height_m: of the ankle of a standing foot above the floor.

    Raises:
        ValueError: if no pose has an ankle and the spine.
    """
    poses = poses_world.double()
    spines = thorax(poses, skeleton) - poses[:, 0]
    ankles = poses[:, [skeleton.index("left_ankle"), skeleton.index("right_ankle")]]
    spines, known = spines[spines.isfinite().all(-1)], ankles.isfinite().all(-1)
    if not len(spines) or not known.any():
        raise ValueError("no pose has an ankle and the spine from pelvis to thorax: which way is up cannot be seen")
    up = spine = torch.nn.functional.normalize(spines.mean(0), dim=0)
    for _ in range(20):
        height = (ankles @ up).where(known, torch.inf)
        low = height.amin(-1)
        feet = ankles.gather(1, height.argmin(-1)[:, None, None].expand(-1, 1, 3))[:, 0]
        feet, low = feet[low.isfinite()], low[low.isfinite()]
        floor = low.median()
        for _ in range(5):
            weight = 1 / (1 + ((low - floor) / 0.02) ** 2)
            floor = (weight * low).sum() / weight.sum()
        offset = feet - (weight[:, None] * feet).sum(0) / weight.sum()
        spread = (weight[:, None] * offset).mT @ offset / weight.sum()
        up = torch.linalg.eigh(spread - BODY_WEIGHT_M**2 * torch.outer(spine, spine)).eigenvectors[:, 0]
        up = up * (up @ spine).sign()
    turn = _turn_to_z(up)
    middle = (poses[:, 0] @ turn.mT).nanmedian(0).values
    return _moved_world(cameras, turn, torch.stack([-middle[0], -middle[1], ankle_height_m - floor]))


def _turn_to_z(up):
    """The smallest rotation that takes a unit vector to z."""
    z = torch.tensor([0.0, 0.0, 1.0]).to(up)
    axis = torch.linalg.cross(up, z)
    sine = axis.norm()
    if sine < 1e-12:
        return torch.eye(3).to(up) if up[2] > 0 else torch.diag(torch.tensor([1.0, -1.0, -1.0]).to(up))
    return roma.rotvec_to_rotmat(axis / sine * torch.atan2(sine, up @ z))


def _moved_world(cameras, R, shift):
    """The cameras in a world of which a point x is at R x + shift."""
    R, shift = R.to(cameras.R_world_to_camera), shift.to(cameras.R_world_to_camera)
    turned = cameras.R_world_to_camera @ R.mT
    return replace(cameras, R_world_to_camera=turned, t_world_to_camera=cameras.t_world_to_camera - turned @ shift)


class CameraComparison(NamedTuple):
    """How far one rig is from another, after the freedom that images leave.

    rotation_deg: largest difference between the turns from one camera to another, over all pairs.
    centre_cm: largest distance of a camera's centre after the best move, turn and scaling of the whole rig.
    metric_centre_cm: the same without the scaling: what an error of scale adds.
    scale: size of the first rig over that of the second.
    focal_percent: largest difference of a focal length.
    """

    rotation_deg: float
    centre_cm: float
    metric_centre_cm: float
    scale: float
    focal_percent: float


def compare_cameras(estimated: Cameras, true: Cameras) -> CameraComparison:
    """Compare two calibrations of one rig, whatever the world frames and, for `centre_cm`, the scales are.

    The frames are aligned by the cameras' turns and places together: the centres alone would let a rig of three turn
    freely about any error.

    Raises:
        ValueError: unless both have the shape (V,) with at least two cameras that are not all at one place.
    """
    if estimated.shape != true.shape or len(true.shape) != 1 or len(true) < 2:
        raise ValueError(f"two rigs (V,) of at least two cameras are compared, got {estimated.shape} and {true.shape}")
    estimated, true = estimated.to(torch.float64), true.to(torch.float64)
    centres, wanted = (_centred(cameras.centers_world) for cameras in (estimated, true))
    size, true_size = centres.norm(), wanted.norm()
    if not (size > 0 and true_size > 0):
        raise ValueError("all cameras of a rig are at one place: its size is 0")
    turns, true_turns = estimated.R_world_to_camera, true.R_world_to_camera
    # From the estimated world to the true one: camera axes (rows of R) and directions of centres, equally many.
    matrix = (true_turns.mT @ turns).sum(0) + len(true) * (wanted / true_size).mT @ (centres / size)
    R = roma.special_procrustes(matrix)
    aligned = centres @ R.mT
    scale = (aligned * wanted).sum() / (centres * centres).sum()
    between, true_between = (_between(cameras) for cameras in (turns, true_turns))
    return CameraComparison(
        rotation_deg=roma.rotmat_geodesic_distance(between, true_between).rad2deg().max().item(),
        centre_cm=100 * (scale * aligned - wanted).norm(dim=-1).max().item(),
        metric_centre_cm=100 * (aligned - wanted).norm(dim=-1).max().item(),
        scale=(1 / scale).item(),
        focal_percent=100 * (estimated.focal_px / true.focal_px - 1).abs().max().item(),
    )


def _centred(points):
    return points - points.mean(0)


def _between(turns):
    """The turns from every camera to every later one, (pairs, 3, 3)."""
    a, b = torch.triu_indices(len(turns), len(turns), offset=1)
    return turns[b] @ turns[a].mT
