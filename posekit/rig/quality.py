"""How good a recording is: what was found, how well the views agree, from where they look, whether they are in step.

Nothing here needs 3D labels. What each number should be, and what is likely to be wrong where it is not, says
`posekit.rig.findings`.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from posekit.calibration import bundle_adjust
from posekit.calibration.report import ray_angles_deg
from posekit.calibration.rig import view_pairs
from posekit.calibration.suspicions import Synchronisation, synchronisation
from posekit.cameras import Cameras
from posekit.skeleton import Skeleton
from posekit.triangulation import triangulate

SYNCHRONISATION_FRAMES, SYNCHRONISATION_JOINTS = 30, 12
ADJUSTING_FRAMES = 40
"""Frames and joints, spread evenly, that suffice to look for shifts and moved cameras."""


@dataclass(frozen=True)
class Quality:
    """What was measured of a recording.

    Args:
        view_names, skeleton: of the recording.
        frames: number of them.
        coverage: share of the frames in which the joint was found.
        seen_twice: share of the frames in which at least two views found the joint, so that it can be triangulated.
        error_px: median distance of the 2D joint from the image of the point triangulated from all views.
        height_px: median height of the person in each image, against which errors are large or small.
        pairs: the pairs of views that angles and shifts are given for.
        angle_deg: median angle between the two rays to a joint.
        synchronisation: what each pair costs if shifted; see `calibration.suspicions`.
        bone_m: median length of the bone to each joint but the root, metres.
        bone_spread: the middle half of its lengths, as a share of the median.
        swapped_sides, mirrored: share of the frames in which a view fits the others much better with left and right
            exchanged, or as the mirror image of what its camera sees; 0 with two views, which cannot outvote each other.
        adjusted: the cameras after their extrinsics were adjusted to the joints of the first half of the frames in which
            two views share a joint.
        adjusted_error_px, given_error_px: median distance over their second half, with and without that adjustment.
    """

    view_names: tuple[str, ...]
    skeleton: Skeleton
    frames: int
    coverage: Float[Tensor, "V J"]
    seen_twice: Float[Tensor, " J"]
    error_px: Float[Tensor, "V J"]
    height_px: Float[Tensor, " V"]
    pairs: Int[Tensor, "pairs 2"]
    angle_deg: Float[Tensor, " pairs"]
    synchronisation: Synchronisation
    bone_m: Float[Tensor, " bones"]
    bone_spread: Float[Tensor, " bones"]
    swapped_sides: Float[Tensor, " V"]
    mirrored: Float[Tensor, " V"]
    adjusted: Cameras
    adjusted_error_px: Float[Tensor, " V"]
    given_error_px: Float[Tensor, " V"]

    @property
    def view_error_px(self) -> Float[Tensor, " V"]:
        """Median over the joints of each view's error."""
        return self.error_px.nanmedian(-1).values

    def shifts(self) -> Int[Tensor, " V"]:
        """By how many frames each view runs ahead of the majority; its frame 10 shows what others see at 10 + shift."""
        best = -self.synchronisation.best.double()  # of b relative to a
        a, b = self.pairs.T
        one_hot = torch.eye(len(self.view_names), dtype=torch.float64)
        shifts = torch.linalg.lstsq(one_hot[b] - one_hot[a], best.unsqueeze(-1), driver="gelsd").solution.squeeze(-1)
        return (shifts - shifts.median()).round().long()


def measure(
    pixels: Float[Tensor, "F V J 2"],
    confidence: Float[Tensor, "F V J"],
    cameras: Cameras,
    view_names: tuple[str, ...],
    skeleton: Skeleton,
) -> Quality:
    """Measure a recording of one person.

    Args:
        pixels: NaN where missing.
        confidence: 0 (missing) to 1.
        cameras: leading axis (V,).
        view_names: V names.
        skeleton: of the J joints.

    Raises:
        ValueError: for fewer than two views, or if no two views ever found the same joint.
    """
    found, points = confidence > 0, _triangulated(pixels, confidence, cameras)
    error = _distance(points, pixels, cameras)
    bones = skeleton.bone_lengths(points)
    low, median, high = bones.nanquantile(torch.tensor([0.25, 0.5, 0.75]).to(bones), dim=0)
    shared = (found.sum(1) >= 2).any(-1).nonzero().squeeze(-1)
    early, later = shared[: len(shared) // 2], shared[len(shared) // 2 :]
    adjusted = cameras if len(shared) == 1 else adjusted_extrinsics(pixels[early], confidence[early], cameras)
    moved = _distance(_triangulated(pixels[later], confidence[later], adjusted), pixels[later], adjusted)
    pairs = view_pairs(len(view_names))
    return Quality(
        view_names=tuple(view_names),
        skeleton=skeleton,
        frames=len(pixels),
        coverage=found.float().mean(0),
        seen_twice=(found.sum(1) >= 2).float().mean(0),
        error_px=error.nanmedian(0).values,
        height_px=_heights(pixels),
        pairs=pairs,
        angle_deg=_angles(points, confidence, cameras, pairs),
        synchronisation=_in_step(pixels, confidence, cameras),
        bone_m=median,
        bone_spread=(high - low) / median,
        **_other_readings(pixels, confidence, cameras, skeleton),
        adjusted=adjusted,
        adjusted_error_px=_by_view(moved),
        given_error_px=_by_view(error[later]),
    )


def adjusted_extrinsics(pixels: Float[Tensor, "F V J 2"], confidence: Float[Tensor, "F V J"], cameras: Cameras) -> Cameras:
    """The cameras with their extrinsics adjusted to some of these joints (`calibration.bundle_adjust`).

    The first camera and its distance to the camera furthest from it stay as they are.

    Raises:
        ValueError: see `calibration.bundle_adjust`.
    """
    some = slice(None, None, max(1, len(pixels) // ADJUSTING_FRAMES))
    return bundle_adjust(pixels[some], cameras, confidence[some]).cameras


def _triangulated(pixels, confidence, cameras):
    return triangulate(pixels, cameras, confidence).points


def _distance(points, pixels, cameras):
    """Distances (F, V, J) of the 2D joints from the images of the points."""
    return (cameras.to(torch.float64).world_to_pixels(points.unsqueeze(1)) - pixels).norm(dim=-1)


def _by_view(error):
    return error.nanmedian(0).values.nanmedian(-1).values


def _heights(pixels):
    y = pixels[..., 1]
    height = y.nan_to_num(-torch.inf).amax(-1) - y.nan_to_num(torch.inf).amin(-1)  # -inf without any joint
    return height.where(height > 0, torch.nan).nanmedian(0).values


def _angles(points, confidence, cameras, pairs):
    a, b = pairs.T
    weights = (confidence.transpose(0, 1).flatten(1) > 0).double()
    return ray_angles_deg(points.flatten(0, 1), cameras.to(torch.float64).centers_world, a, b, weights[a] * weights[b])


def _in_step(pixels, confidence, cameras):
    """Each pair's cost at every shift. The pose of the pair is adjusted, for a camera that was moved looks like a shift."""
    some = slice(None, None, max(1, pixels.shape[2] // SYNCHRONISATION_JOINTS))
    chosen = torch.linspace(0, len(pixels) - 1, min(SYNCHRONISATION_FRAMES, len(pixels))).round().long()
    return synchronisation(pixels[:, :, some], confidence[:, :, some], cameras.to(torch.float64), chosen)


def _other_readings(pixels, confidence, cameras, skeleton):
    """How often each view, read otherwise, comes near the points triangulated from the other views."""
    others = 1 - torch.eye(len(cameras))[:, None, :, None]  # (left out, 1, V, 1)
    points = triangulate(pixels.expand(len(cameras), *pixels.shape), cameras, confidence * others).points.transpose(0, 1)
    seen = cameras.to(torch.float64).world_to_pixels(points)  # (F, V, J, 2), each from the others
    sided = [joint for joint, side in enumerate(skeleton.sides) if side != "centre"]

    def error(read):
        return (seen - read).norm(dim=-1)[..., sided].nanmean(-1)

    exchanged = pixels[:, :, list(skeleton.partners)]
    width = cameras.image_size_px[:, None, 0]
    mirrored = torch.stack([width - exchanged[..., 0], exchanged[..., 1]], dim=-1)
    given = error(pixels)
    share = {"swapped_sides": exchanged, "mirrored": mirrored}
    return {name: (error(read) < given / 2).double().mean(0) for name, read in share.items()}


def with_adjusted(cameras: Cameras, adjusted: Cameras) -> Cameras:
    """The cameras (clips, V) of a dataset with extrinsics (V,) found by `adjusted_extrinsics`."""
    extrinsics = ("R_world_to_camera", "t_world_to_camera")
    return replace(cameras, **{name: getattr(adjusted, name).expand_as(getattr(cameras, name)) for name in extrinsics})
