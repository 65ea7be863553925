"""HumanEva-I in VideoPose3D's files: 15 joints, 3 subjects, 3 colour cameras, 60 frames per second.

Licensed data: get it from the dataset's site (https://humaneva.is.tue.mpg.de) and prepare it with VideoPose3D's
scripts. Expected under the data root, in `humaneva/` or directly: the two files named below. Subjects are called
"Train/S1" to "Validate/S3" there, actions "Walking 1 chunk0" and so on: takes are cut where markers were lost.

Source: L. Sigal, A. Balan, M. Black, "HumanEva", IJCV 2010; D. Pavllo et al., VideoPose3D, CVPR 2019.
"""

from pathlib import Path

import torch

from posekit.cameras import Cameras, rotation_from_quaternion
from posekit.datasets.checks import checked
from posekit.datasets.files import choose, find_files
from posekit.datasets.npz import DataFileError, read_npz
from posekit.datasets.videopose3d import (
    action_of,
    calibration,
    checked_array,
    checked_views,
    clips_of,
    column,
    compare_with_known,
    entry,
    intrinsics,
)
from posekit.renaming import renamed
from posekit.sequences import MultiViewDataset, from_clips
from posekit.skeleton import HUMANEVA_15

SUBJECTS = ("S1", "S2", "S3")
ACTIONS = ("Walking", "Jog", "Box")
ALL_ACTIONS = (*ACTIONS, "Gestures", "ThrowCatch")
CAMERAS = ("C1", "C2", "C3")
LENSES = ("opencv", "human36m")
SPLITS = {"train": "Train", "test": "Validate"}
FRAME_RATE = 60.0
FILES = ("data_3d_humaneva15.npz", "data_2d_humaneva15_gt.npz")
HOW_TO_GET = "register at https://humaneva.is.tue.mpg.de and prepare the files with VideoPose3D's DATASETS.md"


@renamed(root="data_root")
def load_humaneva(
    split: str = "train",
    data_root: str | Path | None = None,
    *,
    subjects: tuple[str, ...] = SUBJECTS,
    actions: tuple[str, ...] = ACTIONS,
    cameras: tuple[str, ...] = CAMERAS,
    lens: str = "opencv",
) -> MultiViewDataset:
    """HumanEva-I with its own 2D ground truth. The defaults are the report's 3,347 training and 3,523 test frames.

    Args:
        split: "train" or "test" (HumanEva's "Validate").
        data_root: folder of the licensed files; default `$POSEKIT_DATA`, then `data/`.
        subjects, actions, cameras: which to take; exact names, without chunk suffix.
        lens: "opencv", which the 2D follows, or "human36m", the published code's mistake; see `humaneva_cameras`.

    Raises:
        FileNotFoundError: with where it was looked for and how to get the data.
        DataFileError: if a file is not what it should be.
        ValueError: for a split, subject, action, camera or lens that is not there; the valid ones are listed.
    """
    choose("split", [split], tuple(SPLITS))
    choose("subject", subjects, SUBJECTS)
    choose("action", actions, ALL_ACTIONS)
    choose("camera", cameras, CAMERAS)
    path_3d, path_2d = find_files("humaneva", FILES, data_root, HOW_TO_GET)
    poses = read_npz(path_3d, ("positions_3d",))["positions_3d"]
    views = read_npz(path_2d, ("positions_2d",))["positions_2d"]
    joints = len(HUMANEVA_15)
    chosen_views = [CAMERAS.index(camera) for camera in cameras]
    clips, frames = [], {}
    for subject in subjects:
        in_file = f"{SPLITS[split]}/{subject}"
        stand = humaneva_cameras(subject, lens)[chosen_views]
        for name, pose in clips_of(poses, path_3d, in_file, actions).items():
            clip = f"{in_file}/{name}"
            pose = checked_array(pose, (joints, 3), path_3d, clip)
            view = checked_views(entry(views, path_2d, in_file, name), CAMERAS, joints, len(pose), path_2d, clip)
            frames[in_file, name] = len(pose)
            clips.append(
                dict(
                    subject=subject,
                    action=action_of(name),
                    name=name,
                    cameras=stand,
                    pixels=torch.from_numpy(view[:, chosen_views]),
                    poses_world=torch.from_numpy(pose),
                )
            )
    if not clips:
        raise DataFileError(f"{path_3d}: no clip of {', '.join(actions)} by {', '.join(subjects)} in the {split} split")
    compare_with_known(path_3d, "humaneva", frames, actions)
    return checked(from_clips("humaneva", HUMANEVA_15, FRAME_RATE, cameras, clips), path_3d, path_2d)


def humaneva_cameras(subject: str, lens: str = "opencv", dtype: torch.dtype = torch.float32) -> Cameras:
    """HumanEva-I's calibration of C1, C2, C3 for one subject's recording day, leading axis (3,).

    Args:
        subject: "S1", "S2" or "S3".
        lens: "opencv": the lens the dataset's 2D follows. "human36m": as in the published code, Human3.6M's formula
            with HumanEva's (p1, p2) put where (p2, p1) belong. Its projections are off by 0.29 px in the mean.
        dtype: of the numbers.
    """
    choose("subject", [subject], SUBJECTS)
    choose("lens", [lens], LENSES)
    outside = calibration("humaneva")["extrinsics"][subject]
    rotation = rotation_from_quaternion(column(outside, "quaternion_wxyz_camera_to_world")).mT
    center = column(outside, "center_world_mm") / 1000
    inside = intrinsics("humaneva")
    if lens == "human36m":
        inside["tangential"] = inside["tangential"].flip(-1)
    return Cameras.checked(
        R_world_to_camera=rotation,
        t_world_to_camera=-(rotation @ center.unsqueeze(-1)).squeeze(-1),
        lens=lens,
        **inside,
    ).to(dtype)
