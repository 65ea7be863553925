"""Trajectories in TRC, which OpenSim and Pose2Sim read and write: text, tab-separated, y up.

Here z is up. The way from one to the other is a cyclic change of axes: TRC's (x, y, z) are our (y, z, x).
"""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.files import write_atomically
from posekit.formats.contents import DataFileError, Trajectories, checked_poses, text_of

_SCALES = {"m": 1.0, "cm": 0.01, "mm": 0.001}


def write_trc(path: str | Path, poses_world: Trajectories, joints: Sequence[str], frame_rate: float) -> None:
    """Write 3D joints in metres; a missing joint (NaN) is left empty.

    Args:
        path: the file.
        poses_world: world metres, z up.
        joints: J names.
        frame_rate: frames per second.

    Raises:
        ValueError: for poses of another shape, or a frame rate that is not positive.
    """
    poses = checked_poses(path, poses_world, joints, frame_rate)
    path, frames = Path(path), len(poses)
    axes = "\t".join(f"X{joint}\tY{joint}\tZ{joint}" for joint in range(1, len(joints) + 1))
    header = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{frame_rate:g}\t{frame_rate:g}\t{frames}\t{len(joints)}\tm\t{frame_rate:g}\t1\t{frames}",
        "Frame#\tTime\t" + "\t\t\t".join(joints) + "\t\t",
        "\t\t" + axes,
    ]
    rows = poses[..., [1, 2, 0]].flatten(1).tolist()
    lines = [
        "\t".join([str(frame + 1), f"{frame / frame_rate:.6f}", *("" if x != x else f"{x:.6f}" for x in row)])
        for frame, row in enumerate(rows)
    ]
    write_atomically(path, "\n".join([*header, *lines]) + "\n")


def read_trc(path: str | Path) -> tuple[Float[Tensor, "F J 3"], tuple[str, ...], float]:
    """Poses (world metres, z up; NaN where empty), names of the joints and frames per second of a TRC file.

    Raises:
        DataFileError: for anything but such a file.
    """
    path = Path(path)
    lines = text_of(path).splitlines()
    try:
        about = dict(zip(lines[1].split("\t"), lines[2].split("\t")))
        scale, rate = _SCALES[about["Units"]], float(about["DataRate"])
        joints = tuple(re.split(r"\t+", lines[3].strip())[2:])
        rows = [line.split("\t")[2 : 2 + 3 * len(joints)] for line in lines[5:] if line.strip()]
        numbers = [
            [float(cell) if cell.strip() else torch.nan for cell in row + [""] * (3 * len(joints) - len(row))] for row in rows
        ]
        poses = torch.tensor(numbers, dtype=torch.float64).view(len(rows), len(joints), 3)
    except (IndexError, KeyError, ValueError) as error:
        raise DataFileError(f"{path}: not a TRC file as OpenSim and Pose2Sim write it ({error!r})") from error
    return scale * poses[..., [2, 0, 1]], joints, rate
