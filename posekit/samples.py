"""The two kinds of training samples: what cameras saw of moments, and single views with labels.

Letters: V views, J joints, T frames of a window. `Views` is what label-free training may see: it has no field in
which a 3D label could hide.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from posekit.cameras import Cameras


@dataclass(frozen=True)
class Views:
    """What V synchronised, calibrated cameras saw: a label-free batch. Its leading axes `*batch` are often (frames,).

    Args:
        screen: 2D joints in screen coordinates; NaN where missing.
        confidence: how far each 2D joint can be trusted, from 0 (missing) to 1.
        cameras: with leading axes (*batch, V).
    """

    screen: Float[Tensor, "*batch V J 2"]
    confidence: Float[Tensor, "*batch V J"]
    cameras: Cameras

    def __repr__(self) -> str:
        """Sizes instead of every number."""
        *batch, views, joints, _ = self.screen.shape
        return f"Views({counted('sample', *batch)}, {counted('view', views)}, {joints} joints)"

    def __len__(self) -> int:
        return len(self.screen)

    def __getitem__(self, index) -> "Views":
        """Index the leading axes."""
        return Views(self.screen[index], self.confidence[index], self.cameras[index])

    def batch(self, index: Int[Tensor, " N"], progress: float) -> "Views":
        """What a training step sees; `progress`, the share of the run that is done, makes no difference here."""
        return self[index]

    def windows(self, frames: Int[Tensor, "*batch T"]) -> "Views":
        """Windows of frames as samples, leading axes (*batch, T); frame -1 is padding: NaN, confidence 0."""
        present, index = frames >= 0, frames.clamp(min=0)
        screen = self.screen[index].where(present[..., None, None, None], torch.nan)
        return Views(screen, self.confidence[index] * present[..., None, None], self.cameras[index])

    def to(self, *args, **kwargs) -> "Views":
        """Move or cast, as `Tensor.to` does."""
        return Views(*(part.to(*args, **kwargs) for part in (self.screen, self.confidence, self.cameras)))


@dataclass(frozen=True)
class LabelledPoses:
    """Single views with their 3D labels: a supervised batch.

    Args:
        screen: 2D joints in screen coordinates; NaN where missing.
        poses_camera: the same joints in 3D, camera metres, absolute.
    """

    screen: Float[Tensor, "*batch J 2"]
    poses_camera: Float[Tensor, "*batch J 3"]

    def __repr__(self) -> str:
        """Sizes instead of every number."""
        *batch, joints, _ = self.screen.shape
        return f"LabelledPoses({counted('sample', *batch)}, {joints} joints)"

    def __len__(self) -> int:
        return len(self.screen)

    def __getitem__(self, index) -> "LabelledPoses":
        """Index the leading axes."""
        return LabelledPoses(self.screen[index], self.poses_camera[index])

    def batch(self, index: Int[Tensor, " N"], progress: float) -> "LabelledPoses":
        """What a training step sees; `progress`, the share of the run that is done, makes no difference here."""
        return self[index]

    def to(self, *args, **kwargs) -> "LabelledPoses":
        """Move or cast, as `Tensor.to` does."""
        return LabelledPoses(self.screen.to(*args, **kwargs), self.poses_camera.to(*args, **kwargs))


def counted(noun: str, *numbers: int) -> str:
    """For a repr: a number of things, or an array of them, in words: "2 x 3 views"; without numbers a single one."""
    count = " x ".join(map(str, numbers)) or "1"
    return f"{count} {noun}{'' if count == '1' else 's'}"
