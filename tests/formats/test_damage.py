"""Damaged files of every format: either they still read, or they are refused by name."""

import random

import pytest
from test_calibrations import aniposelib, qualisys
from test_detections import LEGS, NAME, PARTS, caliscope, deeplabcut, openpose, triples

from posekit.formats import read_calibration, read_detections, read_trc, write_poses
from posekit.formats.contents import DataFileError
from posekit.skeleton import HUMANEVA_15
from posekit.skeletons import KEYPOINTS, MEDIAPIPE_33, MPII_16


def damaged(data, rng):
    """A copy that is cut, has bytes replaced, or has a stretch removed or repeated."""
    data, kind = bytearray(data), rng.randrange(4)
    first, last = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    if kind == 0:
        return bytes(data[:first])
    if kind == 1:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice(b"\0\xff-.9,[]{}<>\"'\t\n eE")
        return bytes(data)
    stretch = data[first : first + min(60, last - first)]
    return bytes(data[:first] + (stretch * 2 if kind == 2 else b"") + data[first + len(stretch) :])


@pytest.fixture
def whole(tmp_path, calibration, see, poses_world):
    """For each format a file, and how to read it."""
    (tmp_path / "rig.toml").write_text(aniposelib(calibration))
    (tmp_path / "rig.qca.txt").write_text(qualisys(calibration))
    caliscope(tmp_path / "xy.csv", see(KEYPOINTS["mediapipe33"])[:2])
    write_poses(tmp_path / "walk.trc", poses_world[:2], HUMANEVA_15.joints, 20.0)
    (tmp_path / "dlc").mkdir()
    deeplabcut(tmp_path / "dlc" / NAME.format("cam1"), see(LEGS.joints)[:2, 0, 1:], PARTS)
    openpose(tmp_path / "pose", triples(see(KEYPOINTS["mpii16"])[:1, :1]), views=("cam1",))
    return {
        "toml": (tmp_path / "rig.toml", lambda path: read_calibration(path, units="metres")),
        "qualisys": (tmp_path / "rig.qca.txt", read_calibration),
        "mediapipe": (tmp_path / "xy.csv", lambda path: read_detections(path, "mediapipe", MEDIAPIPE_33)),
        "trc": (tmp_path / "walk.trc", read_trc),
        "deeplabcut": (next((tmp_path / "dlc").iterdir()), lambda path: read_detections(path.parent, "deeplabcut", LEGS)),
        "openpose": (
            next((tmp_path / "pose" / "cam1").iterdir()),
            lambda path: read_detections(path.parents[1], "openpose", MPII_16),
        ),
    }


@pytest.mark.parametrize("format", ["toml", "qualisys", "mediapipe", "trc", "deeplabcut", "openpose"])
def test_a_damaged_file_reads_or_is_refused_by_name(whole, format):
    path, read = whole[format]
    data, rng, refused = path.read_bytes(), random.Random(0), 0
    read(path)
    for _ in range(60):
        path.write_bytes(damaged(data, rng))
        try:
            read(path)
        except DataFileError as error:
            refused += 1
            assert str(path.parent) in str(error)
    assert refused > 10
