"""3D joints out, and movement's layout both ways."""

import sys

import numpy as np
import pytest
import torch

from posekit.formats import (
    from_xarray,
    poses_from_xarray,
    poses_to_xarray,
    read_trc,
    to_dataset,
    to_xarray,
    write_poses,
)
from posekit.formats.contents import DataFileError, Detections
from posekit.skeleton import HUMANEVA_15


@pytest.fixture
def poses(poses_world):
    with_gap = poses_world.clone()
    with_gap[3, 4] = torch.nan
    return with_gap


@pytest.fixture
def dataset(calibration, see):
    pixels = see(HUMANEVA_15.joints)
    pixels[3, 2, 4] = torch.nan
    confidence = torch.rand(pixels.shape[:-1], generator=torch.Generator().manual_seed(0)) * pixels.isfinite().all(-1)
    found = Detections(calibration.view_names, HUMANEVA_15, pixels, confidence, calibration.path)
    return to_dataset("walk", calibration, found, frame_rate=20.0, subject="anna")


def test_trc_is_written_and_read_back(poses, tmp_path):
    write_poses(tmp_path / "walk.trc", poses, HUMANEVA_15.joints, 20.0)
    read, joints, rate = read_trc(tmp_path / "walk.trc")
    torch.testing.assert_close(read.float(), poses, atol=1e-6, rtol=0, equal_nan=True)
    assert (joints, rate) == (HUMANEVA_15.joints, 20.0)


def test_trc_has_y_up_and_the_layout_of_opensim(poses, tmp_path):
    write_poses(tmp_path / "walk.trc", poses, HUMANEVA_15.joints, 20.0)
    lines = (tmp_path / "walk.trc").read_text().splitlines()
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\twalk.trc"
    assert dict(zip(lines[1].split("\t"), lines[2].split("\t"))) == {
        "DataRate": "20", "CameraRate": "20", "NumFrames": "12", "NumMarkers": "15", "Units": "m",
        "OrigDataRate": "20", "OrigDataStartFrame": "1", "OrigNumFrames": "12",
    }  # fmt: skip
    assert lines[3].split("\t")[:6] == ["Frame#", "Time", "pelvis", "", "", "thorax"]
    assert lines[4].split("\t")[:6] == ["", "", "X1", "Y1", "Z1", "X2"]
    second = lines[6].split("\t")
    assert second[:2] == ["2", "0.050000"]
    x, y, z = map(float, second[2:5])
    torch.testing.assert_close(torch.tensor([z, x, y]), poses[1, 0], atol=1e-6, rtol=0)
    assert {len(line.split("\t")) for line in lines[3:]} == {2 + 3 * 15}
    assert lines[8].split("\t")[2 + 3 * 4 :][:3] == ["", "", ""]


def test_a_wrong_trc_and_wrong_names_are_refused(poses, tmp_path):
    (tmp_path / "walk.trc").write_text("nothing\n")
    with pytest.raises(DataFileError, match="walk.trc: not a TRC file"):
        read_trc(tmp_path / "walk.trc")
    for ending in (".trc", ".c3d"):
        with pytest.raises(ValueError, match=r"poses of 2 joints must have shape \(frames, 2, 3\), got \(12, 15, 3\)"):
            write_poses(tmp_path / f"walk{ending}", poses, ("a", "b"), 20.0)
        with pytest.raises(ValueError, match="the frame rate must be a positive number per second, got 0"):
            write_poses(tmp_path / f"walk{ending}", poses, HUMANEVA_15.joints, 0.0)
        write_poses(tmp_path / f"array{ending}", poses.numpy(), HUMANEVA_15.joints, 20.0)
    with pytest.raises(ValueError, match=r"unknown ending '.fbx'; choose from .trc, .c3d"):
        write_poses(tmp_path / "walk.fbx", poses, HUMANEVA_15.joints, 20.0)


def test_c3d_is_in_millimetres_with_invalid_points(poses, tmp_path):
    ezc3d = pytest.importorskip("ezc3d", reason="ezc3d is not installed: pip install '.[formats]'")
    write_poses(tmp_path / "walk.c3d", poses, HUMANEVA_15.joints, 20.0)
    file = ezc3d.c3d(str(tmp_path / "walk.c3d"))
    point = file["parameters"]["POINT"]
    assert tuple(point["LABELS"]["value"]) == HUMANEVA_15.joints
    assert (point["UNITS"]["value"], float(point["RATE"]["value"][0])) == (["mm"], 20.0)
    read = torch.from_numpy(file["data"]["points"][:3]).permute(2, 1, 0).float() / 1000
    torch.testing.assert_close(read, poses, atol=1e-5, rtol=0, equal_nan=True)


def test_movements_layout_goes_both_ways(dataset):
    pytest.importorskip("xarray", reason="xarray is not installed: pip install '.[formats]'")
    written = to_xarray(dataset)
    assert written.position.dims == ("time", "space", "keypoint", "individual", "view")
    assert written.confidence.dims == ("time", "keypoint", "individual", "view")
    assert written.attrs["ds_type"] == "poses"
    assert written.attrs["time_unit"] == "seconds"
    assert float(written.time[1]) == pytest.approx(1 / 20)
    left_wrist = written.position.sel(keypoint="left_wrist", view="cam_03", space="y").isel(time=5).item()
    assert left_wrist == dataset.pixels[5, 2, HUMANEVA_15.index("left_wrist"), 1].item()
    for data in (written, written.transpose("view", ...), written.rename(keypoint="keypoints", individual="individuals")):
        read = from_xarray(data, HUMANEVA_15)
        assert read.view_names == dataset.view_names
        torch.testing.assert_close(read.pixels, dataset.pixels, rtol=0, atol=0, equal_nan=True)
        assert torch.equal(read.confidence, dataset.confidence)


def test_movements_files_without_views_or_confidences(dataset):
    pytest.importorskip("xarray", reason="xarray is not installed: pip install '.[formats]'")
    one = to_xarray(dataset).isel(view=0, drop=True)
    one["confidence"] = one.confidence * np.nan  # as movement writes files of programs that have none
    read = from_xarray(one.assign_coords(keypoint=[name.replace("left_", "L-") for name in HUMANEVA_15.joints]), HUMANEVA_15)
    assert read.pixels.shape == (12, 1, 15, 2)
    assert (read.confidence == 1).all()
    with pytest.raises(DataFileError, match=r"xarray: no keypoint; found dimensions"):
        from_xarray(one.isel(keypoint=0, drop=True), HUMANEVA_15)
    with pytest.raises(DataFileError, match="xarray: cannot map head"):
        from_xarray(one.isel(keypoint=slice(0, 14)), HUMANEVA_15)
    with pytest.raises(DataFileError, match="no individual 'bert'; it has anna"):
        from_xarray(one, HUMANEVA_15, individual="bert")


def test_movements_3d(poses):
    pytest.importorskip("xarray", reason="xarray is not installed: pip install '.[formats]'")
    written = poses_to_xarray(poses, HUMANEVA_15, 20.0)
    torch.testing.assert_close(poses_from_xarray(written, HUMANEVA_15), poses, rtol=0, atol=0, equal_nan=True)
    with pytest.raises(DataFileError, match="expected positions in x, y, got 3 axes"):
        from_xarray(written, HUMANEVA_15)


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("ezc3d", lambda poses, folder: write_poses(folder / "walk.c3d", poses, HUMANEVA_15.joints, 20.0)),
        ("xarray", lambda poses, folder: poses_to_xarray(poses, HUMANEVA_15, 20.0)),
    ],
)
def test_what_is_not_installed_is_named(poses, tmp_path, monkeypatch, module, use):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=rf"needs {module}: pip install 'posekit\[formats\]'"):
        use(poses, tmp_path)


def test_movement_takes_one_clip(dataset):
    with pytest.raises(ValueError, match=r"one clip at a time, got 3; see dataset.select_clips"):
        to_xarray(dataset.select_clips([dataset.clips[0]] * 3))
