"""Your own cameras: from a folder of files to a checked recording, 3D joints, and a lifter.

The command::

    python -m posekit.rig check FOLDER          # what was read, how good it is, report.html
    python -m posekit.rig triangulate FOLDER    # 3D joints: poses.trc and poses.npz
    python -m posekit.rig lift FOLDER           # a lifter of single views, tested on later frames

The modules, in the order in which a recording passes through them: `folder` (what the files are), `quality` (how good
they are), `findings` (what is wrong), `steps` (triangulation, smoothing, lifting), `page` (the report).
"""

from posekit.rig.findings import Finding, Report, check
from posekit.rig.folder import Rig, read_rig
from posekit.rig.steps import adjust, evaluate_without_labels, learn_to_lift, reconstruct, with_skeleton

__all__ = [
    "Finding",
    "Report",
    "Rig",
    "adjust",
    "check",
    "evaluate_without_labels",
    "learn_to_lift",
    "read_rig",
    "reconstruct",
    "with_skeleton",
]
