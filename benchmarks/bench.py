"""Speed and memory. Ratios come from one run, interleaved, since machines are shared and noisy: `make bench`.

Targets: a label-free step at most 1.10 x the bare network's; the batched loss at least 100 x the looped one; a
HumanEva-I run under 1 GB of memory, its loading under 2 s (only where the licensed files are); a batch of scenes at
most a third of the training step that it is made for.
"""

import subprocess
import sys

import learning
import memory
import torch
from learning import FRAMES, WIDTH, training_step
from looped_loss import looped_multiview_loss
from timing import medians

from posekit.datasets import load_dataset
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss, multiview_loss, scene_loss
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.scenes import Scenes
from posekit.teachers import triangulated
from posekit.triangulation import triangulate, triangulate_robustly


def step_ratio() -> None:
    """A whole label-free training step against the same step with a loss that costs nothing."""
    batch = load_dataset("synthetic", "train").views()[torch.arange(FRAMES)]
    lifter = FrameLifter(15, WIDTH, generator=generator(0))
    optimizer = torch.optim.Adam(lifter.parameters())

    bare, label_free = medians(
        lambda: training_step(lifter, optimizer, lambda: lifter(batch.screen).square().mean()),
        lambda: training_step(lifter, optimizer, lambda: label_free_loss(lifter, batch)),
        rounds=20,
    )
    print(f"label-free step, {FRAMES} moments x 3 views, width {WIDTH}: {1000 * label_free:.0f} ms")
    print(f"  ratio to the bare network's step ({1000 * bare:.0f} ms): {label_free / bare:.3f} (target: at most 1.10)")


def loss_ratio() -> None:
    """The batched loss with its gradient against the looped reference with its own."""
    dataset = load_dataset("synthetic", "train")
    frames = torch.arange(FRAMES)
    batch = dataset.views()[frames]
    poses = dataset.poses_camera()[frames] + 0.05 * torch.randn(FRAMES, 3, 15, 3, generator=generator(0))
    poses.requires_grad_()
    for batched, looped in zip(multiview_loss(poses, batch), looped_multiview_loss(poses, batch)):
        torch.testing.assert_close(batched, looped, rtol=1e-4, atol=1e-6)
    batched, looped = medians(
        lambda: sum(multiview_loss(poses, batch)).backward(),
        lambda: sum(looped_multiview_loss(poses, batch)).backward(),
        rounds=5,
    )
    print(f"batched loss with gradient, {FRAMES} moments x 3 views: {1000 * batched:.1f} ms")
    print(f"  the loop takes {1000 * looped:.0f} ms, {looped / batched:.0f} times as long (target: at least 100)")


def robust_triangulation() -> None:
    """Robust triangulation of noisy 2D joints against the closed form and against a fixed threshold."""
    people = load_dataset("synthetic", "test")
    noisy = people.with_detector_noise(2.0, 0.05, generator(0))
    seen = noisy.pixels, noisy.frame_cameras, noisy.confidence
    robust, fixed, closed = medians(
        lambda: triangulate_robustly(*seen),
        lambda: triangulate_robustly(*seen, threshold_px=10.0),
        lambda: triangulate(*seen),
        rounds=5,
    )
    print(f"robust triangulation, 3 views: {len(noisy) / robust:.0f} frames per second (target: at least 1000), ", end="")
    print(f"{robust / closed:.1f} times the time of the closed form; with a fixed threshold {fixed / closed:.1f} times")


def scene_batch() -> None:
    """Drawing a batch of scenes against the whole training step, drawing included, of the recorded rows' lifter."""
    rng = generator(0)
    scenes = Scenes(triangulated(load_dataset("synthetic", "train")))
    lifter = RayLifter("humaneva15", "level", width=512, blocks=3, generator=rng)
    lifter.standardise(scenes.draw(5000, rng))
    optimizer = torch.optim.AdamW(lifter.parameters())

    def step(bfloat16):
        lifter.bfloat16 = bfloat16
        training_step(lifter, optimizer, lambda: scene_loss(lifter, scenes.draw(256, rng)))

    drawn, *steps = medians(lambda: scenes.draw(256, rng), lambda: step(False), lambda: step(True), rounds=20)
    shares = f"{drawn / steps[0]:.2f} of a training step, {drawn / steps[1]:.2f} of one in bfloat16"
    print(f"a batch of 256 scenes: {1000 * drawn:.1f} ms, {shares} (target: at most 0.33)")


HUMANEVA_RUN = """
import time
from posekit.datasets import load_dataset
from posekit.experiments import Experiment, run
from posekit.records import peak_memory_mb
start = time.perf_counter()
for split in ("train", "test"):
    load_dataset("humaneva", split)
print(f"loading HumanEva-I, both splits: {time.perf_counter() - start:.2f} s (target: under 2 s)")
run(Experiment().but(dataset="humaneva", width=1024, epochs=1))
print(f"peak memory of a HumanEva-I run: {peak_memory_mb()} MB (target: under 1000 MB)")
"""


def humaneva() -> None:
    """Loading time and peak memory of a real run, in a process of its own."""
    try:
        load_dataset("humaneva", "train")
    except FileNotFoundError as missing:
        print(f"HumanEva-I left out: {missing}")
        return
    subprocess.run([sys.executable, "-c", HUMANEVA_RUN], check=True)


if __name__ == "__main__":
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    step_ratio()
    loss_ratio()
    learning.time_to_target()
    learning.fused_adam()
    learning.bfloat16()
    robust_triangulation()
    scene_batch()
    memory.growth()
    humaneva()
