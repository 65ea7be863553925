"""Training and evaluation: one loop for every method. All samples live on the device; a batch is an index."""

import copy
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from posekit.metrics import all_metrics_mm, report_mpjpe
from posekit.random import seeded
from posekit.sequences import LabelledPoses, MultiViewDataset, Views

SWITCHES = ("none", "both", "dropout", "norm")
SCHEDULES = ("constant", "one_cycle")


@dataclass
class Curve:
    """How a training run went: a value an epoch (the error only at the epochs where it was measured)."""

    epoch: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    report_mpjpe_mm: list[float | None] = field(default_factory=list)

    def add(self, epoch: int, loss: float, report_mpjpe_mm: float | None) -> None:
        """Append one epoch."""
        self.epoch.append(epoch)
        self.loss.append(loss)
        self.report_mpjpe_mm.append(report_mpjpe_mm)

    def measured(self) -> tuple[list[int], list[float]]:
        """The epochs at which the error was measured, and these errors. A record's: `Curve(**record.curve).measured()`."""
        kept = [index for index, error in enumerate(self.report_mpjpe_mm) if error is not None]
        return [self.epoch[index] for index in kept], [self.report_mpjpe_mm[index] for index in kept]


def fit(
    lifter: nn.Module,
    samples: Views | LabelledPoses,
    loss: Callable[[nn.Module, Views | LabelledPoses], Tensor],
    *,
    epochs: int,
    batch_size: int = 128,
    learning_rate: float = 3e-4,
    schedule: str = "constant",
    switch: str = "none",
    switch_after: int | None = None,
    generator: torch.Generator,
    test: MultiViewDataset | None = None,
    test_every: int = 1,
    checkpoint: str | Path | None = None,
) -> Curve:
    """Train a lifter in place with Adam.

    Args:
        lifter: on the device the samples are on.
        samples: the whole training set; `losses.label_free_loss` takes `Views`, `losses.supervised_loss` poses.
        loss: of the lifter and a batch of samples.
        epochs: passes over the samples, each in a new random order.
        batch_size: samples a step. A last batch of one is left out: batch norm cannot train on it.
        learning_rate: Adam's; with "one_cycle" the peak.
        schedule: "constant", or "one_cycle" (Smith and Topin 2019).
        switch: what the later epochs train without: "none", "dropout", "norm" (batch-norm statistics frozen), "both"
            (the lifter in eval mode: the report's "0.5 -> 0.0").
        switch_after: number of epochs before the switch; default half of them and one more, as published.
        generator: source of batch order and dropout; the same seed gives the same bits on a CPU
            with the same number of threads.
        test: measured on every `test_every` epochs and at the end, for the curve only.
        checkpoint: a file to keep the state of the run in after every epoch. If it is there, the run goes on from
            it, to the same bits on a CPU as if it had never stopped; it is removed at the end.

    Raises:
        ValueError: for an unknown schedule or switch, if the loss stops being finite, or if the checkpoint is of
            another run.
    """
    if schedule not in SCHEDULES or switch not in SWITCHES:
        raise ValueError(f"schedule must be one of {SCHEDULES}, switch one of {SWITCHES}, got {schedule!r}, {switch!r}")
    switch_after = epochs // 2 + 1 if switch_after is None else switch_after
    optimizer = torch.optim.Adam(lifter.parameters(), lr=learning_rate)
    steps = epochs * len(_batches(torch.arange(len(samples)), batch_size))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps) if schedule == "one_cycle" else None
    curve = Curve()
    state = _State(lifter, optimizer, scheduler, curve, dict(epochs=epochs, batch_size=batch_size, samples=len(samples)))
    with seeded(generator):
        start = state.load(checkpoint)
        for epoch in (bar := tqdm(range(start, epochs), initial=start, total=epochs, unit="epoch", disable=quiet())):
            set_mode(lifter, switch if epoch >= switch_after else "none")
            order = torch.randperm(len(samples)).to(samples.screen.device)
            total = torch.zeros((), device=order.device)
            batches = _batches(order, batch_size)
            for index in batches:
                value = loss(lifter, samples[index])
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                if scheduler:
                    scheduler.step()
                total += value.detach()
            if not total.isfinite():
                raise ValueError(f"the loss is no longer finite in epoch {epoch + 1}: {total.item()}")
            measured = test is not None and ((epoch + 1) % test_every == 0 or epoch + 1 == epochs)
            curve.add(epoch + 1, total.item() / len(batches), report_mpjpe_mm(lifter, test) if measured else None)
            bar.set_postfix(loss=curve.loss[-1], mm=curve.report_mpjpe_mm[-1])
            state.save(checkpoint, epoch + 1)
    state.forget(checkpoint)
    lifter.eval()
    return curve


def adapt(
    lifter: nn.Module,
    views: Views,
    loss: Callable[[nn.Module, Views], Tensor],
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
        generator: source of the batch order.
        options: `fit`'s `test`, `test_every`, `schedule` and `checkpoint`.

    Returns:
        The adapted copy and its curve.

    Raises:
        ValueError: as `fit`, and if the views have another number of joints than the lifter.
    """
    adapted = copy.deepcopy(lifter)
    options |= dict(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, generator=generator)
    return adapted, fit(adapted, views, loss, switch="both", switch_after=0, **options)


@dataclass
class _State:
    """All that a run needs to go on from where it stopped."""

    lifter: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler | None
    curve: Curve
    settings: dict[str, int]

    def save(self, path: str | Path | None, epoch: int) -> None:
        if path is None:
            return
        content = dict(
            settings=self.settings,
            epoch=epoch,
            lifter=self.lifter.state_dict(),
            optimizer=self.optimizer.state_dict(),
            scheduler=self.scheduler.state_dict() if self.scheduler else None,
            curve=asdict(self.curve),
            random=torch.get_rng_state(),
        )
        partly = Path(f"{path}.part")
        torch.save(content, partly)
        os.replace(partly, path)

    def load(self, path: str | Path | None) -> int:
        """Put back what was saved, if anything; returns the number of epochs done."""
        if path is None or not Path(path).exists():
            return 0
        content = torch.load(path, weights_only=True, map_location=next(self.lifter.parameters()).device)
        if content["settings"] != self.settings:
            raise ValueError(f"{path} is of another run: {content['settings']}, this one has {self.settings}")
        self.lifter.load_state_dict(content["lifter"])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.scheduler:
            self.scheduler.load_state_dict(content["scheduler"])
        self.curve.__dict__.update(content["curve"])
        torch.set_rng_state(content["random"].cpu())
        return content["epoch"]

    def forget(self, path: str | Path | None) -> None:
        if path is not None:
            Path(path).unlink(missing_ok=True)


def quiet() -> bool:
    """No progress bars and no controls where the book is built: the environment says POSEKIT_QUIET."""
    return bool(os.environ.get("POSEKIT_QUIET"))


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    alone_is_fine = batch_size == 1 or len(order) == 1
    return [index for index in order.split(batch_size) if len(index) > 1 or alone_is_fine]


def set_mode(lifter: nn.Module, switch: str) -> None:
    """Train mode without what `switch` names; see `fit`."""
    lifter.train(switch != "both")
    off = {"dropout": nn.Dropout, "norm": nn.BatchNorm1d}.get(switch, ())
    for module in lifter.modules():
        if isinstance(module, off):
            module.eval()


@torch.no_grad()
def lift(lifter: nn.Module, screen: Tensor, chunk: int = 4096) -> Tensor:
    """Poses (*batch, J, 3) of 2D joints (*batch, J, 2), each lifted on its own, in eval mode, `chunk` at a time.

    The lifter's mode is put back afterwards.
    """
    flat = screen.reshape(-1, *screen.shape[-2:])
    return _in_chunks(lifter, flat, chunk).reshape(*screen.shape[:-1], 3)


def lift_dataset(lifter: nn.Module, dataset: MultiViewDataset) -> Float[Tensor, "F V J 3"]:
    """Poses of all frames and views, each view on its own; a sequence lifter sees each frame's clip or surroundings."""
    if not hasattr(lifter, "window"):
        return lift(lifter, dataset.screen())
    if lifter.window is None:
        frames = dataset.clip_frames()
        return _in_chunks(lifter, dataset.views().windows(frames).screen, chunk=8)[frames >= 0]
    frames = dataset.surrounding_frames(lifter.window)
    return _in_chunks(lifter, dataset.views().windows(frames).screen, chunk=256)


@torch.no_grad()
def _in_chunks(lifter: nn.Module, batch: Tensor, chunk: int) -> Tensor:
    device = next(lifter.parameters()).device
    was_training = {module: module.training for module in lifter.modules()}
    lifter.eval()
    poses = torch.cat([lifter(part.to(device)).to(batch.device) for part in batch.split(chunk)])
    for module, training in was_training.items():
        module.training = training
    return poses


@torch.no_grad()
def share_behind(lifter: nn.Module, screen: Float[Tensor, "*batch J 2"], generator: torch.Generator) -> float:
    """The share of people whose root a lifter puts behind the camera while it trains, that is in train mode.

    Of an untrained lifter with a free root it tells whether label-free training is likely to find the way to the
    front; see the book's "What we found". With a root that is positive by construction it is 0.

    Args:
        lifter: of single frames; left untouched, batch-norm statistics included.
        screen: 2D joints in screen coordinates, seen as one batch.
        generator: source of dropout.
    """
    training = copy.deepcopy(lifter).train()
    with seeded(generator):
        depth = training(screen)[..., 0, 2]
    return (depth[~depth.isnan()] < 0).float().mean().item()


def report_mpjpe_mm(lifter: nn.Module, dataset: MultiViewDataset) -> float:
    """The report's metric over all frames and views of a dataset, each view lifted on its own, millimetres."""
    errors = report_mpjpe(lift_dataset(lifter, dataset), dataset.poses_camera())
    return 1000 * errors.nanmean().item()


@dataclass(frozen=True)
class Evaluation:
    """Mean errors in millimetres: of all frames and views, and of each action's."""

    metrics_mm: dict[str, float]
    by_action: dict[str, dict[str, float]]


def evaluate(lifter: nn.Module, dataset: MultiViewDataset) -> Evaluation:
    """Every metric of `metrics.METRICS`, each view lifted on its own, as at test time."""
    return evaluate_poses(lift_dataset(lifter, dataset), dataset)


def evaluate_poses(poses_camera: Tensor, dataset: MultiViewDataset) -> Evaluation:
    """`evaluate` for poses (F, V, J, 3) already at hand, each in its view's camera frame."""
    errors = all_metrics_mm(poses_camera.double(), dataset.poses_camera().double())
    actions = [clip.action for clip in dataset.clips]
    by_action = {}
    for action in dataset.actions:
        clips = torch.tensor([index for index, name in enumerate(actions) if name == action])
        frames = torch.isin(dataset.clip_of_frame, clips)
        by_action[action] = {name: error[frames].nanmean().item() for name, error in errors.items()}
    return Evaluation({name: error.nanmean().item() for name, error in errors.items()}, by_action)
