"""Training: one loop for every method. Samples give a batch for an index, or draw as many as it has entries."""

import copy
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from posekit.checkpoints import Checkpoint
from posekit.evaluation import (  # noqa: F401  they can be imported from here as well
    Evaluation,
    evaluate,
    evaluate_poses,
    lift,
    lift_dataset,
    report_mpjpe_mm,
    share_behind,
)
from posekit.random import seeded
from posekit.samples import LabelledPoses, Views
from posekit.scenes import Scenes
from posekit.sequences import MultiViewDataset

SWITCHES = ("none", "both", "dropout", "norm")
SCHEDULES = ("constant", "one_cycle")
OPTIMIZERS = ("adam", "adamw")

Samples = Views | LabelledPoses | Scenes
Loss = Callable[[nn.Module, Samples], Tensor]


@dataclass
class Curve:
    """How a training run went: one value per epoch, None where it was not measured."""

    epoch: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    report_mpjpe_mm: list[float | None] = field(default_factory=list)
    validation_loss: list[float | None] = field(default_factory=list)

    def add(self, epoch: int, loss: float, report_mpjpe_mm: float | None = None, validation_loss: float | None = None) -> None:
        """Append one epoch."""
        self.epoch.append(epoch)
        self.loss.append(loss)
        self.report_mpjpe_mm.append(report_mpjpe_mm)
        self.validation_loss.append(validation_loss)

    def measured(self) -> tuple[list[int], list[float]]:
        """The epochs at which the error was measured, and these errors. A record's: `Curve(**record.curve).measured()`."""
        kept = [index for index, error in enumerate(self.report_mpjpe_mm) if error is not None]
        return [self.epoch[index] for index in kept], [self.report_mpjpe_mm[index] for index in kept]

    def best_epoch(self) -> int:
        """The first epoch with the lowest validation loss; 0 where there is none."""
        known = [(value, epoch) for value, epoch in zip(self.validation_loss, self.epoch) if value is not None]
        return min(known, default=(0.0, 0))[1]


def fit(
    lifter: nn.Module,
    samples: Samples,
    loss: Loss,
    *,
    epochs: int,
    batch_size: int = 128,
    learning_rate: float = 3e-4,
    schedule: str = "constant",
    optimizer: str = "adam",
    average: float = 0.0,
    switch: str = "none",
    switch_after: int | None = None,
    generator: torch.Generator,
    validation: Samples | None = None,
    patience: int | None = None,
    test: MultiViewDataset | None = None,
    test_every: int = 1,
    checkpoint: str | Path | None = None,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
) -> Curve:
    """Train a lifter in place.

    Args:
        lifter: on the device the samples are on.
        samples: the whole training set; `losses.label_free_loss` takes `Views`, `losses.supervised_loss` poses, and
            `losses.scene_loss` `Scenes`, which draw new people at every step.
        loss: of the lifter and a batch of samples.
        epochs: passes over the samples, each in a new random order.
        batch_size: samples per step. A last batch of one is left out, since batch norm cannot train on it, unless every
            batch is one: with `batch_size=1`, or a single sample, as in adaptation to one moment.
        learning_rate: with "one_cycle" the peak.
        schedule: "constant", or "one_cycle" (Smith and Topin 2019).
        optimizer: "adam"; or "adamw", which has weight decay 0.01 and momenta (0.9, 0.98), clips a step's gradient to
            norm 1, and warms up for a tenth of a "one_cycle" rather than three tenths.
        average: decay of an exponential moving average of the weights over the second half of the epochs, which is
            what is measured there and kept; 0 for none.
        switch: what the later epochs train without: "none", "dropout", "norm" (batch-norm statistics frozen), "both"
            (the lifter in eval mode: the report's "0.5 -> 0.0").
        switch_after: number of epochs before the switch; default half of them and one more, as published.
        generator: random numbers for batch order and dropout; the same seed gives the same bits on a CPU
            with the same number of threads.
        validation: held-out samples, e.g. from `MultiViewDataset.validation_split`. Their loss is measured after every
            epoch, in eval mode, and the lifter ends with the weights of the epoch where it was lowest. It is the loss
            that is trained with, so that label-free training stays label-free.
        patience: stop after this many epochs without a lower validation loss; default never.
        test: measured every `test_every` epochs and at the last of `epochs`, for the curve only.
        checkpoint: a file that keeps the state of the run after every epoch. If it exists, the run continues from
            it, to the same bits on a CPU as if it had never stopped; it is removed at the end.
        after_epoch: called with the number of epochs done and the lifter as it is then, to look at; see `lift`.

    Raises:
        ValueError: for an unknown schedule or switch, no samples, or a patience without validation; if the loss or the
            weights stop being finite, or the loss finds nothing to compare in the samples; if the checkpoint is
            damaged or of another run.

    >>> from posekit.datasets import load_dataset
    >>> from posekit.lifters import FrameLifter
    >>> from posekit.losses import label_free_loss
    >>> from posekit.random import generator
    >>> train = load_dataset("synthetic", "train", subjects=("S2",), actions=("Box",))
    >>> random = generator(0)
    >>> lifter = FrameLifter(15, width=32, generator=random)
    >>> curve = fit(lifter, train.views(), label_free_loss, epochs=3, learning_rate=1e-3, generator=random)
    >>> curve.epoch, curve.loss[2] < curve.loss[0]
    ([1, 2, 3], True)
    """
    _check_options(schedule, optimizer, switch, patience, samples, validation)
    switch_after = epochs // 2 + 1 if switch_after is None else switch_after
    settings = dict(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, schedule=schedule, switch=switch)
    settings |= dict(switch_after=switch_after, patience=patience, test_every=test_every, loss=loss, generator=generator)
    settings |= dict(optimizer=optimizer, average=average)
    settings |= dict(
        lifter=getattr(lifter, "settings", str(lifter)),
        initial_weights=lifter,
        samples=samples,
        validation=validation,
        test=test,
    )
    file = Checkpoint(checkpoint, settings)
    steps = epochs * len(_batches(torch.arange(len(samples)), batch_size))
    run = _Run(lifter, loss, *_optimizer(optimizer, lifter, learning_rate, schedule, steps), clip=optimizer == "adamw")
    if average:
        run.averaged = AveragedModel(lifter, multi_avg_fn=get_ema_multi_avg_fn(average))
    with seeded(generator):
        file.load(run.restore, next(lifter.parameters()).device)
        curve, start = run.curve, len(run.curve.epoch)
        for epoch in (bar := tqdm(range(start, epochs), initial=start, total=epochs, unit="epoch", disable=quiet())):
            if patience is not None and epoch - curve.best_epoch() >= patience:
                break
            set_mode(lifter, switch if epoch >= switch_after else "none")
            if run.averaged is not None:
                run.averages = epoch >= epochs // 2  # the first half would only be forgotten
            value, held_out = run.train_epoch(samples, batch_size, epoch / epochs, 1 / epochs), None
            _check_loss("loss", value, epoch + 1)
            _check_weights(lifter, epoch + 1)
            if validation is not None:
                held_out = mean_loss(run.best_guess(), validation, loss, batch_size)
                _check_loss("validation loss", held_out, epoch + 1)
            measured = test is not None and ((epoch + 1) % test_every == 0 or epoch + 1 == epochs)
            curve.add(epoch + 1, value, report_mpjpe_mm(run.best_guess(), test) if measured else None, held_out)
            if curve.best_epoch() == epoch + 1:
                run.best = copy.deepcopy(run.best_guess().state_dict())
            if after_epoch is not None:
                after_epoch(epoch + 1, run.best_guess())
            bar.set_postfix(dict(loss=value) | ({"mm": curve.report_mpjpe_mm[-1]} if measured else {}))
            file.save(run.state())
    file.forget()
    lifter.load_state_dict(run.best if run.best is not None else run.best_guess().state_dict())
    lifter.eval()
    return curve


def adapt(
    lifter: nn.Module,
    views: Views,
    loss: Loss,
    *,
    epochs: int = 200,
    batch_size: int = 64,
    learning_rate: float = 4e-5,
    generator: torch.Generator,
    **options,
) -> tuple[nn.Module, Curve]:
    """Test-time adaptation: train a copy of a lifter on the 2D views it is to be used on, in eval mode throughout.

    As the report does it, on a whole test set or on a single moment (`views[k : k + 1]`). It needs the test views'
    calibration, and looks at them all at once: with the same inputs `triangulation` gives the pose in closed form.

    Args:
        lifter: the source model; left untouched.
        views: what is adapted to.
        loss: label-free, e.g. `losses.label_free_loss`.
        epochs, batch_size, learning_rate: the report's for HumanEva-I.
        generator: random numbers for the batch order.
        options: `fit`'s `schedule`, `validation`, `patience`, `test`, `test_every` and `checkpoint`.

    Returns:
        The adapted copy and its curve.

    Raises:
        ValueError: as `fit`, and if the views have another number of joints than the lifter.
    """
    adapted = copy.deepcopy(lifter)
    options |= dict(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, generator=generator)
    return adapted, fit(adapted, views, loss, switch="both", switch_after=0, **options)


@torch.no_grad()
def mean_loss(lifter: nn.Module, samples: Samples, loss: Loss, batch_size: int = 128) -> float:
    """The mean loss of samples in eval mode, in which it leaves the lifter."""
    lifter.eval()
    batches = torch.arange(len(samples), device=samples.screen.device).split(batch_size)
    return sum(len(index) * loss(lifter, samples[index]) for index in batches).item() / len(samples)


def set_mode(lifter: nn.Module, switch: str) -> None:
    """Train mode without what `switch` names; see `fit`."""
    lifter.train(switch != "both")
    off = {"dropout": nn.Dropout, "norm": nn.BatchNorm1d}.get(switch, ())
    for module in lifter.modules():
        if isinstance(module, off):
            module.eval()


@dataclass
class _Run:
    """What takes the steps, and all that a run needs to continue from where it stopped."""

    lifter: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler | None
    clip: bool = False
    averaged: AveragedModel | None = None
    averages: bool = False
    curve: Curve = field(default_factory=Curve)
    best: dict[str, Tensor] | None = None

    def best_guess(self) -> nn.Module:
        """The lifter, or once weights are averaged, the one that has the averages."""
        return self.averaged.module if self.averages else self.lifter

    def train_epoch(self, samples: Samples, batch_size: int, done: float, share: float) -> float:
        """One pass in a new random order; returns the mean of the batches' losses.

        `done` is the share of the run that lies behind, `share` that of this epoch.
        """
        order = torch.randperm(len(samples)).to(next(self.lifter.parameters()).device)
        total = torch.zeros((), device=order.device)
        batches = _batches(order, batch_size)
        for step, index in enumerate(batches):
            value = self.loss(self.lifter, samples.batch(index, done + share * step / len(batches)))
            self.optimizer.zero_grad()
            value.backward()
            if self.clip:
                nn.utils.clip_grad_norm_(self.lifter.parameters(), 1.0)
            self.optimizer.step()
            if self.averages:
                self.averaged.update_parameters(self.lifter)
            if self.scheduler:
                self.scheduler.step()
            total += value.detach()
        return total.item() / len(batches)

    def state(self) -> dict[str, Any]:
        return dict(
            lifter=self.lifter.state_dict(),
            optimizer=self.optimizer.state_dict(),
            scheduler=self.scheduler.state_dict() if self.scheduler else None,
            averaged=self.averaged.state_dict() if self.averaged else None,
            curve=asdict(self.curve),
            best=self.best,
            random=torch.get_rng_state(),
        )

    def restore(self, state: dict[str, Any] | None) -> None:
        if state is None:
            return
        self.lifter.load_state_dict(state["lifter"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler:
            self.scheduler.load_state_dict(state["scheduler"])
        if self.averaged:
            self.averaged.load_state_dict(state["averaged"])
            self.averages = bool(self.averaged.n_averaged)
        self.curve = Curve(**state["curve"])
        self.best = state["best"]
        torch.set_rng_state(state["random"].cpu())


def _optimizer(name: str, lifter: nn.Module, learning_rate: float, schedule: str, steps: int):
    """The optimiser and its schedule, None where the learning rate is constant."""
    if name == "adamw":
        optimizer = torch.optim.AdamW(lifter.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        warm_up = 0.1 if steps != 10 else 0.2  # torch divides by the steps of the warm-up but one
        options = dict(pct_start=warm_up, cycle_momentum=False)
    else:
        optimizer, options = torch.optim.Adam(lifter.parameters(), lr=learning_rate), {}
    if schedule == "constant":
        return optimizer, None
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, **options)


def _check_options(
    schedule: str, optimizer: str, switch: str, patience: int | None, samples: Samples, validation: Samples | None
) -> None:
    for name, value, choices in (
        ("schedule", schedule, SCHEDULES),
        ("optimizer", optimizer, OPTIMIZERS),
        ("switch", switch, SWITCHES),
    ):
        if value not in choices:
            raise ValueError(f"{name} must be one of {choices}, got {value!r}")
    if isinstance(validation, Scenes):
        raise ValueError("validation must be fixed samples, such as labelled_poses(), not scenes, which are drawn anew")
    if len(samples) == 0 or (validation is not None and len(validation) == 0):
        raise ValueError("there are no samples to train on, or none to validate with")
    if patience is not None and (patience < 1 or validation is None):
        raise ValueError(f"patience must be at least 1 and needs validation samples, got {patience}")


def _check_loss(name: str, value: float, epoch: int) -> None:
    """An exact 0 is no success: it means that no joint of any sample took part."""
    if not math.isfinite(value):
        raise ValueError(f"the {name} is no longer finite in epoch {epoch}: {value}")
    if value == 0:
        raise ValueError(f"the {name} is 0 in epoch {epoch}: the samples hold nothing to compare; are their joints all NaN?")


def _check_weights(lifter: nn.Module, epoch: int) -> None:
    broken = [name for name, value in lifter.state_dict().items() if not value.isfinite().all()]
    if broken:
        raise ValueError(
            f"weights are no longer finite after epoch {epoch}, though the loss was: {', '.join(broken)}; "
            "look for a NaN in the loss's gradient"
        )


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    alone_is_fine = batch_size == 1 or len(order) == 1
    return [index for index in order.split(batch_size) if len(index) > 1 or alone_is_fine]


def quiet() -> bool:
    """No progress bars and no controls where the book is built: the environment says POSEKIT_QUIET."""
    return bool(os.environ.get("POSEKIT_QUIET"))
