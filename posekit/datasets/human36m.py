"""Human3.6M in VideoPose3D's files: 17 of 32 joints, 7 subjects, 4 cameras, 50 frames per second.

Licensed data: get it from the dataset's site (http://vision.imar.ro/human3.6m) and prepare it with VideoPose3D's
scripts. Expected under the data root, in `human36m/` or directly: `data_3d_h36m.npz` and, for detected 2D, a
`data_2d_h36m_<detections>.npz`. Without the latter the 2D is the projection of the 3D through each camera, as the
dataset's own 2D is.

Source: C. Ionescu et al., "Human3.6M", TPAMI 2014; D. Pavllo et al., VideoPose3D, CVPR 2019; for the detections of
`load_human36m_detected` J. Martinez et al., "A simple yet effective baseline for 3D human pose estimation", ICCV 2017,
with the network of A. Newell et al., "Stacked hourglass networks for human pose estimation", ECCV 2016.
"""

from dataclasses import replace
from pathlib import Path

import torch

from posekit.cameras import Cameras
from posekit.clips import check_names
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
from posekit.skeleton import HUMAN36M_17, Skeleton
from posekit.skeletons import KEYPOINTS, LIMBS_13, map_joints

SUBJECTS = {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}
ALL_CAMERAS = ("54138969", "55011271", "58860488", "60457274")
CAMERAS = ALL_CAMERAS[:3]
"""The report's cameras 0, 1 and 2."""
ACTIONS = ("Walking", "Greeting", "Smoking", "Sitting")
ALL_ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting",
    "SittingDown", "Smoking", "Waiting", "WalkDog", "WalkTogether", "Walking",
)  # fmt: skip
JOINTS_IN_FILE = 32
JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Where `HUMAN36M_17`'s joints stand among the file's 32."""
LENSES = ("human36m", "opencv")
FRAME_RATE = 50.0
FILE_3D = "data_3d_h36m.npz"
DRIFTED = ("S9", "Greeting")
"""A take whose 3D has moved away from the pictures. Only with detected 2D does it matter, so it is left out there."""
HOW_TO_GET = "register at http://vision.imar.ro/human3.6m and prepare the files with VideoPose3D's DATASETS.md"


@renamed(root="data_root")
def load_human36m(
    split: str = "train",
    data_root: str | Path | None = None,
    *,
    subjects: tuple[str, ...] | None = None,
    actions: tuple[str, ...] = ACTIONS,
    by_prefix: bool = False,
    cameras: tuple[str, ...] = CAMERAS,
    lens: str = "human36m",
    detections: str = "",
    keypoints: tuple[str, ...] = HUMAN36M_17.joints,
    skeleton: Skeleton = HUMAN36M_17,
) -> MultiViewDataset:
    """Human3.6M; the defaults are the report's four actions and three cameras.

    Args:
        split: "train" (S1, S5, S6, S7, S8) or "test" (S9, S11).
        data_root: folder of the licensed files; default `$POSEKIT_DATA`, then `data/`.
        subjects: of the split; default all of it.
        actions: exact names, both takes of each; or prefixes, see `by_prefix`.
        by_prefix: take every action that starts with one of `actions`, as the report's code does with Walk, Greet,
            Smok, Sit. That silently takes in WalkDog, WalkTogether and SittingDown where the file has them.
        cameras: serial numbers.
        lens: of the cameras returned. Human3.6M's own 2D follows "human36m".
        detections: "" for exact 2D, or the ending of a `data_2d_h36m_<detections>.npz`.
        keypoints: names of the joints in that file, in its order.
        skeleton: of the dataset; its joints are taken by name from the 17, and from the keypoints.

    Raises:
        FileNotFoundError: with where it was looked for and how to get the data.
        DataFileError: if a file is not what it should be, lacks an action, or has another number of joints.
        ValueError: for a split, subject, action, camera, lens or joint that is not there; the valid ones are listed.
    """
    choose("split", [split], tuple(SUBJECTS))
    subjects = SUBJECTS[split] if subjects is None else subjects
    choose("subject", subjects, SUBJECTS[split])
    choose("camera", cameras, ALL_CAMERAS)
    if by_prefix:
        check_names("action", actions)
        unknown = [prefix for prefix in actions if not any(name.startswith(prefix) for name in ALL_ACTIONS)]
        if unknown:
            raise ValueError(f"no action starts with {', '.join(map(repr, unknown))}; there are {', '.join(ALL_ACTIONS)}")
        actions = tuple(name for name in ALL_ACTIONS if name.startswith(tuple(actions)))
    choose("action", actions, ALL_ACTIONS)

    names = (FILE_3D, f"data_2d_h36m_{detections}.npz") if detections else (FILE_3D,)
    path_3d, *path_2d = find_files("human36m", names, data_root, HOW_TO_GET)
    poses = read_npz(path_3d, ("positions_3d",))["positions_3d"]
    detected = read_npz(path_2d[0], ("positions_2d",))["positions_2d"] if detections else None

    chosen_views = [ALL_CAMERAS.index(camera) for camera in cameras]
    clips, frames = [], {}
    for subject in subjects:
        for name, pose in clips_of(poses, path_3d, subject, actions).items():
            pose = checked_array(pose, (JOINTS_IN_FILE, 3), path_3d, f"{subject}/{name}")[:, JOINTS]
            pose_world = map_joints(torch.from_numpy(pose), HUMAN36M_17.joints, skeleton.joints)
            if detections:
                views = entry(detected, path_2d[0], subject, name)
                where = f"{subject}/{name}"
                views = checked_views(views, ALL_CAMERAS, len(keypoints), len(pose), path_2d[0], where)
                pixels = map_joints(torch.from_numpy(views[:, chosen_views]), keypoints, skeleton.joints)
            else:
                pixels = human36m_cameras(subject)[chosen_views].world_to_pixels(pose_world[:, None])
            frames[subject, name] = len(pose)
            clips.append(
                dict(
                    subject=subject,
                    action=action_of(name),
                    name=name,
                    cameras=human36m_cameras(subject, lens)[chosen_views],
                    pixels=pixels,
                    poses_world=pose_world,
                )
            )
    missing = set(actions) - {clip["action"] for clip in clips}
    if missing and not by_prefix:
        raise DataFileError(f"{path_3d}: no clip of {', '.join(sorted(missing))} by {', '.join(subjects)}")
    if not clips:
        raise DataFileError(f"{path_3d}: no clip of any of {', '.join(actions)} by {', '.join(subjects)}")
    compare_with_known(path_3d, "human36m", frames, actions)
    return checked(from_clips("human36m", skeleton, FRAME_RATE, cameras, clips), path_3d, *path_2d)


def load_human36m_detected(
    split: str = "train",
    data_root: str | Path | None = None,
    *,
    cameras: tuple[str, ...] = ALL_CAMERAS,
    detections: str = "sh16",
    **options,
) -> MultiViewDataset:
    """Human3.6M with 2D joints that a detector found, in training and test: the 13 of `LIMBS_13`, all four cameras.

    The detector, a stacked hourglass, learnt the joints of MPII's annotations and has not seen Human3.6M. It gives no
    confidences. The take `DRIFTED` is left out.

    Args:
        split, data_root, options: as for `load_human36m`.
        cameras: serial numbers.
        detections: the ending of a `data_2d_h36m_<detections>.npz` with MPII's 16 joints.

    Raises:
        FileNotFoundError, DataFileError, ValueError: as `load_human36m`.
    """
    dataset = load_human36m(
        split,
        data_root,
        cameras=cameras,
        detections=detections,
        keypoints=KEYPOINTS["mpii16"],
        skeleton=LIMBS_13,
        **options,
    )
    kept = [clip for clip in dataset.clips if (clip.subject, clip.name) != DRIFTED]
    return replace(dataset.select_clips(kept), name="human36m_detected")


def human36m_cameras(subject: str, lens: str = "human36m", dtype: torch.dtype = torch.float32) -> Cameras:
    """Human3.6M's calibration of its four cameras for one subject's recording, leading axis (4,).

    Args:
        subject: "S1" to "S11", those with public 3D.
        lens: "human36m", the formula of the dataset's own projection code, or "opencv", Brown-Conrady's with the
            same coefficients.
        dtype: of the numbers.
    """
    choose("subject", [subject], SUBJECTS["train"] + SUBJECTS["test"])
    choose("lens", [lens], LENSES)
    outside = calibration("human36m")["extrinsics"][subject]
    return Cameras.checked(
        R_world_to_camera=column(outside, "R_world_to_camera"),
        t_world_to_camera=column(outside, "t_world_to_camera_mm") / 1000,
        lens=lens,
        **intrinsics("human36m"),
    ).to(dtype)
