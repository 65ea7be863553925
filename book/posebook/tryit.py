"""Trains the lifter of the front page and of "Try it", and exports it for the browser.

The files, written to `_build/tryit/` and served as `_static/tryit/`:

- `weights.bin`: half-precision numbers, little-endian; for each linear layer its matrix, row by row, then its bias.
- `manifest.json`: the lifter's other constants, the skeleton, the measured errors, and example poses.
- `fixtures.json`: 2D poses and PyTorch's answers to them, for the tests of the browser's code.
- `front.json`: what the front page shows; see `front`.
- `start.json`: the first example of "Try it", for its still picture.
"""

import inspect
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posebook.front import camera_numbers, front_page, stage_numbers, walk_frames
from posekit.cameras import NEAR_M, Cameras
from posekit.datasets import load_dataset
from posekit.evaluation import evaluate
from posekit.files import write_atomically
from posekit.losses import scene_loss
from posekit.metrics import mpjpe, root_error
from posekit.poses import from_bones, hip_heading, to_bones
from posekit.random import generator
from posekit.ray_lifter import DEPTH_SPREAD, RayLifter
from posekit.scenes import PLAIN, Mix, Scene, Scenes
from posekit.sequences import MultiViewDataset
from posekit.skeleton import Skeleton
from posekit.teachers import triangulated
from posekit.training import fit
from posekit.virtual_cameras import draw_cameras, look_at

EPOCHS = 20
MIX = Mix(cameras="drawn", missing=0.05)  # a new camera for every person, and now and then a joint that was not found
EXAMPLES = (  # in the test set: subject, action, seconds into the first such clip
    ("S1", "Walking", 1.8),
    ("S3", "Walking", 0.25),
    ("S1", "Jog", 1.05),
    ("S2", "Jog", 0.65),
    ("S2", "Box", 0.7),
    ("S3", "Box", 1.2),
)


class Place(NamedTuple):
    """Where a camera stands: at an angle around the person (radians, in the world), over the floor, and away (metres)."""

    azimuth: float | Tensor
    height: float
    distance: float


WIDTH = 192  # of the network: the front page, its weights included, stays under 700 kB
START = Place(math.radians(40), 1.2, 4.0)
"""The first camera; its azimuth counts from where the person faces."""
PICTURE_PX, FILLS = 480, 0.9
"""Side of the square picture; and the share of it that 2 metres at the person's distance take, which sets the focal length."""
FRONT = Place(math.radians(-65), 1.5, 3.7)
"""The camera of the front page; its azimuth is one in the world, around the middle of the walk."""
FRONT_WIDER = 0.55
"""Its focal length, as a share of the usual one: the person walks about."""


def export(folder: Path, digest: str) -> None:
    """Train the lifter and write its files, the manifest last: where it exists, the others are complete.

    Args:
        folder: created if it does not exist.
        digest: of everything that the files depend on; stored in the manifest.
    """
    torch.set_num_threads(1)  # the same weights however many cores the machine has
    train, test = (load_dataset("synthetic", split) for split in ("train", "test"))
    lifter = trained(train)
    chosen = [example(test, *where) for where in EXAMPLES]
    chosen.append(arms_out(chosen[0], test.skeleton))
    layers, weights = packed(linear_layers(lifter))
    manifest = {
        "digest": digest,
        **skeleton_numbers(test),
        "layers": layers,
        "mean": lifter.mean.tolist(),
        "std": lifter.std.tolist(),
        "distance": lifter.distance.item(),
        "depth_spread": DEPTH_SPREAD,
        "near": NEAR_M,
        "norm_eps": lifter.blocks[0].inner[0].eps,
        "picture": {"side": PICTURE_PX, "fills": FILLS},
        "start": {"direction": round(math.degrees(START.azimuth)), "height": START.height, "distance": START.distance},
        "trained_on": trained_on(),
        "errors_mm": errors(lifter, test),
        "examples": chosen,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.bin").write_bytes(weights)
    write_json(folder / "fixtures.json", fixtures(lifter, chosen))
    write_json(
        folder / "front.json",
        front_page(lifter, front_camera(test), FRONT.distance, train, test) | stage_numbers(test.skeleton),
    )
    write_json(folder / "start.json", start(lifter, chosen[0]) | stage_numbers(test.skeleton))
    write_json(folder / "manifest.json", manifest)


def trained(train: MultiViewDataset) -> RayLifter:
    """A lifter told tilt and height of the camera, trained without labels on scenes of triangulated people.

    On held-out training clips, seen by drawn cameras, it was off by about half as much as one told the intrinsics alone,
    which in turn beat one told nothing.
    """
    rng = generator(0)
    lifter = RayLifter(train.skeleton.name, "level", width=WIDTH, blocks=2, generator=rng)
    scenes = Scenes(triangulated(train), MIX)
    lifter.standardise(scenes.draw(20_000, rng))
    recipe = dict(learning_rate=2e-3, schedule="one_cycle", optimizer="adamw", average=0.99)
    fit(lifter, scenes, scene_loss, epochs=EPOCHS, generator=rng, **recipe)
    return lifter


def linear_layers(lifter: RayLifter) -> list[nn.Linear]:
    """The lifter's linear layers in order, with each layer norm's scale and shift folded into the layer after it."""
    inner = [layer for block in lifter.blocks for layer in (folded(*block.inner[:2]), block.inner[3])]
    return [lifter.inner[0], *inner, lifter.outer]


@torch.no_grad()
def folded(norm: nn.LayerNorm, linear: nn.Linear) -> nn.Linear:
    """A linear layer that does what both do to features already normalised to mean 0 and variance 1."""
    both = nn.Linear(linear.in_features, linear.out_features)
    both.weight.copy_(linear.weight * norm.weight)
    both.bias.copy_(linear(norm.bias))
    return both


def packed(layers: list[nn.Linear]) -> tuple[list[list[int]], bytes]:
    """[inputs, outputs] of each layer, and all weights and biases in half precision, one after the other."""
    sizes = [[layer.in_features, layer.out_features] for layer in layers]
    numbers = [part.detach().flatten() for layer in layers for part in (layer.weight, layer.bias)]
    return sizes, torch.cat(numbers).numpy().astype("<f2").tobytes()


def skeleton_numbers(test: MultiViewDataset) -> dict:
    """What is drawn of a skeleton, and parents and mirror images of the joints."""
    skeleton = test.skeleton
    return stage_numbers(skeleton) | {"parents": skeleton.parents, "partners": skeleton.partners}


def trained_on() -> dict[str, tuple[float, float]]:
    """Heights and distances, lowest and highest, between which training drew its cameras; metres."""
    drawn = inspect.signature(draw_cameras).parameters
    return {name: drawn[name].default for name in ("height", "distance")}


@torch.no_grad()
def errors(lifter: RayLifter, test: MultiViewDataset) -> dict[str, float]:
    """MPJPE in mm on the test clips: by drawn cameras (also of the root alone), the clips' own, the page's."""
    drawn = Scenes(test, replace(PLAIN, cameras="drawn")).draw(5000, generator(1))
    facing, roots = facing_of(test.poses_world, test.skeleton), test.poses_world[:, 0]
    from_place = {
        name: Scene(test.poses_world, camera_at(roots, START._replace(azimuth=facing + angle)))
        for name, angle in (("front", 0.0), ("side", math.pi / 2))
    }

    def measured(scene, metric):
        return 1000 * metric(lifter(scene.screen(), scene.cameras), scene.poses_camera()).nanmean().item()

    return {
        "drawn": measured(drawn, mpjpe),
        "pelvis": measured(drawn, root_error),
        "recorded": evaluate(lifter, test).metrics_mm["mpjpe"],
        **{name: measured(scene, mpjpe) for name, scene in from_place.items()},
    }


def facing_of(poses_world: Tensor, skeleton: Skeleton) -> Tensor:
    """Which way people face, radians in the ground plane."""
    return hip_heading(poses_world, skeleton) - math.pi / 2


def example(test: MultiViewDataset, subject: str, action: str, seconds: float) -> dict:
    """A moment of the test set: the true pose in world metres, and which way it faces, radians."""
    clip = next(clip for clip in test.clips if (clip.subject, clip.action) == (subject, action))
    pose = test.poses_world[clip.start + round(seconds * test.frame_rate)]
    return {
        "name": f"{subject} {action.lower()} at {seconds:.2f} s",
        "pose": rounded(pose, 4),
        "facing": facing_of(pose, test.skeleton).item(),
    }


def arms_out(chosen: dict, skeleton: Skeleton) -> dict:
    """An example with both arms stretched out sideways, as nobody in the training set has them."""
    pose, heading = torch.tensor(chosen["pose"]), chosen["facing"] + math.pi / 2
    bones, to_the_left = to_bones(pose, skeleton), torch.tensor([math.cos(heading), math.sin(heading), 0.0])
    for side, direction in (("left", to_the_left), ("right", -to_the_left)):
        arm = [skeleton.index(f"{side}_{joint}") for joint in ("elbow", "wrist")]
        bones[arm] = bones[arm].norm(dim=-1, keepdim=True) * direction
    return chosen | {"name": "arms out, as never in training", "pose": rounded(from_bones(bones, skeleton) + pose[:1], 4)}


def camera_at(root: Float[Tensor, "*batch 3"], place: Place) -> Cameras:
    """A pinhole looking at the root of a person, zoomed so that the person fills the picture; batched like the root."""
    azimuth = torch.as_tensor(place.azimuth)
    around = place.distance * torch.stack([azimuth.cos(), azimuth.sin()], dim=-1)
    center = torch.cat([root[..., :2] + around, torch.full_like(root[..., :1], place.height)], dim=-1)
    R, side = look_at(center, root), torch.full_like(root[..., :2], PICTURE_PX)
    return Cameras.checked(
        R_world_to_camera=R,
        t_world_to_camera=-(R @ center.unsqueeze(-1)).squeeze(-1),
        focal_px=FILLS * side * (root - center).norm(dim=-1, keepdim=True) / 2,
        center_px=side / 2,
        image_size_px=side,
        lens="none",
    )


def raised_by(cameras: Cameras, height: float) -> Cameras:
    """The same cameras, said to stand higher by some metres than they do."""
    up = cameras.R_world_to_camera[..., 2]
    return replace(cameras, t_world_to_camera=cameras.t_world_to_camera - height * up)


def fixtures(lifter: RayLifter, examples: list[dict]) -> list[dict]:
    """Each example from places at random: as it is, with a wrong height, with noise on all joints, and without some of them."""
    rng, made = generator(1), []
    for index, chosen in enumerate(examples):
        for height_error, noise_px, missing in ((0.0, None, 0.0), (0.2, None, 0.0), (0.0, 20.0, 0.0), (-0.1, 5.0, 0.3)):
            places = [random_place(rng) for _ in range(2)]
            pixels = None if noise_px is None else detected(chosen, places[0], noise_px, missing, rng)
            asked = {"example": index, "places": [place._asdict() for place in places], "height_error": height_error}
            asked["pixels"] = None if pixels is None else [None if p.isnan().any() else p.tolist() for p in pixels]
            made.append(asked | answers(lifter, chosen, places, pixels, height_error))
    return made


def random_place(rng: torch.Generator) -> Place:
    """Anywhere that the page's sliders reach, more or less."""
    azimuth, height, distance = torch.rand(3, generator=rng).tolist()
    return Place(2 * math.pi * azimuth, 0.4 + 3 * height, 2 + 6 * distance)


def detected(chosen: dict, place: Place, noise_px: float, missing: float, rng: torch.Generator) -> Tensor:
    """What an imperfect detector would make of a camera's picture; a missing joint is NaN."""
    pixels = seen_from(chosen, place)
    pixels = pixels + noise_px * torch.randn(pixels.shape, generator=rng)
    return pixels.where(torch.rand(len(pixels), 1, generator=rng) >= missing, torch.nan)


def seen_from(chosen: dict, place: Place) -> Tensor:
    """The true pose in the picture of a camera, pixels."""
    pose = torch.tensor(chosen["pose"])
    return camera_at(pose[0], place).world_to_pixels(pose)


@torch.no_grad()
def answers(
    lifter: RayLifter, chosen: dict, places: list[Place], pixels: Tensor | None = None, height_error: float = 0.0
) -> dict:
    """The pose lifted from the first place, in camera and world coordinates, and as the others see it; and the true 2D of all.

    Args:
        pixels: the 2D pose; by default what the camera sees of the true pose.
        height_error: by how much more than its height the lifter is told, metres.
    """
    cameras = [camera_at(torch.tensor(chosen["pose"][0]), place) for place in places]
    seen = [seen_from(chosen, place) for place in places]
    screen = cameras[0].pixels_to_screen(seen[0] if pixels is None else pixels)
    pose = lifter(screen, raised_by(cameras[0], height_error))
    world = cameras[0].camera_to_world(pose)
    return {
        "camera": pose.tolist(),
        "world": world.tolist(),
        "views": [camera.world_to_pixels(world).tolist() for camera in cameras[1:]],
        "truths": [truth.tolist() for truth in seen],
    }


def front_camera(test: MultiViewDataset) -> Cameras:
    """The camera of the front page: it looks at the middle of the walk and has all of it in its picture."""
    roots = test.poses_world[walk_frames(test), 0]
    camera = camera_at((roots.amin(0) + roots.amax(0)) / 2, FRONT)
    return replace(camera, focal_px=FRONT_WIDER * camera.focal_px)


def start(lifter: RayLifter, chosen: dict) -> dict:
    """The first example as the page "Try it" begins with it: one true pose, one lifted, and the camera."""
    place = START._replace(azimuth=chosen["facing"] + START.azimuth)
    return {
        "camera": camera_numbers(camera_at(torch.tensor(chosen["pose"][0]), place), place.distance),
        "truth": [chosen["pose"]],
        "lifted": [answers(lifter, chosen, [place])["world"]],
    }


def rounded(values: Tensor, decimals: int) -> list:
    """Nested lists of numbers, rounded."""
    return [rounded(part, decimals) for part in values] if values.ndim else round(values.item(), decimals)


def write_json(path: Path, content) -> None:
    """Write a file atomically, as small as JSON can be."""
    write_atomically(path, json.dumps(content, separators=(",", ":")))
