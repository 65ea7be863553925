"""Vectors and rotations from which motion is built. Float64, z up; a body's axes are x forward, y left, z up."""

from math import pi

import torch
from roma import rotvec_to_rotmat
from torch import Tensor


def two_bone(start: Tensor, end: Tensor, first: float, second: float, towards: Tensor) -> Tensor:
    """The joint between two bones that lead from `start` to `end`, bent towards a direction. All (..., 3).

    Raises:
        ValueError: if an end is out of reach.
    """
    line = end - start
    length = line.norm(dim=-1, keepdim=True)
    if (length > first + second).any() or (length < abs(first - second)).any():
        raise ValueError(f"an end is {length.max():.3f} m away, out of reach of bones of {first:.3f} and {second:.3f} m")
    along = line / length
    offset = (first**2 - second**2 + length**2) / (2 * length)
    bend = torch.nn.functional.normalize(towards - (towards * along).sum(-1, keepdim=True) * along, dim=-1)
    return start + offset * along + (first**2 - offset**2).clamp(min=0).sqrt() * bend


def within_reach(start: Tensor, end: Tensor, reach: float) -> Tensor:
    """The end (..., 3), moved towards the start if it is more than `reach` metres away."""
    line = end - start
    length = line.norm(dim=-1, keepdim=True)
    return start + line * (reach / length).clamp(max=1)


def beside(middle: Tensor, frame: Tensor, half: float) -> Tensor:
    """The points (F, 2, 3) half a width to the left and to the right of the middle, in body axes (x forward, y left, z up)."""
    offsets = torch.tensor([[0.0, half, 0.0], [0.0, -half, 0.0]], dtype=torch.float64)
    return middle[:, None] + (frame @ offsets.mT).mT


def axis(index: int) -> Tensor:
    """The unit vector x (0), y (1) or z (2)."""
    return torch.eye(3, dtype=torch.float64)[index]


def rotation(axis: Tensor, angle: Tensor | float) -> Tensor:
    """Rotations (..., 3, 3) by angles (...) in radians about a unit vector (3,)."""
    return rotvec_to_rotmat(torch.as_tensor(angle, dtype=torch.float64).unsqueeze(-1) * axis)


def heading_axis(heading: Tensor, index: int) -> Tensor:
    """Forward (0) or left (1) on the ground for headings in radians from world x."""
    heading = heading + index * pi / 2
    return torch.stack([heading.cos(), heading.sin(), torch.zeros_like(heading)], dim=-1)
