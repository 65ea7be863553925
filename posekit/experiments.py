"""One row of a table: an `Experiment` goes in, a `Record` comes out."""

import hashlib
import json
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from posekit.cameras import LENSES
from posekit.datasets import DATASETS, load_dataset
from posekit.lifters import NORMS, FrameLifter, SequenceLifter, TemporalConvLifter, load_lifter, save_lifter
from posekit.losses import TERMS, label_free_loss, middle_frame_loss, supervised_loss
from posekit.random import generator
from posekit.records import Record, code_version, machine, make_record
from posekit.sequences import LabelledPoses, MultiViewDataset, Views
from posekit.training import SCHEDULES, SWITCHES, Curve, adapt, evaluate, evaluate_poses, fit
from posekit.triangulation import refine, triangulate, triangulate_robustly

METHODS = ("supervised", "label_free", "adaptation", "sequence", "temporal_convolution", "triangulation")
SEQUENCE_METHODS = ("sequence", "temporal_convolution")
PARAMETRISATIONS = ("sound", "published")
TRIANGULATIONS = ("dlt", "midpoint", "refined", "robust")


def _parameter(default, note: str, choices: tuple[str, ...] = ()):
    return field(default=default, metadata={"note": note, "choices": choices})


@dataclass(frozen=True)
class Experiment:
    """The settings of one run. Every field is a parameter of `notebooks/experiment.ipynb`."""

    dataset: str = _parameter("synthetic", "which poses", DATASETS)
    method: str = _parameter("label_free", "which row of the table", METHODS)
    parametrisation: str = _parameter("sound", "root positive and projection unclamped, or as published", PARAMETRISATIONS)
    lens: str = _parameter("own", "lens model of the cameras; own is the one the 2D follows", ("own", *LENSES))
    cameras: str = _parameter("all", 'that training sees, joined by "+"; adaptation and triangulation use test_cameras')
    test_cameras: str = _parameter("all", 'that the test uses, joined by "+"')
    stride: int = _parameter(1, "take every stride-th frame")
    noise_px: float = _parameter(0.0, "standard deviation of added 2D noise, training and test")
    width: int = _parameter(256, "hidden units a layer")
    blocks: int = _parameter(2, "residual blocks, or encoder layers")
    norm: str = _parameter("batch", "normalisation layers", tuple(NORMS))
    dropout: str = _parameter("0.0", 'probability, or "0.5->0.0" to switch it off half way')
    switch: str = _parameter("both", 'what "->0.0" switches off: dropout, batch-norm statistics, or both', SWITCHES[1:])
    loss_terms: str = _parameter("+".join(TERMS), "terms of the label-free loss")
    window: int = _parameter(27, "frames a sequence lifter sees; 0 for whole clips")
    positions: str = _parameter("sinusoid", "how the transformer knows time", ("sinusoid", "none"))
    epochs: int = _parameter(30, "passes over the training set")
    batch_size: int = _parameter(128, "samples a step: moments, poses (supervised) or stretches (sequences)")
    learning_rate: float = _parameter(1e-3, "of Adam; the peak with one_cycle")
    schedule: str = _parameter("one_cycle", "of the learning rate", SCHEDULES)
    adapt_epochs: int = _parameter(200, "passes of adaptation over the test set")
    adapt_batch_size: int = _parameter(64, "moments a step of adaptation")
    adapt_learning_rate: float = _parameter(4e-5, "of adaptation, constant")
    triangulation: str = _parameter("dlt", "which triangulation", TRIANGULATIONS)
    seed: int = _parameter(0, "of initial weights, batch order, dropout and 2D noise")

    def __post_init__(self):
        for f in fields(self):
            value, choices = getattr(self, f.name), f.metadata["choices"]
            if choices and value not in choices:
                raise ValueError(f"{f.name} must be one of {', '.join(choices)}; got {value!r}")
        if not re.fullmatch(r"[01]\.\d+(->0\.0)?", self.dropout) or not 0 <= self.dropout_probability < 1:
            raise ValueError(f'dropout must be like "0.0", "0.5" or "0.5->0.0"; got {self.dropout!r}')
        unknown = set(self.loss_terms.split("+")) - set(TERMS)
        if unknown:
            raise ValueError(f"loss_terms must be some of {'+'.join(TERMS)}; got {self.loss_terms!r}")
        for f in fields(self):
            value, least = getattr(self, f.name), 0 if f.name in ("noise_px", "window", "seed") else 1e-12
            if f.type in (int, float) and value < least:
                raise ValueError(f"{f.name} must {'not be negative' if least == 0 else 'be positive'}; got {value}")

    @property
    def dropout_probability(self) -> float:
        """The probability training starts with."""
        return float(self.dropout.split("->")[0])

    @classmethod
    def parse(cls, parameters: dict[str, Any]) -> "Experiment":
        """An experiment from named values, such as a notebook's parameters.

        Raises:
            ValueError: for an unknown name, a value of the wrong type or out of range; the message lists the valid
                parameters.
        """
        try:
            unknown = [name for name in parameters if name not in cls.__dataclass_fields__]
            if unknown:
                raise ValueError(f"unknown parameter {', '.join(map(repr, unknown))}")
            return cls(**{f.name: _typed(f, parameters[f.name]) for f in fields(cls) if f.name in parameters})
        except ValueError as error:
            raise ValueError(f"{error}\nValid parameters:\n{cls.help()}") from None

    def command(self, out: str = "out.ipynb") -> list[str]:
        """The papermill command of this run, from the project's folder. Parameters left at their defaults are not named.

        Args:
            out: where the executed notebook goes; "-" for nowhere (standard output).
        """
        words = ["papermill", "notebooks/experiment.ipynb", out, "-k", "python3"]
        for f in fields(self):
            value = getattr(self, f.name)
            if value != f.default:
                words += ["-p", f.name, str(value)]
        return words

    def command_text(self) -> str:
        """`command` as one types it in a shell, a parameter a line."""
        return shlex.join(self.command()).replace(" -p ", " \\\n  -p ")

    @classmethod
    def help(cls) -> str:
        """The parameters, a line each."""
        lines = []
        for f in fields(cls):
            choices = f" ({', '.join(f.metadata['choices'])})" if f.metadata["choices"] else ""
            lines.append(f"  {f.name}: {f.type.__name__} = {f.default!r}  # {f.metadata['note']}{choices}")
        return "\n".join(lines)


def _typed(f, value):
    """The value as its field's type: a whole number may stand for a float, a number for a dropout string."""
    if f.type is float and type(value) is int:
        return float(value)
    if f.name == "dropout" and type(value) in (int, float):
        return str(float(value))
    if type(value) is not f.type:
        raise ValueError(f"{f.name} must be {f.type.__name__}, got {type(value).__name__} {value!r}")
    return value


def notebook_parameters(namespace: dict[str, Any], *others: str) -> dict[str, Any]:
    """The flat literals a notebook has defined so far, misspelt ones included, without those named in `others`.

    Call it as `notebook_parameters(globals(), "device")` right after the parameters cell: papermill puts its values
    in a cell of their own and only warns about names it does not know.
    """
    literals = (bool, int, float, str)
    return {k: v for k, v in namespace.items() if type(v) in literals and not k.startswith("_") and k not in others}


def load_split(experiment: Experiment, split: str, data_root: str | Path | None = None) -> MultiViewDataset:
    """The training or test data of an experiment."""
    options = {} if experiment.lens == "own" else {"lens": experiment.lens}
    names = experiment.cameras if split == "train" else experiment.test_cameras
    dataset = load_dataset(
        experiment.dataset,
        split,
        data_root,
        stride=experiment.stride,
        noise_px=experiment.noise_px,
        noise_seed=experiment.seed,
        **options,
    )
    return dataset if names == "all" else dataset.select_views(names.split("+"))


def make_lifter(experiment: Experiment, joints: int, source: torch.Generator) -> nn.Module:
    """The untrained lifter of an experiment, weights drawn from `source`."""
    shared = dict(
        width=experiment.width,
        dropout=experiment.dropout_probability,
        norm=experiment.norm,
        root="free" if experiment.parametrisation == "published" else "positive",
        generator=source,
    )
    if experiment.method == "sequence":
        shared |= dict(positions=experiment.positions == "sinusoid", window=experiment.window or None)
        feedforward = 2048 if experiment.parametrisation == "published" else None
        return SequenceLifter(joints, layers=experiment.blocks, feedforward=feedforward, **shared)
    if experiment.method == "temporal_convolution":
        return TemporalConvLifter(joints, window=experiment.window, **shared)
    return FrameLifter(joints, blocks=experiment.blocks, **shared)


def make_loss(experiment: Experiment) -> Callable:
    """The loss of an experiment, of a lifter and a batch."""
    if experiment.method == "supervised":
        return supervised_loss
    clamp = 1.0 if experiment.parametrisation == "published" else None
    loss = middle_frame_loss if _sees_stretches(experiment) else label_free_loss
    return partial(loss, clamp=clamp, terms=tuple(experiment.loss_terms.split("+")))


def make_samples(experiment: Experiment, train: MultiViewDataset) -> Views | LabelledPoses:
    """What training sees: poses with labels, moments, moments with their surroundings, or whole clips."""
    if experiment.method == "supervised":
        return train.labelled_poses()
    if experiment.method not in SEQUENCE_METHODS:
        return train.views()
    frames = train.surrounding_frames(experiment.window) if _sees_stretches(experiment) else train.clip_frames()
    return train.views().windows(frames)


def _sees_stretches(experiment: Experiment) -> bool:
    return experiment.method in SEQUENCE_METHODS and experiment.window > 0


def run(
    experiment: Experiment,
    data_root: str | Path | None = None,
    device: str = "cpu",
    test_every: int = 1,
    models_dir: str | Path | None = None,
) -> tuple[Record, nn.Module | None]:
    """Train and evaluate as the experiment says.

    Args:
        experiment: the settings.
        data_root: where licensed datasets lie; see `datasets.load_dataset`.
        device: torch's name of it.
        test_every: epochs between two points of the record's error curve.
        models_dir: keep trained lifters here and take them from here, so that adaptation need not train its source
            model again; and keep the state of an unfinished run, to go on from after an interruption.

    Returns:
        The record, and the lifter (none for triangulation).
    """
    start, code = time.perf_counter(), code_version()
    train, test = (load_split(experiment, split, data_root) for split in ("train", "test"))
    if experiment.method == "triangulation":
        lifter, curve = None, Curve()
        evaluation = evaluate_poses(_triangulated(experiment.triangulation, test), test)
    else:
        lifter, curve = _trained(
            _source_model(experiment), train, test, device, test_every, models_dir, reuse=experiment.method == "adaptation"
        )
        if experiment.method == "adaptation":
            lifter, curve = _adapted(experiment, lifter, test, device, test_every, models_dir)
        evaluation = evaluate(lifter, test)
    where = code | machine(device) | {"seconds": round(time.perf_counter() - start, 1)}
    return make_record(asdict(experiment), curve, evaluation, train, test, where), lifter


def _source_model(experiment: Experiment) -> Experiment:
    """The training behind an experiment: adaptation starts from the label-free model of the same settings."""
    unused = {f.name: f.default for f in fields(Experiment) if f.name.startswith("adapt_") or f.name == "triangulation"}
    if experiment.method == "adaptation":
        return replace(experiment, method="label_free", test_cameras="all", **unused)
    return replace(experiment, **unused)


def _trained(experiment: Experiment, train, test, device, test_every, models_dir, reuse):
    kept = _kept(experiment, models_dir)
    if reuse and kept and kept.exists():
        return load_lifter(kept).to(device), Curve()
    source = generator(experiment.seed)
    lifter = make_lifter(experiment, len(train.skeleton), source).to(device)
    curve = fit(
        lifter,
        make_samples(experiment, train).to(device),
        make_loss(experiment),
        epochs=experiment.epochs,
        batch_size=experiment.batch_size,
        learning_rate=experiment.learning_rate,
        schedule=experiment.schedule,
        switch=experiment.switch if experiment.dropout.endswith("->0.0") else "none",
        generator=source,
        test=test,
        test_every=test_every,
        checkpoint=kept and kept.with_suffix(".unfinished"),
    )
    if kept:
        save_lifter(lifter, kept)
    return lifter, curve


def _adapted(experiment: Experiment, lifter, test, device, test_every, models_dir):
    kept = _kept(experiment, models_dir)
    return adapt(
        lifter,
        test.views().to(device),
        make_loss(experiment),
        epochs=experiment.adapt_epochs,
        batch_size=experiment.adapt_batch_size,
        learning_rate=experiment.adapt_learning_rate,
        generator=generator(experiment.seed),
        test=test,
        test_every=test_every,
        checkpoint=kept and kept.with_suffix(".unfinished"),
    )


def _kept(experiment: Experiment, models_dir: str | Path | None) -> Path | None:
    """Where the lifter of an experiment is kept: its name is a digest of all settings."""
    if models_dir is None:
        return None
    folder = Path(models_dir)
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(json.dumps(asdict(experiment), sort_keys=True).encode()).hexdigest()[:16]
    return folder / f"{experiment.dataset}-{experiment.method}-{digest}.safetensors"


def _triangulated(kind: str, dataset: MultiViewDataset) -> Tensor:
    """Triangulated poses in every view's camera frame, (F, V, J, 3)."""
    pixels, cameras, trust = dataset.pixels, dataset.frame_cameras, dataset.confidence
    if kind == "robust":
        points = triangulate_robustly(pixels, cameras, trust).points
    elif kind == "refined":
        points = refine(triangulate(pixels, cameras, trust).points, pixels, cameras, trust).points
    else:
        points = triangulate(pixels, cameras, trust, kind).points
    return cameras.world_to_camera(points.float().unsqueeze(1))
