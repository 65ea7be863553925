"""The embedded real recording as files on disk, as its owner would have it."""

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.formats import write_openpose, write_toml
from posekit.formats.contents import Calibration, Detections


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small problems run fastest on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def balancing():
    return load_dataset("balancing", "all", skeleton="humaneva15")


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """The calibration and the detections, in the detector's own skeleton."""
    people = load_dataset("balancing", "all")
    path = tmp_path_factory.mktemp("nowhere")
    return (
        Calibration(people.view_names, people.cameras[0], path / "cameras.toml"),
        Detections(people.view_names, people.skeleton, people.pixels, people.confidence, path / "pose"),
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory, parts):
    """A folder with a calibration in TOML and OpenPose's JSON."""
    folder = tmp_path_factory.mktemp("recording")
    write_toml(folder / "cameras.toml", parts[0])
    write_openpose(folder / "pose", parts[1])
    return folder
