"""Measure how well people calibrate cameras: python book/calibration_table.py [--seeds 20] [--out FOLDER] [CASE ...].

Every case is one dataset, person, set of actions, noise and so on; it writes book/calibration/CASE.json with one entry
per seed. Seeds that are there already are not run again. Without a CASE, all are run; a pattern such as "synthetic-*" is
one as well. Only numbers are written, also of licensed datasets, which must lie where the README says.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import torch

from posekit.calibration import calibrate_from_people, compare_cameras, guess_intrinsics, set_scale
from posekit.datasets import load_dataset
from posekit.datasets.files import find_files
from posekit.datasets.human36m import ALL_CAMERAS, SUBJECTS
from posekit.datasets.npz import read_npz
from posekit.files import write_atomically
from posekit.random import generator
from posekit.records import code_version, machine
from posekit.sequences import MultiViewDataset
from posekit.skeletons import KEYPOINTS, MPII_16, map_joints
from posekit.triangulation import triangulate

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


def load(case: Case) -> MultiViewDataset:
    """The training clips of the case, with the cameras of the first one for all."""
    chosen = dict(actions=case.actions) if case.actions else {}
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=["*"], help="names or patterns")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, case in cases().items():
        if any(fnmatch(name, pattern) for pattern in options.cases):
            run(name, case, options.seeds, options.out / f"{name}.json")


def run(name: str, case: Case, seeds: int, path: Path) -> None:
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
        last = runs[-1]
        print(f"{name} seed {seed}: {last['rotation_deg']:.3f}° {last['centre_cm']:.2f} cm, trust {last['trust']}", flush=True)


if __name__ == "__main__":
    main()
