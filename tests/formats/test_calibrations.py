"""Calibrations, each written as its program writes it, with OpenCV as the independent reference."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from posekit.formats import read_calibration, write_toml
from posekit.formats.contents import DataFileError
from posekit.rig.folder import find_calibration


def close(read, written):
    assert read.lens == written.lens
    for field in ("R_world_to_camera", "t_world_to_camera", "focal_px", "center_px", "radial", "tangential", "image_size_px"):
        torch.testing.assert_close(getattr(read, field), getattr(written, field), atol=2e-5, rtol=1e-5)


def aniposelib(calibration, scale=1.0, key="[cam_{0}]", **changes):
    """The text of aniposelib's file: five coefficients, a rotation vector by OpenCV, and metadata."""
    lines = []
    c = calibration.cameras
    for view, name in enumerate(calibration.view_names):
        (fx, fy), (cx, cy), k, p = (x[view].tolist() for x in (c.focal_px, c.center_px, c.radial, c.tangential))
        numbers = {
            "name": f'"{name}"',
            "size": [int(x) for x in c.image_size_px[view]],
            "matrix": [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]],
            "distortions": [k[0], k[1], p[0], p[1], k[2]],
            "rotation": cv2.Rodrigues(c.R_world_to_camera[view].double().numpy())[0].ravel().tolist(),
            "translation": (scale * c.t_world_to_camera[view]).tolist(),
        } | changes
        lines += [key.format(view), *(f"{key} = {value}" for key, value in numbers.items() if value is not None), ""]
    return "\n".join([*lines, "[metadata]", "adjusted = false", "error = 0.31"])


def test_toml_of_aniposelib_is_read(calibration, tmp_path):
    path = tmp_path / "calibration.toml"
    path.write_text(aniposelib(calibration))
    read = read_calibration(path)
    close(read.cameras, calibration.cameras)
    assert (read.view_names, read.units) == (calibration.view_names, "metres")
    assert repr(read) == "Calibration(4 cameras: cam_01, cam_02, cam_03, cam_04; the file is in metres)"


def test_the_cameras_project_as_opencv_does(calibration, tmp_path, poses_world):
    path = tmp_path / "calibration.toml"
    path.write_text(aniposelib(replace(calibration, cameras=replace(calibration.cameras, radial=torch.full((4, 3), 0.02)))))
    read = read_calibration(path).cameras
    points = poses_world.double().flatten(0, 1).numpy()
    for view in range(4):
        rotation, _ = cv2.Rodrigues(read.R_world_to_camera[view].double().numpy())
        fx, fy, cx, cy = (*read.focal_px[view].tolist(), *read.center_px[view].tolist())
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        lens = np.array([0.02, 0.02, 0.001, -0.0005, 0.02])
        theirs, _ = cv2.projectPoints(points, rotation, read.t_world_to_camera[view].double().numpy(), matrix, lens)
        ours = read[view].world_to_pixels(poses_world).flatten(0, 1)
        torch.testing.assert_close(ours, torch.from_numpy(theirs[:, 0]).float(), atol=0.01, rtol=0)


def test_caliscopes_own_file_has_tables_in_tables_and_matrices(calibration, tmp_path):
    path = tmp_path / "camera_array.toml"
    text = aniposelib(calibration, key="[cameras.{0}]\ncam_id = {0}\nrotation_count = 0\nignore = false", name=None)
    for view, matrix in enumerate(calibration.cameras.R_world_to_camera.tolist()):
        head, tail = text.split(f"[cameras.{view}]")
        before, after = tail.split("rotation = ", 1)
        text = f"{head}[cameras.{view}]{before}rotation = {matrix}\n" + after.split("\n", 1)[1]
    path.write_text(text)
    read = read_calibration(path)
    close(read.cameras, calibration.cameras)
    assert read.view_names == ("0", "1", "2", "3")


def test_millimetres_are_recognised_and_said(calibration, tmp_path):
    path = tmp_path / "freemocap.toml"
    path.write_text(aniposelib(calibration, scale=1000))
    with pytest.warns(UserWarning, match=r"freemocap.toml: read as millimetres; pass units="):
        read = read_calibration(path)
    close(read.cameras, calibration.cameras)
    assert repr(read).endswith("the file is in millimetres)")
    close(read_calibration(path, units="millimetres").cameras, calibration.cameras)  # without a warning
    path.write_text(aniposelib(calibration, scale=12))
    with pytest.raises(DataFileError, match="freemocap.toml: cameras 9.* apart are neither clearly metres nor clearly mill"):
        read_calibration(path)
    with pytest.raises(ValueError, match='units must be "metres", "millimetres" or None, got "?\'?inches'):
        read_calibration(path, units="inches")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (dict(fisheye="true"), "fisheye = true for cam_0, cam_1, cam_2, cam_3; this reader takes pinhole cameras only"),
        (dict(rotation=None), r"\[cam_0\] has no rotation; expected numbers of shape \(3,\) or \(3, 3\)"),
        (dict(distortions=[0.1] * 8), r"\[cam_0\] distortions: expected finite numbers of shape \(4,\) or \(5,\), found"),
        (dict(translation='"near"'), r"\[cam_0\] translation: expected numbers of shape \(3,\), found 'near'"),
        (dict(translation="[nan, 0.0, 0.0]"), r"\[cam_0\] translation: expected finite numbers"),
        (dict(rotation=[[2, 0, 0], [0, 1, 0], [0, 0, 1]]), "R_world_to_camera holds a matrix that is not a rotation"),
        (dict(size=[0, 0]), "focal_px and image_size_px must be positive"),
        (dict(matrix=None), "no camera: expected tables with the keys size, matrix"),
        (dict(matrix="[["), "not a TOML file"),
    ],
)
def test_a_wrong_toml_names_itself_the_camera_and_the_key(calibration, tmp_path, changes, complaint):
    path = tmp_path / "wrong.toml"
    path.write_text(aniposelib(calibration, **changes))
    with pytest.raises(DataFileError, match=f"wrong.toml: {complaint}"):
        read_calibration(path)


@pytest.mark.parametrize("coefficients", [4, 5])
def test_toml_is_written_and_read_back(calibration, tmp_path, coefficients):
    path = tmp_path / "out.toml"
    write_toml(path, calibration, coefficients)
    read = read_calibration(path)
    close(read.cameras, calibration.cameras)
    assert read.view_names == calibration.view_names
    assert path.read_text().count("fisheye = false") == 4


def test_a_k3_is_refused_rather_than_cut(calibration, tmp_path):
    radial = calibration.cameras.radial.clone()
    radial[2, 2] = 0.25
    bent = replace(calibration, cameras=replace(calibration.cameras, radial=radial))
    with pytest.raises(ValueError, match=r"out.toml: camera cam_03 has k3 = 0.25, which four coefficients would cut off"):
        write_toml(tmp_path / "out.toml", bent)
    assert not (tmp_path / "out.toml").exists()
    write_toml(tmp_path / "out.toml", bent, coefficients=5)
    close(read_calibration(tmp_path / "out.toml").cameras, bent.cameras)
    with pytest.raises(ValueError, match="cannot write lens 'human36m'"):
        write_toml(tmp_path / "out.toml", replace(bent, cameras=replace(bent.cameras, lens="human36m")))


def qualisys(calibration):
    """The text of a `.qca.txt`: millimetres, 64ths of pixels, cameras that look backwards, and one without video."""
    cameras = []
    c = calibration.cameras
    for view, name in enumerate(calibration.view_names):
        right, down, forward = c.R_world_to_camera[view].tolist()
        axes = [right, [-x for x in down], [-x for x in forward]]
        turn = " ".join(f'r{row + 1}{axis + 1}="{axes[row][axis]}"' for row in range(3) for axis in range(3))
        x, y, z = (1000 * c.centers_world[view]).tolist()
        width, height = c.image_size_px[view].tolist()
        (fx, fy), (cx, cy) = (64 * c.focal_px[view]).tolist(), (64 * c.center_px[view]).tolist()
        (k1, k2, k3), (p1, p2) = c.radial[view].tolist(), c.tangential[view].tolist()
        cameras.append(
            f'<camera active="1" avg-residual="0.4" model="Miqus Video" serial="{name}">'
            f'<fov_video left="0" top="0" right="{width - 1}" bottom="{height - 1}"/>'
            f'<transform x="{x}" y="{y}" z="{z}" {turn}/>'
            f'<intrinsic focalLengthU="{fx}" focalLengthV="{fy}" centerPointU="{cx}" centerPointV="{cy}" skew="0" '
            f'radialDistortion1="{k1}" radialDistortion2="{k2}" radialDistortion3="{k3}" '
            f'tangentalDistortion1="{p1}" tangentalDistortion2="{p2}"/></camera>'
        )
    markers_only = '<camera model="Miqus M3" serial="20000"><fov_video left="0" top="0" right="1" bottom="1"/></camera>'
    listed = "".join([markers_only, *reversed(cameras)])
    return f'<?xml version="1.0"?><calibration source="x"><cameras>{listed}</cameras></calibration>'


def test_qualisys_is_read_in_natural_order_without_marker_cameras(calibration, tmp_path):
    path = tmp_path / "Calib.qca.txt"
    path.write_text(qualisys(calibration))
    read = read_calibration(path)
    close(read.cameras, calibration.cameras)
    assert (read.view_names, read.units) == (calibration.view_names, "millimetres")
    half = read_calibration(path, binning=2).cameras
    torch.testing.assert_close(half.focal_px, read.cameras.focal_px / 2)
    torch.testing.assert_close(half.image_size_px, read.cameras.image_size_px / 2)
    close(find_calibration(tmp_path, units="millimetres").cameras, calibration.cameras)
    with pytest.raises(DataFileError, match="Calib.qca.txt: Qualisys' files are in millimetres; got units 'metres'"):
        find_calibration(tmp_path, units="metres")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("<calibration", "<<calibration", "not an XML file"),
        ("Miqus Video", "Oqus", "no video camera: .*, found Miqus M3, Oqus"),
        ("focalLengthU", "focalLength", "cam_01: expected a number as intrinsic focalLengthU, found None"),
        ("<transform", "<moved", "cam_01: expected a number as transform r11, found nothing"),
    ],
)
def test_a_wrong_qualisys_file_names_itself(calibration, tmp_path, old, new, complaint):
    path = tmp_path / "Calib.qca.txt"
    path.write_text(qualisys(calibration).replace(old, new))
    with pytest.raises(DataFileError, match=f"Calib.qca.txt: {complaint}"):
        read_calibration(path)


def test_opencvs_yaml_of_easymocap_is_read(calibration, tmp_path):
    inside, outside = (cv2.FileStorage(str(tmp_path / name), cv2.FILE_STORAGE_WRITE) for name in ("intri.yml", "extri.yml"))
    c = calibration.cameras.to(torch.float64)
    for file in (inside, outside):
        file.startWriteStruct("names", cv2.FileNode_SEQ)
        for name in calibration.view_names:
            file.write("", name)
        file.endWriteStruct()
    for view, name in enumerate(calibration.view_names):
        (fx, fy), (cx, cy), k, p = (x[view].tolist() for x in (c.focal_px, c.center_px, c.radial, c.tangential))
        inside.write(f"K_{name}", np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]))
        inside.write(f"dist_{name}", np.array([[k[0], k[1], p[0], p[1], k[2]]]))
        outside.write(f"Rot_{name}", c.R_world_to_camera[view].numpy())
        outside.write(f"T_{name}", c.t_world_to_camera[view].numpy().reshape(3, 1))
    inside.release()
    outside.release()
    with pytest.raises(DataFileError, match=r"intri.yml: no W_cam_01; it has names, .*pass image_size_px=\(width, height\)"):
        read_calibration(tmp_path)
    read = read_calibration(tmp_path, image_size_px=(1080, 1920))
    close(read.cameras, calibration.cameras)
    text = (tmp_path / "intri.yml").read_text()
    longer = re.sub(r"(dist_cam_02:.*?)cols: 5(.*?) \]", r"\1cols: 8\2, 0.5, 0., 0. ]", text, count=1, flags=re.DOTALL)
    (tmp_path / "intri.yml").write_text(longer)
    with pytest.raises(DataFileError, match=r"intri.yml: dist_cam_02: expected k1, k2, p1, p2 and perhaps k3, found 8 numbers"):
        read_calibration(tmp_path, image_size_px=(1080, 1920))
    (tmp_path / "intri.yml").write_text(longer.replace("0.5, 0., 0. ]", "0., 0., 0. ]"))
    close(read_calibration(tmp_path, image_size_px=(1080, 1920)).cameras, calibration.cameras)
    (tmp_path / "extri.yml").write_text("- 1\n- 2\n")
    with pytest.raises(DataFileError, match="extri.yml: expected keys and values, found list"):
        read_calibration(tmp_path)


@pytest.mark.parametrize("name", ['front "wide"', "C:\\cam", "lab\\new", "Küche 2", "a = [1]\n"])
def test_any_name_of_a_camera_survives_toml(calibration, tmp_path, name):
    write_toml(tmp_path / "out.toml", replace(calibration, view_names=(name, *calibration.view_names[1:])), coefficients=5)
    assert read_calibration(tmp_path / "out.toml").view_names[0] == name


@pytest.mark.parametrize(
    "views",
    [
        ("cam_01", "cam_02", "cam_03", "cam_04"),
        ("cam1_json", "cam2_json", "cam3_json", "cam4_json"),
        ("1", "2", "3", "4"),
        ("Cam-04", "Cam-02", "Cam-03", "Cam-01"),
    ],
)
def test_views_find_their_cameras(calibration, views):
    chosen = calibration.for_views(views)
    order = [int(name[-1] if name[-1].isdigit() else name[3]) - 1 for name in views]
    assert chosen.view_names == views
    assert torch.equal(chosen.cameras.center_px, calibration.cameras.center_px[order])


def test_a_transposed_camera_matrix_is_refused(calibration, tmp_path):
    path = tmp_path / "out.toml"
    write_toml(path, calibration, coefficients=5)
    (fx, fy), (cx, cy) = calibration.cameras.focal_px[1].tolist(), calibration.cameras.center_px[1].tolist()
    text = path.read_text()
    start = text.index("matrix", text.index("cam_02"))
    line = text[start : text.index("\n", start)]
    path.write_text(text.replace(line, f"matrix = [[{fx}, 0, 0], [0, {fy}, 0], [{cx}, {cy}, 1]]"))
    with pytest.raises(DataFileError, match=r"out.toml: \[cam_02\] matrix: expected \[\[fx, 0, cx\].*: transposed\?"):
        read_calibration(path)


def test_a_pair_of_no_view_is_named(calibration):
    with pytest.raises(DataFileError, match="paired 'cam9' is no view; the views are cam1, cam2"):
        calibration.for_views(("cam1", "cam2"), pairs={"cam9": "cam_02"})


def test_a_view_without_a_camera_is_named(calibration):
    with pytest.raises(DataFileError, match="made up: no camera for the view 'cam5'; the file has cam_01, cam_02, cam_03"):
        calibration.for_views(("cam1", "cam5"))
    assert len(calibration.for_views(("front", "cam1"), pairs={"front": "cam_03"})) == 2
    with pytest.raises(DataFileError, match="front and cam_03 would both be camera cam_03; pass pairs="):
        calibration.for_views(("front", "cam_03"), pairs={"front": "cam_03"})
    with pytest.raises(DataFileError, match=r"no camera for the view 'front' \(paired with 'cam_9'\)"):
        calibration.for_views(("front",), pairs={"front": "cam_9"})


def test_no_file_and_no_format(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.toml: no such file or folder"):
        read_calibration(tmp_path / "nowhere.toml")
    (tmp_path / "calibration.json").write_text("{}")
    with pytest.raises(ValueError, match="unknown format of .*calibration.json 'json'; choose from toml, qualisys, opencv"):
        read_calibration(tmp_path / "calibration.json")
