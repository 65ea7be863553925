"""Cameras from people, beside a peer: python benchmarks/peer_calibration.py [--seeds 3] [--out FILE].

aniposelib-pytorch (BSD 2-Clause) has `calibrate_from_points`, which also finds extrinsics from 2D points where intrinsics
are known. It is no dependency of this project; without it the benchmark says so and ends. Its distribution must not share
an environment with aniposelib, so give it one of its own:

    python -m venv peer && peer/bin/pip install . aniposelib-pytorch==1.0.0 && peer/bin/python benchmarks/peer_calibration.py

Both get the same 200 frames of exact 2D joints with the same noise, and the same intrinsics, and are called as their
documentation says, on one thread. Errors are those of `compare_cameras`, which knows nothing of position and size. What is
not equal: the peer takes points of any kind, and its own quality report, which we leave out, is not timed; ours measures
how well its restarts agree, which takes most of its time, and is. The peer's thresholds are in pixels, two for a pair of
views, and stay as they are; ours follow the residuals.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path

import torch

from posekit.calibration import calibrate_from_people, compare_cameras
from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.files import write_atomically
from posekit.random import generator
from posekit.records import code_version, machine
from posekit.sequences import MultiViewDataset

PEER = "aniposelib-pytorch"
FRAMES = 200
FILE = Path(__file__).parent.parent / "book" / "calibration" / "peer.json"
PEOPLE = {"synthetic": "S2", "humaneva": "S1", "human36m": "S1"}
NOISES = {"2 px": (2, 0.0), "5 px": (5, 0.0), "5 px and 5 % outliers": (5, 0.05)}


def by_posekit(pixels: torch.Tensor, cameras: Cameras, seed: int) -> Cameras:
    """Our way; extrinsics of `cameras` are not read."""
    return calibrate_from_people(pixels, cameras, frames=len(pixels), generator=generator(seed))[0]


def by_peer(pixels: torch.Tensor, cameras: Cameras, seed: int) -> Cameras:
    """The peer's way, from intrinsics alone."""
    from aniposelib.init import calibrate_from_points

    names = [str(view) for view in range(len(cameras))]
    found, _ = calibrate_from_points(
        pixels.transpose(0, 1).numpy(),
        names,
        cameras.image_size_px.long().tolist(),
        dict(zip(names, map(as_peer, cameras))),
        init="sfm",
        report=False,
        rng=seed,
    )
    if found.get_names() != names:
        raise ValueError(f"only cameras {found.get_names()} were found")
    placed = torch.stack([camera.get_extrinsics_mat().detach() for camera in found.cameras]).to(torch.float64)
    return replace(cameras, R_world_to_camera=placed[:, :3, :3], t_world_to_camera=placed[:, :3, 3])


def as_peer(camera: Cameras) -> dict:
    """Intrinsics of one camera in the peer's, which is OpenCV's, form: k1, k2, p1, p2, k3."""
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[[0, 1], [0, 1]], matrix[:2, 2] = camera.focal_px, camera.center_px
    k1, k2, k3 = camera.radial
    return dict(matrix=matrix.numpy(), dist=torch.stack([k1, k2, *camera.tangential, k3]).numpy())


def noisy(exact: torch.Tensor, noise_px: float, outliers: float, seed: int) -> torch.Tensor:
    """Exact joints with noise, and a share of outliers that are off by 100 px on each axis."""
    numbers = generator(seed)
    pixels = exact + noise_px * torch.randn(exact.shape, generator=numbers, dtype=torch.float64)
    wrong = torch.rand(exact.shape[:-1], generator=numbers).unsqueeze(-1) < outliers
    return pixels + 100 * torch.randn(exact.shape, generator=numbers, dtype=torch.float64) * wrong


def timed(way: Callable, pixels: torch.Tensor, true: Cameras, seed: int) -> dict:
    """Errors and times of one calibration, or why there are none."""
    unknown = replace(true, R_world_to_camera=torch.eye(3).to(true.R_world_to_camera).expand_as(true.R_world_to_camera))
    unknown = replace(unknown, t_world_to_camera=0 * true.t_world_to_camera)
    began, used = time.perf_counter(), time.process_time()
    try:
        found = way(pixels, unknown, seed)
    except (ValueError, RuntimeError) as error:
        return {"failed": str(error)}
    spent = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
    errors = compare_cameras(found, true)
    return {"rotation_deg": errors.rotation_deg, "centre_cm": errors.centre_cm} | spent


def found_people() -> dict[str, MultiViewDataset]:
    """The training clips of one person of each dataset that is there."""
    found = {}
    for dataset, subject in PEOPLE.items():
        try:
            found[dataset] = load_dataset(dataset, "train", subjects=(subject,))
        except FileNotFoundError as missing:
            print(f"{dataset} left out: {missing}")
    return found


def exact_joints(people: MultiViewDataset) -> tuple[torch.Tensor, Cameras]:
    """The true cameras of the first clip, and what they see of frames spread over all of them, (F, V, J, 2)."""
    poses = people.poses_world[~people.poses_world.isnan().flatten(1).any(1)]
    poses = poses[torch.linspace(0, len(poses) - 1, FRAMES).long()].double()
    # The peer knows OpenCV's lens alone; a lens of another name lends it the coefficients, and both get what it draws.
    true = replace(people.cameras[0].to(torch.float64), lens="opencv")
    return true.world_to_pixels(poses[:, None]), true


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    try:
        versions = {PEER: version(PEER)}
        import aniposelib.init  # noqa: F401  its first import takes seconds, which are not measured
    except ImportError as missing:
        print(f"{PEER} left out: {missing}")
        return
    torch.set_num_threads(1)
    content = {"versions": versions, "frames": FRAMES, "runs": []} | code_version() | machine("cpu")
    for seed, (dataset, people) in product(range(options.seeds), found_people().items()):
        exact, true = exact_joints(people)
        for noise, amount in NOISES.items():
            pixels = noisy(exact, *amount, seed)
            ways = {"posekit": by_posekit, PEER: by_peer}
            run = {name: timed(way, pixels, true, seed) for name, way in ways.items()}
            content["runs"].append({"dataset": dataset, "noise": noise, "seed": seed, "views": len(true)} | run)
            print(json.dumps(content["runs"][-1]), flush=True)
            write_atomically(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
