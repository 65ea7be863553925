"""Synchronised multi-view clips, and the training samples made from them (see `samples`).

Letters: F frames, V views, J joints, T frames of a window. A missing joint is NaN in 2D and has confidence 0; nothing
fills it in silently.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from numbers import Integral

import torch
from jaxtyping import Float, Int
from torch import Tensor

from posekit.cameras import Cameras
from posekit.clips import Clip as Clip  # users look for it here
from posekit.clips import check_names, clip_tensors, consecutive
from posekit.detector import Detector
from posekit.preview import views_svg
from posekit.renaming import renamed
from posekit.samples import LabelledPoses, Views, counted
from posekit.skeleton import Skeleton


@dataclass(frozen=True)
class MultiViewDataset:
    """Clips of people seen by V cameras at once, all frames in one tensor.

    Args:
        name: of the dataset.
        skeleton: names and order of the joints.
        frame_rate: frames per second.
        clips: they cover all frames, in order and without overlap.
        view_names: V camera names.
        cameras: one set per clip: leading axes (clips, V).
        pixels: 2D joints as a detector gives them; NaN where missing.
        confidence: 0 (missing) to 1.
        poses_world: 3D joints, world metres. A dataset without 3D is normal: leave it out, and all of it is NaN.
    """

    name: str
    skeleton: Skeleton
    frame_rate: float
    clips: tuple[Clip, ...]
    view_names: tuple[str, ...]
    cameras: Cameras
    pixels: Float[Tensor, "F V J 2"]
    confidence: Float[Tensor, "F V J"]
    poses_world: Float[Tensor, "F J 3"] | None = None

    def __post_init__(self):
        frames, views, joints = self.confidence.shape
        if self.poses_world is None:
            object.__setattr__(self, "poses_world", self.pixels.new_full((frames, joints, 3), torch.nan))
        expected = {
            "pixels": (frames, views, joints, 2),
            "poses_world": (frames, joints, 3),
            "cameras": (len(self.clips), views),
        }
        for field, shape in expected.items():
            if tuple(getattr(self, field).shape) != shape:
                raise ValueError(f"{self.name}: {field} must have shape {shape}, got {tuple(getattr(self, field).shape)}")
        if joints != len(self.skeleton) or views != len(self.view_names):
            raise ValueError(
                f"{self.name}: {joints} joints and {views} views in the data, "
                f"{len(self.skeleton)} in the skeleton and {len(self.view_names)} view names"
            )
        edges = [0, *(clip.stop for clip in self.clips)]
        if [clip.start for clip in self.clips] != edges[:-1] or edges[-1] != frames:
            raise ValueError(f"{self.name}: clips must cover frames 0..{frames} in order, without gap or overlap")

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.poses_world)

    def __repr__(self) -> str:
        """Name and sizes instead of every number."""
        frames, views, joints = self.confidence.shape
        counts = dict(frame=frames, clip=len(self.clips), view=views, joint=joints)
        sizes = ", ".join(counted(noun, count) for noun, count in counts.items())
        return f'MultiViewDataset("{self.name}": {sizes}, {self.frame_rate:g} fps)'

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary, and the first moment as every camera sees it."""
        image_size_px = self.cameras.image_size_px[0]
        return f"<p>{escape(repr(self))}</p>{views_svg(self.pixels[0], image_size_px, self.view_names, self.skeleton)}"

    @cached_property
    def clip_of_frame(self) -> Int[Tensor, " F"]:
        """Index of each frame's clip."""
        lengths = torch.tensor([len(clip) for clip in self.clips])
        return torch.repeat_interleave(torch.arange(len(self.clips)), lengths)

    @cached_property
    def age(self) -> Int[Tensor, " F"]:
        """Frames since the beginning of each one's clip."""
        starts, _ = self._clip_borders(self.clip_of_frame)
        return torch.arange(len(self)) - starts.squeeze(-1)

    @cached_property
    def frame_cameras(self) -> Cameras:
        """The cameras of every frame, leading axes (F, V)."""
        return self.cameras[self.clip_of_frame]

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions, in order of appearance."""
        return tuple(dict.fromkeys(clip.action for clip in self.clips))

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects, in order of appearance."""
        return tuple(dict.fromkeys(clip.subject for clip in self.clips))

    def screen(self) -> Float[Tensor, "F V J 2"]:
        """The 2D joints in screen coordinates."""
        return self.frame_cameras.pixels_to_screen(self.pixels)

    def poses_camera(self) -> Float[Tensor, "F V J 3"]:
        """The 3D joints in each view's camera frame, metres."""
        return self.frame_cameras.world_to_camera(self.poses_world.unsqueeze(1))

    def views(self) -> Views:
        """All frames as label-free samples; nothing in them comes from the 3D labels."""
        return Views(self.screen(), self.confidence, self.frame_cameras)

    def labelled_poses(self) -> LabelledPoses:
        """All frames and views as supervised samples, F x V of them."""
        return LabelledPoses(self.screen().flatten(0, 1), self.poses_camera().flatten(0, 1))

    def clip_frames(self) -> Int[Tensor, "clips longest"]:
        """Frame numbers of whole clips, one clip per row; -1 after the end of a clip that is not the longest."""
        starts, stops = self._clip_borders(torch.arange(len(self.clips)))
        frames = starts + torch.arange(max(map(len, self.clips)))
        return frames.where(frames < stops, -1)

    @renamed(length="window")
    def surrounding_frames(self, window: int) -> Int[Tensor, "F window"]:
        """Frame numbers of the window around every frame, which is in its middle; -1 beyond the ends of its clip.

        Raises:
            ValueError: for an even window, which has no middle.
        """
        if window < 1 or window % 2 == 0:
            raise ValueError(f"window must be an odd number of frames, got {window}")
        starts, stops = self._clip_borders(self.clip_of_frame)
        frames = torch.arange(len(self)).unsqueeze(-1) + torch.arange(window) - window // 2
        return frames.where((frames >= starts) & (frames < stops), -1)

    def _clip_borders(self, index):
        """First frames of the clips with these numbers, and the frames after their last ones, (N, 1) each."""
        borders = torch.tensor([(clip.start, clip.stop) for clip in self.clips])[index]
        return borders[:, :1], borders[:, 1:]

    def sha256(self) -> str:
        """Digest of the 2D and 3D poses, which tells whether two runs had the same data."""
        digest = hashlib.sha256()
        for tensor in (self.pixels, self.poses_world):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def select_clips(self, clips: list[Clip]) -> "MultiViewDataset":
        """The same dataset with only some of its clips."""
        chosen = [self.clips.index(clip) for clip in clips]
        frames = torch.cat([torch.arange(clip.start, clip.stop) for clip in clips])
        return replace(
            self,
            clips=consecutive(clips),
            cameras=self.cameras[chosen],
            pixels=self.pixels[frames],
            confidence=self.confidence[frames],
            poses_world=self.poses_world[frames],
        )

    def with_poses(self, poses_world: Float[Tensor, "F J 3"]) -> "MultiViewDataset":
        """The same dataset with other 3D joints, triangulated ones for example; world metres, NaN where missing.

        Raises:
            ValueError: for another shape.
        """
        return replace(self, poses_world=poses_world.to(self.pixels))

    def frames(self, start: int, stop: int | None = None) -> "MultiViewDataset":
        """The frames from start up to, but without, stop, counted over all clips as in `dataset.pixels[start:stop]`.

        Raises:
            ValueError: if there are none.

        >>> from posekit.datasets import load_dataset
        >>> walk = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",))
        >>> first, last = walk.frames(0, 180), walk.frames(-60)
        >>> len(first), len(last)
        (180, 60)
        """
        kept = range(len(self))[start:stop]
        if not kept:
            raise ValueError(f"{self.name}: no frames from {start} to {stop}; it has {len(self)}")
        return self._pieces(
            [replace(clip, start=max(clip.start, kept.start), stop=min(clip.stop, kept.stop)) for clip in self.clips]
        )

    def every(self, stride: int) -> "MultiViewDataset":
        """The same dataset with every stride-th frame of each clip; the frame rate falls accordingly.

        Raises:
            ValueError: for a stride that is no whole number, below 1, or longer than every clip.
        """
        longest = max(map(len, self.clips))
        if not isinstance(stride, Integral):
            raise ValueError(f"stride must be a whole number of frames, got {stride!r}")
        if not 1 <= stride <= longest:
            raise ValueError(f"stride must be from 1 to the longest clip's {counted('frame', longest)}, got {stride}")
        if stride == 1:
            return self
        kept = [range(clip.start, clip.stop, stride) for clip in self.clips]
        frames = torch.cat([torch.tensor(frames) for frames in kept])
        shorter = [replace(clip, start=0, stop=len(frames)) for clip, frames in zip(self.clips, kept)]
        return replace(
            self,
            frame_rate=self.frame_rate / stride,
            clips=consecutive(shorter),
            pixels=self.pixels[frames],
            confidence=self.confidence[frames],
            poses_world=self.poses_world[frames],
        )

    def validation_split(self, share: float = 0.25, gap: int = 10) -> tuple["MultiViewDataset", "MultiViewDataset"]:
        """What to train on and what to hold out, for choosing settings and for stopping early without a test set.

        The last `share` of each subject's and action's frames is held out, in the order of the clips. The `gap` frames
        before it are in neither part, since neighbouring frames are nearly the same.

        Raises:
            ValueError: for a share outside (0, 1), a negative gap, or if a subject's frames of an action are too few.

        >>> from posekit.datasets import load_dataset
        >>> train = load_dataset("synthetic", "train", subjects=("S1",), actions=("Box",))
        >>> kept, held_out = train.validation_split()
        >>> len(train), len(kept), len(held_out)
        (360, 260, 90)
        """
        if not 0 < share < 1 or gap < 0:
            raise ValueError(f"share must be in (0, 1) and gap must not be negative, got {share} and {gap}")
        kept, held_out = [], []
        for subject, action in dict.fromkeys((clip.subject, clip.action) for clip in self.clips):
            clips = [clip for clip in self.clips if (clip.subject, clip.action) == (subject, action)]
            total = sum(map(len, clips))
            first = total - int(share * total)
            if not gap < first < total:
                raise ValueError(
                    f"{self.name}: {subject}'s {total} frames of {action} are too few to hold out {share:.0%} of them "
                    f"with a gap of {gap} frames"
                )
            done = 0
            for clip in clips:
                kept.append(replace(clip, stop=min(clip.stop, clip.start + first - gap - done)))
                held_out.append(replace(clip, start=max(clip.start, clip.start + first - done)))
                done += len(clip)
        return self._pieces(kept), self._pieces(held_out)

    def _pieces(self, clips: list[Clip]) -> "MultiViewDataset":
        """Parts of clips, in the order of this dataset and without the empty ones."""
        clips = sorted((clip for clip in clips if clip.start < clip.stop), key=lambda clip: clip.start)
        frames = torch.cat([torch.arange(clip.start, clip.stop) for clip in clips])
        return replace(
            self,
            clips=consecutive(clips),
            cameras=self.cameras[self.clip_of_frame[[clip.start for clip in clips]]],
            pixels=self.pixels[frames],
            confidence=self.confidence[frames],
            poses_world=self.poses_world[frames],
        )

    def select_views(self, names: Sequence[str]) -> "MultiViewDataset":
        """The same dataset seen by only some of its cameras.

        Raises:
            ValueError: for a camera it does not have; the message lists those it has. Also for none, or plain text.
        """
        check_names("camera", names)
        for name in names:
            if name not in self.view_names:
                raise ValueError(f"{self.name} has no camera {name!r}; it has {', '.join(self.view_names)}")
        views = [self.view_names.index(name) for name in names]
        return replace(
            self,
            view_names=tuple(names),
            cameras=self.cameras[:, views],
            pixels=self.pixels[:, views],
            confidence=self.confidence[:, views],
        )

    @renamed(source="generator")
    def with_detector_noise(
        self, noise_px: float, missing: float, generator: torch.Generator, **faults: float
    ) -> "MultiViewDataset":
        """The same poses as an imperfect detector would see them; the 3D labels stay as they are.

        Args:
            noise_px, missing: as in `detector.Detector`. The confidence of a joint falls from 1 to 1/3 as its noise grows;
                one that is not found is NaN and has confidence 0.
            generator: of all that is drawn.
            faults: the others of `detector.Detector`: `noise_correlation`, `missing_run` and `swapped`. None of them
                runs on from one clip into the next.

        Raises:
            ValueError: for a negative amount, or a share outside [0, 1].
        """
        detector = Detector(noise_px=noise_px, missing=missing, **faults)
        drawn = detector.draw(self.age, tuple(self.confidence.shape[1:]), generator)
        pixels = (self.pixels + drawn.noise_px).where(drawn.found.unsqueeze(-1), torch.nan)
        confidence = self.confidence * drawn.confidence(noise_px) * drawn.found
        if drawn.swapped is not None:
            partners, swapped = list(self.skeleton.partners), drawn.swapped.unsqueeze(-1)
            pixels = pixels[..., partners, :].where(swapped.unsqueeze(-1), pixels)
            confidence = confidence[..., partners].where(swapped, confidence)
        return replace(self, pixels=pixels, confidence=confidence)


def from_clips(
    name: str,
    skeleton: Skeleton,
    frame_rate: float,
    view_names: tuple[str, ...],
    clips: list[dict],
) -> MultiViewDataset:
    """Assemble a dataset from one dictionary per clip.

    Args:
        name, skeleton, frame_rate, view_names: as in `MultiViewDataset`.
        clips: each with `subject`, `action`, `name`, `cameras` (V,), `pixels` (F, V, J, 2), and optionally `confidence`
            (F, V, J) and `poses_world` (F, J, 3): tensors, NumPy arrays or lists, which become float32. Without a
            confidence a 2D joint has 1. Confidence 0 means missing, as detectors write it, and so does NaN in
            either: the joint is NaN with confidence 0. Without `poses_world` it is all NaN.

    Raises:
        ValueError: if the parts do not fit together, or a confidence is outside 0 to 1; the message names the clip. Also
            for two views of one name, or a frame rate that is not positive.

    >>> from posekit.datasets import load_dataset
    >>> walk = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",))
    >>> half_second = dict(
    ...     subject="S1",
    ...     action="Walking",
    ...     name="the first steps",
    ...     cameras=walk.cameras[0],
    ...     pixels=walk.pixels[:30],
    ...     poses_world=walk.poses_world[:30],
    ... )
    >>> from_clips("steps", walk.skeleton, walk.frame_rate, walk.view_names, [half_second])
    MultiViewDataset("steps": 30 frames, 1 clip, 3 views, 15 joints, 60 fps)
    """
    if len(set(view_names)) < len(view_names):
        raise ValueError(f"{name}: view_names must differ, got {', '.join(view_names)}")
    if not 0 < frame_rate < math.inf:
        raise ValueError(f"{name}: frame_rate must be a positive number per second, got {frame_rate}")
    parts = [clip_tensors(f"{name}: {clip['subject']}/{clip['name']}", clip) for clip in clips]
    pixels, confidence, poses_world = (torch.cat(tensors) for tensors in zip(*parts))
    described = [Clip(c["subject"], c["action"], c["name"], 0, len(part[0])) for c, part in zip(clips, parts)]
    return MultiViewDataset(
        name=name,
        skeleton=skeleton,
        frame_rate=frame_rate,
        clips=consecutive(described),
        view_names=tuple(view_names),
        cameras=Cameras.stack([clip["cameras"] for clip in clips]).to(torch.float32),
        pixels=pixels,
        confidence=confidence,
        poses_world=poses_world,
    )
