"""Measure how far a detector's joints are from the markers', and write book/joint_offsets.json: python book/joint_offsets.py.

On Human3.6M's training people, every 25th frame, with 2D joints that were detected. Only numbers are written; the
licensed files must lie where the README says.
"""

import json
from pathlib import Path

import torch

from posekit.datasets import load_dataset
from posekit.files import write_atomically
from posekit.joint_offsets import fit_offsets
from posekit.metrics import mpjpe
from posekit.teachers import triangulated

STRIDE = 25


def main() -> None:
    people = load_dataset("human36m_detected", "train", stride=STRIDE)
    found, labels, skeleton = triangulated(people, robust=True).poses_world, people.poses_world, people.skeleton
    offsets = fit_offsets(found, labels, skeleton)
    content = {
        "command": "python book/joint_offsets.py",
        "people": list(people.subjects),
        "frames": len(people),
        "mpjpe_mm": {
            "none": _mm(mpjpe(found, labels).nanmean()),
            "all": _mm(mpjpe(offsets.apply(found), labels).nanmean()),
            "another person": _mm(torch.stack([*_by_another(people, found)]).mean()),
        },
        "vectors_mm": {joint: [_mm(x) for x in vector] for joint, vector in zip(skeleton.joints, offsets.vectors)},
    }
    write_atomically(Path(__file__).with_suffix(".json"), json.dumps(content, indent=1) + "\n")


def _by_another(people, found):
    """The error of everybody else with the offsets of each person."""
    for subject in people.subjects:
        own = torch.tensor([clip.subject == subject for clip in people.clips])[people.clip_of_frame]
        offsets = fit_offsets(found[own], people.poses_world[own], people.skeleton)
        yield mpjpe(offsets.apply(found[~own]), people.poses_world[~own]).nanmean()


def _mm(metres) -> float:
    return round(1000 * metres.item(), 1)


if __name__ == "__main__":
    main()
