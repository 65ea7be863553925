"""Clips: uninterrupted takes, and the checked tensors of one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """One uninterrupted take: frames start..stop - 1 of its dataset."""

    subject: str
    action: str
    name: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def check_names(what: str, names: Iterable[str]) -> None:
    """Raise a ValueError for no names at all, and for plain text, which would be taken for its letters."""
    if isinstance(names, str):
        raise ValueError(f"{what}s must be several names, such as ({names!r},); got the text {names!r}")
    if not list(names):
        raise ValueError(f"{what}s must be one name or more; got {names!r}")


def consecutive(clips: list[Clip]) -> tuple[Clip, ...]:
    """The same clips, each beginning where the one before it ends."""
    stops = torch.tensor([len(clip) for clip in clips]).cumsum(0).tolist()
    return tuple(replace(clip, start=stop - len(clip), stop=stop) for clip, stop in zip(clips, stops))


def clip_tensors(where: str, clip: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels, confidence and 3D poses of a clip as `sequences.from_clips` takes it: float32, missing joints marked in all.

    Args:
        where: what an error calls the clip.
        clip: with `pixels` (F, V, J, 2) and, optionally, `confidence` (F, V, J) and `poses_world` (F, J, 3).

    Raises:
        ValueError: for a part of another name, shapes that do not fit together, or a confidence outside 0 to 1.
    """
    unknown = set(clip) - {"subject", "action", "name", "cameras", "pixels", "confidence", "poses_world"}
    if unknown:
        raise ValueError(f"{where}: unknown part {sorted(unknown)[0]!r}; a clip has pixels, confidence and poses_world")
    pixels = _float32(clip["pixels"])
    if pixels.ndim != 4 or pixels.shape[-1] != 2:
        raise ValueError(f"{where}: pixels must have shape (frames, views, joints, 2), got {tuple(pixels.shape)}")
    frames, views, joints, _ = pixels.shape
    shapes = {"confidence": (frames, views, joints), "poses_world": (frames, joints, 3)}
    given = {field: _float32(clip[field]) for field in shapes if clip.get(field) is not None}
    for field, tensor in given.items():
        if tensor.shape != shapes[field]:
            raise ValueError(f"{where}: {field} must have shape {shapes[field]}, as pixels do, got {tuple(tensor.shape)}")
    confidence = given.get("confidence", pixels.new_ones(shapes["confidence"])).nan_to_num(nan=0.0)
    if not ((confidence >= 0) & (confidence <= 1)).all():
        lowest, highest = confidence.min().item(), confidence.max().item()
        raise ValueError(f"{where}: confidence must be from 0 to 1, got {lowest:g} to {highest:g}")
    poses_world = given.get("poses_world", pixels.new_full(shapes["poses_world"], torch.nan))
    present = (confidence > 0) & ~pixels.isnan().any(-1)
    return pixels.where(present.unsqueeze(-1), torch.nan), confidence * present, poses_world


def _float32(values: Any) -> Tensor:
    """A tensor of a tensor, an array or (nested) lists; what is none is copied, for arrays may be read-only."""
    return values.float() if isinstance(values, Tensor) else torch.tensor(np.asarray(values, dtype=np.float32))
