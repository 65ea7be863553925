"""Cameras that nobody calibrated, from the people they see.

>>> from posekit.calibration import calibrate_from_people, compare_cameras
>>> from posekit.datasets import load_dataset
>>> people = load_dataset("synthetic", "train", subjects=("S2",), actions=("Walking",))
>>> found, report = calibrate_from_people(people.pixels, people.cameras[0], frames=40, skeleton=people.skeleton)
>>> report
CalibrationReport(3 views, 40 frames: nothing speaks against it)
>>> compare_cameras(found, people.cameras[0]).rotation_deg < 0.01
True

The modules, in the order in which a calibration passes through them: `relative` (pairs of views), `rig` (pairs to
rigs), `bundle` and `solver` (everything adjusted together), `people` (the whole), `suspicions` and `report` (whether
to trust it), `gauge` (size, upright, comparison). Beside them, `learned` has cameras as parameters in training.
"""

from posekit.calibration.bundle import BundleAdjustment, bundle_adjust
from posekit.calibration.gauge import CameraComparison, compare_cameras, set_scale, set_upright
from posekit.calibration.people import Calibration, calibrate_from_people, guess_intrinsics
from posekit.calibration.relative import RelativePoses, relative_poses
from posekit.calibration.report import CalibrationReport

__all__ = [
    "BundleAdjustment",
    "Calibration",
    "CalibrationReport",
    "CameraComparison",
    "RelativePoses",
    "bundle_adjust",
    "calibrate_from_people",
    "compare_cameras",
    "guess_intrinsics",
    "relative_poses",
    "set_scale",
    "set_upright",
]
