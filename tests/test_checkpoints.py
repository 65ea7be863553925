import hashlib
import io
from dataclasses import replace
from functools import partial

import pytest
import torch

from posekit import checkpoints, files
from posekit.checkpoints import Checkpoint, fingerprint
from posekit.datasets import load_dataset
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss
from posekit.random import generator
from posekit.training import fit


@pytest.fixture(scope="module")
def train():
    return load_dataset("synthetic", "train", subjects=("S2",), actions=("Box",)).every(4)


def start(train, path, dropout=0.2, seed=0, weights_seed=0, **options):
    lifter = FrameLifter(15, width=16, dropout=dropout, generator=generator(weights_seed))
    options = (
        dict(samples=train.views(), loss=partial(label_free_loss, terms=("own", "cross")), epochs=3, batch_size=16) | options
    )
    return fit(lifter, generator=generator(seed), checkpoint=path, **options)


@pytest.fixture
def path(train, tmp_path, monkeypatch):
    """A checkpoint that was left behind."""
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "forget", lambda self: None)
        start(train, tmp_path / "run.pt")
    return tmp_path / "run.pt"


def test_the_same_run_is_recognised(train, path):
    assert len(start(train, path).epoch) == 3
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("learning_rate", dict(learning_rate=1e-3)),
        ("schedule", dict(schedule="one_cycle")),
        ("switch", dict(switch="dropout")),
        ("switch_after", dict(switch_after=1)),
        ("batch_size", dict(batch_size=8)),
        ("epochs", dict(epochs=4, switch_after=2)),
        ("loss", dict(loss=label_free_loss)),
        ("loss", dict(loss=partial(label_free_loss, terms=("own",)))),
        ("lifter", dict(dropout=0.3)),
        ("initial_weights", dict(weights_seed=1)),
        ("generator", dict(seed=1)),
        ("validation", lambda train: dict(validation=train.views())),
        ("test", lambda train: dict(test=train)),
        ("samples", lambda train: dict(samples=replace(train, pixels=train.pixels + 1e-3).views())),
    ],
)
def test_another_run_is_refused_with_what_differs(train, path, name, change):
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match=rf"run\.pt is of another run: it has {{'{name}': .*this one has {{'{name}': .*delete it"
    ):
        start(train, path, **(change(train) if callable(change) else change))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda data: b"", "is not a checkpoint of format"),
        (lambda data: data[:10], "is not a checkpoint of format"),
        (lambda data: data[: len(checkpoints.HEADER) + 5], "is cut short or damaged"),
        (lambda data: data[:-1], "is cut short or damaged"),
        (lambda data: data[: len(data) // 2], "is cut short or damaged"),
        (lambda data: data[:3000] + bytes([data[3000] ^ 1]) + data[3001:], "is cut short or damaged"),
        (lambda data: data.replace(checkpoints.HEADER, b"posekit checkpoint 1\n"), "is not a checkpoint of format"),
        (lambda data: data[len(checkpoints.HEADER) + 32 :], "is not a checkpoint of format"),
    ],
)
def test_a_damaged_file_names_itself_and_says_what_to_do(train, path, damage, complaint):
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"run\.pt {complaint}.*; delete it to start from the beginning"):
        start(train, path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda content: None, "holds no run"),
        (lambda content: {"settings": content["settings"]}, "holds no run"),
        (lambda content: content | {"state": None}, "holds no run"),
        (lambda content: content | {"state": {}}, "holds a state that does not fit this run"),
        (lambda content: content | {"state": content["state"] | {"lifter": {}}}, "holds a state that does not fit this run"),
        (lambda content: content | {"state": {"best": [torch.tensor([1.0, torch.nan])]}}, "holds numbers that are not finite"),
    ],
)
def test_a_state_that_is_none_is_refused_even_with_the_right_digest(train, path, change, complaint):
    content, packed = torch.load(io.BytesIO(path.read_bytes()[len(checkpoints.HEADER) + 32 :])), io.BytesIO()
    torch.save(change(content), packed)
    path.write_bytes(checkpoints.HEADER + hashlib.sha256(packed.getvalue()).digest() + packed.getvalue())
    with pytest.raises(ValueError, match=rf"run\.pt {complaint}.*; delete it to start from the beginning"):
        start(train, path)


def test_two_runs_never_write_to_the_same_temporary_file(tmp_path, monkeypatch):
    file, temporary = Checkpoint(tmp_path / "deep" / "run.pt", {}), []
    replace_file = files.os.replace
    monkeypatch.setattr(files.os, "replace", lambda a, b: (temporary.append(a), replace_file(a, b)))
    for epoch in range(2):
        file.save({"epoch": epoch})
    assert len(set(temporary)) == 2
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["run.pt"]


def test_a_failed_write_leaves_the_old_checkpoint_and_nothing_else(tmp_path, monkeypatch):
    file, states = Checkpoint(tmp_path / "run.pt", {}), []
    file.save({"epoch": 1})

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        file.save({"epoch": 2})
    file.load(states.append, "cpu")
    assert states == [{"epoch": 1}]
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]


def test_no_path_means_no_file(tmp_path):
    file = Checkpoint(None, {"samples": torch.zeros(3)})
    file.save({})
    file.load(pytest.fail, "cpu")
    file.forget()


class Scaled:
    """A loss that is an object, as a teacher's may be."""

    def __init__(self, teacher, scale):
        self.teacher, self.scale = teacher, scale


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: torch.rand(3, generator=generator(seed)),
        lambda seed: torch.rand(3, generator=generator(seed)).to(torch.bfloat16),
        lambda seed: FrameLifter(15, width=4, generator=generator(seed)),
        generator,
        lambda seed: partial(label_free_loss, clamp=float(seed)),
        lambda seed: Scaled(FrameLifter(15, width=4, generator=generator(seed)), 2.0),
        lambda seed: Scaled(FrameLifter(15, width=4, generator=generator(0)), seed),
        lambda seed: {"own": [seed, None, True]},
        lambda seed: load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",), seed=seed),
    ],
)
def test_fingerprints_depend_on_contents_alone(make):
    assert fingerprint(make(0)) == fingerprint(make(0)) != fingerprint(make(1))
    assert " at 0x" not in str(fingerprint(make(0)))


def test_what_a_dataset_has_cached_is_no_part_of_it(train):
    fresh = replace(train)
    before = fingerprint(fresh)
    assert len(fresh.clip_of_frame) == len(fresh)
    assert fingerprint(fresh) == before
