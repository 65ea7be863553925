"""Faults made on purpose in a real recording: each is named, and a sound one has none."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.formats.contents import Calibration, Detections
from posekit.rig import check
from posekit.rig.quality import adjusted_extrinsics, measure, with_adjusted


@pytest.fixture(scope="module")
def sound(parts):
    """The recording with cameras adjusted to it, as what is given is imprecise."""
    calibration, detections = parts
    adjusted = adjusted_extrinsics(detections.pixels, detections.confidence, calibration.cameras)
    return replace(calibration, cameras=adjusted), detections


def what(calibration, detections):
    return [finding.what for finding in check(calibration, detections).findings]


def only(found, *words):
    assert len(found) == 1, found
    assert all(word in found[0] for word in words), found


def test_a_sound_recording_has_no_findings(sound):
    report = check(*sound)
    assert not report.findings
    assert "nothing speaks against" in str(report)


def test_a_camera_that_was_moved_is_found_and_adjusting_mends_it(parts):
    only(what(*parts), "the cameras disagree", "cam_03")


def test_frames_that_nobody_shares_say_nothing_of_moved_cameras(parts):
    calibration, detections = parts
    seen = check(*parts)
    empty = torch.zeros(60, *detections.confidence.shape[1:])
    pixels = torch.cat([empty[..., None].expand(*empty.shape, 2) * torch.nan, detections.pixels])
    late = replace(detections, pixels=pixels, confidence=torch.cat([empty, detections.confidence]))
    quality = check(calibration, late).quality
    torch.testing.assert_close(quality.adjusted_error_px, seen.quality.adjusted_error_px)
    torch.testing.assert_close(quality.given_error_px, seen.quality.given_error_px)
    single = replace(detections, pixels=detections.pixels[:1], confidence=detections.confidence[:1])
    assert check(calibration, single).quality.adjusted is calibration.cameras


def test_a_view_out_of_step_is_found_with_its_shift(sound):
    calibration, detections = sound
    pixels = detections.pixels.clone()
    pixels[:-5, 1] = detections.pixels[5:, 1]
    late = replace(detections, pixels=pixels[:-5], confidence=detections.confidence[:-5])
    only(what(calibration, late), "cam_02", "+5 frames")


def test_exchanged_sides_and_a_mirrored_view_are_told_apart(sound):
    calibration, detections = sound
    exchanged = detections.pixels.clone()
    exchanged[:, 1] = exchanged[:, 1][:, list(detections.skeleton.partners)]
    only(what(calibration, replace(detections, pixels=exchanged)), "cam_02", "exchanged")
    mirrored = exchanged.clone()
    mirrored[:, 1, :, 0] = calibration.cameras.image_size_px[1, 0] - mirrored[:, 1, :, 0]
    only(what(calibration, replace(detections, pixels=mirrored)), "cam_02", "mirrored")


def test_another_order_of_joints_is_found(sound):
    calibration, detections = sound
    order = torch.randperm(len(detections.skeleton), generator=torch.Generator().manual_seed(0))
    shuffled = replace(detections, pixels=detections.pixels[:, :, order], confidence=detections.confidence[:, :, order])
    assert any("another skeleton" in finding.cause for finding in check(calibration, shuffled).findings)


def test_what_the_formats_refuse_stands_alone(sound):
    calibration, detections = sound
    cameras = calibration.cameras
    only(what(replace(calibration, cameras=cameras[[1, 0, 2, 3]]), detections), "cam_01 and cam_02", "swapped", "cameras.toml")
    inverse = replace(cameras, R_world_to_camera=cameras.R_world_to_camera.mT, t_world_to_camera=cameras.centers_world)
    only(what(replace(calibration, cameras=inverse), detections), "camera to world")
    large = replace(cameras, t_world_to_camera=1000 * cameras.t_world_to_camera)
    only(what(replace(calibration, cameras=large), detections), "millimetres")
    wide = replace(cameras, image_size_px=cameras.image_size_px.flip(-1))
    only(what(replace(calibration, cameras=wide), detections), "portrait", "pose")


def test_a_view_that_finds_little_and_joints_nobody_sees_twice_are_found(sound):
    calibration, detections = sound
    confidence = detections.confidence.clone()
    confidence[::2, 0] = 0
    confidence[:, 1:, detections.skeleton.index("nose")] = 0
    pixels = detections.pixels.where(confidence.unsqueeze(-1) > 0, torch.nan)
    found = what(calibration, replace(detections, pixels=pixels, confidence=confidence))
    assert any("cam_01" in one and "were found" in one for one in found)
    assert any("nose" in one and "two views" in one for one in found)


def test_cameras_side_by_side_and_a_wrong_scale_are_found():
    people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",)).frames(0, 60)
    first = people.cameras[0, 0]
    aside = replace(first, t_world_to_camera=first.t_world_to_camera + torch.tensor([0.2, 0.0, 0.0]))
    cameras = type(first).stack([first, aside])
    noise = torch.randn(60, 2, 15, 2, generator=torch.Generator().manual_seed(0))
    pixels = cameras.world_to_pixels(people.poses_world.unsqueeze(1)) + 0.5 * noise
    detections = Detections(("a", "b"), people.skeleton, pixels, torch.ones(60, 2, 15), Path("made up"))
    found = what(Calibration(("a", "b"), cameras), detections)
    assert any("rays of every pair" in one for one in found)
    half = replace(people.cameras[0], t_world_to_camera=people.cameras[0].t_world_to_camera / 2)
    exact = Detections(people.view_names, people.skeleton, people.pixels, people.confidence, Path("made up"))
    only(what(Calibration(people.view_names, half), exact), "thighs")


def test_exact_views_measure_as_exact():
    people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",)).frames(0, 60)
    quality = measure(people.pixels, people.confidence, people.cameras[0], people.view_names, people.skeleton)
    assert quality.view_error_px.max() < 0.05
    assert quality.bone_spread.max() < 1e-3
    assert not quality.shifts().any()
    assert torch.allclose(quality.bone_m.float(), people.skeleton.bone_lengths(people.poses_world).median(0).values, atol=1e-4)
    again = with_adjusted(people.cameras, people.cameras[0])
    assert torch.equal(again.t_world_to_camera, people.cameras.t_world_to_camera)
