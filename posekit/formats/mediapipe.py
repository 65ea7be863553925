"""MediaPipe's landmarks in CSV as Caliscope writes them: one file for all views, a row per landmark found.

Columns: sync_index (the frame), cam_id (formerly port), point_id, img_loc_x, img_loc_y (pixels), and others. Landmarks of
the body are the points 0 to 32; a holistic model's hands and face have higher numbers and are not read.

Caliscope keeps no confidence. The column visibility, which MediaPipe gives, is posekit's own: it is read where it is there.
"""

import csv
from pathlib import Path

import numpy as np
import torch

from posekit.files import replacing
from posekit.formats.contents import DataFileError, Detections, natural, text_of
from posekit.skeleton import Skeleton
from posekit.skeletons import KEYPOINTS, MEDIAPIPE_33, map_confidence, map_joints

_COLUMNS = ("sync_index", "cam_id", "point_id", "img_loc_x", "img_loc_y")
_VISIBILITY = "visibility"
_LANDMARKS = KEYPOINTS[MEDIAPIPE_33.name]


def read_mediapipe(path: str | Path, skeleton: Skeleton = MEDIAPIPE_33) -> Detections:
    """Read landmarks of all views; each view is named by its camera's number.

    A landmark's confidence is its visibility; without that column a landmark that is in the file has 1. A frame without any
    landmark is empty; of those before the first and after the last landmark the file knows nothing.

    Args:
        path: the file.
        skeleton: of the joints wanted, which are picked from the 33 landmarks by name.

    Raises:
        DataFileError: for anything but such a file, a skeleton that the landmarks cannot be made into, coordinates that
            are shares of the image instead of pixels, or a visibility outside 0 to 1.
    """
    path = Path(path)
    rows = list(csv.DictReader(text_of(path).splitlines()))
    if rows and "port" in rows[0]:
        rows = [row | {"cam_id": row["port"]} for row in rows]
    absent = [column for column in _COLUMNS if column not in (rows[0] if rows else {})]
    if absent:
        found = ", ".join(rows[0]) if rows else "no rows"
        raise DataFileError(f"{path}: no column {', '.join(absent)}; found {found}")
    columns = [*_COLUMNS[3:], *([_VISIBILITY] if _VISIBILITY in rows[0] else [])]
    rows = [row for row in rows if (row["point_id"] or "").isdecimal() and int(row["point_id"]) < len(_LANDMARKS)]
    views = sorted({str(row["cam_id"]) for row in rows}, key=natural)
    try:
        numbers = np.array([[float(row[column]) for column in ("sync_index", "point_id", *columns)] for row in rows])
        if not np.isfinite(numbers[:, :2]).all():
            raise ValueError("a sync_index is no number")
        frame, point = numbers[:, :2].astype(int).T
    except (IndexError, TypeError, ValueError) as error:
        raise DataFileError(f"{path}: expected rows of numbers for landmarks 0 to {len(_LANDMARKS) - 1} ({error})") from error
    if numbers[:, 2:4].max() <= 1.5:
        raise DataFileError(f"{path}: img_loc reaches {numbers[:, 2:4].max():.3g}: shares of the image? expected pixels")
    trust = numbers[:, 4] if len(columns) > 2 else np.ones(len(numbers))
    if not ((trust >= 0) & (trust <= 1)).all():
        raise DataFileError(f"{path}: visibility from {trust.min():.3g} to {trust.max():.3g}; expected 0 to 1")
    view, frame = [views.index(str(row["cam_id"])) for row in rows], frame - frame.min()
    stride = np.gcd.reduce(frame) or 1  # a video may have been read at every n-th frame
    if frame.max() // stride > 100 * len(rows):
        raise DataFileError(f"{path}: sync_index spans {frame.max()} frames, but only {len(rows)} landmarks were found")
    pixels = torch.full((frame.max() // stride + 1, len(views), len(_LANDMARKS), 2), torch.nan)
    pixels[frame // stride, view, point] = torch.from_numpy(numbers[:, 2:4]).float()
    confidence = torch.zeros(pixels.shape[:-1])
    confidence[frame // stride, view, point] = torch.from_numpy(trust).float()
    try:
        confidence = map_confidence(confidence * pixels.isfinite().all(-1), _LANDMARKS, skeleton.joints)
        return Detections(tuple(views), skeleton, map_joints(pixels, _LANDMARKS, skeleton.joints), confidence, path)
    except ValueError as error:
        raise DataFileError(f"{path}: MediaPipe's landmarks do not make {skeleton.name}: {error}") from error


def write_mediapipe(path: str | Path, detections: Detections) -> None:
    """Write one person's landmarks, with visibility, to a hundredth of a pixel. `read_mediapipe` reads them back.

    Args:
        path: the file.
        detections: of `MEDIAPIPE_33`; derived joints are left out.
    """
    keypoints = [detections.skeleton.index(joint) for joint in _LANDMARKS]
    pixels, confidence = detections.pixels[:, :, keypoints].tolist(), detections.confidence[:, :, keypoints]
    rows = [
        [frame, detections.view_names[view], point, *(f"{x:.2f}" for x in pixels[frame][view][point]), f"{trust:.4f}"]
        for (frame, view, point), trust in zip(confidence.nonzero().tolist(), confidence[confidence > 0].tolist())
    ]
    with replacing(path) as unfinished, open(unfinished, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*_COLUMNS, _VISIBILITY], *rows])
