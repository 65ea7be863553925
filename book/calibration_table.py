"""Measure how well people calibrate cameras: python book/calibration_table.py [--seeds N] [--out FOLDER] [CASE ...].

Every case is one dataset, person, set of actions, noise and so on; it writes book/calibration/CASE.json with one entry
per seed: 20 of them, or 3 where cameras are learned in training. Seeds that are there already are not run again. Without
a CASE, all are run; a pattern such as "synthetic-*" is one as well. Only numbers are written, also of licensed datasets,
which must lie where the README says.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import torch

from posekit.calibration import bundle_adjust, calibrate_from_people, compare_cameras, guess_intrinsics, set_scale
from posekit.calibration.learned import carried, learn_cameras, placed
from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.datasets.files import find_files
from posekit.datasets.human36m import ALL_CAMERAS, SUBJECTS
from posekit.datasets.npz import read_npz
from posekit.files import write_atomically
from posekit.lifters import FrameLifter
from posekit.random import generator
from posekit.records import code_version, machine
from posekit.sequences import MultiViewDataset
from posekit.skeletons import KEYPOINTS, MPII_16, map_joints
from posekit.triangulation import triangulate
from posekit.virtual_cameras import look_at

FOLDER = Path(__file__).parent / "calibration"
LEGS = ("left_knee", "left_ankle", "right_knee", "right_ankle")


@dataclass(frozen=True)
class Case:
    """What is measured.

    An outlier is a 2D joint that is off by 100 px on each axis, as a standard deviation. `detections` names a file of
    Human3.6M's detected 2D joints, in MPII's order: "sh16" for data_2d_h36m_sh16.npz.
    """

    dataset: str
    subject: str
    actions: tuple[str, ...] = ()
    views: int = 3
    frames: int = 200
    noise_px: float = 2.0
    outliers: float = 0.0
    intrinsics: str = "given"
    detections: str = ""


@dataclass(frozen=True)
class LearnedCase:
    """What is measured where cameras are learned in training, beside bundle adjustment from the same start.

    The start is the true rig carried about the people by so many degrees; or a "ring" of cameras at equal angles, 4 m from
    the people, the first in its true direction and the others in their true order, or in the "wrong order".
    """

    dataset: str
    subject: str
    start: str
    views: int = 3
    noise_px: float = 0.0
    steps: int = 400
    width: int = 128
    frames: int = 200  # that bundle adjustment gets


def learned_cases() -> dict[str, LearnedCase]:
    """All of them, by name."""
    return {
        f"{dataset}-learned-{start.replace(' ', '-')}": LearnedCase(dataset, "S1", start)
        for dataset in ("humaneva", "human36m")
        for start in ("5", "10", "30", "ring", "wrong order")
    }


def cases() -> dict[str, Case]:
    """All of them, by name."""
    found = {}
    for dataset, subject, views in (("synthetic", "S2", 3), ("humaneva", "S1", 3), ("human36m", "S1", 4)):
        base = Case(dataset, subject, views=views)
        noises = {f"noise-{noise:g}": replace(base, noise_px=noise) for noise in (0.0, 1.0, 2.0, 5.0, 10.0)}
        frames = {
            f"frames-{count}-noise-{noise:g}": replace(base, frames=count, noise_px=noise)
            for count in (10, 50, 900)
            for noise in (2.0, 5.0)
        }
        few = {f"views-{count}": replace(base, views=count, noise_px=5.0) for count in range(2, views)}
        guessed = {f"guessed-noise-{noise:g}": replace(base, noise_px=noise, intrinsics="guessed") for noise in (0.0, 5.0)}
        action = "Sitting" if dataset == "human36m" else "Box"
        in_place = {f"{action.lower()}-alone": replace(base, actions=(action,), noise_px=5.0)}
        outliers = {"outliers": replace(base, noise_px=5.0, outliers=0.05)}
        variants = noises | frames | few | guessed | in_place | outliers
        found |= {f"{dataset}-{name}": case for name, case in variants.items()}
    for subject in SUBJECTS["train"]:
        found[f"human36m-detected-{subject}"] = Case("human36m", subject, views=4, noise_px=0.0, detections="sh16")
    return found


def load(case: Case | LearnedCase) -> MultiViewDataset:
    """The training clips of the case, with the cameras of the first one for all."""
    chosen = dict(actions=case.actions) if getattr(case, "actions", ()) else {}
    if case.dataset == "human36m":
        chosen["cameras"] = ALL_CAMERAS
    people = load_dataset(case.dataset, "train", subjects=(case.subject,), **chosen)
    return people.select_views(list(people.view_names[: case.views]))


def detected(case: Case, people: MultiViewDataset) -> torch.Tensor:
    """A detector's 2D joints in all views of the clips, (F, V, 16, 2), in the order of `MPII_16`."""
    name = f"data_2d_h36m_{case.detections}.npz"
    (path,) = find_files("human36m", (name,), None, "VideoPose3D's DATASETS.md says how")
    takes = read_npz(path, ("positions_2d",))["positions_2d"][case.subject]
    pixels = torch.cat([torch.stack([torch.tensor(view) for view in takes[clip.name]], dim=1) for clip in people.clips])
    if len(pixels) != len(people):
        raise ValueError(f"{path}: {len(pixels)} frames of {case.subject}, the 3D has {len(people)}")
    return map_joints(pixels.double(), KEYPOINTS["mpii16"], MPII_16.joints)


def measure(case: Case, people: MultiViewDataset, seed: int) -> dict:
    """One calibration, and how far it is from the true one."""
    numbers, true = generator(seed), people.cameras[0].to(torch.float64)
    skeleton = MPII_16 if case.detections else people.skeleton
    pixels = detected(case, people) if case.detections else true.world_to_pixels(people.poses_world.double()[:, None])
    pixels = pixels + case.noise_px * torch.randn(pixels.shape, generator=numbers, dtype=torch.float64)
    wrong = torch.rand(pixels.shape[:-1], generator=numbers) < case.outliers
    pixels = pixels + 100 * torch.randn(pixels.shape, generator=numbers, dtype=torch.float64) * wrong.unsqueeze(-1)
    guessed = case.intrinsics == "guessed"
    start = guess_intrinsics(true.image_size_px) if guessed else true
    began, used = time.perf_counter(), time.process_time()
    found, report = calibrate_from_people(
        pixels,
        start,
        free_focal=guessed,
        free_k1=guessed,
        frames=case.frames,
        skeleton=skeleton,
        view_names=people.view_names,
        generator=numbers,
    )
    seconds, used = time.perf_counter() - began, time.process_time() - used
    ends = [people.skeleton.index(joint) - 1 for joint in LEGS]
    lengths = people.skeleton.bone_lengths(people.poses_world).nanmedian(0).values[ends].tolist()
    some = pixels[:: max(1, len(pixels) // 500)]
    sized = set_scale(found, triangulate(some, found).points, skeleton, lengths_m=dict(zip(LEGS, lengths)))
    return {
        "seed": seed,
        **compare_cameras(sized, true)._asdict(),
        "rotation_std_deg": report.rotation_std_deg.max().item(),
        "median_residual_px": report.view_residual_px.median().item(),
        "restart_turns_deg": report.restart_turns_deg.tolist(),
        "trust": report.trust,
        "warnings": list(report.warnings),
        "seconds": seconds,
        "cpu_seconds": used,
    }


def ring(true: Cameras, about: torch.Tensor, wrong: bool) -> Cameras:
    """A guess: cameras at equal angles around a point, in their true order, or with two of them exchanged."""
    around = (true.centers_world - about)[:, :2]
    angles = torch.atan2(around[:, 1], around[:, 0])
    place = ((angles - angles[0]) % (2 * torch.pi)).argsort().argsort()
    place = torch.cat([place[:-2], place[-2:].flip(0)]) if wrong else place
    angles = angles[0] + 2 * torch.pi * place / len(true)
    centers = about + 4 * torch.stack([angles.cos(), angles.sin(), torch.full_like(angles, 0.125)], dim=-1)
    return placed(true, look_at(centers, about.expand(len(true), 3)), centers)


def measure_learned(case: LearnedCase, people: MultiViewDataset, seed: int) -> dict:
    """Cameras learned in training, and adjusted to the same pictures from the same start."""
    numbers, true = generator(seed), people.cameras[0].to(torch.float64)
    pixels = true.world_to_pixels(people.poses_world.double()[:, None])
    pixels = pixels + case.noise_px * torch.randn(pixels.shape, generator=numbers, dtype=torch.float64)
    about = people.poses_world.double()[:, 0].nanmean(0)
    carries = case.start.isdigit()
    start = carried(true, about, float(case.start), numbers) if carries else ring(true, about, case.start == "wrong order")
    lifter = FrameLifter(len(people.skeleton), width=case.width, dropout=0.0, generator=numbers)
    views = replace(people, pixels=pixels.float()).views()
    some = pixels[:: max(1, len(pixels) // case.frames)]
    ways = {
        "learned": lambda: learn_cameras(lifter, views, start, steps=case.steps, generator=numbers),
        "adjusted": lambda: bundle_adjust(some, start).cameras,
    }
    return {"seed": seed, "start_deg": compare_cameras(start, true).rotation_deg} | {
        name: timed(way, true) for name, way in ways.items()
    }


def timed(way: Callable[[], Cameras], true: Cameras) -> dict[str, float]:
    """What a way to cameras gives, and what it takes."""
    began, used = time.perf_counter(), time.process_time()
    found = way()
    seconds, used = time.perf_counter() - began, time.process_time() - used
    errors = compare_cameras(found.to(torch.float64), true)
    return {
        "rotation_deg": errors.rotation_deg,
        "centre_cm": errors.centre_cm,
        "seconds": seconds,
        "cpu_seconds": used,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=["*"], help="names or patterns")
    parser.add_argument("--seeds", type=int, help="how many; default 20, and 3 where cameras are learned")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for found, measured, seeds in ((cases(), measure, 20), (learned_cases(), measure_learned, 3)):
        for name, case in found.items():
            if any(fnmatch(name, pattern) for pattern in options.cases):
                run(name, case, measured, options.seeds or seeds, options.out / f"{name}.json")


def run(name: str, case: Case | LearnedCase, measure: Callable, seeds: int, path: Path) -> None:
    """The seeds of a case that are not measured yet; written after each, so that a killed run loses one."""
    setting = json.loads(json.dumps(asdict(case)))
    runs = []
    if path.exists():
        content = json.loads(path.read_text())
        if content["case"] != setting:
            raise ValueError(f"{path} holds another case, {content['case']}, than {setting}")
        runs = content["runs"]
    missing = sorted(set(range(seeds)) - {run["seed"] for run in runs})
    people, version = (load(case), code_version()) if missing else (None, {})
    for seed in missing:
        runs.append({**measure(case, people, seed), **version, **machine("cpu")})
        write_atomically(path, json.dumps({"case": setting, "runs": runs}, indent=1) + "\n")
        print(f"{name} seed {seed}: {said(runs[-1])}", flush=True)


def said(run: dict) -> str:
    """A measurement in one line."""
    if "learned" in run:
        ways = ", ".join(
            f"{way} {run[way]['rotation_deg']:.3f}° {run[way]['seconds']:.0f} s" for way in ("learned", "adjusted")
        )
        return f"start {run['start_deg']:.1f}°, {ways}"
    return f"{run['rotation_deg']:.3f}° {run['centre_cm']:.2f} cm, trust {run['trust']}"


if __name__ == "__main__":
    main()
