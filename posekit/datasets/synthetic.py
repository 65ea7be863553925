"""The embedded dataset: synthetic people in HumanEva-I's room, made in a second from a seed. Needs no download.

HumanEva-shaped: 15 joints, three bodies, walking, jogging and boxing, training and test clips, three cameras with
HumanEva-I's real calibration, 60 frames a second, exact 2D through the OpenCV lens. It is for teaching and testing;
numbers measured on it are not numbers of HumanEva-I.
"""

import torch

from posekit.datasets.files import choose
from posekit.datasets.humaneva import ACTIONS, CAMERAS, FRAME_RATE, LENSES, SUBJECTS, humaneva_cameras
from posekit.datasets.motion import JOG, WALK, Body, Motion, box, travel
from posekit.random import generator
from posekit.renaming import renamed
from posekit.sequences import MultiViewDataset, from_clips
from posekit.skeleton import HUMANEVA_15

BODIES = {
    "S1": Body.of(1.64, legs=0.98),
    "S2": Body.of(1.75, arms=1.02),
    "S3": Body.of(1.86, legs=1.02, arms=0.98),
}
SECONDS = {  # of each clip, by split and action
    "train": {"Walking": (4.0, 4.0), "Jog": (3.0, 3.0), "Box": (2.0, 2.0, 2.0)},
    "test": {"Walking": (4.0,), "Jog": (3.0,), "Box": (2.0, 2.0)},
}


def make_synthetic(
    split: str = "train",
    *,
    subjects: tuple[str, ...] = SUBJECTS,
    actions: tuple[str, ...] = ACTIONS,
    cameras: tuple[str, ...] = CAMERAS,
    lens: str = "opencv",
    seed: int = 0,
) -> MultiViewDataset:
    """Make one split. Every clip has its own seed, so choosing fewer changes nothing in the others.

    Args:
        split: "train" or "test"; no clip of one is in the other.
        subjects, actions, cameras: which to make.
        lens: of the cameras handed out. The 2D itself always goes through the OpenCV lens, as HumanEva-I's does;
            "human36m" hands out the published code's wrong one.
        seed: another seed is another recording of the same people.

    Raises:
        ValueError: for a split, subject, action, camera or lens that does not exist; the valid ones are listed.
    """
    choose("split", [split], tuple(SECONDS))
    choose("subject", subjects, SUBJECTS)
    choose("action", actions, ACTIONS)
    choose("camera", cameras, CAMERAS)
    choose("lens", [lens], LENSES)
    chosen_views = [CAMERAS.index(camera) for camera in cameras]
    clips = []
    for subject in subjects:
        seen_by = humaneva_cameras(subject)[chosen_views]
        given = humaneva_cameras(subject, lens)[chosen_views]
        for action in actions:
            for take, seconds in enumerate(SECONDS[split][action]):
                motion = perform(subject, action, seconds, generator(_clip_seed(seed, split, subject, action, take)))
                poses = motion.joints.float()
                clips.append(
                    dict(
                        subject=subject,
                        action=action,
                        name=f"{action} {take}",
                        cameras=given,
                        pixels=seen_by.world_to_pixels(poses[:, None]),
                        poses_world=poses,
                    )
                )
    return from_clips("synthetic", HUMANEVA_15, FRAME_RATE, cameras, clips)


@renamed(source="generator")
def perform(subject: str, action: str, seconds: float, generator: torch.Generator, frame_rate: float = FRAME_RATE) -> Motion:
    """Let one of the bodies walk, jog or box for a while."""
    if action == "Box":
        return box(BODIES[subject], seconds, frame_rate, generator)
    return travel(BODIES[subject], {"Walking": WALK, "Jog": JOG}[action], seconds, frame_rate, generator)


def _clip_seed(seed, split, subject, action, take):
    """A different number for every clip there can be."""
    seed = seed * 2 + list(SECONDS).index(split)
    seed = seed * len(SUBJECTS) + SUBJECTS.index(subject)
    return (seed * len(ACTIONS) + ACTIONS.index(action)) * 100 + take
