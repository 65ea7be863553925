"""Memory against the size of the dataset, up to ten times the frames of Human3.6M.

Each size has a process of its own: `python benchmarks/memory.py FRAMES` tiles the synthetic people's poses to that many
frames and prints the most memory it has held after each stage.
"""

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import torch

from posekit.datasets import load_dataset
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss
from posekit.random import generator
from posekit.records import peak_memory_mb
from posekit.sequences import from_clips
from posekit.training import evaluate

HUMAN36M_FRAMES = 3_600_000 // 4
"""Moments: its 3.6 million pictures come from four cameras (Ionescu et al. 2014)."""
LIMIT_MB = 8000
EVALUATED = 60_000
"""Frames up to which a child also evaluates, which takes time."""


def growth() -> None:
    """Peak memory per frame by stage; sizes that would not fit are left out."""
    room = min(LIMIT_MB, _available_mb())
    print(f"memory against dataset size, in multiples of Human3.6M's {HUMAN36M_FRAMES} frames (synthetic poses, 3 views)")
    base, per_frame = _peaks(1000)["data"], 0.0
    for share in (0.03, 0.3, 1, 3, 10):
        frames = int(share * HUMAN36M_FRAMES)
        expected = base + per_frame * frames / 1e6
        if expected > room:
            print(f"  x {share:g}: left out: about {expected:.0f} MB expected, {room:.0f} MB allowed")
            continue
        peaks = _peaks(frames)
        words = ", ".join(f"{stage} {1e6 * (peak - base) / frames:.0f}" for stage, peak in peaks.items())
        print(f"  x {share:g}: peak {max(peaks.values())} MB; bytes per frame above the base of {base} MB, after: {words}")
        per_frame = 1e6 * (peaks["steps"] - base) / frames
    print(f"  the tensors themselves, bytes per frame: {_tensors()}")


def _available_mb() -> float:
    """What the system can give without swapping; where it does not say, what is free."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1000
    except (OSError, StopIteration):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6


def _peaks(frames: int) -> dict[str, int]:
    done = subprocess.run([sys.executable, __file__, str(frames)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def tiled(frames: int):
    """The synthetic people's first clip, repeated to that many frames, as one dataset."""
    clip = load_dataset("synthetic", "train", subjects=("S1",), actions=("Walking",))
    index = torch.arange(frames) % len(clip.clips[0])
    parts = dict(cameras=clip.cameras[0], pixels=clip.pixels[index], poses_world=clip.poses_world[index])
    described = dict(subject="S1", action="Walking", name="tiled") | parts
    return from_clips("tiled", clip.skeleton, clip.frame_rate, clip.view_names, [described])


def _tensors() -> str:
    data = tiled(1000)
    views = data.views()
    cameras = [getattr(views.cameras, field.name) for field in fields(views.cameras)]
    sizes = {
        "data": sum(tensor.nbytes for tensor in (data.pixels, data.confidence, data.poses_world)),
        "2D on the screen": views.screen.nbytes,
        "cameras, repeated for every frame": sum(tensor.nbytes for tensor in cameras if isinstance(tensor, torch.Tensor)),
    }
    return ", ".join(f"{name} {size / 1000:.0f}" for name, size in sizes.items())


def child(frames: int) -> None:
    """Load, make samples, take three training steps, evaluate if there are not too many frames."""
    torch.set_num_threads(1)
    data = tiled(frames)
    peaks = {"data": peak_memory_mb()}
    views = data.views()
    peaks["samples"] = peak_memory_mb()
    lifter = FrameLifter(15, 64, generator=generator(0))
    order = torch.randperm(frames, generator=generator(0))
    for index in order.split(128)[:3]:
        label_free_loss(lifter, views[index]).backward()
    peaks["steps"] = peak_memory_mb()
    if frames <= EVALUATED:
        del views, order
        evaluate(lifter, data)
        peaks["evaluation"] = peak_memory_mb()
    print(json.dumps(peaks))


if __name__ == "__main__":
    child(int(sys.argv[1]))
