"""What is fuzzed: for each kind of file, sound ones made here, how to mutate and how to read them."""

import hashlib
import io
import pickle
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import mutate
import numpy as np
import torch

from posekit.checkpoints import HEADER, Checkpoint
from posekit.datasets import load_dataset, videopose3d
from posekit.datasets.humaneva import FILES, load_humaneva
from posekit.datasets.npz import DataFileError, read_npz
from posekit.lifters import FrameLifter, SequenceLifter, TemporalConvLifter, load_lifter, save_lifter
from posekit.losses import label_free_loss
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.records import by_seed, in_words, is_lost, load_record
from posekit.training import Curve, fit

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Args:
        share: of all cases.
        seeds: sound files by the name they must have.
        mutated: of a file's bytes and a generator.
        read: of the path; returns for a sound file.
        documented: the exceptions it may raise, with one short line that names the file.
    """

    share: float
    seeds: list[tuple[str, bytes]]
    mutated: Callable[[bytes, np.random.Generator], bytes]
    read: Callable[[Path], object]
    documented: type[Exception]


def targets(folder: Path) -> dict[str, Target]:
    """All targets; their sound files are made in `folder`."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    videopose3d.known_frames = lambda dataset: {}  # these are not the known files
    as_npz = partial(mutate.mutated_zip, mutated_member=mutate.mutated_npy)
    poses, views = _people()
    files = _humaneva(folder, poses, views)
    return {
        "npz": Target(0.5, _archives(folder, poses), as_npz, _read_npz, DataFileError),
        "humaneva": Target(0.15, files, as_npz, partial(_read_humaneva, sound=dict(files)), DataFileError),
        "lifter": Target(0.2, _lifters(folder), mutate.mutated_safetensors, load_lifter, ValueError),
        "record": Target(0.1, _records(), _mutated_record, _read_record, ValueError),
        "checkpoint": Target(0.05, _checkpoints(folder), _mutated_checkpoint, _read_checkpoint, ValueError),
    }


def _people():
    poses, views = {}, {}
    for number in (1, 2, 3):
        data = load_dataset("synthetic", "train", subjects=(f"S{number}",), actions=("Walking",))
        poses[f"Train/S{number}"] = {"Walking 1": data.poses_world[:4].numpy(), "Box 1": data.poses_world[4:6].numpy()}
        views[f"Train/S{number}"] = {
            "Walking 1": [data.pixels[:4, view].numpy() for view in range(3)],
            "Box 1": [np.asfortranarray(data.pixels[4:6, view].numpy()) for view in range(3)],
        }
    return poses, views


def _pickled_npz(path: Path, key: str, content, protocol: int) -> bytes:
    """An .npz as `np.savez` writes it, with a pickle of another protocol."""
    np.savez_compressed(path, **{key: np.array(None, dtype=object)})
    with mutate.zipfile.ZipFile(path) as archive:
        header = archive.read(f"{key}.npy")[:128]
    with mutate.zipfile.ZipFile(path, "w", mutate.zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{key}.npy", header + pickle.dumps(np.array(content, dtype=object), protocol=protocol))
    return path.read_bytes()


def _archives(folder: Path, poses) -> list[tuple[str, bytes]]:
    content = {
        "S1": poses["Train/S1"],
        "layout": "h36m",
        "sides": [[1, 2], [3, 4]],
        "rate": np.float64(50),
        "n": (1, 2.5, None),
    }
    path = folder / "seed.npz"
    files = [("data.npz", _pickled_npz(path, "data", content, protocol)) for protocol in range(6)]
    for array in (np.eye(3, 4, dtype=np.float32), np.array(["a", "bcd"])):
        np.savez(path, data=array, other=np.zeros(3))
        files.append(("data.npz", path.read_bytes()))
    return files


def _read_npz(path: Path) -> object:
    return repr(read_npz(path, ("data",)))  # looks at every value


def _humaneva(folder: Path, poses, views) -> list[tuple[str, bytes]]:
    contents = [(FILES[0], "positions_3d", poses), (FILES[1], "positions_2d", views)]
    return [(name, _pickled_npz(folder / name, key, content, 4)) for name, key, content in contents]


def _read_humaneva(path: Path, sound: dict[str, bytes]) -> object:
    for name, content in sound.items():
        if name != path.name:
            (path.parent / name).write_bytes(content)
    data = load_humaneva("train", path.parent, actions=("Walking", "Box"))
    assert not torch.cat([data.pixels.flatten(), data.poses_world.flatten()]).isinf().any()
    return data.sha256()


def _lifters(folder: Path) -> list[tuple[str, bytes]]:
    lifters = [
        FrameLifter(15, 8, blocks=1, generator=generator(0)),
        SequenceLifter(15, 8, heads=2, layers=1, window=9, generator=generator(0)),
        TemporalConvLifter(15, 8, window=9, norm="batch", generator=generator(0)),
        RayLifter("humaneva15", "rays", width=8, blocks=1, generator=generator(0)),
    ]
    path = folder / "lifter.safetensors"
    return [(path.name, (save_lifter(lifter, path), path.read_bytes())[1]) for lifter in lifters]


def _records() -> list[tuple[str, bytes]]:
    paths = sorted((ROOT / "book" / "results").rglob("*-seed*.json"))[::40]
    return [("record.json", path.read_bytes()) for path in paths]


def _mutated_record(data: bytes, random: np.random.Generator) -> bytes:
    if random.random() < 0.5:
        return mutate.mutated_bytes(data, random)
    return mutate.mutated_json(data.decode(), random).encode()


def _read_record(path: Path) -> object:
    record = load_record(path)
    Curve(**record.curve).measured()
    return repr([record, record.settings(), is_lost(record), in_words([record]), by_seed([record])])


def _checkpoints(folder: Path) -> list[tuple[str, bytes]]:
    path, save = folder / "run.checkpoint", Checkpoint.save

    def killed(checkpoint, state):
        save(checkpoint, state)
        raise KeyboardInterrupt

    with patch.object(Checkpoint, "save", killed), suppress(KeyboardInterrupt):
        _resume(path)
    return [(path.name, path.read_bytes())]


def _mutated_checkpoint(data: bytes, random: np.random.Generator) -> bytes:
    """Mostly damaged as a failing disk or a cut copy would; else the content changed, with its digest corrected afterwards."""
    kind = random.random()
    if kind < 0.6:
        return mutate.mutated_bytes(data, random)
    content = data[len(HEADER) + 32 :]
    if kind < 0.8:
        content = mutate.mutated_zip(content, random)
    else:
        with mutate.zipfile.ZipFile(io.BytesIO(content)) as archive:
            pickled = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        content = mutate.repacked(content, pickled, lambda member: mutate.mutated_pickle(member, random))
    return HEADER + hashlib.sha256(content).digest() + content


def _resume(path: Path) -> object:
    lifter = FrameLifter(15, 4, blocks=1, generator=generator(0))
    if not hasattr(_resume, "views"):
        _resume.views = load_dataset("synthetic", "train", subjects=("S1",), actions=("Walking",)).views()[:4]
    options = dict(epochs=2, batch_size=4, generator=generator(0), checkpoint=path)
    return fit(lifter, _resume.views, label_free_loss, **options)


def _read_checkpoint(path: Path) -> object:
    """Read a checkpoint and train on from it. A state that was changed and signed again may stop the training, by any error."""
    load, restored = Checkpoint.load, []

    def noted(*arguments):
        load(*arguments)
        restored.append(True)

    try:
        with patch.object(Checkpoint, "load", noted):
            return _resume(path)
    except Exception as error:
        if not restored:
            raise
        return error
