"""The embedded dataset: synthetic people seen by HumanEva-I's cameras, generated from a seed in about a second.

It has the form of HumanEva-I: 15 joints, three bodies that walk, jog and box, training and test clips, three cameras
with HumanEva-I's real calibration, 60 frames per second, and exact 2D through the OpenCV lens. It needs no download.
It is for teaching and testing; numbers measured on it are not numbers of HumanEva-I.
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
    """Generate one split. Each clip has a seed of its own, so that selecting fewer clips does not change the others.

    Args:
        split: "train" or "test"; they have no clip in common.
        subjects, actions, cameras: which to generate.
        lens: of the cameras returned. The 2D itself is always projected through the OpenCV lens, like HumanEva-I's;
            with "human36m" the cameras have the wrong lens of the published code.
        seed: another seed gives another recording of the same people.

    Raises:
        ValueError: for a split, subject, action, camera or lens that is not there; the valid ones are listed.
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
    """The motion of one of the bodies that walks, jogs or boxes for some seconds."""
    if action == "Box":
        return box(BODIES[subject], seconds, frame_rate, generator)
    return travel(BODIES[subject], {"Walking": WALK, "Jog": JOG}[action], seconds, frame_rate, generator)


def _clip_seed(seed, split, subject, action, take):
    """A different number for each possible clip."""
    seed = seed * 2 + list(SECONDS).index(split)
    seed = seed * len(SUBJECTS) + SUBJECTS.index(subject)
    return (seed * len(ACTIONS) + ACTIONS.index(action)) * 100 + take
