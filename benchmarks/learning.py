"""What a training step costs in other forms: looped, with fused Adam, in bfloat16. Only ratios and medians."""

import math
import statistics
from pathlib import Path

import torch
from looped_loss import looped_multiview_loss
from timing import medians

from posekit.datasets import load_dataset
from posekit.experiments import load_split, make_lifter, make_samples
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss, multiview_loss
from posekit.random import generator
from posekit.records import by_seed, recorded, report_table
from posekit.samples import Views
from posekit.training import evaluate, fit

FRAMES, WIDTH = 128, 1024
SEEDS, EPOCHS = (0, 1, 2), 8


def training_step(lifter, optimizer, loss):
    """One step of `loss`, a function without arguments."""
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()


def time_to_target() -> None:
    """How long training takes to a given error, batched and looped: the number of steps times the median step."""
    words, steps, lifter, batch = _humaneva_course() or _synthetic_course()
    optimizer = torch.optim.Adam(lifter.parameters())
    batched, looped = medians(
        lambda: training_step(lifter, optimizer, lambda: label_free_loss(lifter, batch)),
        lambda: training_step(lifter, optimizer, lambda: sum(looped_multiview_loss(lifter(batch.screen), batch))),
        rounds=3,
    )
    print(f"time to {words}: {steps} steps")
    print(f"  batched {steps * batched / 60:.1f} min ({1000 * batched:.0f} ms a step), ", end="")
    print(f"looped {steps * looped / 60:.1f} min, {looped / batched:.0f} times as long")


def _humaneva_course():
    """The report's error on HumanEva-I, and after how many steps a recorded run first reached it."""
    record = by_seed(recorded(Path(__file__))["humaneva/label_free-ours"])[0]
    experiment = record.settings()
    try:
        train = load_split(experiment, "train")
    except FileNotFoundError:
        return None
    target = report_table("humaneva", start=Path(__file__))["label_free, dropout 0.5->0.0"]
    errors = zip(record.curve["epoch"], record.curve["report_mpjpe_mm"])
    epoch = next(epoch for epoch, error in errors if error is not None and error <= target)
    samples, size = make_samples(experiment, train), experiment.training.batch_size
    complete = samples.screen.isfinite().flatten(1).all(-1).nonzero()[:size, 0]  # the loop knows no missing joints
    lifter = make_lifter(experiment, train.skeleton, generator(0))
    return f"{target:.2f} mm on HumanEva-I", epoch * math.ceil(len(samples) / size), lifter, samples[complete]


def _synthetic_course():
    """The error a short run on the synthetic people ends with, and after how many steps it first had it."""
    train, test = load_dataset("synthetic", "train"), load_dataset("synthetic", "test")
    lifter = FrameLifter(15, WIDTH // 4, generator=generator(0))
    options = dict(epochs=EPOCHS, batch_size=FRAMES, learning_rate=1e-3, schedule="one_cycle", generator=generator(0))
    curve = fit(lifter, train.views(), label_free_loss, test=test, **options)
    target = curve.report_mpjpe_mm[-1]
    epoch = next(epoch for epoch, error in zip(curve.epoch, curve.report_mpjpe_mm) if error <= target)
    steps = epoch * math.ceil(len(train) / FRAMES)
    return f"{target:.1f} mm on the synthetic people", steps, lifter, train.views()[torch.arange(FRAMES)]


def fused_adam() -> None:
    """A whole step with torch's fused Adam against the default. The fused one rounds otherwise: other bits."""
    batch = load_dataset("synthetic", "train").views()[torch.arange(FRAMES)]
    lifter = FrameLifter(15, WIDTH, generator=generator(0))
    plain, fused = (torch.optim.Adam(lifter.parameters(), fused=fused) for fused in (False, True))

    def loss():
        return label_free_loss(lifter, batch)

    default, faster, update, faster_update = medians(
        lambda: training_step(lifter, plain, loss),
        lambda: training_step(lifter, fused, loss),
        plain.step,
        fused.step,
        rounds=10,
    )
    print(f"fused Adam, width {WIDTH}: a step takes {faster / default:.2f} of the default's time, ", end="")
    print(f"Adam alone {faster_update / update:.2f} (not used: it changes the bits of recorded runs)")


def bfloat16_loss(lifter, batch: Views):
    """`label_free_loss` with the lifter, and nothing else, in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        poses = lifter(batch.screen)
    return sum(multiview_loss(poses.float(), batch))


def bfloat16() -> None:
    """bfloat16 in the lifter: time per step, and what it costs in millimetres, seed by seed."""
    instructions = _bfloat16_instructions()
    if not instructions:
        print("bfloat16 left out: the processor has no instructions for it, or does not say so")
        return
    train, test = load_dataset("synthetic", "train"), load_dataset("synthetic", "test")
    batch = train.views()[torch.arange(FRAMES)]
    lifter = FrameLifter(15, WIDTH, generator=generator(0))
    optimizer = torch.optim.Adam(lifter.parameters())
    losses = (label_free_loss, bfloat16_loss)
    default, other = medians(
        *(lambda loss=loss: training_step(lifter, optimizer, lambda: loss(lifter, batch)) for loss in losses), rounds=10
    )
    print(f"bfloat16 ({', '.join(instructions)}), width {WIDTH}: a step takes {other / default:.2f} of the default's time")
    changes = []
    for seed in SEEDS:
        errors = []
        for loss in losses:
            lifter = FrameLifter(15, WIDTH // 8, generator=generator(seed))
            options = dict(epochs=EPOCHS, learning_rate=1e-3, schedule="one_cycle", generator=generator(seed))
            fit(lifter, train.views(), loss, **options)
            errors.append(evaluate(lifter, test).metrics_mm["report_mpjpe"])
        changes.append(errors[1] - errors[0])
    print(f"  error on the synthetic people, width {WIDTH // 8}, {EPOCHS} epochs: median change ", end="")
    print(f"{statistics.median(changes):+.1f} mm; by seed {', '.join(f'{change:+.1f}' for change in changes)}")


def _bfloat16_instructions() -> list[str]:
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return []
    return sorted(flags & {"avx512_bf16", "amx_bf16", "bf16"})
