"""Trains the lifter of the page "Try it" and exports it for the browser.

The files, written to `_build/tryit/` and served as `_static/tryit/`:

- `weights.bin`: half-precision numbers, little-endian; for each linear layer its matrix, row by row, then its bias.
- `manifest.json`: the sizes of the layers, the skeleton, and example poses with their cameras.
- `fixtures.json`: 2D poses and PyTorch's answers to them, for the tests of the browser's code.
- `figure.json`: the plotly figure that the page starts with.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from posekit.cameras import NEAR_M, Cameras
from posekit.colors import COLORS, GHOST
from posekit.datasets import load_dataset
from posekit.drawing import EYE, Layer, Panel, show
from posekit.files import write_atomically
from posekit.lenses import LENS_REACH
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss
from posekit.random import generator
from posekit.sequences import MultiViewDataset
from posekit.training import evaluate, fit, lift

EPOCHS = 40
EXAMPLES = (  # in the test set: subject, action, seconds into the first such clip, camera
    ("S1", "Walking", 1.8, "C1"),
    ("S1", "Walking", 1.0, "C1"),
    ("S3", "Walking", 0.25, "C3"),
    ("S1", "Jog", 1.05, "C3"),
    ("S2", "Jog", 0.65, "C2"),
    ("S2", "Box", 0.7, "C1"),
    ("S3", "Box", 1.2, "C2"),
)
CLOSER = 0.9  # distance of the eye, relative to the book's usual one: this panel is small
ALT = (
    "The lifted skeleton in 3D on a grid floor, blue on its left, orange on its right. "
    "Until a joint is moved, the true skeleton is shown with it, thin and grey."
)


def export(folder: Path, digest: str) -> None:
    """Train the lifter and write its files, the manifest last: where it exists, the others are complete.

    Args:
        folder: created if it does not exist.
        digest: of everything that the files depend on; stored in the manifest.
    """
    lifter, test = train()
    chosen = [example(test, *where) for where in EXAMPLES]
    layers, weights = packed(linear_layers(lifter))
    manifest = {
        "digest": digest,
        "joints": [joint.replace("_", " ") for joint in test.skeleton.joints],
        "bones": {side: side_bones(test, side) for side in COLORS},
        "colors": COLORS | {"truth": GHOST},
        "views": test.view_names,
        "layers": layers,
        "scene_distance": lifter.outer.scene_distance,
        "lens_reach": LENS_REACH,
        "near": NEAR_M,
        "examples": chosen,
        "metrics_mm": evaluate(lifter, test).metrics_mm,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.bin").write_bytes(weights)
    write_json(folder / "fixtures.json", fixtures(lifter, test, chosen))
    write_json(folder / "figure.json", json.loads(start_figure(lifter, test, chosen[0]).to_json()))
    write_json(folder / "manifest.json", manifest)


def train() -> tuple[FrameLifter, MultiViewDataset]:
    """A lifter trained without labels on the synthetic training people, as in chapter 3, and the test people."""
    torch.set_num_threads(1)  # the same weights however many cores the machine has
    rng = generator(0)
    lifter = FrameLifter(15, width=256, dropout=0.0, generator=rng)
    samples = load_dataset("synthetic", "train").views()
    fit(lifter, samples, label_free_loss, epochs=EPOCHS, learning_rate=1e-3, schedule="one_cycle", generator=rng)
    return lifter, load_dataset("synthetic", "test")


def linear_layers(lifter: FrameLifter) -> list[nn.Linear]:
    """The lifter's linear layers in order, with batch norm folded into them: nothing else remains but ReLUs."""
    inner = [layer for block in lifter.blocks for layer in block]
    folded = [fuse_linear_bn_eval(linear, norm) for linear, norm, *_ in (lifter.inner, *inner)]
    return [*folded, lifter.outer.linear]


def packed(layers: list[nn.Linear]) -> tuple[list[list[int]], bytes]:
    """[inputs, outputs] of each layer, and all weights and biases in half precision, one after the other."""
    sizes = [[layer.in_features, layer.out_features] for layer in layers]
    numbers = [part.detach().flatten() for layer in layers for part in (layer.weight, layer.bias)]
    return sizes, torch.cat(numbers).numpy().astype("<f2").tobytes()


def example(test: MultiViewDataset, subject: str, action: str, seconds: float, view_name: str) -> dict:
    """A moment of the test set: the 2D poses of all views, the cameras, the true pose, and the view to lift from."""
    clip = next(clip for clip in test.clips if (clip.subject, clip.action) == (subject, action))
    frame = clip.start + round(seconds * test.frame_rate)
    return {
        "name": f"{subject} {action.lower()} at {seconds:.2f} s, seen by {view_name}",
        "frame": frame,
        "view": test.view_names.index(view_name),
        "pixels": rounded(test.pixels[frame], 2),
        "truth_world": rounded(test.poses_world[frame], 4),
        "cameras": [plain_camera(camera) for camera in views_of(test, frame)],
    }


def views_of(test: MultiViewDataset, frame: int) -> list[Cameras]:
    """The cameras of a moment, one by one."""
    return [test.frame_cameras[frame, view] for view in range(len(test.view_names))]


def plain_camera(camera: Cameras) -> dict:
    """The numbers of one camera, under their names in `Cameras`."""
    names = ("R_world_to_camera", "t_world_to_camera", "focal_px", "center_px", "radial", "tangential", "image_size_px")
    return {name: getattr(camera, name).tolist() for name in names}


def side_bones(test: MultiViewDataset, side: str) -> list[tuple[int, int]]:
    """(parent, child) of each bone on one side."""
    return [bone for bone in test.skeleton.bones if test.skeleton.sides[bone[1]] == side]


def fixtures(lifter: FrameLifter, test: MultiViewDataset, examples: list[dict]) -> list[dict]:
    """Each example as it is and with noise on all joints, with PyTorch's answers in full precision."""
    rng, made = generator(1), []
    for index, chosen in enumerate(examples):
        seen = test.pixels[chosen["frame"], chosen["view"]]
        for noise_px in (0.0, 5.0, 20.0):
            pixels = seen + noise_px * torch.randn(seen.shape, generator=rng)
            made.append({"example": index, "pixels": pixels.tolist()} | answers(lifter, test, chosen, pixels))
    return made


def answers(lifter: FrameLifter, test: MultiViewDataset, chosen: dict, pixels: Tensor) -> dict:
    """The lifted pose in camera coordinates and in world coordinates, and as all cameras see it."""
    cameras = test.frame_cameras[chosen["frame"]]
    camera = cameras[chosen["view"]]
    pose = lift(lifter, camera.pixels_to_screen(pixels))
    world = camera.camera_to_world(pose)
    return {"camera": pose.tolist(), "world": world.tolist(), "views": cameras.world_to_pixels(world).tolist()}


def start_figure(lifter: FrameLifter, test: MultiViewDataset, chosen: dict):
    """The page's 3D figure with the first example; `layout.meta` has the indices of the traces that move."""
    pixels = test.pixels[chosen["frame"], chosen["view"]]
    lifted = torch.tensor(answers(lifter, test, chosen, pixels)["world"])
    layers = [
        Layer(over_the_middle(test.poses_world[chosen["frame"]]), test.skeleton, ghost=True, name="truth"),
        Layer(over_the_middle(lifted), test.skeleton),
    ]
    figure = show([Panel("the lifted pose", layers)], ALT, height=340)
    figure.layout.scene.camera.eye = {axis: CLOSER * value for axis, value in EYE.items()}
    numbers = {name: [i for i, trace in enumerate(figure.data) if trace.name == name] for name in ("truth", *COLORS)}
    figure.layout.meta |= {"truth": numbers["truth"], "lifted": [numbers[side][0] for side in COLORS]}
    return figure


def over_the_middle(pose_world: Tensor) -> Tensor:
    """One pose as a clip of one frame, moved so that its root is over the middle of the floor; heights stay."""
    return (pose_world - pose_world[:1] * pose_world.new_tensor([1.0, 1.0, 0.0])).unsqueeze(0)


def rounded(values: Tensor, decimals: int) -> list:
    """Nested lists of numbers, rounded."""
    return [rounded(part, decimals) for part in values] if values.ndim else round(values.item(), decimals)


def write_json(path: Path, content) -> None:
    """Write a file atomically, as small as JSON can be."""
    write_atomically(path, json.dumps(content, separators=(",", ":")))
