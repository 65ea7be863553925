"""Fixtures: real camera geometry, a small dataset, and HumanEva-like files made from synthetic poses."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from visits import launched, served

from posekit.datasets import load_dataset, videopose3d
from posekit.datasets.humaneva import CAMERAS, humaneva_cameras
from posekit.random import generator

ROOT = Path(__file__).parent.parent


def pytest_configure():
    """Small tensors run fastest on one thread; and only with as many threads does a seed give the same bits."""
    torch.set_num_threads(1)
    hypothesis.settings.register_profile("patient", deadline=None)  # on a busy machine an example takes any time
    hypothesis.settings.load_profile("patient")


def pytest_collection_modifyitems(items):
    """Mark the tests of the built site, half of all by time: `make test` runs the halves side by side."""
    for item in items:
        if "site" in item.fixturenames:
            item.add_marker("site")


@pytest.fixture
def source():
    return generator(0)


@pytest.fixture(params=["opencv", "human36m"])
def lens(request):
    return request.param


@pytest.fixture
def cameras(lens):
    """HumanEva-I's three cameras in float64, with either lens."""
    return humaneva_cameras("S1", lens, dtype=torch.float64)


@pytest.fixture
def poses_world(source):
    """Eight random 15-joint "poses" near the middle of HumanEva-I's room, world metres, float64."""
    points = torch.rand(8, 15, 3, generator=source, dtype=torch.float64)
    return points * torch.tensor([2.0, 2.0, 1.8]) - torch.tensor([1.0, 1.0, 0.0])


@pytest.fixture(scope="session")
def small():
    """A synthetic training split of one subject: 600 + 600 frames cut to every tenth."""
    return load_dataset("synthetic", "train", subjects=("S2",), actions=("Walking",))


@pytest.fixture
def humaneva_files(tmp_path, monkeypatch):
    """Write HumanEva-like files; returns the root and the two dictionaries, to be changed and written again."""
    monkeypatch.setattr(videopose3d, "known_frames", lambda dataset: {})  # these are not the known files
    poses, views = {}, {}
    for split, folder in (("train", "Train"), ("test", "Validate")):
        for subject in ("S1", "S2", "S3"):
            data = load_dataset("synthetic", split, subjects=(subject,), actions=("Walking",))
            clip = data.clips[0]
            key = f"{folder}/{subject}"
            poses[key] = {"Walking 1 chunk0": data.poses_world[:20].numpy(), "Gestures 1 chunk0": data.poses_world[:5].numpy()}
            views[key] = {name: [data.pixels[: len(pose), v].numpy() for v in range(3)] for name, pose in poses[key].items()}
            assert len(clip) > 20

    def write():
        folder = tmp_path / "humaneva"
        folder.mkdir(exist_ok=True)
        np.savez(folder / "data_3d_humaneva15.npz", positions_3d=np.array(poses, dtype=object))
        np.savez(
            folder / "data_2d_humaneva15_gt.npz",
            positions_2d=np.array(views, dtype=object),
            metadata=np.array({}, dtype=object),
        )
        return tmp_path

    assert len(CAMERAS) == 3
    write()
    return write, poses, views


@pytest.fixture(scope="session")
def site():
    """The book, built strictly: every page read anew, executed cells from the cache. Returns the folder of HTML."""
    shutil.rmtree(ROOT / "_build" / ".doctrees", ignore_errors=True)
    shutil.rmtree(ROOT / "_build" / "html", ignore_errors=True)
    command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-n", "-W", "--keep-going", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def address(site):
    """The site behind a plain file server on this machine."""
    with served(site) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    """Chromium, for one file of tests: while it is open an event loop runs, and other tests start loops of their own."""
    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def reproduce():
    """The script book/reproduce.py as a module."""
    spec = importlib.util.spec_from_file_location("reproduce", ROOT / "book" / "reproduce.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
