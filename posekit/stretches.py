"""Stretches of frames as scenes: the whole path of a person is moved, turned, mirrored and recombined alike.

At each frame a detector's faults are drawn anew, by default of another detector for each person: exact, noisy, with
noise that hardly changes from frame to frame, blind for a while. A lifter that sees windows of frames learns from them
what to make of each. Or the frames carry the errors that a real detector made on them; see `recorded_errors`.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from posekit.cameras import NEAR_M, Cameras
from posekit.detector import Detector, mixed_detectors
from posekit.poses import lowest_ankle, turn
from posekit.recorded_errors import RecordedErrors, pixels_per_metre, side_seen
from posekit.scenes import Draws, Mix, Scene, Scenes
from posekit.sequences import MultiViewDataset
from posekit.smoothing import middle_of_quadratic

STANDARD = Mix()
SIDE_SPREAD = 0.2
"""Typical angle, radians, by which people with recorded errors are turned away from the side from which they were seen."""


class Stretch(NamedTuple):
    """T frames of N people, each seen by one camera.

    paths_world: world metres, z up; NaN where missing, and beyond the ends of a clip.
    cameras: leading axes (N,).
    error_px: by how much each 2D joint is off, NaN where it was not found.
    confidence: 0 (missing) to 1.
    """

    paths_world: Float[Tensor, "N T J 3"]
    cameras: Cameras
    error_px: Float[Tensor, "N T J 2"]
    confidence: Float[Tensor, "N T J"]

    def to(self, device: torch.device | str) -> "Stretch":
        """Move every tensor."""
        return Stretch(*(part.to(device) for part in self))

    def poses_camera(self) -> Float[Tensor, "N J 3"]:
        """The poses of the middle frames, camera frame."""
        return self.cameras.world_to_camera(self.paths_world[:, self.paths_world.shape[1] // 2])

    def screen(self) -> Float[Tensor, "N T J 2"]:
        """The 2D joints that the cameras see, screen coordinates."""
        cameras = self.cameras[:, None]
        return cameras.pixels_to_screen(cameras.world_to_pixels(self.paths_world) + self.error_px)

    def rays(self) -> Float[Tensor, "N T J 3"]:
        """What the cameras saw as points at depth 1; errors as in a pinhole, without the detour over the lens."""
        points = self.cameras[:, None].world_to_camera(self.paths_world)
        depth = points[..., 2:]
        rays = (points / depth).where(depth > NEAR_M, torch.nan)
        errors = self.error_px / self.cameras.focal_px[:, None, None]
        return rays + torch.nn.functional.pad(errors, (0, 1))

    def middle(self, smooth: float = 0.0) -> Scene:
        """The middle frames alone, their 2D joints smoothed over the stretch as `smoothing.with_smooth_pixels` does it."""
        middle = self.paths_world.shape[1] // 2
        if not smooth:
            return Scene(self.paths_world[:, middle], self.cameras, self.error_px[:, middle])
        exact = self.cameras[:, None].world_to_pixels(self.paths_world)
        seen = middle_of_quadratic(exact + self.error_px, self.confidence**2, smooth)
        return Scene(self.paths_world[:, middle], self.cameras, seen - exact[:, middle])


class Stretches(Scenes):
    """Draws stretches of frames from the poses of a dataset.

    Args:
        dataset, mix: as for `Scenes`. A stretch is mirrored, turned and placed as one, and takes arms or an upper body
            from another stretch.
        window: frames of a stretch, an odd number, T.
        detector: whose faults are added; None for many, see `detector.mixed_detectors`, about `mix.noise_px`.
        recorded: carry the errors of the dataset's own 2D joints instead. Then people are turned so that their camera
            sees them from about the side from which one of the dataset's cameras did.
        smooth: None to draw whole stretches; else only the middle frames, with their 2D joints smoothed over the
            stretch by a Gaussian of so many frames, or not at all with 0.

    Raises:
        ValueError: as `Scenes`, for an even window, and for recorded errors of people who stay where they were.
    """

    def __init__(
        self,
        dataset: MultiViewDataset,
        mix: Mix = STANDARD,
        window: int = 27,
        detector: Detector | None = None,
        smooth: float | None = None,
        recorded: bool = False,
    ):
        super().__init__(dataset, mix)
        if window < 1 or window % 2 == 0:
            raise ValueError(f"window must be an odd number of frames, got {window}")
        if detector is not None and detector.swapped:
            raise ValueError(f"people in scenes keep their sides: the detector must have swapped=0, got {detector.swapped}")
        self.window, self.detector, self.smooth = window, detector, smooth
        self.first_frame, self.last_frame = _uninterrupted(dataset)
        if recorded and not mix.place:
            raise ValueError("recorded errors go with people who are turned: they need Mix(place=True)")
        with_root = dataset.poses_world[:, 0].isfinite().all(-1)
        self.recorded = RecordedErrors.of(dataset).frames(with_root) if recorded else None

    def draw(self, count: int, generator: torch.Generator | None, progress: float = 0.0) -> Stretch | Scene:
        """A batch of stretches, or of their middle frames; arguments as `Scenes.draw`."""
        mix, random = self.mix.at(progress), Draws(count, generator)
        middle = self.weights.multinomial(count, replacement=True, generator=generator)
        wanted, frames = self._around(middle)
        paths = self._paths(middle, frames, mix, Draws(count, generator, self.window))
        mirrored = random.happens(mix.mirror) if mix.mirror else torch.zeros(count, dtype=torch.bool)
        paths = torch.where(mirrored[:, None, None, None], self.skeleton.mirror(paths), paths)
        if mix.place:
            angle, place = 2 * math.pi * random.uniform(), self._anywhere(random)
        else:
            angle, place = self.heading[middle], self.roots[middle, :2]
        place = torch.nn.functional.pad(place, (0, 1))[:, None, None]
        middles = (paths + place)[:, self.window // 2]
        cameras = self._cameras(middle, middles, mix, random)
        if self.recorded is None:
            errors, confidence = self._faults(wanted == frames, mix, generator)
        else:
            angle, errors, confidence = self._as_recorded(frames, wanted == frames, mirrored, middles[:, :1], cameras, random)
        paths = turn(paths, angle[:, None].expand(frames.shape)) + place
        stretch = Stretch(paths, cameras, errors, confidence)
        return (stretch if self.smooth is None else stretch.middle(self.smooth)).to(self.device)

    def _around(self, middle: Int[Tensor, " N"]) -> tuple[Int[Tensor, "N T"], Int[Tensor, "N T"]]:
        """The frames of each window, and the same with the first or last one held where the clip ends."""
        wanted = middle[:, None] + torch.arange(self.window) - self.window // 2
        return wanted, wanted.clamp(self.first_frame[middle, None], self.last_frame[middle, None])

    def _paths(self, middle, frames, mix, alike) -> Float[Tensor, "N T J 3"]:
        """Paths that begin nowhere in particular: the hips of the middle frame at x = y = 0, facing one way."""
        poses = self._recombined(frames.flatten(), mix, alike).unflatten(0, frames.shape)
        poses = turn(poses, self.heading[frames] - self.heading[middle, None])
        away = turn(self.roots[frames] - self.roots[middle, None], -self.heading[middle])
        lift = self.lowest[frames] - lowest_ankle(poses, self.skeleton)
        height = torch.where(lift.isfinite(), lift, self.roots[frames, 2])
        return poses + torch.cat([away[..., :2], height.unsqueeze(-1)], dim=-1).unsqueeze(-2)

    def _others(self, frames, random):
        """For each stretch another, at random, of the same person."""
        middle = frames.view(-1, self.window)[:, self.window // 2]
        other = super()._others(middle, Draws(len(middle), random.generator))
        return self._around(other)[1].flatten()

    def _faults(self, inside, mix, generator) -> tuple[Tensor, Tensor]:
        """Errors in pixels and confidences."""
        count = len(inside)
        detector = mixed_detectors(count, mix.noise_px, generator) if self.detector is None else self.detector
        drawn = detector.draw(torch.arange(self.window), (count, len(self.skeleton)), generator)
        found = drawn.found & inside.T.unsqueeze(-1)
        errors = drawn.noise_px.where(found.unsqueeze(-1), torch.nan)
        confidence = drawn.confidence(detector.noise_px) * found
        return errors.transpose(0, 1), confidence.transpose(0, 1)

    def _as_recorded(self, frames, inside, mirrored, roots, cameras, random) -> tuple[Tensor, Tensor, Tensor]:
        """The turn that shows people from about a side that was recorded; errors in pixels, and confidences, from there."""
        view = torch.randint(self.recorded.side.shape[1], mirrored.shape, generator=random.generator)
        errors = self.recorded.at(frames, view)
        errors = errors.mirrored(self.skeleton).where(mirrored, errors)
        facing_x = side_seen(torch.zeros(len(view)), roots[:, 0], cameras)
        angle = errors.side - facing_x + SIDE_SPREAD * random.normal()
        error_px = errors.across_m * pixels_per_metre(cameras, roots).unsqueeze(1)
        return angle, error_px.where(inside[..., None, None], torch.nan), errors.confidence * inside.unsqueeze(-1)


def _uninterrupted(dataset: MultiViewDataset) -> tuple[Tensor, Tensor]:
    """For each frame with a root the first and the last of those that it can be reached from without a gap or a cut.

    Numbers count the frames with a root only.
    """
    frames = dataset.poses_world[:, 0].isfinite().all(-1).nonzero().squeeze(-1)
    goes_on = (frames.diff() == 1) & (dataset.clip_of_frame[frames].diff() == 0)
    part = torch.cat([torch.zeros(1, dtype=torch.long), (~goes_on).cumsum(0)])
    lengths = part.bincount()
    last = lengths.cumsum(0) - 1
    return (last - lengths + 1)[part], last[part]
