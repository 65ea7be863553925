"""A lifter's file is checked before anything is built from it."""

import json
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from posekit import lifter_files
from posekit.lifters import FrameLifter, SequenceLifter, TemporalConvLifter, load_lifter, save_lifter
from posekit.random import generator
from posekit.records import peak_memory_mb


@pytest.fixture
def path(tmp_path):
    save_lifter(FrameLifter(15, 16, blocks=1, generator=generator(0)), tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def test_a_lifter_may_be_read_by_whom_the_folder_lets(path):
    path.with_name("other").write_text("")
    assert path.stat().st_mode == path.with_name("other").stat().st_mode


def test_a_folder_is_no_lifter_and_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}: expected a safetensors file, found a folder"):
        load_lifter(tmp_path)


def rewrite(path, weights=None, **settings):
    """The same file with other settings or weights; None leaves a setting out."""
    with lifter_files.safe_open(path, framework="pt") as file:
        notes = file.metadata()
    changed = json.loads(notes["settings"]) | settings
    notes["settings"] = json.dumps({key: value for key, value in changed.items() if value is not None})
    save_file(load_file(path) | (weights or {}), path, metadata=notes)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"width": 2**18}, r"bias is torch.float32 \(16,\); its settings ask for torch.float32 \(262144,\)"),
        ({"width": 2**60}, "setting width is .* expected a number from 0 to 1048576"),
        ({"width": 10**400}, "setting width"),
        ({"width": 16.0}, "setting width is 16.0; expected int"),
        ({"width": 0}, "settings that FrameLifter does not accept"),
        ({"width": True}, "setting width is True; expected int"),
        ({"blocks": 100}, "missing or surplus weights, going by its settings: blocks.1.0.0.bias, .* more"),
        ({"blocks": 10**6}, "setting blocks is 1000000; expected a number from 0 to 100"),
        ({"joints": 17}, "its settings ask for"),
        ({"joints": None}, "no setting joints"),
        ({"joints": "15"}, "setting joints is 15; expected int"),
        ({"dropout": 2.0}, "settings that FrameLifter does not accept: dropout"),
        ({"norm": "none"}, "norm must be one of"),
        ({"root": []}, "setting root"),
        ({"heads": 4, "sharp": 1}, "FrameLifter has no setting heads, sharp; it has joints, width, blocks"),
        ({"generator": 1}, "no setting generator"),
        ({"scene_distance": float("nan")}, "scene_distance is nan"),
        ({"scene_distance": float("inf")}, "scene_distance is inf"),
        ({"scene_distance": -4.0}, "scene_distance is -4.0"),
        ({"scene_distance": 0}, "scene_distance is 0; expected metres above 0"),
    ],
)
def test_settings_are_checked_before_anything_is_built(path, settings, reason):
    rewrite(path, **settings)
    memory, start = peak_memory_mb(), time.process_time()
    with pytest.raises(ValueError, match=rf"a\.safetensors: .*{reason}") as error:
        load_lifter(path)
    assert peak_memory_mb() - memory < 50
    assert time.process_time() - start < 2
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({"outer.linear.bias": torch.full((45,), torch.nan)}, "not finite in outer.linear.bias"),
        ({"inner.1.running_var": torch.full((16,), torch.inf)}, "not finite in inner.1.running_var"),
        ({"outer.linear.bias": torch.zeros(44)}, r"outer.linear.bias is torch.float32 \(44,\)"),
        ({"outer.linear.bias": torch.zeros(45).half()}, "outer.linear.bias is F16"),
        ({"more": torch.zeros(1)}, "surplus weights, going by its settings: more"),
    ],
)
def test_weights_are_checked(path, weights, reason):
    rewrite(path, weights)
    with pytest.raises(ValueError, match=rf"a\.safetensors: .*{reason}"):
        load_lifter(path)


@pytest.mark.parametrize("settings", ["", "[]", "{", "[" * 10**5])
def test_settings_that_are_none(path, settings):
    save_file(load_file(path), path, metadata={"lifter": "FrameLifter", "settings": settings})
    with pytest.raises(ValueError, match=r"a\.safetensors: settings that are"):
        load_lifter(path)


def test_settings_that_others_have(tmp_path):
    lifter = SequenceLifter(15, 16, heads=2, layers=1, generator=generator(0))
    save_lifter(lifter, tmp_path / "a.safetensors")
    for settings in ({"heads": 3}, {"heads": 0}, {"layers": 50}, {"norm": "x"}):
        rewrite(tmp_path / "a.safetensors", **{**lifter.settings, **settings})
        with pytest.raises(ValueError, match=r"a\.safetensors: "):
            load_lifter(tmp_path / "a.safetensors")
    save_lifter(TemporalConvLifter(15, 16, window=9), tmp_path / "b.safetensors")
    rewrite(tmp_path / "b.safetensors", window=10)
    with pytest.raises(ValueError, match="power of 3"):
        load_lifter(tmp_path / "b.safetensors")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_lifter(tmp_path / "a.safetensors")


def test_loading_draws_no_random_numbers(path):
    state = torch.get_rng_state()
    load_lifter(path)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_lifter_that_cannot_be_written_leaves_the_old_one_and_nothing_else(path, monkeypatch):
    before = path.read_bytes()
    taken = []

    def half_written(unfinished, content):
        taken.append(unfinished)
        unfinished.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", half_written)
    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            save_lifter(FrameLifter(15, 8), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]
    assert taken[0] != taken[1]
