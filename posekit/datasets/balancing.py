"""A real recording that comes with posekit: one person balances on a beam, seen by four calibrated cameras and a detector.

It is the demo of Pose2Sim 0.4.0 (D. Pagnon, M. Domalain and L. Reveret, "Pose2Sim: an open-source Python package for
multiview markerless kinematics", Journal of Open Source Software, 2022), under the BSD 3-Clause licence in
`balancing_LICENSE.txt` beside this module. `book/make_balancing.py` makes `balancing.npz` from its wheel. The wheel of
0.10.49, under the same licence, has the videos of the same moments: `book/make_balancing_video.py` has MediaPipe look at
them, and makes `balancing_mediapipe.npz`.

The 2D joints are the detector's, with all its errors; of the people whom OpenPose found, the one whose joints agree best
between the views is kept, and MediaPipe finds one only. There are no 3D labels: nobody wore markers.
"""

from pathlib import Path

import torch

from posekit.cameras import Cameras
from posekit.datasets.files import choose
from posekit.datasets.npz import read_npz
from posekit.sequences import MultiViewDataset, from_clips
from posekit.skeletons import BODY_25B, MEDIAPIPE_33, SKELETONS, keypoints_of, map_confidence, map_joints

FILE = Path(__file__).with_name("balancing.npz")
MEDIAPIPE_FILE = FILE.with_name("balancing_mediapipe.npz")
DETECTORS = {"openpose": (FILE, BODY_25B), "mediapipe": (MEDIAPIPE_FILE, MEDIAPIPE_33)}
"""What each detector's joints are kept in, and their skeleton."""
FRAME_RATE = 60.0
SPLITS = {"train": (0, 70), "test": (75, 100), "all": (0, 100)}
"""Frames of each split. Between training and test a few are left out, since neighbouring frames are nearly the same."""
CAMERA_NUMBERS = (
    "R_world_to_camera",
    "t_world_to_camera",
    "focal_px",
    "center_px",
    "radial",
    "tangential",
    "image_size_px",
)


def load_balancing(
    split: str = "train",
    *,
    cameras: tuple[str, ...] | None = None,
    skeleton: str | None = None,
    detector: str = "openpose",
) -> MultiViewDataset:
    """Load one split of the recording: 100 frames at 60 frames per second, portrait images of 1088 x 1920 pixels.

    Args:
        split: "train", the first 70 frames; "test", the last 25; or "all".
        cameras: some of "cam_01" to "cam_04"; default all.
        skeleton: name of one that the detector's joints can be mapped to: "coco17" and "limbs13" for both, "humaneva15" and
            "mpii16" for OpenPose; default the detector's own, "body25b" or "mediapipe33".
        detector: whose joints: "openpose" or "mediapipe".

    Raises:
        ValueError: for an unknown split, camera, skeleton or detector, or a skeleton with joints that the detector does not
            find.
    """
    choose("split", [split], tuple(SPLITS))
    choose("detector", [detector], tuple(DETECTORS))
    file, own = DETECTORS[detector]
    skeleton = skeleton or own.name
    choose("skeleton", [skeleton], tuple(SKELETONS))
    arrays = read_npz(FILE, CAMERA_NUMBERS) | read_npz(file, ("pixels", "confidence"))
    stored = {name: torch.tensor(array) for name, array in arrays.items()}
    names = tuple(f"cam_{view + 1:02d}" for view in range(stored["pixels"].shape[1]))
    start, stop = SPLITS[split]
    have, joints = keypoints_of(own), SKELETONS[skeleton].joints
    clip = dict(
        subject="P1",
        action="Balancing",
        name="Balancing",
        cameras=Cameras.checked(**{name: stored[name] for name in CAMERA_NUMBERS}),
        pixels=map_joints(stored["pixels"][start:stop], have, joints),
        confidence=map_confidence(stored["confidence"][start:stop], have, joints),
    )
    dataset = from_clips("balancing", SKELETONS[skeleton], FRAME_RATE, names, [clip])
    return dataset if cameras is None else dataset.select_views(cameras)
