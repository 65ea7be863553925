"""The command: `python -m posekit.rig check|triangulate|lift FOLDER`."""

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from tqdm import tqdm

from posekit.evaluation import lift_dataset
from posekit.files import naming
from posekit.formats import write_poses
from posekit.formats.contents import Calibration
from posekit.formats.toml import write_toml
from posekit.lifter_files import save_module
from posekit.poses import thorax
from posekit.rig.findings import Report, check
from posekit.rig.folder import OUTPUT, Rig, holds_joints, read_rig
from posekit.rig.page import report_page
from posekit.rig.steps import SMOOTHING_S, adjust, learn_to_lift, level, reconstruct
from posekit.sequences import MultiViewDataset
from posekit.skeletons import SKELETONS
from posekit.tracks import undo_swaps

POSES = ("poses.trc", "poses.npz")
RESULTS = (*POSES, "calibration.toml", "lifter.safetensors", "lifted.npz")
"""What the commands write, besides the report."""
FIRST, GAP = 0.7, 0.05
"""The lifter learns from the first share of the frames, and is measured on the last, with a gap between them."""
FEWEST = 2
"""Fewer frames cannot be parted in two."""


class _Refused(click.ClickException):
    """Files of which nothing can be made. Its exit status is not that of findings."""

    exit_code = 2


class _Number(click.FloatRange):
    """A number in a range, and finite; click's own takes NaN, which no bound refuses."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not np.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


class _Size(click.ParamType):
    """Width and height of an image."""

    name = "size"

    def convert(self, value, param, ctx):
        sides = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", value)
        if not sides:
            self.fail(f"{value!r}: expected WIDTHxHEIGHT, like 1920x1080", param, ctx)
        return tuple(map(int, sides.groups()))


class Steps(NamedTuple):
    """What is done to a recording: exchange sides back, adjust the cameras; and the options of `reconstruct`."""

    unswapped: bool
    adjusted: bool
    options: dict


def common(command: Callable) -> Callable:
    """The argument and options of all three commands; a fault in the files ends them with its message alone.

    A command returns names of results that may well be of an earlier run.
    """

    @click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
    @click.option("--out", type=click.Path(file_okay=False, path_type=Path), help=f"Where results go; default FOLDER/{OUTPUT}.")
    @click.option("--skeleton", type=click.Choice(list(SKELETONS)), help="Of the 2D joints; by default the files tell.")
    @click.option("--frame-rate", type=_Number(min=0, min_open=True), help="Frames per second; default 30.")
    @click.option("--units", type=click.Choice(["metres", "millimetres"]), help="Of the calibration; by default it tells.")
    @click.option("--pair", "pairs", multiple=True, metavar="VIEW=CAMERA", help="The camera of a view; may be repeated.")
    @click.option("--image-size", type=_Size(), metavar="WIDTHxHEIGHT", help="Of all images, for OpenCV's files without it.")
    @click.option("--individual", help="Whose joints, in DeepLabCut's files of several animals.")
    @wraps(command)
    def run(folder: Path, out: Path | None, pairs: tuple[str, ...], image_size: tuple[int, int] | None, **options):
        wrong = [pair for pair in pairs if pair.count("=") != 1]
        if wrong:
            raise click.BadParameter(f"{wrong[0]!r}: expected VIEW=CAMERA", param_hint="--pair")
        read = {key: options.pop(key) for key in ("skeleton", "frame_rate", "units", "individual")}
        read |= dict(pairs=dict(pair.split("=") for pair in pairs), image_size_px=image_size)
        out = out or folder / OUTPUT
        _check_writable(out)
        before = _results(out)
        try:
            expected = command(folder, out, read, **options)
        except (ValueError, OSError) as error:  # a DataFileError is a ValueError
            raise _Refused("\n".join([str(error), *_left_from_before(out, before)])) from error
        for line in _left_from_before(out, before, expected):
            click.echo(line, err=True)

    return run


def reconstructing(command: Callable) -> Callable:
    """The options that say how 3D is made; they reach the command as one mapping."""

    @click.option(
        "--smoothing",
        default=SMOOTHING_S,
        show_default=True,
        type=_Number(min=0, max=10),
        help="Window in seconds; 0 for none.",
    )
    @click.option(
        "--cutoff",
        type=_Number(min=0, min_open=True),
        help="Smooth by a Butterworth filter instead, with this cut-off in Hz.",
    )
    @click.option("--plain", is_flag=True, help="Let every view count alike, also one that does not fit the others.")
    @click.option(
        "--undo-swaps", "unswapped", is_flag=True, help="Exchange left and right where that fits the other views better."
    )
    @click.option("--adjust", "adjusted", is_flag=True, help="Adjust where the cameras stand and look to the joints.")
    @wraps(command)
    def run(*arguments, smoothing: float, cutoff: float | None, plain: bool, unswapped: bool, adjusted: bool, **options):
        steps = dict(smoothing_s=smoothing, cutoff_hz=cutoff, robust=not plain)
        command(*arguments, how=Steps(unswapped, adjusted, steps), **options)

    return run


@click.group()
def main() -> None:
    """Check, triangulate and lift a recording: a folder with a calibration and 2D joints of several views.

    Calibrations: TOML (Pose2Sim, Anipose, Caliscope, FreeMoCap), Qualisys, OpenCV. 2D joints: OpenPose's JSON,
    DeepLabCut's CSV, MediaPipe's CSV as Caliscope writes it.
    """


@main.command("check")
@common
def check_command(folder: Path, out: Path, read: dict) -> None:
    """Say how good the recording is, and write report.html.

    The exit status is 1 where there are findings, and 2 where the files cannot be read.
    """
    _, report = _checked(folder, out, read)
    click.echo(report)
    sys.exit(1 if report.findings else 0)


@main.command("triangulate")
@reconstructing
@click.option("--upright", is_flag=True, help="Turn the world until people stand on its floor, z up.")
@common
def triangulate_command(folder: Path, out: Path, read: dict, how: Steps, upright: bool) -> tuple[str, ...]:
    """Write the 3D joints as poses.trc and poses.npz, and report.html."""
    rig, report = _checked(folder, out, read)
    _show_findings(report)
    dataset = _reconstructed(rig, out, how)
    if upright:
        dataset = level(dataset)
    elif not _stand(dataset):
        click.echo("the calibration's z is not up: in what is written people do not stand; --upright turns the world", err=True)
    _write(out / "poses.trc", lambda path: write_poses(path, dataset.poses_world, dataset.skeleton.joints, dataset.frame_rate))
    arrays = dict(poses_world=dataset.poses_world.numpy(), joints=np.array(dataset.skeleton.joints))
    _write_npz(out / "poses.npz", **arrays, frame_rate=np.array(dataset.frame_rate))
    return ()


@main.command("lift")
@reconstructing
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(min=1), help="Passes over the poses.")
@common
def lift_command(folder: Path, out: Path, read: dict, how: Steps, epochs: int) -> tuple[str, ...]:
    """Learn to tell 3D from one view, and measure it on later frames; write lifter.safetensors and lifted.npz."""
    rig, report = _checked(folder, out, read)
    _show_findings(report)
    if len(rig.detections) < FEWEST:
        raise ValueError(
            f"{folder}: a lifter needs {FEWEST} frames or more, to learn from some and be measured on others; "
            f"found {len(rig.detections)}"
        )
    dataset = _reconstructed(rig, out, how)
    first = int((FIRST + GAP) * len(dataset))
    train, test = dataset.frames(0, int(FIRST * len(dataset))), dataset.frames(first)
    lifter, result = learn_to_lift(*_upright(train, test, how.options), epochs=epochs)
    _write(out / "lifter.safetensors", lambda path: save_module(lifter, path))
    about = dict(joints=test.skeleton.joints, view_names=test.view_names, frame_rate=test.frame_rate, first_frame=first)
    _write_npz(
        out / "lifted.npz", poses_camera=lift_dataset(lifter, test).numpy(), **{k: np.array(v) for k, v in about.items()}
    )
    errors = result.metrics_mm
    click.echo(
        f"frames {first} to {len(dataset) - 1}, each view alone, against the triangulation of all: "
        f"MPJPE {errors['mpjpe']:.0f} mm, PA-MPJPE {errors['pa_mpjpe']:.0f} mm"
    )
    return () if how.adjusted else POSES  # who lifts has often triangulated before; but adjusted cameras may not be theirs


def _checked(folder: Path, out: Path, read: dict) -> tuple[Rig, Report]:
    """Read a recording, say what was recognised, measure it, and write its report."""
    if out.resolve() == folder.resolve():
        raise click.BadParameter(
            "results go into a folder of their own, not among the files they are made of", param_hint="--out"
        )
    with tqdm(total=3, desc="reading", bar_format="{desc:<12}{bar} {n_fmt}/{total_fmt}") as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # units are among what was recognised
        if out.resolve().is_relative_to(folder.resolve()) and holds_joints(out):
            raise click.BadParameter(f"{out} has 2D joints in it: results go into a folder of their own", param_hint="--out")
        rig = read_rig(folder, leave_out=out, **read)
        bar.update()
        bar.set_description("measuring")
        report = check(rig.calibration, rig.detections)
        bar.update()
        bar.set_description("drawing")
        page = report_page(folder.resolve().name, report, reconstruct(rig.dataset(check=False)), rig.recognised)
        bar.update()
    click.echo("\n".join(rig.recognised))
    _write(out / "report.html", lambda path: path.write_text(page, encoding="utf-8"))
    return rig, report


def _check_writable(out: Path) -> None:
    """Say so before the work, and not after it, if results cannot be written."""
    place = next(path for path in (out, *out.resolve().parents) if path.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        raise click.BadParameter(
            f"results cannot be written to {out}: {place} is no folder that you may write to", param_hint="--out"
        )


def _results(out: Path) -> dict[str, int]:
    """When each of the results that are there was written."""
    return {name: (out / name).stat().st_mtime_ns for name in RESULTS if (out / name).exists()}


def _left_from_before(out: Path, before: dict[str, int], expected: tuple[str, ...] = ()) -> list[str]:
    """A warning of results that this run has not written, unless they are expected there: they need not fit the others."""
    left = [name for name, written in _results(out).items() if before.get(name) == written and name not in expected]
    return [f"{', '.join(left)} in {out}: from an earlier run, not from this one"] if left else []


def _show_findings(report: Report) -> None:
    for finding in report.findings:
        click.echo(f"\n{finding}", err=True)


def _reconstructed(rig: Rig, out: Path, how: Steps) -> MultiViewDataset:
    """The recording with its 3D; adjusted cameras are written beside it."""
    dataset = rig.dataset()  # refuses what cannot be one recording
    if how.unswapped:
        dataset = undo_swaps(dataset)
    if how.adjusted:
        dataset = adjust(dataset)
        found = Calibration(dataset.view_names, dataset.cameras[0])
        _write(out / "calibration.toml", lambda path: write_toml(path, found, coefficients=5))
    return reconstruct(dataset, **how.options)


def _upright(train: MultiViewDataset, test: MultiViewDataset, options: dict) -> tuple[MultiViewDataset, MultiViewDataset]:
    """Datasets whose z is up, as scenes need it; said where it was not."""
    if _stand(train):
        return train, test
    click.echo("the calibration's z is not up: the world was turned until people stand")
    upright = level(train)
    return upright, reconstruct(replace(test, cameras=upright.cameras), **options)


def _stand(dataset: MultiViewDataset) -> bool:
    """Whether people stand or sit: from the ankles to the thorax z goes up, as far as that can be seen."""
    ankles = [dataset.skeleton.index(f"{side}_ankle") for side in ("left", "right")]
    body = thorax(dataset.poses_world, dataset.skeleton) - dataset.poses_world[:, ankles].mean(1)
    return not (body[:, 2] / body.norm(dim=-1)).nanmedian() <= 0.5  # NaN without ankles


def _write(path: Path, write: Callable[[Path], None]) -> None:
    """Write a result by a function of the path, atomically, and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        write(Path(folder) / path.name)  # under its own name, which some formats write into the file
        os.replace(Path(folder) / path.name, path)
    click.echo(f"wrote {path}")


def _write_npz(path: Path, **arrays: np.ndarray) -> None:
    _write(path, lambda unfinished: np.savez_compressed(unfinished, **arrays))


if __name__ == "__main__":
    main(prog_name="python -m posekit.rig")
