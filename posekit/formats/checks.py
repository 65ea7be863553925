"""What goes wrong between calibrations and detections, told from the data before anything is trained on it.

Each check looks for one cause and names it. A rig that passes may still be imprecise: the reprojection errors of
`triangulation.triangulate` say how precise it is.
"""

from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor

from posekit.cameras import Cameras
from posekit.formats.contents import Calibration, DataFileError, Detections
from posekit.samples import counted
from posekit.triangulation import triangulate

MOST_OUTSIDE, TURNED_OUTSIDE = 0.5, 0.05
"""Share of a view's 2D joints that may lie outside its image; and of all, if they would all fit into turned images.
Some detectors place joints outside the image on purpose."""
BONE_METRES = (0.005, 2.5)
"""Where the median bone of a person or an animal lies, far from both neighbouring units."""
FRAMES = 50
"""Frames, spread evenly, on which cameras are tried."""
POOR, WORTH_A_TRY, CLEAR = 0.02, 0.004, 0.25
"""A median reprojection error over WORTH_A_TRY image widths calls for a cause, and what brings it down to CLEAR of that is it.
One of POOR widths is as large as no sound recording has."""


def check_rig(calibration: Calibration, detections: Detections) -> None:
    """Raise a DataFileError if the cameras cannot be those that saw these joints, with the cause as far as it shows.

    Args:
        calibration: of the views, in their order; see `Calibration.for_views`.
        detections: of one person.

    Raises:
        DataFileError: for joints outside the image (portrait against landscape, shares of the image instead of pixels),
            people behind the cameras (camera-to-world instead of world-to-camera), two cameras that were swapped, and
            people of another size (millimetres).
    """
    _check_inside(calibration, detections)
    every = max(1, len(detections) // FRAMES)
    pixels, confidence = detections.pixels[::every], detections.confidence[::every]
    if len(calibration) < 2 or not ((confidence > 0).sum(1) >= 2).any():
        return
    error, behind, points = _fit(pixels, calibration.cameras, confidence)
    if error > WORTH_A_TRY or behind > 0.5:
        _raise_cause(pixels, confidence, error, behind, calibration)
    bone = detections.skeleton.bone_lengths(points).nanmedian().item()
    if not BONE_METRES[0] <= bone <= BONE_METRES[1]:
        raise DataFileError(
            f"{calibration.path}: the triangulated person's median bone is {bone:.3g} m long; are the translations, read as "
            f'{calibration.units}, in another unit? pass units="millimetres" or "metres" (--units), or scale them'
        )


def _check_inside(calibration: Calibration, detections: Detections) -> None:
    pixels, sizes = detections.pixels, calibration.cameras.image_size_px.unsqueeze(1)  # (F, V, J, 2) and (V, 1, 2)
    outside = ((pixels < 0) | (pixels > sizes)).any(-1)  # not so where missing
    present = pixels.isfinite().all(-1)
    if not present.any():
        raise DataFileError(f"{detections.path}: no 2D joint in {counted('frame', len(detections))}")
    if pixels.nan_to_num().abs().max() <= 1.5:
        raise DataFileError(
            f"{detections.path}: 2D joints are at most 1.5 from the origin: shares of the image? expected pixels"
        )
    fits_turned = ((pixels >= 0) & (pixels <= sizes.flip(-1))).all(-1)
    turned = (fits_turned.sum() > 0.99 * present.sum()) and outside.sum() > TURNED_OUTSIDE * present.sum()
    share = outside.sum((0, 2)) / present.sum((0, 2)).clamp(min=1)
    worst = int(share.argmax())
    if turned or share[worst] > MOST_OUTSIDE:
        width, height = sizes[worst, 0].tolist()
        x, y = pixels[:, worst][present[:, worst]].quantile(0.99, dim=0).tolist()
        advice = "is one of them portrait, the other landscape" if turned else "is that another camera, or size of the video"
        raise DataFileError(
            f"{detections.path}: {detections.view_names[worst]}: {share[worst]:.0%} of the 2D joints lie outside the "
            f"{width:.0f} x {height:.0f} image of {calibration.path}; they reach {x:.0f}, {y:.0f}: {advice}?"
        )


def _raise_cause(pixels: Tensor, confidence: Tensor, error: float, behind: float, calibration: Calibration) -> None:
    """Raise for the change of cameras that makes the views agree, if there is one; else only for people behind them."""
    cameras, names = calibration.cameras, calibration.view_names

    def mends(changed: Cameras) -> bool:
        new_error, new_behind, _ = _fit(pixels, changed, confidence)
        return new_behind < 0.1 and (new_error < CLEAR * error or (behind > 0.5 and new_error <= POOR))

    if mends(_inverse(cameras)):
        raise DataFileError(
            f"{calibration.path}: rotations and translations are camera to world; expected world to camera: invert them"
        )
    for first, second in combinations(range(len(names)), 2):
        order = list(range(len(names)))
        order[first], order[second] = second, first
        if mends(cameras[order]):
            raise DataFileError(
                f"{calibration.path}: the views {names[first]} and {names[second]} agree with the others only if their "
                "cameras are swapped; give each the other's by pairs= or --pair VIEW=CAMERA"
            )
    if behind > 0.5:
        raise DataFileError(
            f"{calibration.path}: {behind:.0%} of the triangulated joints lie behind a camera that saw them; expected "
            "rotations and translations from world to camera, z forward"
        )


def _fit(pixels: Tensor, cameras: Cameras, confidence: Tensor) -> tuple[float, float, Tensor]:
    """Median reprojection error in image widths, share of joints behind a camera that saw them, and the joints."""
    found = triangulate(pixels, cameras, confidence)
    depth = cameras.to(torch.float64).world_to_camera(found.points.unsqueeze(1))[..., 2]
    seen = (confidence > 0) & depth.isfinite()
    behind = ((depth < 0) & seen).sum() / seen.sum().clamp(min=1)
    width = cameras.image_size_px[:, 0].mean()
    return (found.error_px.nanmedian() / width).item(), behind.item(), found.points


def _inverse(cameras: Cameras) -> Cameras:
    """The cameras whose extrinsics are the inverse of these."""
    return replace(cameras, R_world_to_camera=cameras.R_world_to_camera.mT, t_world_to_camera=cameras.centers_world)
