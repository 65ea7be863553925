"""Scenes: training poses put anywhere in the room, recombined, and seen by any camera.

What a room shows in an hour is one of many things it might have shown. A person could have stood elsewhere, turned
another way, with the left for the right, with the arms of another moment; the camera could have stood elsewhere too.
From triangulated poses all of this is drawn anew at every step, without a label.

Inside, a pose is its bones (`posekit.poses`), which keep their lengths when they turn.

Sources: K. Gong et al., "PoseAug", CVPR 2021 (new poses, bodies and views for training); S. Li et al., "Cascaded deep
monocular 3D human pose estimation with evolutionary training data", CVPR 2020 (swapped limbs).
"""

import copy
import math
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from posekit.cameras import Cameras
from posekit.detector import Detector
from posekit.poses import from_bones, hip_heading, jitter, lowest_ankle, thorax, to_bones, trunk_frame, turn
from posekit.samples import counted
from posekit.sequences import MultiViewDataset
from posekit.skeleton import Skeleton
from posekit.virtual_cameras import draw_cameras, shifted

CAMERA_CHOICES = ("real", "moved", "drawn")


@runtime_checkable
class Drawn(Protocol):
    """People drawn at random, each with a camera: a `Scene` of single frames, or a `stretches.Stretch` of many."""

    cameras: Cameras

    def poses_camera(self) -> Float[Tensor, "N J 3"]:
        """The poses that are to be found, camera frame."""


class Scene(NamedTuple):
    """N people, each seen by a camera of its own.

    poses_world: world metres, z up; a missing joint is NaN.
    cameras: leading axes (N,).
    error_px: by how much each 2D joint is off, NaN where it was not found; None for exact 2D.
    """

    poses_world: Float[Tensor, "N J 3"]
    cameras: Cameras
    error_px: Float[Tensor, "N J 2"] | None = None

    def to(self, device: torch.device | str) -> "Scene":
        """Move every tensor."""
        error = None if self.error_px is None else self.error_px.to(device)
        return Scene(self.poses_world.to(device), self.cameras.to(device), error)

    def poses_camera(self) -> Float[Tensor, "N J 3"]:
        """The same people in their cameras' frames."""
        return self.cameras.world_to_camera(self.poses_world)

    def screen(self) -> Float[Tensor, "N J 2"]:
        """The 2D joints that the cameras see, screen coordinates."""
        pixels = self.cameras.world_to_pixels(self.poses_world)
        return self.cameras.pixels_to_screen(pixels if self.error_px is None else pixels + self.error_px)


@dataclass(frozen=True)
class Mix:
    """How scenes are put together. Probabilities are those of one person of a batch.

    Args:
        place: put people anywhere over the box of the training poses' roots, turned at random about the vertical.
        mirror: probability of a mirror image.
        arms: probability, for each arm, of another frame's elbow and wrist (in the trunk's frame).
        upper: probability of another frame's upper body, turned to the same heading of the hips.
        jitter: probability of jittered bone directions.
        arm_jitter, body_jitter: typical angle in radians, of the arms' bones and of the others.
        body_scale: typical change of a whole body's size, as a share of it.
        bone_scale: typical change of each bone's length, the same on the left and on the right.
        heads: probability of a head below the thorax; HumanEva-I's S3 has some, see the data's notes.
        balance: frames are drawn so that a group of n frames (one person, one action) has weight n^(1 - balance).
        fade: between which shares of a training run the probabilities of arms, upper and jitter fall...
        faded: ...and to which share of themselves.
        cameras: "real": the training cameras; "moved": shifted at random by `shift`; "drawn": see `draw_cameras`.
        shift: standard deviation in metres along each axis.
        noise_px, missing: the faults of an imperfect detector; see `detector.Detector`.
    """

    place: bool = True
    mirror: float = 0.5
    arms: float = 0.25
    upper: float = 0.25
    jitter: float = 0.25
    arm_jitter: float = 0.1
    body_jitter: float = 0.03
    body_scale: float = 0.0
    bone_scale: float = 0.0
    heads: float = 0.0
    balance: float = 0.7
    fade: tuple[float, float] = (0.4, 0.9)
    faded: float = 0.2
    cameras: str = "real"
    shift: float = 0.1
    noise_px: float = 0.0
    missing: float = 0.0

    def __post_init__(self):
        if self.cameras not in CAMERA_CHOICES:
            raise ValueError(f"cameras must be one of {', '.join(CAMERA_CHOICES)}; got {self.cameras!r}")
        for name in ("mirror", "arms", "upper", "jitter", "body_scale", "bone_scale", "heads", "faded", "missing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")

    def at(self, progress: float) -> "Mix":
        """The mix at a share 0..1 of a training run."""
        start, stop = self.fade
        gone = min(max((progress - start) / max(stop - start, 1e-9), 0.0), 1.0)
        kept = 1 - (1 - self.faded) * gone
        return replace(self, arms=kept * self.arms, upper=kept * self.upper, jitter=kept * self.jitter)


PLAIN = Mix(place=False, mirror=0.0, arms=0.0, upper=0.0, jitter=0.0, balance=0.0)
"""The recorded poses where they were recorded, as a control."""


class Scenes:
    """Draws scenes from the poses of a dataset, triangulated ones (`teachers.triangulated`) or labels.

    Args:
        dataset: its frames are drawn from. Frames without a root are left out; a joint whose chain of bones to the
            root has a gap is missing (NaN) in the scene.
        mix: what is done to them.

    Raises:
        ValueError: if no frame has a root, or if people do not stand upright along z.
    """

    def __init__(self, dataset: MultiViewDataset, mix: Mix = Mix()):
        self.mix, self.skeleton, self.cameras, self.device = mix, dataset.skeleton, dataset.cameras, "cpu"
        usable = dataset.poses_world[:, 0].isfinite().all(-1)
        if not usable.any():
            raise ValueError(
                f"{dataset.name}: scenes need poses with a root, but the {dataset.skeleton.joints[0]} is NaN in every frame"
            )
        poses = dataset.poses_world[usable]
        _check_upright(dataset.name, poses, dataset.skeleton)
        self.clips = dataset.clip_of_frame[usable]
        self.roots, self.parts = poses[:, 0], _Parts.of(dataset.skeleton)
        self.heading = hip_heading(poses, dataset.skeleton)
        level = turn(poses, -self.heading)
        self.bones = to_bones(level, dataset.skeleton)
        self.trunk = trunk_frame(level, dataset.skeleton)
        self.arm_bones = (self.trunk.mT.unsqueeze(1) @ self.bones[:, self.parts.both_arms].unsqueeze(-1)).squeeze(-1)
        self.lowest = lowest_ankle(poses, dataset.skeleton)
        groups = torch.tensor(_numbers([(clip.subject, clip.action) for clip in dataset.clips]))[self.clips]
        self.weights = groups.bincount()[groups].double() ** -mix.balance
        people = torch.tensor(_numbers([clip.subject for clip in dataset.clips]))[self.clips]
        self.same_person = people.argsort(stable=True)
        counts = people.bincount()
        self.first, self.count = (counts.cumsum(0) - counts)[people], counts[people]

    def __len__(self) -> int:
        """Number of poses that scenes are drawn from, once for each view: as many people make an epoch of training."""
        return len(self.clips) * self.cameras.shape[1]

    def __repr__(self) -> str:
        sizes = f"{counted('pose', len(self.clips))}, {counted('view', self.cameras.shape[1])}"
        return f"Scenes({sizes}, {self.mix})"

    def to(self, device: torch.device | str) -> "Scenes":
        """The same, whose batches come on a device; they are drawn on the CPU, so that a seed means the same anywhere."""
        moved = copy.copy(self)
        moved.device = device
        return moved

    def batch(self, index: Int[Tensor, " N"], progress: float) -> Drawn:
        """What a training step sees: as many scenes as the index has entries, drawn by torch's global generator."""
        return self.draw(len(index), None, progress)

    def draw(self, count: int, generator: torch.Generator | None, progress: float = 0.0) -> Scene:
        """A batch of scenes.

        Args:
            count: number of people, N.
            generator: the same state gives the same bits; None for torch's global one.
            progress: share of the training run that is done; see `Mix.fade`.
        """
        mix, random = self.mix.at(progress), Draws(count, generator)
        frames = self.weights.multinomial(count, replacement=True, generator=generator)
        poses = self._recombined(frames, mix, random)
        if mix.mirror:
            mirrored = random.happens(mix.mirror)
            poses = torch.where(mirrored[:, None, None], self.skeleton.mirror(poses), poses)
        if mix.place:
            poses, place = turn(poses, 2 * math.pi * random.uniform()), self._anywhere(random)
        else:
            poses, place = turn(poses, self.heading[frames]), self.roots[frames, :2]
        lift = self.lowest[frames] - lowest_ankle(poses, self.skeleton)
        height = torch.where(lift.isfinite(), lift, self.roots[frames, 2])
        poses = poses + torch.cat([place, height[:, None]], dim=-1).unsqueeze(1)
        return Scene(poses, self._cameras(frames, poses, mix, random), self._errors(mix, random)).to(self.device)

    def _anywhere(self, random) -> Tensor:
        """Places on the floor, over the box of the training poses' roots."""
        low, high = self.roots[:, :2].amin(0), self.roots[:, :2].amax(0)
        return low + (high - low) * random.uniform(2)

    def _recombined(self, frames, mix, random) -> Tensor:
        """Poses with the root at the origin, hips facing one way."""
        bones, trunk_of = self.bones[frames], frames
        if mix.upper:
            trunk_of = torch.where(random.happens(mix.upper), self._others(frames, random), frames)
            bones = bones.where(~self.parts.upper[:, None], self.bones[trunk_of])
        if mix.arms:
            both, trunk = self.parts.both_arms, self.trunk[trunk_of].unsqueeze(1)
            arms_of = torch.stack([self._others(frames, random) for _ in range(2)], dim=-1).repeat_interleave(2, dim=-1)
            swapped = torch.stack([random.happens(mix.arms) for _ in range(2)], dim=-1).repeat_interleave(2, dim=-1)
            other = (trunk @ self.arm_bones[arms_of, torch.arange(4)].unsqueeze(-1)).squeeze(-1)
            bones[:, both] = other.where(swapped[..., None], bones[:, both])
        if mix.jitter:
            spread = torch.where(self.parts.arm, mix.arm_jitter, mix.body_jitter)
            strength = random.happens(mix.jitter) * 2 * random.uniform()
            bones = jitter(bones, (strength[:, None] * spread).unsqueeze(-1) * random.normal(len(spread), 3))
        if mix.body_scale:
            bones = bones * random.factors(mix.body_scale, 1, 1)
        if mix.bone_scale:
            one_side = [min(pair) for pair in enumerate(self.skeleton.partners)]
            bones = bones * random.factors(mix.bone_scale, len(self.skeleton), 1)[:, one_side]
        if mix.heads:
            below = random.happens(mix.heads)[:, None] & self.parts.head
            bones = bones.where(~below[..., None], -bones)
        return from_bones(bones, self.skeleton)

    def _others(self, frames, random):
        """For each frame another, at random, of the same person."""
        return self.same_person[self.first[frames] + (random.uniform() * self.count[frames]).long()]

    def _cameras(self, frames, poses, mix, random) -> Cameras:
        views = self.cameras.shape[1]
        if mix.place:  # anywhere, hence also in a room of another day
            frames = torch.randint(len(self.clips), frames.shape, generator=random.generator)
        cameras = self.cameras[self.clips[frames], torch.randint(views, frames.shape, generator=random.generator)]
        if mix.cameras == "drawn":
            return draw_cameras(poses[:, 0], cameras.image_size_px, random.generator)
        if mix.cameras == "moved":
            return shifted(cameras, mix.shift * torch.randn(len(frames), 3, generator=random.generator))
        return cameras

    def _errors(self, mix, random) -> Tensor | None:
        detector = Detector(noise_px=mix.noise_px, missing=mix.missing)
        if not detector:
            return None
        each_alone = torch.zeros(random.count, dtype=torch.long)
        drawn = detector.draw(each_alone, (len(self.skeleton),), random.generator)
        return drawn.noise_px.where(drawn.found.unsqueeze(-1), torch.nan)


class Draws(NamedTuple):
    """Random numbers for every person of a batch; each is held for so many entries, those of a stretch of frames."""

    count: int
    generator: torch.Generator | None
    held: int = 1

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), (count, *shape)."""
        return self._for_all(torch.rand(self.count, *shape, generator=self.generator))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, (count, *shape)."""
        return self._for_all(torch.randn(self.count, *shape, generator=self.generator))

    def factors(self, spread: float, *shape: int) -> Tensor:
        """Factors about 1 whose logarithm has this standard deviation, (count, *shape)."""
        return torch.exp(spread * self.normal(*shape))

    def happens(self, probability: float) -> Tensor:
        """Whether something of this probability happens, (count,)."""
        return self.uniform() < probability

    def _for_all(self, numbers: Tensor) -> Tensor:
        return numbers if self.held == 1 else numbers.repeat_interleave(self.held, 0)


class _Parts(NamedTuple):
    """Masks over the joints (a bone belongs to its child), and the indices of both arms' elbows and wrists."""

    upper: Tensor
    arm: Tensor
    head: Tensor
    both_arms: list[int]

    @classmethod
    def of(cls, skeleton: Skeleton) -> "_Parts":
        def mask(*words):
            return torch.tensor([any(word in joint for word in words) for joint in skeleton.joints])

        both = [skeleton.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("elbow", "wrist")]
        upper = ~mask("hip", "knee", "ankle", skeleton.joints[0])
        return cls(upper, mask("elbow", "wrist"), mask("head"), both)


def _check_upright(name: str, poses: Tensor, skeleton: Skeleton) -> None:
    ankles = [skeleton.index("left_ankle"), skeleton.index("right_ankle")]
    body = thorax(poses, skeleton) - poses[:, ankles].mean(1)
    upright = (body[:, 2] / body.norm(dim=-1)).nanmedian()
    if upright.isnan():
        raise ValueError(
            f"{name}: scenes need people whose floor and up can be told, but no frame has the root, the thorax and both ankles"
        )
    if not upright > 0.5:
        raise ValueError(
            f"{name}: scenes need a world with z up, but from ankles to thorax people point along z by {upright:.2f} of their "
            "length (upright: 1); turn poses and cameras so that z points away from the floor"
        )


def _numbers(names: list) -> list[int]:
    """Each name's number, by order of appearance."""
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]
