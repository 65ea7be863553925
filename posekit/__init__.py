"""Lifting 2D human poses to 3D without 3D labels, from the agreement of several camera views.

Load people, make a lifter, train it without labels, measure it, print the error:

>>> from posekit import FrameLifter, evaluate, fit, generator, label_free_loss, load_dataset
>>> train, test = load_dataset("synthetic", "train"), load_dataset("synthetic", "test")
>>> lifter = FrameLifter(joints=15, width=64, dropout=0.0, generator=generator(0))
>>> curve = fit(lifter, train.views(), label_free_loss, epochs=4, learning_rate=3e-3, generator=generator(1))
>>> errors_mm = evaluate(lifter, test).metrics_mm
>>> print(f"root-relative error: {errors_mm['mpjpe']:.0f} mm")
root-relative error: ... mm

These names are the front door. The rest is in the modules: `posekit.cameras`, `posekit.metrics`, `posekit.figures` and
so on. Axes are (frames, views, joints, coordinates), lengths are metres, and a missing joint is NaN.
"""

from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.lifters import FrameLifter, SequenceLifter, TemporalConvLifter, load_lifter, save_lifter
from posekit.losses import label_free_loss, supervised_loss
from posekit.random import generator
from posekit.sequences import MultiViewDataset, from_clips
from posekit.skeleton import Skeleton
from posekit.training import adapt, evaluate, fit, lift
from posekit.triangulation import triangulate

__all__ = [
    "Cameras",
    "FrameLifter",
    "MultiViewDataset",
    "SequenceLifter",
    "Skeleton",
    "TemporalConvLifter",
    "adapt",
    "evaluate",
    "fit",
    "from_clips",
    "generator",
    "label_free_loss",
    "lift",
    "load_dataset",
    "load_lifter",
    "save_lifter",
    "supervised_loss",
    "triangulate",
]
