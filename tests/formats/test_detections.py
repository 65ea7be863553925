"""2D joints, each written as its program writes them."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from posekit.formats import read_detections, read_mediapipe, to_dataset, write_mediapipe, write_openpose
from posekit.formats.contents import DataFileError, Detections
from posekit.formats.people import most_confident, same_person
from posekit.skeleton import HUMANEVA_15, Skeleton
from posekit.skeletons import BODY_25, BODY_25B, COCO_17, KEYPOINTS, MEDIAPIPE_33, MPII_16, map_joints

VIEWS = ("cam1_json", "cam2_json", "cam3_json", "cam10_json")


def openpose(folder, *people, views=VIEWS):
    """Write people, each (F, V, K, 3) with zeros where nothing was found, as OpenPose does."""
    for view, name in enumerate(views):
        (folder / name).mkdir(parents=True)
        for frame in range(len(people[0])):
            found = [{"person_id": [-1], "pose_keypoints_2d": p[frame, view].flatten().tolist()} for p in people]
            text = json.dumps({"version": 1.3, "people": [one for one in found if any(one["pose_keypoints_2d"])]})
            (folder / name / f"{name}_{frame:012d}_keypoints.json").write_text(text)
    return folder


def triples(pixels, confidence=0.8):
    """x, y, confidence; 0, 0, 0 where a joint is missing."""
    found = torch.cat([pixels, torch.full_like(pixels[..., :1], confidence)], dim=-1)
    return found.where(pixels.isfinite().all(-1, keepdim=True), 0.0)


@pytest.mark.parametrize("skeleton", [BODY_25, BODY_25B], ids=lambda s: s.name)
def test_openpose_is_read_with_derived_joints_and_zeros_as_missing(tmp_path, see, skeleton):
    keypoints = KEYPOINTS[skeleton.name]
    pixels = see(keypoints)
    pixels[4, 2, keypoints.index("left_hip")] = torch.nan
    read = read_detections(openpose(tmp_path, triples(pixels)), "openpose", skeleton)
    assert read.view_names == VIEWS  # in natural order
    torch.testing.assert_close(read.pixels, map_joints(pixels, keypoints, skeleton.joints), equal_nan=True)
    missing = read.pixels.isnan().any(-1)
    assert torch.equal(read.confidence == 0, missing)
    assert missing[4, 2, skeleton.index("left_hip")]
    assert missing[4, 2, 0] == (skeleton is BODY_25B)  # where the pelvis is the middle of the hips
    assert "12 frames, 4 views" in repr(read)


def test_bystanders_are_told_apart_by_the_cameras(tmp_path, see, calibration):
    person = triples(see(KEYPOINTS["body25"]))
    bystander = person.clone()
    bystander[..., :2] += 400.0 * (person[..., 2:] > 0)  # at no one place in space, for it is so in every picture
    bystander[:, 1, :, 2] *= 1.2  # and seen best by the second camera
    read = read_detections(openpose(tmp_path, bystander, person), "openpose", BODY_25, calibration=None)
    alone = read_detections(openpose(tmp_path / "alone", person), "openpose", BODY_25)
    assert not torch.equal(read.pixels[:, 1].nan_to_num(), alone.pixels[:, 1].nan_to_num())
    views = ("cam_01", "cam_02", "cam_03", "cam_04")
    folder = openpose(tmp_path / "named", bystander, person, views=views)
    sorted_out = read_detections(folder, "openpose", BODY_25, calibration=calibration)
    assert torch.equal(sorted_out.pixels.nan_to_num(), alone.pixels.nan_to_num())


def test_choosing_people(see, calibration):
    good = see(HUMANEVA_15.joints)
    empty = torch.full_like(good, torch.nan)
    pixels, confidence = torch.stack([empty, good + 90.0, good], dim=2), torch.ones(12, 4, 3, 15)
    confidence[:, :, 0] = 0
    confidence[:, :, 2] = 0.9
    chosen, sure = same_person(pixels, confidence, calibration.cameras)
    torch.testing.assert_close(chosen, good)
    assert (sure == 0.9).all()
    chosen, sure = most_confident(pixels, confidence)
    torch.testing.assert_close(chosen, good + 90.0)
    assert (sure == 1).all()


def test_a_wrong_openpose_folder_names_itself(tmp_path, see):
    with pytest.raises(DataFileError, match="expected a folder per view with JSON files in it, found none"):
        read_detections(tmp_path, "openpose", BODY_25)
    folder = openpose(tmp_path / "pose", triples(see(KEYPOINTS["coco17"])))
    with pytest.raises(DataFileError, match=r"_keypoints.json: pose_keypoints_2d has 17 joints; body25 has 25: another skel"):
        read_detections(folder, "openpose", BODY_25)
    last = sorted((folder / "cam2_json").iterdir())[-1]
    last.unlink()
    with pytest.raises(DataFileError, match=r"same frames, but cam1_json has 12, cam2_json has 11, .*; cut them"):
        read_detections(folder, "openpose", BODY_25)
    last.write_text("{}")
    first = sorted((folder / "cam1_json").iterdir())[0]
    first.write_text("{}")
    with pytest.raises(DataFileError, match=r"cam1_json_0+_keypoints.json: expected people with pose_keypoints_2d"):
        read_detections(folder, "openpose", BODY_25)
    with pytest.raises(ValueError, match="unknown format 'sleap'; choose from openpose, mediapipe, deeplabcut"):
        read_detections(folder, "sleap", BODY_25)
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        read_detections(tmp_path / "nowhere", "openpose", BODY_25)


def test_views_out_of_step_are_refused_though_they_are_equally_long(tmp_path, see):
    folder = openpose(tmp_path, triples(see(KEYPOINTS["body25"])))
    for name, frame in (("cam1_json", 5), ("cam2_json", 8), ("cam3_json", 8), ("cam10_json", 8)):
        (folder / name / f"{name}_{frame:012d}_keypoints.json").unlink()
    missing = r"cam1_json has none for cam2_json_0+5_keypoints.json of cam2_json"
    with pytest.raises(DataFileError, match=rf"views must have the same frames, but {missing}"):
        read_detections(folder, "openpose", BODY_25)


def test_each_view_may_count_its_frames_from_a_number_of_its_own(tmp_path, see):
    folder = openpose(tmp_path, triples(see(KEYPOINTS["body25"])))
    expected = read_detections(folder, "openpose", BODY_25)
    for frame in reversed(range(len(expected))):
        name = "cam2_json_{:012d}_keypoints.json"
        (folder / "cam2_json" / name.format(frame)).rename(folder / "cam2_json" / name.format(frame + 90))
    torch.testing.assert_close(read_detections(folder, "openpose", BODY_25).pixels, expected.pixels, equal_nan=True)


def test_frames_of_a_longer_recording_are_neither_kept_nor_removed_unsaid(tmp_path, see):
    detections = read_detections(openpose(tmp_path / "one", triples(see(KEYPOINTS["body25"]))), "openpose", BODY_25)
    write_openpose(tmp_path / "two", detections)
    write_openpose(tmp_path / "two", detections)  # the same frames again
    cut = Detections(detections.view_names, BODY_25, detections.pixels[:5], detections.confidence[:5], tmp_path)
    with pytest.raises(ValueError, match=r"cam1_json_000005_keypoints.json lies there already, .*; remove it first"):
        write_openpose(tmp_path / "two", cut)
    assert len(read_detections(tmp_path / "two", "openpose", BODY_25)) == len(detections)


def test_who_is_alone_in_an_image_is_not_left_out_for_fitting_badly(tmp_path, see, calibration):
    """Else a check would blame the detector for what cameras in the wrong order did."""
    person = triples(see(KEYPOINTS["body25"]))
    swapped = replace(calibration, cameras=calibration.cameras[[1, 0, 2, 3]])
    folder = openpose(tmp_path, person, views=tuple(f"cam{number}_json" for number in (1, 2, 3, 4)))
    read = read_detections(folder, "openpose", BODY_25, calibration=swapped)
    plain = read_detections(folder, "openpose", BODY_25)
    torch.testing.assert_close(read.pixels, plain.pixels, equal_nan=True)
    with pytest.raises(DataFileError, match=r"cam1_json and cam2_json agree with the others only if their cameras are swapped"):
        to_dataset("recording", swapped, read, 30.0)


def test_confidences_a_little_over_1_are_1_and_percent_is_refused(tmp_path, see):
    person = triples(see(KEYPOINTS["body25"]))
    person[3, 1, 4, 2] = 1.4
    person[4, 1, 5, :2] = torch.nan
    read = read_detections(openpose(tmp_path / "over", person), "openpose", BODY_25)
    assert read.confidence.max() == 1
    elbow = BODY_25.index(KEYPOINTS["body25"][5])
    assert read.confidence[4, 1, elbow] == 0
    assert read.pixels[4, 1, elbow].isnan().all()
    person[..., 2] *= 100
    message = r"cam\d+_json_0+_keypoints.json: confidences from .* to .*; expected 0 to 1. Are they percent\?"
    with pytest.raises(DataFileError, match=message):
        read_detections(openpose(tmp_path / "percent", person), "openpose", BODY_25)


def test_a_frame_without_people_is_empty(tmp_path, see):
    person = triples(see(KEYPOINTS["body25"]))
    person[3] = 0
    read = read_detections(openpose(tmp_path, person), "openpose", BODY_25)
    assert read.pixels[3].isnan().all()
    assert (read.confidence[3] == 0).all()


def deeplabcut(path, pixels, parts, individuals=None):
    """Write pixels (F, K, 2) as DeepLabCut does; missing ones are empty."""
    owners = individuals or ["ind"]
    columns = [(owner, part, coord) for owner in owners for part in parts for coord in ("x", "y", "likelihood")]
    with path.open("w", newline="") as stream:
        write = csv.writer(stream).writerow
        write(["scorer", *["DLC_resnet50_walkSep1shuffle1_100000"] * len(columns)])
        if individuals:
            write(["individuals", *(owner for owner, _, _ in columns)])
        write(["bodyparts", *(part for _, part, _ in columns)])
        write(["coords", *(coord for _, _, coord in columns)])
        for frame, points in enumerate(pixels):
            cells = [x for point in points for x in (*point.tolist(), 0.75)]
            cells = ["" if x != x else x for x in cells]
            write([frame, *cells * len(owners)])


LEGS = Skeleton("legs", ("pelvis", "left_hip", "left_knee", "right_hip", "right_knee"), (-1, 0, 1, 0, 3))
PARTS = ["LHip", "LKnee", "RHip", "RKnee"]
NAME = "{}DLC_resnet50_walkSep1shuffle1_100000.csv"


@pytest.mark.parametrize("individuals", [None, ["anna", "bert"]])
def test_deeplabcut_is_read_by_names(tmp_path, see, individuals):
    pixels = see(LEGS.joints)
    pixels[5, 1, 1] = torch.nan
    for view in range(4):
        deeplabcut(tmp_path / NAME.format(f"cam{view + 8}"), pixels[:, view, 1:], PARTS, individuals)
    if individuals:
        with pytest.raises(DataFileError, match=r"cam8DLC.*csv: pass individual= or --individual, one of anna, bert; got None"):
            read_detections(tmp_path, "deeplabcut", LEGS)
    read = read_detections(tmp_path, "deeplabcut", LEGS, **(dict(individual="bert") if individuals else {}))
    assert read.view_names == ("cam8", "cam9", "cam10", "cam11")
    torch.testing.assert_close(read.pixels[:, :, 1:], pixels[:, :, 1:], equal_nan=True)
    torch.testing.assert_close(read.pixels[:, :, 0], pixels[:, :, [1, 3]].mean(2), equal_nan=True)
    assert (read.confidence[:5] == 0.75).all()
    assert read.confidence[5, 1].tolist() == [0.0, 0.0, 0.75, 0.75, 0.75]


def test_a_wrong_deeplabcut_file_names_itself(tmp_path, see):
    pixels = see(LEGS.joints)
    deeplabcut(tmp_path / NAME.format("cam1"), pixels[:, 0, 1:], PARTS)
    deeplabcut(tmp_path / NAME.format("cam2"), pixels[:9, 0, 1:], PARTS)
    with pytest.raises(DataFileError, match="same frames, but cam1 has 12, cam2 has 9"):
        read_detections(tmp_path, "deeplabcut", LEGS)
    with pytest.raises(DataFileError, match=r"cam1DLC.*csv: cannot map thorax, left_shoulder, .*: neither among left_hip"):
        read_detections(tmp_path, "deeplabcut", HUMANEVA_15)
    filtered = tmp_path / NAME.format("cam2").replace(".csv", "_filtered.csv")
    deeplabcut(filtered, pixels[:, 0, 1:], PARTS)
    with pytest.raises(DataFileError, match=r"cam2DLC.*0000.csv and cam2DLC.*_filtered.csv are both of view cam2; leave one"):
        read_detections(tmp_path, "deeplabcut", LEGS)
    filtered.rename(tmp_path / "DLC_cam1.csv")
    with pytest.raises(DataFileError, match=r"DLC_cam1.csv: expected the view's name before DLC, .*; rename the file"):
        read_detections(tmp_path, "deeplabcut", LEGS)
    (tmp_path / "DLC_cam1.csv").unlink()
    whole = (tmp_path / NAME.format("cam2")).read_text()
    (tmp_path / NAME.format("cam2")).write_text(whole[:-30])
    with pytest.raises(DataFileError, match=r"cam2DLC.*csv: expected rows of 13 cells, like the headers; found a row of"):
        read_detections(tmp_path, "deeplabcut", LEGS)
    (tmp_path / NAME.format("cam2")).write_text(whole)
    (tmp_path / "cam3DLC.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataFileError, match="cam3DLC.csv: expected rows of headers with bodyparts and coords"):
        read_detections(tmp_path, "deeplabcut", LEGS)
    with pytest.raises(DataFileError, match="expected a CSV file of DeepLabCut per view, found none"):
        read_detections(tmp_path.parent, "deeplabcut", LEGS)


def test_other_csv_files_beside_deeplabcuts_are_left_alone(tmp_path, see):
    pixels = see(LEGS.joints)
    for view, name in enumerate(["cam1DLC.csv", "cam2.csv"]):
        deeplabcut(tmp_path / name, pixels[:, view, 1:], PARTS)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    (tmp_path / "Notizen.csv").write_bytes("Größe\n1\n".encode("latin-1"))
    assert read_detections(tmp_path, "deeplabcut", LEGS).view_names == ("cam1", "cam2")


def caliscope(path, pixels, camera="port", stride=1):
    """Write pixels (F, V, K, 2) of landmarks as Caliscope does: a row per landmark found, none for others."""
    rows = [["sync_index", camera, "frame_index", "frame_time", "point_id", "img_loc_x", "img_loc_y", "obj_loc_x", "obj_loc_y"]]
    for frame, view, point in np.argwhere(pixels.isfinite().all(-1).numpy()):
        x, y = pixels[frame, view, point].tolist()
        rows.append([5 + stride * frame, view, frame, frame / 30, point, x, y, "", ""])
        if point == 0:
            rows.append([5 + stride * frame, view, frame, frame / 30, 500, x, y, "", ""])  # the face of a holistic model
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


@pytest.mark.parametrize(("camera", "stride"), [("port", 1), ("cam_id", 3)])
def test_mediapipe_is_read_from_caliscope(tmp_path, see, calibration, camera, stride):
    pixels = see(KEYPOINTS["mediapipe33"])
    pixels[7] = torch.nan
    pixels[2, 1] = torch.nan
    caliscope(tmp_path / "xy_HOLISTIC.csv", pixels, camera, stride)
    read = read_detections(tmp_path / "xy_HOLISTIC.csv", "mediapipe", MEDIAPIPE_33)
    expected = map_joints(pixels, KEYPOINTS["mediapipe33"], MEDIAPIPE_33.joints)
    torch.testing.assert_close(read.pixels, expected, equal_nan=True)
    assert torch.equal(read.confidence, expected.isfinite().all(-1).float())
    assert read.view_names == ("0", "1", "2", "3")


def test_mediapipe_is_written_with_its_visibility_and_read_back(tmp_path, see):
    names = KEYPOINTS["mediapipe33"]
    pixels = see(names)
    pixels[7] = torch.nan
    pixels[2, 1] = torch.nan
    found = map_joints(pixels, names, MEDIAPIPE_33.joints)
    trust = torch.linspace(0.2, 1, found[..., 0].numel()).view(found.shape[:-1]) * found.isfinite().all(-1)
    written = Detections(("left", "right", "cam3", "cam10"), MEDIAPIPE_33, found, trust, tmp_path)
    write_mediapipe(tmp_path / "joints.csv", written)
    read = read_mediapipe(tmp_path / "joints.csv")
    order = [written.view_names.index(view) for view in read.view_names]
    assert sorted(read.view_names) == sorted(written.view_names)
    torch.testing.assert_close(read.pixels, found[:, order], equal_nan=True, atol=0.011, rtol=0)
    own = [MEDIAPIPE_33.index(joint) for joint in names]  # the others are derived when the file is read
    torch.testing.assert_close(read.confidence[..., own], trust[:, order][..., own], atol=6e-5, rtol=0)
    with (tmp_path / "joints.csv").open("a") as file:
        file.write("0,left,0,5,5,1.2\n")
    with pytest.raises(DataFileError, match=r"joints.csv: visibility from 0.2\d* to 1.2; expected 0 to 1"):
        read_mediapipe(tmp_path / "joints.csv")


def test_joints_of_another_skeleton_are_picked_from_mediapipes_by_name(tmp_path, see):
    names = KEYPOINTS["mediapipe33"]
    caliscope(tmp_path / "xy.csv", see(names))
    whole, picked = (read_mediapipe(tmp_path / "xy.csv", skeleton) for skeleton in (MEDIAPIPE_33, COCO_17))
    own = [joint for joint in COCO_17.joints if joint in names]
    assert len(own) >= 17
    for mine, all_of_them in ((picked.pixels, whole.pixels), (picked.confidence, whole.confidence)):
        expected = all_of_them[:, :, [MEDIAPIPE_33.index(joint) for joint in own]]
        torch.testing.assert_close(mine[:, :, [COCO_17.index(joint) for joint in own]], expected, equal_nan=True)
    with pytest.raises(DataFileError, match=r"xy.csv: MediaPipe's landmarks do not make mpii16: cannot map neck, head"):
        read_mediapipe(tmp_path / "xy.csv", MPII_16)


def test_a_wrong_mediapipe_file_names_itself(tmp_path, see):
    path = tmp_path / "xy.csv"
    caliscope(path, see(KEYPOINTS["mediapipe33"]) / 2000)
    with pytest.raises(DataFileError, match=r"xy.csv: img_loc reaches 0.\d+: shares of the image\? expected pixels"):
        read_mediapipe(path)
    path.write_text("sync_index,port,x\n0,0,1\n")
    with pytest.raises(DataFileError, match="xy.csv: no column point_id, img_loc_x, img_loc_y; found sync_index, port, x"):
        read_mediapipe(path)
    path.write_text("sync_index,port,point_id,img_loc_x,img_loc_y\n")
    with pytest.raises(DataFileError, match="xy.csv: no column sync_index, .*; found no rows"):
        read_mediapipe(path)
    path.write_text("sync_index,port,point_id,img_loc_x,img_loc_y\nnan,0,3,5,5\n")
    with pytest.raises(DataFileError, match="xy.csv: expected rows of numbers .*a sync_index is no number"):
        read_mediapipe(path)
    path.write_text("sync_index,port,point_id,img_loc_x,img_loc_y\n0,0,3,near,5\n")
    with pytest.raises(DataFileError, match=r"xy.csv: expected rows of numbers for landmarks 0 to 32 \(could not convert"):
        read_mediapipe(path)
