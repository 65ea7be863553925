"""What the front page shows: a walk seen by one camera, and the poses that lifters trained here make of it.

The scene at the top is lifted in the browser, by the lifter of "Try it"; its answers are kept here as well, for readers
whose browser runs no worker. The three panels below compare networks of one size that differ in what they learned from.
"""

import torch
from torch import Tensor

from posekit.cameras import Cameras
from posekit.colors import COLORS
from posekit.evaluation import evaluate
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss, supervised_loss
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.samples import LabelledPoses, Views
from posekit.sequences import MultiViewDataset
from posekit.skeleton import Skeleton
from posekit.teachers import triangulated
from posekit.training import fit

SUBJECT, ACTION = "S2", "Walking"
STRIDE = 4  # frames of the clip for one of the page's, which draws poses between them
WIDTH = 256
PLANE = 0.42
"""Where a camera's picture stands in the room: a share of the way to the person."""
EPOCHS = {"label-free": 20, "labels": 10}
"""Passes over the training set; more without labels, where each step has three pictures of a moment."""


def front_page(lifter: RayLifter, camera: Cameras, ahead: float, train: MultiViewDataset, test: MultiViewDataset) -> dict:
    """The page's data: time, camera, the true walk, the lifted one, and the walks of the three panels; world metres.

    Args:
        lifter: told tilt and height of the camera.
        camera: of the scene at the top.
        ahead: how far before the camera people are, metres.
        train, test: the panels' lifters learn from the first and are measured on the second.
    """
    frames = walk_frames(test)
    walk = test.poses_world[frames]
    with torch.no_grad():
        lifted = camera.camera_to_world(lifter(camera.world_to_screen(walk), camera))
    return {
        "seconds": STRIDE / test.frame_rate,
        "camera": camera_numbers(camera, ahead),
        "truth": millimetres(walk),
        "lifted": millimetres(lifted),
        "panels": panels(train, test, frames),
    }


def walk_frames(test: MultiViewDataset) -> Tensor:
    """The frames of the test set that the page shows."""
    clip = next(clip for clip in test.clips if (clip.subject, clip.action) == (SUBJECT, ACTION))
    return torch.arange(clip.start, clip.stop, STRIDE)


def panels(train: MultiViewDataset, test: MultiViewDataset, frames: Tensor) -> list[dict]:
    """Name, error over the test set (MPJPE, mm) and lifted walk of each panel's network, seen by the first camera."""
    learned_from = {
        "without labels": (train.views(), label_free_loss, EPOCHS["label-free"]),
        "with labels": (train.labelled_poses(), supervised_loss, EPOCHS["labels"]),
        "triangulated": (triangulated(train).labelled_poses(), supervised_loss, EPOCHS["labels"]),
    }
    made = []
    for name, (samples, loss, epochs) in learned_from.items():
        network = trained(samples, loss, epochs)
        with torch.no_grad():
            poses = network(test.screen()[frames, 0])
        walk = test.frame_cameras[frames, 0].camera_to_world(poses)
        error = evaluate(network, test).metrics_mm["mpjpe"]
        made.append({"name": name, "error_mm": round(error, 1), "poses": millimetres(walk)})
    return made


def trained(samples: Views | LabelledPoses, loss, epochs: int) -> FrameLifter:
    """A lifter of single pictures, told nothing of the camera, as in the report but smaller."""
    rng = generator(0)
    lifter = FrameLifter(joints=15, width=WIDTH, dropout=0.0, generator=rng)
    fit(lifter, samples, loss, epochs=epochs, learning_rate=1e-3, schedule="one_cycle", generator=rng)
    return lifter


def camera_numbers(camera: Cameras, ahead: float) -> dict:
    """One camera for the browser: axes x right, y down, z forward; places in metres; focal length and middle in pixels."""
    R = camera.R_world_to_camera
    return {
        "R": R.tolist(),
        "center": (-R.T @ camera.t_world_to_camera).tolist(),
        "focal": camera.focal_px[0].item(),
        "middle": camera.center_px[0].item(),
        "plane": PLANE * ahead,
    }


def stage_numbers(skeleton: Skeleton) -> dict:
    """What the browser needs to draw people: names of joints, (parent, child) of the bones on each side."""
    return {
        "joints": [joint.replace("_", " ") for joint in skeleton.joints],
        "bones": {side: [bone for bone in skeleton.bones if skeleton.sides[bone[1]] == side] for side in COLORS},
    }


def millimetres(values: Tensor) -> list:
    """Nested lists of metres, exact to a millimetre."""
    return [millimetres(part) for part in values] if values.ndim else round(values.item(), 3)
