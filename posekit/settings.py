"""The settings of a run: declared once, in groups, and known by flat names to papermill, records and commands.

A parameter is one line of a group below: its type, its default, what it means, and the methods it counts for. The
notebook's parameters cell, its help, the page "Rerun anything" and the checks all follow from that line.

A new parameter's default must be the old behaviour. Records and lists of runs written before it then keep their
meaning, for `Experiment.parse` fills in what they do not name.
"""

import hashlib
import json
import re
import shlex
from dataclasses import MISSING, dataclass, fields
from itertools import groupby
from types import NoneType
from typing import Any, Literal

from posekit.detector import FAULTS, check_faults, named_faults
from posekit.losses import TERMS
from posekit.parameters import (
    FRAME_METHODS,
    LABEL_FREE_METHODS,
    LEARNT_METHODS,
    REPORT_METHODS,
    SEQUENCE_METHODS,
    Group,
    Method,
    Parameter,
    check_joined,
    checked,
    parameter,
    parameters_of,
)

FOUND_METHODS = tuple(method for method in LEARNT_METHODS if method != "adaptation")
"""Those that can do with cameras that are not given; adaptation would have to find the test's as well."""

PRESETS: dict[str, dict[str, Any]] = {
    "sound": dict(root="positive", clamp="off", feedforward=0),
    "published": dict(root="free", clamp="on", feedforward=2048),
}
"""What `parametrisation` stands for where the parameters themselves are left at their defaults.

A `feedforward` of 0 is twice the width.
"""


@dataclass(frozen=True)
class Data(Group):
    """Which poses, and who sees them."""

    dataset: Literal["synthetic", "humaneva", "human36m", "human36m_detected"] = parameter("synthetic", "which poses")
    lens: Literal["own", "opencv", "human36m"] = parameter("own", "lens model of the cameras; own is the one the 2D follows")
    cameras_from: Literal["given", "people", "learned"] = parameter(
        "given",
        "extrinsics in training: the dataset's, found from its people, or learned; see `calibration.recordings`",
        FOUND_METHODS,
    )
    start_off_deg: float = parameter(
        10.0, "by which cameras that are learned begin turned about the people", FOUND_METHODS, can_be_0=True, most=180
    )
    scale_from: Literal["leg", "stature"] = parameter(
        "leg", "what sizes found cameras: each person's own legs, or 1.7 m of stature for everybody", FOUND_METHODS
    )
    cameras: str = parameter("all", 'that training sees, joined by "+"; adaptation adapts to test_cameras', LEARNT_METHODS)
    test_cameras: str = parameter("all", 'that the test uses, joined by "+"', at_test=True)
    subjects: str = parameter("all", 'people that training sees, joined by "+"', LEARNT_METHODS)
    test_subjects: str = parameter("all", 'people that the test uses, joined by "+"', at_test=True)
    training_share: float = parameter(
        1.0, "of each person's frames of an action, the first ones, that training sees", LEARNT_METHODS, most=1
    )
    test_seen_by: Literal["own", "higher", "nearer", "half_focal"] = parameter(
        "own", "the test's cameras, or changed ones, for which its 2D is drawn; see `seen_by`", at_test=True
    )
    floors: Literal["given", "levelled"] = parameter(
        "given", "each person's training floor, or all brought to one height; see `levelled`", ("scenes",)
    )
    stride: int = parameter(1, "take every stride-th frame")
    noise_px: float = parameter(
        0.0, "typical added 2D noise, training and test; a joint's own is 0.5 to 1.5 times that", can_be_0=True
    )
    noise_correlation: float = parameter(0.0, "frames over which it is correlated; see `detector.Detector`", can_be_0=True)
    missing: float = parameter(0.0, "share of 2D joints that are not found", can_be_0=True, most=1)
    missing_run: float = parameter(0.0, "mean frames of a run of these, or of swapped sides", can_be_0=True)
    swapped: float = parameter(0.0, "share of frames in which a view's left and right are exchanged", can_be_0=True, most=1)
    test_noise: str = parameter(
        "same", 'of the test, if not as in training: "exact", or like "noise_px=5+missing=0.1"', at_test=True
    )
    smooth_3d: float = parameter(
        0.0,
        "frames over which the test's lifted poses are smoothed; 0 for none",
        LEARNT_METHODS,
        can_be_0=True,
        at_test=True,
    )
    offsets_from: str = parameter(
        "none",
        'training people, "all" or joined by "+", whose labels tell the joint offsets that poses are corrected by',
        (*LEARNT_METHODS, "triangulation"),
        at_test=True,
    )
    measured_against: Literal["labels", "labels+views"] = parameter(
        "labels", "or the poses that the test's own views triangulate as well, as `triangulated_mpjpe`", at_test=True
    )
    measured_cameras: str = parameter("all", 'of the test, whose poses are measured, joined by "+"', at_test=True)
    measured_on: Literal["test", "validation"] = parameter(
        "test", "the test set, or a quarter held out of the training clips, to choose settings on"
    )


@dataclass(frozen=True)
class Input(Group):
    """What a lifter sees."""

    needs: Literal["screen", "rays", "level"] = parameter(
        "level", "of the camera: nothing, intrinsics, or tilt and height as well", ("scenes",)
    )
    frames: int = parameter(1, "of a window that a lifter of scenes sees", ("scenes",), most=1001)
    smooth_2d: float = parameter(
        0.0, "frames over which the 2D is smoothed for a lifter of scenes that sees one; 0 for none", ("scenes",), can_be_0=True
    )
    window: int = parameter(
        27, "frames a sequence lifter sees; 0 for whole clips", SEQUENCE_METHODS, can_be_0=True, most=10_001
    )


@dataclass(frozen=True)
class Teacher(Group):
    """What a run learns from, or, without learning, how it finds the poses."""

    teacher: Literal["preset", "triangulation", "labels"] = parameter(
        "preset",
        "whose poses are the targets; preset: labels if supervised, triangulation for scenes",
        ("supervised", "scenes"),
    )
    targets: Literal["frames", "tracks"] = parameter(
        "frames",
        "triangulated frame by frame, or as smooth tracks with constant bones; see `tracked`",
        ("supervised", "scenes"),
    )
    smooth_targets: float = parameter(
        0.0,
        "frames over which triangulated targets are smoothed, for noisy 2D; 0 for none",
        ("supervised", "scenes"),
        can_be_0=True,
    )
    loss_terms: str = parameter("+".join(TERMS), "terms of the label-free loss", LABEL_FREE_METHODS)
    loss_weights: Literal["alike", "confidence"] = parameter(
        "alike", "of the 2D joints in the label-free loss", LABEL_FREE_METHODS
    )
    loss_reach: float = parameter(
        0.0,
        "screen units beyond which a distance in the label-free loss counts less; 0 for never",
        LABEL_FREE_METHODS,
        can_be_0=True,
    )
    clamp: Literal["preset", "on", "off"] = parameter(
        "preset", "whether projected x / z and y / z are cut to -1..1", LABEL_FREE_METHODS
    )
    triangulation: Literal["dlt", "midpoint", "refined", "robust"] = parameter("dlt", "which triangulation", ("triangulation",))


@dataclass(frozen=True)
class Scene(Group):
    """How scenes are put together from poses; see `scenes.Mix`."""

    place: Literal["anywhere", "recorded"] = parameter("anywhere", "where people stand, and which way they face", ("scenes",))
    mirror: float = parameter(0.5, "share of mirror images", ("scenes",), can_be_0=True, most=1)
    arms: float = parameter(0.25, "share of arms of another frame", ("scenes",), can_be_0=True, most=1)
    upper: float = parameter(0.25, "share of upper bodies of another frame", ("scenes",), can_be_0=True, most=1)
    jitter: float = parameter(0.25, "share of poses with jittered bone directions", ("scenes",), can_be_0=True, most=1)
    body_scale: float = parameter(0.0, "typical change of a whole body's size", ("scenes",), can_be_0=True, most=1)
    bone_scale: float = parameter(0.0, "typical change of each bone's length", ("scenes",), can_be_0=True, most=1)
    heads: float = parameter(0.0, "share of heads below the thorax, as HumanEva-I's S3 has", ("scenes",), can_be_0=True, most=1)
    balance: float = parameter(0.7, "how evenly people and actions are drawn, 0 to 1", ("scenes",), can_be_0=True, most=1)
    scene_cameras: Literal["real", "moved", "drawn"] = parameter("real", "who sees the scenes", ("scenes",))
    scene_noise: Literal["same", "mixed", "recorded"] = parameter(
        "same", "their 2D's: as that of the data, of many detectors about noise_px, or the data's own errors", ("scenes",)
    )


@dataclass(frozen=True)
class Network(Group):
    """The lifter."""

    width: int = parameter(256, "hidden units per layer", LEARNT_METHODS)
    blocks: int = parameter(
        2, "residual blocks, or encoder layers", tuple(m for m in LEARNT_METHODS if m != "temporal_convolution")
    )
    norm: Literal["batch", "layer"] = parameter("batch", "normalisation layers", REPORT_METHODS)
    dropout: str = parameter("0.0", 'probability, or "0.5->0.0" to switch it off half way', REPORT_METHODS)
    root: Literal["preset", "positive", "free"] = parameter("preset", "how the root's depth is read", REPORT_METHODS)
    start_weights: Literal["preset", "zero", "random"] = parameter(
        "preset", "of the last layer; preset: zero with a positive root, random with a free one", FRAME_METHODS
    )
    start_distance: float = parameter(
        0.0,
        "metres in front of the camera at which people are put before training; 0 for the preset",
        FRAME_METHODS,
        can_be_0=True,
    )
    positions: Literal["sinusoid", "none"] = parameter("sinusoid", "how the transformer knows time", ("sequence",))
    feedforward: int = parameter(0, "hidden units of an encoder layer; 0 for the preset", ("sequence",), can_be_0=True)
    output: Literal["preset", "depths", "free"] = parameter(
        "preset", "depths along the rays, where rays are known, or anywhere", ("scenes",)
    )
    mirrored: Literal["preset", "on", "off"] = parameter(
        "preset", "whether the test averages with the mirror image: where rays are known", ("scenes",)
    )


@dataclass(frozen=True)
class Training(Group):
    """How it is trained."""

    epochs: int = parameter(30, "passes over the training set", LEARNT_METHODS)
    batch_size: int = parameter(128, "samples per step: moments, poses, scenes or windows, by method", LEARNT_METHODS)
    learning_rate: float = parameter(1e-3, "the peak with one_cycle", LEARNT_METHODS)
    optimizer: Literal["adam", "adamw"] = parameter("adam", "see `training.fit`", LEARNT_METHODS)
    average: float = parameter(
        0.0, "decay of the moving average of the weights that is kept; 0 for none", LEARNT_METHODS, can_be_0=True, most=1
    )
    precision: Literal["float32", "bfloat16"] = parameter("float32", "of the hidden layers in training", ("scenes",))
    schedule: Literal["constant", "one_cycle"] = parameter("one_cycle", "of the learning rate", LEARNT_METHODS)
    switch: Literal["both", "dropout", "norm"] = parameter(
        "both", 'what "->0.0" switches off: dropout, batch-norm statistics, or both', REPORT_METHODS
    )


@dataclass(frozen=True)
class Adaptation(Group):
    """Test-time adaptation."""

    adapt_epochs: int = parameter(200, "passes of adaptation over the test set", ("adaptation",))
    adapt_batch_size: int = parameter(64, "moments per step of adaptation", ("adaptation",))
    adapt_learning_rate: float = parameter(4e-5, "of adaptation, constant", ("adaptation",))


@dataclass(frozen=True)
class Options(Group):
    """How and where the notebook runs; no part of the experiment, so not in a record's settings."""

    results_dir: str = parameter("results", "the record goes there, by dataset")
    name: str = parameter("", "of the row in the file name; default: method and a digest")
    models_dir: str = parameter("", "for lifters and unfinished runs; default: nowhere")
    device: str = parameter("cpu", 'or "cuda"')
    threads: int = parameter(1, "CPU threads; 0 leaves it to torch", can_be_0=True)
    test_every: int = parameter(1, "epochs between two points of the error curve")

    def __post_init__(self):
        super().__post_init__()
        if not self.results_dir.strip():
            raise ValueError("results_dir must name a folder, got nothing")
        if not re.fullmatch(r"[\w.>=+-]*", self.name) or ".." in self.name:
            raise ValueError(f"name must be letters, digits and - _ . + = alone, since it names a file; got {self.name!r}")


@dataclass(frozen=True, repr=False)
class Experiment(Group):
    """The settings of one run, in groups.

    Every parameter also has a flat name, that of its field: `Experiment.parse(dict(width=512))` sets
    `experiment.network.width`. Values that do not count for the method must stay at their defaults.

    Raises:
        ValueError: for a value out of range, or one that does not count for the method.
    """

    method: Method = parameter("label_free", "which row of the table")
    parametrisation: Literal["sound", "published"] = parameter(
        "sound",
        "the preset of root, clamp and feedforward",
        REPORT_METHODS,
    )
    seed: int = parameter(0, "of initial weights, batch order, dropout and 2D noise", can_be_0=True, most=2**62)
    data: Data = Data()
    input: Input = Input()
    teacher: Teacher = Teacher()
    scene: Scene = Scene()
    network: Network = Network()
    training: Training = Training()
    adaptation: Adaptation = Adaptation()

    def __post_init__(self):
        super().__post_init__()
        for name, value in self.differing().items():
            methods = PARAMETERS[name].methods
            if self.method not in methods:
                raise ValueError(
                    f"{name} does not count for method {self.method!r}, only for {', '.join(methods)}; got {value!r}"
                )
        _check_together(self)

    @classmethod
    def parse(cls, parameters: dict[str, Any]) -> "Experiment":
        """An experiment from flat named values, such as a notebook's parameters or a record's settings.

        Raises:
            ValueError: for an unknown name, with the valid ones; a value of the wrong type or out of range.
        """
        unknown = [name for name in parameters if name not in PARAMETERS]
        if unknown:
            raise ValueError(
                f"unknown parameter {', '.join(map(repr, unknown))}; Experiment.help() explains the valid ones: "
                f"{', '.join(PARAMETERS)}"
            )
        values = {name: checked(PARAMETERS[name], value) for name, value in parameters.items()}
        groups = {name: group(**_of_group(group, values)) for name, group in GROUPS.items()}
        return cls(**_of_group(cls, values), **groups)

    def __repr__(self) -> str:
        return f"Experiment({', '.join(f'{name}={value!r}' for name, value in self.differing().items())})"

    def flat(self) -> dict[str, Any]:
        """Every parameter by its flat name; the inverse of `parse`."""
        places = {parameter.name: getattr(self, parameter.group, self) for parameter in PARAMETERS.values()}
        return {name: getattr(place, name) for name, place in places.items()}

    def differing(self) -> dict[str, Any]:
        """The parameters that are not at their defaults."""
        return {name: value for name, value in self.flat().items() if value != PARAMETERS[name].default}

    def digest(self) -> str:
        """A short name of these settings. Those at their defaults have no part in it, so a new parameter changes none."""
        return hashlib.sha256(json.dumps(self.differing(), sort_keys=True).encode()).hexdigest()[:16]

    def but(self, **changes) -> "Experiment":
        """The same experiment with some flat parameters changed."""
        return self.parse(self.flat() | changes)

    def preset(self, name: str) -> Any:
        """A parameter's value, or where it is left at its default, what `parametrisation` stands for."""
        value = self.flat()[name]
        return PRESETS[self.parametrisation][name] if value == PARAMETERS[name].default else value

    def faults(self, split: str) -> dict[str, float]:
        """What is wrong with the 2D of a split, "train" or "test", as `datasets.load_dataset` takes it."""
        if split == "test" and self.data.test_noise != "same":
            return named_faults(self.data.test_noise)
        return {name: getattr(self.data, name) for name in FAULTS}

    @property
    def target_poses(self) -> str:
        """Whose poses a supervised lifter or one of scenes learns from, "labels" or "triangulation"."""
        preset = "labels" if self.method == "supervised" else "triangulation"
        return preset if self.teacher.teacher == "preset" else self.teacher.teacher

    @property
    def dropout_probability(self) -> float:
        """The probability training starts with."""
        return float(self.network.dropout.split("->")[0])

    @property
    def sees_windows(self) -> bool:
        """Whether a sequence lifter sees windows of frames rather than whole clips."""
        return self.method in SEQUENCE_METHODS and self.input.window > 0

    def command(self, out: str = "out.ipynb") -> list[str]:
        """The papermill command of this run, from the project's folder. Parameters left at their defaults are not named.

        Args:
            out: where the executed notebook goes; "-" for nowhere (standard output).
        """
        words = ["papermill", "notebooks/experiment.ipynb", out, "-k", "python3"]
        return words + [word for name, value in self.differing().items() for word in ("-p", name, str(value))]

    def command_text(self) -> str:
        """`command` as one types it in a shell, one parameter per line."""
        return shlex.join(self.command()).replace(" -p ", " \\\n  -p ")

    @classmethod
    def help(cls) -> str:
        """The parameters, one per line."""
        return "\n".join(f"  {p.name}: {p.kind.__name__} = {p.default!r}  # {p.description}" for p in PARAMETERS.values())


GROUPS: dict[str, type] = {f.name: f.type for f in fields(Experiment) if "note" not in f.metadata and f.default is not MISSING}
PARAMETERS: dict[str, Parameter] = {
    p.name: p
    for f in fields(Experiment)
    for p in (parameters_of(GROUPS[f.name]) if f.name in GROUPS else [Parameter.of(Experiment, f)])
}
"""The parameters of an experiment, by their flat names."""


def _of_group(group: type, values: dict[str, Any]) -> dict[str, Any]:
    return {p.name: values[p.name] for p in parameters_of(group) if p.name in values}


def _check_together(experiment: Experiment) -> None:
    """What no parameter can tell alone."""
    network, window = experiment.network, experiment.input.window
    if not re.fullmatch(r"[01]\.\d+(->0\.0)?", network.dropout) or not 0 <= experiment.dropout_probability < 1:
        raise ValueError(f'dropout must be like "0.0", "0.5" or "0.5->0.0"; got {network.dropout!r}')
    if experiment.training.switch != "both" and "->" not in network.dropout:
        raise ValueError(f'switch counts only where dropout is switched off ("0.5->0.0"); got {experiment.training.switch!r}')
    if experiment.method == "scenes" and experiment.scene.scene_noise == "same" and experiment.data.swapped:
        raise ValueError(
            f"people in scenes keep their sides: swapped={experiment.data.swapped} cannot be drawn for them; "
            'choose another scene_noise, or swap in the test alone (test_noise="swapped=...")'
        )
    if experiment.data.test_seen_by != "own" and experiment.data.noise_px:
        raise ValueError(f"test_seen_by draws exact 2D: it needs noise_px=0, got {experiment.data.noise_px}")
    if experiment.teacher.smooth_targets and experiment.target_poses == "labels":
        raise ValueError(f"smooth_targets counts only with teacher='triangulation'; got {experiment.teacher.smooth_targets}")
    if experiment.teacher.targets == "tracks" and (
        experiment.target_poses == "labels" or not experiment.teacher.smooth_targets
    ):
        raise ValueError("targets='tracks' counts only with teacher='triangulation', and needs smooth_targets")
    if experiment.scene.scene_noise == "recorded" and experiment.scene.place != "anywhere":
        raise ValueError(f"scene_noise='recorded' needs place='anywhere'; got {experiment.scene.place!r}")
    if experiment.data.scale_from != "leg" and experiment.data.cameras_from != "people":
        raise ValueError(f"scale_from counts only with cameras_from='people'; got {experiment.data.scale_from!r}")
    if experiment.data.start_off_deg != 10 and experiment.data.cameras_from != "learned":
        raise ValueError(f"start_off_deg counts only with cameras_from='learned'; got {experiment.data.start_off_deg}")
    labels = experiment.method in ("supervised", "scenes") and experiment.target_poses == "labels"
    if experiment.data.cameras_from != "given" and labels:
        raise ValueError("labels are not in the world of cameras that were found: use teacher='triangulation'")
    if experiment.data.measured_against == "labels+views" and experiment.data.measured_cameras != "all":
        raise ValueError("measured_against='labels+views' measures in all views of the test, not in some measured_cameras")
    check_joined("loss_terms", experiment.teacher.loss_terms, TERMS)
    for name in ("cameras", "test_cameras", "measured_cameras", "subjects", "test_subjects", "offsets_from"):
        check_joined(name, getattr(experiment.data, name))
    if experiment.sees_windows and window % 2 == 0:
        raise ValueError(f"window must be an odd number of frames, so that it has a middle; got {window}")
    for split in ("train", "test"):
        check_faults(**experiment.faults(split))
    frames = experiment.input.frames
    if frames % 2 == 0:
        raise ValueError(f"frames must be an odd number, so that a window has a middle; got {frames}")
    if frames > 1 and (experiment.input.smooth_2d or network.output != "preset"):
        raise ValueError(f"smooth_2d and output count only for lifters that see one frame; got them with frames={frames}")
    if experiment.method == "sequence" and network.width % 4:
        raise ValueError(f"width must be a multiple of 4 for the transformer's 4 heads; got {network.width}")


def notebook_parameters(namespace: dict[str, Any]) -> dict[str, Any]:
    """What a notebook has defined so far that may be meant for a parameter, misspelt names included, without `Options`.

    Call it as `notebook_parameters(globals())` right after the parameters cell: papermill puts its values in a cell
    of their own and only warns about names it does not know.
    """
    options = {parameter.name for parameter in parameters_of(Options)}
    values = (bool, int, float, str, list, tuple, dict, NoneType)
    jupyters = {"In", "Out"}
    own = {name: value for name, value in namespace.items() if not name.startswith("_") and name not in options | jupyters}
    return {name: value for name, value in own.items() if name in PARAMETERS or type(value) in values}


def notebook_options(namespace: dict[str, Any]) -> Options:
    """The `Options` among a notebook's names.

    Raises:
        ValueError: for a value of the wrong type or out of range.
    """
    return Options(**{p.name: checked(p, namespace[p.name]) for p in parameters_of(Options) if p.name in namespace})


def parameters_cell() -> str:
    """The source of the notebook's parameters cell: one line per parameter, group by group. `make notebooks` puts it there."""
    cell = []
    for group, parameters in groupby([*PARAMETERS.values(), *parameters_of(Options)], key=lambda p: p.group):
        cell += ["", f"# {TITLES[group]}", *map(_line, parameters)]
    return "\n".join(cell[1:])


TITLES = {
    "experiment": "the run",
    "data": "which poses, and who sees them",
    "input": "what the lifter sees",
    "teacher": "what it learns from",
    "scene": "how scenes are put together",
    "network": "the lifter",
    "training": "how it is trained",
    "adaptation": "test-time adaptation",
    "options": "how and where this notebook runs",
}


def _line(parameter: Parameter) -> str:
    default = f'"{parameter.default}"' if parameter.kind is str else repr(parameter.default)
    return f"{parameter.name}: {parameter.kind.__name__} = {default}  # {parameter.description}"
