"""Pose2Sim's demo (BSD-3): four cameras, a person on a beam with bystanders, and Pose2Sim's own result.

It lies in the wheel of pose2sim 0.4.0. `make demo` fetches it; POSE2SIM_WHEEL names it where it lies elsewhere.
"""

import os
import zipfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from make_balancing import arrays
from scipy.signal import butter, filtfilt

from posekit import triangulate
from posekit.datasets import load_dataset
from posekit.datasets.balancing import CAMERA_NUMBERS, FILE
from posekit.datasets.npz import read_npz
from posekit.formats import read_calibration, read_detections, read_trc, to_dataset, write_poses
from posekit.rig import reconstruct
from posekit.skeletons import BODY_25B, plain_name

HERE = Path(__file__).parents[2] / "data" / "pose2sim-0.4.0-py3-none-any.whl"
WHEEL = Path(os.environ.get("POSE2SIM_WHEEL", HERE))
pytestmark = pytest.mark.skipif(
    not WHEEL.is_file() and not os.environ.get("CI"),
    reason="no wheel of pose2sim 0.4.0 here (make demo): real detections were not read",
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of the demo."""
    assert WHEEL.is_file(), "CI is set, so the wheel must be there: make demo"
    folder = tmp_path_factory.mktemp("pose2sim")
    with zipfile.ZipFile(WHEEL) as wheel:
        wanted = [n for n in wheel.namelist() if "/Demo/pose/" in n or n.endswith((".qca.txt", "Balancing_for_IK.trc"))]
        wheel.extractall(folder, wanted)
    return folder / "Pose2Sim" / "Demo"


@pytest.fixture(scope="module")
def people(demo):
    calibration = read_calibration(demo / "calibration" / "Calib.qca.txt")
    detections = read_detections(demo / "pose", "openpose", BODY_25B, calibration=calibration)
    return to_dataset("balancing", calibration, detections, frame_rate=60.0)


def test_from_its_folder_to_a_file_of_trajectories(demo, people, tmp_path):
    found = triangulate(people.pixels, people.frame_cameras, people.confidence)
    write_poses(tmp_path / "balancing.trc", found.points, people.skeleton.joints, people.frame_rate)
    poses, joints, rate = read_trc(tmp_path / "balancing.trc")
    theirs, their_joints, their_rate = read_trc(demo / "opensim" / "Balancing_for_IK.trc")
    assert (len(poses), rate) == (len(theirs), their_rate) == (100, 60.0)
    ours = poses[:, [joints.index(plain_name(joint)) for joint in their_joints]]
    assert 1000 * (ours - theirs).norm(dim=-1).nanmedian() < 12  # theirs is filtered, without the views that fit worst


def test_after_its_own_steps_its_result_comes_out(demo, people):
    """Confidences from 0.3, views dropped until 15 px, gaps filled, 6 Hz: Pose2Sim 0.4, which leaves the lens out."""
    theirs, joints, rate = read_trc(demo / "opensim" / "Balancing_for_IK.trc")
    index = [BODY_25B.index(plain_name(joint)) for joint in joints]
    pixels, confidence = people.pixels[:, :, index], people.confidence[:, :, index]
    cameras = people.frame_cameras
    cameras = replace(cameras, radial=0 * cameras.radial, tangential=0 * cameras.tangential)
    points, error = torch.empty(0), None
    for count in (4, 3, 2):
        chosen = [torch.zeros(4, 1).index_fill(0, torch.tensor(views), 1.0) for views in combinations(range(4), count)]
        found = [triangulate(pixels, cameras, confidence * (confidence >= 0.3) * views) for views in chosen]
        errors = torch.stack([one.error_px for one in found]).nan_to_num(nan=torch.inf)
        least, best = errors.min(0)
        each = torch.stack([one.points for one in found]).gather(0, best[None, ..., None].expand(1, *best.shape, 3))[0]
        drop = error > 15 if error is not None else torch.ones_like(least, dtype=torch.bool)
        points = each if error is None else each.where(drop.unsqueeze(-1), points)
        error = least if error is None else least.where(drop, error)
    frames, filled = np.arange(len(points)), points.flatten(1).numpy().copy()
    for column in filled.T:
        known = np.isfinite(column)
        column[:] = np.interp(frames, frames[known], column[known])
    smooth = torch.from_numpy(filtfilt(*butter(2, 6 / (rate / 2)), filled, axis=0).copy()).view_as(points)
    assert 1000 * (smooth - theirs).norm(dim=-1).nanmedian() < 0.3


def test_mediapipe_in_the_same_videos_comes_near_its_result(demo):
    """Another detector with other hips and ankles; robustly, for it exchanges the sides of one view for a while."""
    theirs, joints, _ = read_trc(demo / "opensim" / "Balancing_for_IK.trc")
    people = load_dataset("balancing", "all", detector="mediapipe")
    shared = [name for name in map(plain_name, joints) if name in people.skeleton.joints]
    theirs = theirs[:, [[*map(plain_name, joints)].index(name) for name in shared]]
    apart = {}
    for robust in (True, False):
        ours = reconstruct(people, cutoff_hz=6.0, robust=robust).poses_world
        ours = ours[:, [people.skeleton.index(name) for name in shared]]
        apart[robust] = 1000 * (ours - theirs).norm(dim=-1).nanmedian()
    assert len(shared) == 15
    assert apart[True] < 45 < apart[False]


def test_the_embedded_recording_is_what_its_script_makes_of_the_wheel(people):
    embedded = load_dataset("balancing", "all")
    torch.testing.assert_close(embedded.pixels, people.pixels, equal_nan=True, rtol=0, atol=0)
    torch.testing.assert_close(embedded.confidence, people.confidence, rtol=0, atol=0)
    for name in CAMERA_NUMBERS:
        assert torch.equal(getattr(embedded.cameras, name), getattr(people.cameras, name))
    made, stored = arrays(WHEEL), read_npz(FILE, ("pixels", "confidence", *CAMERA_NUMBERS))
    assert all(np.array_equal(made[name], stored[name], equal_nan=True) for name in stored)
