"""One row of a table: an `Experiment` goes in, a `Record` comes out."""

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor, nn

from posekit.calibration.recordings import with_found_cameras, with_learned_cameras
from posekit.datasets import load_dataset
from posekit.detector import Detector
from posekit.evaluation import Evaluation, evaluate_poses, lift_dataset, with_triangulated_mpjpe
from posekit.files import write_atomically
from posekit.joint_offsets import JointOffsets, fit_offsets
from posekit.lifters import FrameLifter, SequenceLifter, TemporalConvLifter, load_lifter, save_lifter
from posekit.losses import label_free_loss, middle_frame_loss, scene_loss, supervised_loss
from posekit.parameters import SEQUENCE_METHODS
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.records import Record, code_version, machine, make_record
from posekit.scenes import Mix, Scenes
from posekit.sequences import MultiViewDataset
from posekit.settings import PARAMETERS, Experiment
from posekit.skeleton import Skeleton
from posekit.smoothing import reach_of, smooth_poses, with_smooth_pixels
from posekit.stretches import Stretches
from posekit.teachers import levelled, tracked, triangulated
from posekit.training import Curve, Samples, adapt, fit
from posekit.triangulation import refine, triangulate, triangulate_robustly
from posekit.virtual_cameras import seen_by
from posekit.window_lifter import WindowLifter

STANDARD_SAMPLE = 20_000
"""People of a scene that set the constants of a lifter's input."""
SAMPLE_OF_STRETCHES = 1_000
"""Fewer, since each has many frames."""
POSES_FOR_OFFSETS = 10_000
"""About so many frames at most tell joint offsets, which are a few constants."""
MIRRORED = {"preset": None, "on": True, "off": False}


def load_split(
    experiment: Experiment, split: str, data_root: str | Path | None = None, at_test: bool | None = None
) -> MultiViewDataset:
    """The training or test data of an experiment.

    Args:
        experiment: the settings.
        split: "train" or "test".
        data_root: where licensed datasets lie; see `datasets.load_dataset`.
        at_test: whether the cameras and people are those of the test. Default: for the test split.
    """
    data = experiment.data
    at_test = split == "test" if at_test is None else at_test
    subjects, cameras = (data.test_subjects, data.test_cameras) if at_test else (data.subjects, data.cameras)
    options = {} if data.lens == "own" else {"lens": data.lens}
    options |= {} if subjects == "all" else {"subjects": tuple(subjects.split("+"))}
    dataset = load_dataset(
        data.dataset,
        split,
        data_root,
        stride=data.stride,
        noise_seed=experiment.seed,
        **experiment.faults("test" if at_test else "train"),
        **options,
    )
    if at_test and data.test_seen_by != "own":
        dataset = seen_by(dataset, triangulated(dataset).poses_world, data.test_seen_by)
    return dataset if cameras == "all" else dataset.select_views(cameras.split("+"))


def load_splits(experiment: Experiment, data_root: str | Path | None = None) -> tuple[MultiViewDataset, MultiViewDataset]:
    """What an experiment trains on and what it is measured on.

    Measured on "validation", both come from the training clips; see `MultiViewDataset.validation_split`. With different
    `subjects` and `test_subjects` the people held out are then training people whom the lifter has not seen.
    A `training_share` below 1 cuts what is trained on, never what is measured on.
    """
    train = load_split(experiment, "train", data_root)
    if experiment.data.measured_on == "test":
        test = load_split(experiment, "test", data_root)
    else:
        train, _ = train.validation_split()
        _, test = load_split(experiment, "train", data_root, at_test=True).validation_split()
    if experiment.data.training_share < 1:
        train, _ = train.validation_split(1 - experiment.data.training_share, gap=0)
    return train, test


def train_cameras(experiment: Experiment, train: MultiViewDataset) -> MultiViewDataset:
    """The training data with the cameras it is taught with: as given, found from its people, or learned."""
    data = experiment.data
    match data.cameras_from:
        case "people":
            return with_found_cameras(train, data.scale_from, experiment.seed)[0]
        case "learned":
            return with_learned_cameras(train, data.start_off_deg, experiment.seed)
    return train


def test_cameras(experiment: Experiment, test: MultiViewDataset) -> MultiViewDataset:
    """The test data with the cameras a lifter may know of: a lifter that needs tilt and height gets found ones, too.

    Where they are found, all views of the test are used for it. The poses lifted are in each camera's own frame, and are
    compared there with the labels in the true camera's frame, so nothing is aligned but the size, by the known length.
    """
    level = experiment.method == "scenes" and experiment.input.needs == "level"
    return train_cameras(experiment, test) if level else test


def make_lifter(experiment: Experiment, skeleton: Skeleton, generator: torch.Generator) -> nn.Module:
    """The untrained lifter of an experiment, weights drawn from `generator`."""
    network, window, joints = experiment.network, experiment.input.window, len(skeleton)
    if experiment.method == "scenes":
        options = dict(needs=experiment.input.needs, width=network.width, blocks=network.blocks, generator=generator)
        if experiment.input.frames > 1:
            return WindowLifter(skeleton.name, experiment.input.frames, mirrored=MIRRORED[network.mirrored], **options)
        on_rays = {"preset": None, "depths": True, "free": False}[network.output]
        return RayLifter(skeleton.name, on_rays=on_rays, mirrored=MIRRORED[network.mirrored], **options)
    shared = dict(
        width=network.width,
        dropout=experiment.dropout_probability,
        norm=network.norm,
        root=experiment.preset("root"),
        generator=generator,
    )
    if experiment.method == "sequence":
        feedforward = experiment.preset("feedforward") or None
        shared |= dict(positions=network.positions == "sinusoid", window=window or None, feedforward=feedforward)
        return SequenceLifter(joints, layers=network.blocks, **shared)
    if experiment.method == "temporal_convolution":
        return TemporalConvLifter(joints, window=window, **shared)
    shared |= dict(start_weights=network.start_weights, start_distance=network.start_distance)
    return FrameLifter(joints, blocks=network.blocks, **shared)


def make_loss(experiment: Experiment) -> Callable:
    """The loss of an experiment, of a lifter and a batch."""
    if experiment.method in ("supervised", "scenes"):
        return supervised_loss if experiment.method == "supervised" else scene_loss
    clamp = 1.0 if experiment.preset("clamp") == "on" else None
    loss, teacher = middle_frame_loss if experiment.sees_windows else label_free_loss, experiment.teacher
    weighted, reach = teacher.loss_weights == "confidence", teacher.loss_reach or None
    return partial(loss, clamp=clamp, terms=tuple(teacher.loss_terms.split("+")), weighted=weighted, reach=reach)


def make_samples(experiment: Experiment, train: MultiViewDataset) -> Samples:
    """What training sees: single views with targets, scenes, moments, moments with the frames around them, or whole clips.

    Where targets are triangulated, no label is read.
    """
    if experiment.method in ("supervised", "scenes"):
        taught = train if experiment.target_poses == "labels" else make_targets(experiment, train)
        taught = levelled(taught) if experiment.data.floors == "levelled" else taught
        return taught.labelled_poses() if experiment.method == "supervised" else make_scenes(experiment, taught)
    if experiment.method not in SEQUENCE_METHODS:
        return train.views()
    frames = train.surrounding_frames(experiment.input.window) if experiment.sees_windows else train.clip_frames()
    return train.views().windows(frames)


def make_targets(experiment: Experiment, train: MultiViewDataset) -> MultiViewDataset:
    """The training data with triangulated poses in the place of its labels."""
    teach = tracked if experiment.teacher.targets == "tracks" else triangulated
    return teach(train, experiment.teacher.smooth_targets)


def make_offsets(experiment: Experiment, train: MultiViewDataset) -> JointOffsets | None:
    """How the joints of the training people's labels differ from those of their 2D, robustly triangulated.

    Raises:
        ValueError: for a person who is not among them.
    """
    names = _offset_people(experiment, train)
    if not names:
        return None
    people = train.select_clips([clip for clip in train.clips if clip.subject in names])
    people = people.every(1 + len(people) // POSES_FOR_OFFSETS)
    return fit_offsets(triangulated(people, robust=True).poses_world, people.poses_world, people.skeleton)


def make_scenes(experiment: Experiment, people: MultiViewDataset) -> Scenes:
    """Scenes of a dataset's poses, put together as the experiment says."""
    scene = experiment.scene
    mix = Mix(
        place=scene.place == "anywhere",
        mirror=scene.mirror,
        arms=scene.arms,
        upper=scene.upper,
        jitter=scene.jitter,
        body_scale=scene.body_scale,
        bone_scale=scene.bone_scale,
        heads=scene.heads,
        balance=scene.balance,
        cameras=scene.scene_cameras,
        noise_px=experiment.data.noise_px,
        missing=experiment.data.missing,
    )
    frames, smooth, noise = experiment.input.frames, experiment.input.smooth_2d, scene.scene_noise
    if frames == 1 and not smooth and noise == "same":
        return Scenes(people, mix)
    detector = None if noise == "mixed" else Detector(**experiment.faults("train"))
    errors = dict(detector=detector, recorded=noise == "recorded")
    if frames > 1:
        return Stretches(people, mix, frames, **errors)
    return Stretches(people, mix, 2 * reach_of(smooth) + 1, smooth=smooth, **errors)


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
        models_dir: keep trained lifters here. Adaptation takes its source model from here, and a run with parameters
            that count at the test alone (`test_cameras` and the like) the lifter trained without them; its record then
            has no curve. The state of an unfinished run is kept here too, to go on from after an interruption. Runs
            side by side may share the folder: each model is locked while it trains, and who waited for it uses it.

    Returns:
        The record, and the lifter (none for triangulation). Where a kept lifter was taken, the record's
        `provenance["lifter"]` says which code made it and where. One that learned from other data is not taken.

    Raises:
        ValueError: for a device that this machine or build of torch does not have, and for a person or a camera that the
            data does not have.
    """
    start, code = time.perf_counter(), code_version()
    _check_device(device)
    train, test = load_splits(experiment, data_root)
    _offset_people(experiment, train), _measured_cameras(experiment, test)  # what would be missing after the training
    if experiment.method == "triangulation":
        lifter, curve, made = None, Curve(), None
        evaluation = measure(experiment, _triangulated(experiment.teacher.triangulation, test), train, test)
    else:
        smooth_2d, smooth_3d = experiment.input.smooth_2d, experiment.data.smooth_3d
        seen = with_smooth_pixels(test, smooth_2d) if smooth_2d else test
        how = dict(test=seen, test_every=test_every)
        taught, placed = train_cameras(experiment, train), test_cameras(experiment, seen)
        lifter, curve, made = _trained(experiment, _source_model(experiment), taught, device, models_dir, code, **how)
        if experiment.method == "adaptation":
            lifter, curve = _adapted(experiment, lifter, device, models_dir, **how)
        data = experiment.data
        as_trained = not smooth_3d and placed is seen and (data.offsets_from, data.measured_cameras) == ("none", "all")
        curve = curve if as_trained else Curve()  # measured without smoothing and offsets, on given cameras, in all views
        poses = lift_dataset(lifter, placed)
        evaluation = measure(experiment, smooth_poses(poses, seen, sigma=smooth_3d) if smooth_3d else poses, train, seen)
    where = code | machine(device) | _seconds_since(start) | ({"lifter": made} if made else {})
    return make_record(experiment.flat(), curve, evaluation, train, test, where), lifter


def measure(experiment: Experiment, poses_camera: Tensor, train: MultiViewDataset, test: MultiViewDataset) -> Evaluation:
    """Compare poses (F, V, J, 3) with the test's labels, corrected by joint offsets, and if asked for with its views."""
    if experiment.data.measured_cameras != "all":
        names = _measured_cameras(experiment, test)
        every, test = test.view_names, test.select_views(names)
        poses_camera = poses_camera[:, [every.index(name) for name in names]]
    offsets = make_offsets(experiment, train)
    evaluation = evaluate_poses(offsets.apply(poses_camera) if offsets else poses_camera, test)
    against_views = experiment.data.measured_against == "labels+views"
    return with_triangulated_mpjpe(evaluation, poses_camera, test) if against_views else evaluation


def _offset_people(experiment: Experiment, train: MultiViewDataset) -> list[str]:
    """Whose labels tell joint offsets; nobody's where there are to be none."""
    named = experiment.data.offsets_from
    return [] if named == "none" else _named("offsets_from", named, train.subjects)


def _measured_cameras(experiment: Experiment, test: MultiViewDataset) -> list[str]:
    """In which views poses are measured."""
    return _named("measured_cameras", experiment.data.measured_cameras, test.view_names)


def _named(parameter: str, named: str, there: tuple[str, ...]) -> list[str]:
    """What a parameter names of what is there: all, or those joined by "+"."""
    names = list(there) if named == "all" else named.split("+")
    if unknown := [name for name in names if name not in there]:
        raise ValueError(f"{parameter} names {', '.join(unknown)}; there are {', '.join(there)}")
    return names


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises either, by device
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {device!r} cannot be used here ({reason}); use 'cpu'") from error


def _source_model(experiment: Experiment) -> Experiment:
    """The training behind an experiment, without what counts at the test alone.

    Adaptation starts from the label-free model of the same settings.
    """
    adapts = experiment.method == "adaptation"
    left_out = {p.name: p.default for p in PARAMETERS.values() if p.at_test or (adapts and p.methods == ("adaptation",))}
    return experiment.but(method="label_free" if adapts else experiment.method, **left_out)


def _seconds_since(start: float) -> dict[str, float]:
    return {"seconds": round(time.perf_counter() - start, 1)}


def _trained(experiment, source, train, device, models_dir, code, **how):
    """The lifter of the `source` model, its curve, and where it was made if not here.

    A kept one has no curve, and is taken where the experiment asks for more.
    """
    kept, unfinished = _kept(source, models_dir), _kept(experiment, models_dir, ".unfinished")
    with _locked(kept):
        start = time.perf_counter()
        if source != experiment and (made := _made(kept, train)):
            unfinished.unlink(missing_ok=True)
            return load_lifter(kept).to(device), Curve(), made
        draws = generator(experiment.seed)
        lifter = make_lifter(experiment, train.skeleton, draws).to(device)
        samples = make_samples(experiment, train).to(device)
        if experiment.method == "scenes":
            lifter.standardise(samples.draw(SAMPLE_OF_STRETCHES if isinstance(samples, Stretches) else STANDARD_SAMPLE, draws))
            lifter.bfloat16 = experiment.training.precision == "bfloat16"
        curve = fit(
            lifter,
            samples,
            make_loss(experiment),
            epochs=experiment.training.epochs,
            batch_size=experiment.training.batch_size,
            learning_rate=experiment.training.learning_rate,
            schedule=experiment.training.schedule,
            optimizer=experiment.training.optimizer,
            average=experiment.training.average,
            switch=experiment.training.switch if experiment.network.dropout.endswith("->0.0") else "none",
            generator=draws,
            checkpoint=unfinished,
            **how,
        )
        if kept:
            _note(kept).unlink(missing_ok=True)
            save_lifter(lifter, kept)
            made = code | machine(device) | _seconds_since(start) | {"sha256": train.sha256()}
            write_atomically(_note(kept), json.dumps(made, indent=1) + "\n")
        return lifter, curve, None


def _note(kept: Path) -> Path:
    """The file beside a kept lifter that says what made it, and from which poses."""
    return kept.with_suffix(".json")


def _made(kept: Path | None, train: MultiViewDataset) -> dict | None:
    """What made a kept lifter; None if there is none that learned from these poses."""
    if not (kept and kept.exists() and _note(kept).exists()):
        return None
    made = json.loads(_note(kept).read_text())
    return made if made.pop("sha256") == train.sha256() else None


def _adapted(experiment: Experiment, lifter, device, models_dir, test, **how):
    unfinished = _kept(experiment, models_dir, ".adapting")
    with _locked(unfinished):
        return adapt(
            lifter,
            test.views().to(device),
            make_loss(experiment),
            epochs=experiment.adaptation.adapt_epochs,
            batch_size=experiment.adaptation.adapt_batch_size,
            learning_rate=experiment.adaptation.adapt_learning_rate,
            generator=generator(experiment.seed),
            checkpoint=unfinished,
            test=test,
            **how,
        )


def _kept(experiment: Experiment, models_dir: str | Path | None, suffix: str = ".safetensors") -> Path | None:
    """Where the lifter of an experiment is kept: its name is a digest of the settings that are not at their defaults."""
    if models_dir is None:
        return None
    folder = Path(models_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{experiment.data.dataset}-{experiment.method}-{experiment.digest()}{suffix}"


def _locked(kept: Path | None):
    """One run at a time per kept model; the others wait. The system frees the lock of a run that was killed."""
    if kept is None:
        return nullcontext()
    locks = kept.parent / ".locks"
    locks.mkdir(exist_ok=True)
    return FileLock(locks / f"{kept.stem}.lock")


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
