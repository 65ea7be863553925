"""Training on scenes drawn anew at every step."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from posekit.scenes import Scenes
from posekit.sequences import MultiViewDataset
from posekit.teachers import masked_report_mpjpe

STANDARD_SAMPLE = 20_000


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Args:
        steps, batch_size: their product is the number of people seen.
        learning_rate: peak of one-cycle (Smith and Topin 2019), reached after `warm_up` of the steps.
        weight_decay: of AdamW (Loshchilov and Hutter 2019).
        clip: largest norm of a step's gradient.
        average: decay of the exponential moving average of the weights over the second half, which is what is kept.
        bfloat16: hidden layers in bfloat16, nearly twice as fast on CPUs that have it (avx512_bf16, AMX).
    """

    steps: int = 2000
    batch_size: int = 256
    learning_rate: float = 1e-3
    warm_up: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.998
    bfloat16: bool = True


def fit_scenes(lifter: nn.Module, samples: Scenes, schedule: Schedule, generator: torch.Generator) -> list[float]:
    """Train a `RayLifter` in place on drawn scenes; its metric is the loss.

    Args:
        lifter: standardised first, by a sample of the scenes.
        samples: `draw(count, generator, progress)` gives a batch.
        schedule: see there.
        generator: of the scenes; the same seed gives the same bits on a CPU.

    Returns:
        The loss of every step, metres.

    Raises:
        ValueError: if the loss stops being finite.
    """
    lifter.standardise(samples.draw(STANDARD_SAMPLE, generator))
    optimizer = torch.optim.AdamW(
        lifter.parameters(), schedule.learning_rate, betas=(0.9, 0.98), weight_decay=schedule.weight_decay, fused=True
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.learning_rate, schedule.steps, pct_start=schedule.warm_up, cycle_momentum=False
    )
    averaged = AveragedModel(lifter, multi_avg_fn=get_ema_multi_avg_fn(schedule.average))
    losses = []
    lifter.train()
    lifter.bfloat16 = schedule.bfloat16
    for step in range(schedule.steps):
        scene = samples.draw(schedule.batch_size, generator, step / schedule.steps)
        loss = masked_report_mpjpe(lifter.lift_scene(scene), scene.poses_camera())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(lifter.parameters(), schedule.clip)
        optimizer.step()
        rate.step()
        if step >= schedule.steps // 2:  # the first half would only be forgotten
            averaged.update_parameters(lifter)
        losses.append(loss.detach())
    losses = torch.stack(losses).tolist()
    if not all(map(math.isfinite, losses)):
        raise ValueError(f"the loss is no longer finite after {schedule.steps} steps: {losses[-1]}")
    lifter.bfloat16 = False
    lifter.load_state_dict(averaged.module.state_dict())
    lifter.eval()
    return losses


def lift_views(lifter: nn.Module, dataset: MultiViewDataset, chunk: int = 1024) -> Float[Tensor, "F V J 3"]:
    """Poses of all frames and views in their cameras' frames, each view lifted on its own, `chunk` frames at a time."""
    parts = torch.arange(len(dataset)).split(chunk)
    screen, cameras = dataset.screen(), dataset.frame_cameras
    with torch.no_grad():
        return torch.cat([lifter(screen[part], cameras[part]) for part in parts])
