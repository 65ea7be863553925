"""Trajectories in C3D, the binary format of motion capture, through ezc3d (`pip install "posekit[formats]"`)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posekit.formats.contents import Trajectories, checked_poses


def write_c3d(path: str | Path, poses_world: Trajectories, joints: Sequence[str], frame_rate: float) -> None:
    """Write 3D joints in millimetres, the unit that programs expect of C3D, z up; a missing joint is invalid there too.

    Args:
        path: the file.
        poses_world: world metres, NaN where missing.
        joints: J names.
        frame_rate: frames per second.

    Raises:
        ModuleNotFoundError: without ezc3d, saying how to install it.
        ValueError: for poses of another shape, or a frame rate that is not positive.
    """
    poses = checked_poses(path, poses_world, joints, frame_rate)
    try:
        import ezc3d
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("writing C3D needs ezc3d: pip install 'posekit[formats]'") from error
    file = ezc3d.c3d()
    points = file["parameters"]["POINT"]
    points["RATE"]["value"], points["UNITS"]["value"], points["LABELS"]["value"] = [frame_rate], ["mm"], list(joints)
    xyz = 1000 * poses.permute(2, 1, 0).numpy()
    file["data"]["points"] = np.concatenate([xyz, np.ones_like(xyz[:1])])
    file.write(str(path))
