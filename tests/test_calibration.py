"""Cameras found from people: exact from exact 2D, indifferent to the gauge, and suspicious where they must be."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import roma
import scipy.optimize
import torch

from posekit.calibration import (
    bundle_adjust,
    calibrate_from_people,
    compare_cameras,
    guess_intrinsics,
    relative_poses,
    set_scale,
    set_upright,
)
from posekit.calibration.learned import carried
from posekit.calibration.relative import cross_matrix
from posekit.calibration.rig import spanning_tree
from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.datasets.human36m import human36m_cameras
from posekit.poses import lowest_ankle
from posekit.random import generator
from posekit.skeleton import HUMAN36M_17, HUMANEVA_15
from posekit.triangulation import triangulate

QUICK = dict(frames=40, restarts=1)
TWICE = dict(frames=40, restarts=2)


@pytest.fixture(scope="module")
def poses():
    """300 frames that walk and jog, world metres."""
    people = load_dataset("synthetic", "train", subjects=("S2",), actions=("Walking", "Jog"))
    return people.poses_world[::2].double()


@pytest.fixture(scope="module")
def rig():
    """HumanEva-I's three cameras and a fourth one from above, float64."""
    cameras = load_dataset("synthetic", "train", subjects=("S2",), actions=("Box",)).cameras[0].to(torch.float64)
    R, t = cameras.R_world_to_camera[:1], cameras.t_world_to_camera[:1]
    above = roma.rotvec_to_rotmat(torch.tensor([[-0.6, 0.5, 0.1]], dtype=torch.float64)) @ R
    t = t * torch.tensor([0.8, 1.0, 1.3], dtype=torch.float64)
    names = ("focal_px", "center_px", "radial", "tangential", "image_size_px")
    parts = {name: torch.cat([getattr(cameras, name), getattr(cameras, name)[:1]]) for name in names}
    return replace(
        cameras,
        R_world_to_camera=torch.cat([cameras.R_world_to_camera, above]),
        t_world_to_camera=torch.cat([cameras.t_world_to_camera, t]),
        **parts,
    )


def seen(poses, cameras, noise_px=0.0, seed=0):
    pixels = cameras.world_to_pixels(poses[:, None])
    return pixels + noise_px * torch.randn(pixels.shape, generator=generator(seed), dtype=torch.float64)


def moved(cameras, poses):
    """The same rig and people, turned, moved and doubled."""
    turn = roma.rotvec_to_rotmat(torch.tensor([0.4, -1.2, 2.0], dtype=torch.float64))
    shift = torch.tensor([3.0, -1.0, 7.0], dtype=torch.float64)
    R = cameras.R_world_to_camera @ turn.mT
    t = 2 * cameras.t_world_to_camera - R @ shift
    return replace(cameras, R_world_to_camera=R, t_world_to_camera=t), 2 * poses @ turn.mT + shift


@pytest.mark.parametrize("views", [2, 3, 4])
def test_exact_2d_gives_exact_cameras(views, rig, poses):
    true = rig[:views]
    found, report = calibrate_from_people(seen(poses, true), true, skeleton=HUMANEVA_15, **(TWICE if views == 3 else QUICK))
    errors = compare_cameras(found, true)
    assert errors.rotation_deg < 0.01
    assert errors.centre_cm < 0.01
    assert report.trust, report
    assert report.inliers.min() > 0.999
    assert report.in_front.min() == 1
    assert report.restart_turns_deg.max() < 0.01
    assert report.pairs.tolist() == [[a, b] for a in range(views) for b in range(a + 1, views)]


def test_two_pixels_of_noise(rig, poses):
    found, report = calibrate_from_people(seen(poses, rig[:3], 2.0), rig[:3], restarts=1, skeleton=HUMANEVA_15)
    errors = compare_cameras(found, rig[:3])
    assert errors.rotation_deg < 0.2
    assert errors.centre_cm < 1
    assert report.trust, report
    assert 1.0 < report.residual_px.nanmean() < 2.5
    assert errors.rotation_deg < 5 * report.rotation_std_deg.max() < 1


def test_given_extrinsics_are_not_looked_at_and_the_same_seed_gives_the_same_bits(rig, poses):
    pixels, true = seen(poses, rig[:2], 2.0), rig[:2]
    blank = replace(
        true,
        R_world_to_camera=torch.full_like(true.R_world_to_camera, torch.nan),
        t_world_to_camera=torch.full_like(true.t_world_to_camera, torch.nan),
    )
    first, report = calibrate_from_people(pixels, true, generator=generator(3), **QUICK)
    second, again = calibrate_from_people(pixels, blank, generator=generator(3), **QUICK)
    assert torch.equal(first.R_world_to_camera, second.R_world_to_camera)
    assert torch.equal(first.t_world_to_camera, second.t_world_to_camera)
    assert str(report) == str(again)


def test_a_rig_moved_as_a_whole_gives_the_same_cameras_and_report(rig, poses):
    cameras, elsewhere = moved(rig[:2], poses)
    first, report = calibrate_from_people(seen(poses, rig[:2], 2.0), rig[:2], **QUICK)
    second, again = calibrate_from_people(seen(elsewhere, cameras, 2.0), cameras, **QUICK)
    torch.testing.assert_close(second.R_world_to_camera, first.R_world_to_camera, atol=1e-5, rtol=0)
    torch.testing.assert_close(second.t_world_to_camera, first.t_world_to_camera, atol=1e-4, rtol=0)
    torch.testing.assert_close(again.inliers, report.inliers, atol=2e-3, rtol=0)
    assert again.cost_px2 == pytest.approx(report.cost_px2, rel=1e-4)


def test_the_gauge_makes_no_difference_to_a_comparison(rig, poses):
    elsewhere, _ = moved(rig, poses)
    same = compare_cameras(elsewhere, rig)
    assert same.rotation_deg < 1e-4
    assert same.centre_cm < 1e-4
    assert same.scale == pytest.approx(2)
    assert same.metric_centre_cm > 100
    turned = rig.R_world_to_camera.clone()
    turned[1] = roma.rotvec_to_rotmat(torch.tensor([0.0, 0.0, 0.1], dtype=torch.float64)) @ turned[1]
    off = compare_cameras(replace(rig, R_world_to_camera=turned), rig)
    assert off.rotation_deg == pytest.approx(np.rad2deg(0.1))
    with pytest.raises(ValueError, match="at least two cameras"):
        compare_cameras(rig[:1], rig[:1])


def test_cameras_turned_by_a_right_angle(rig, poses):
    """The second camera stands on its side: its image is a turned one, and so are its intrinsics."""
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    turned = rig[1]
    width, height = turned.image_size_px
    center = torch.stack([height - turned.center_px[1], turned.center_px[0]])
    turned = replace(
        turned,
        R_world_to_camera=quarter @ turned.R_world_to_camera,
        t_world_to_camera=quarter @ turned.t_world_to_camera,
        focal_px=turned.focal_px.flip(0),
        center_px=center,
        tangential=torch.zeros_like(turned.tangential),
        image_size_px=torch.stack([height, width]),
    )
    true = Cameras.stack([rig[0], turned, rig[2]])
    found, report = calibrate_from_people(seen(poses, true), true, **QUICK)
    assert compare_cameras(found, true).rotation_deg < 0.01
    assert report.trust, report


def test_missing_joints_confidences_and_outliers(rig, poses):
    true = rig[:3]
    pixels = seen(poses, true, 1.0)
    lost = torch.rand(pixels.shape[:-1], generator=generator(1)) < 0.3
    lost[:100, 1] = True  # a view that comes late
    wrong = torch.rand(pixels.shape[:-1], generator=generator(2)) < 0.05
    pixels[wrong] += 80
    pixels[lost] = torch.nan
    found, report = calibrate_from_people(pixels, true, skeleton=HUMANEVA_15, **QUICK)
    assert compare_cameras(found, true).rotation_deg < 0.4
    assert report.trust, report
    # Confidence 0 is the same as NaN, whatever the number, and doubling all confidences changes nothing.
    hidden = pixels.where(~lost.unsqueeze(-1), 1e4)
    again, _ = calibrate_from_people(hidden, true, (~lost).double() / 2, skeleton=HUMANEVA_15, **QUICK)
    assert compare_cameras(again, found).rotation_deg < 0.02


@pytest.mark.parametrize("free", [True, (True, True, False)])
def test_focal_lengths_and_lenses_from_image_sizes(free, rig, poses):
    """The true cameras have square pixels and a principal point in the middle, since a guess has."""
    true = replace(rig[:3], center_px=rig[:3].image_size_px / 2, tangential=torch.zeros(3, 2, dtype=torch.float64))
    true = replace(true, radial=true.radial * torch.tensor([1.0, 0, 0]), focal_px=true.focal_px[:, :1].expand(-1, 2))
    start = guess_intrinsics(true.image_size_px)
    if free is not True:
        start = replace(start, focal_px=start.focal_px.where(torch.tensor(free)[:, None], true.focal_px))
        start = replace(start, radial=start.radial.where(torch.tensor(free)[:, None], true.radial))
    found, report = calibrate_from_people(seen(poses, true), start, free_focal=free, free_k1=free, **QUICK)
    errors = compare_cameras(found, true)
    assert errors.focal_percent < 0.1
    assert errors.rotation_deg < 0.05
    torch.testing.assert_close(found.radial, true.radial, atol=5e-3, rtol=0)
    assert report.trust, report
    assert any("principal point" in text for text in report.unobservable)


def swapped(pixels):
    return pixels[:, :, list(HUMANEVA_15.partners)]


def mirrored(pixels):
    return torch.stack([640 - pixels[..., 0], pixels[..., 1]], dim=-1)


CHANGES = {
    "out of step": lambda pixels: pixels.roll(2, 0),
    "left and right swapped": swapped,
    "mirrored": mirrored,
    "mirrored, with sides renamed": lambda pixels: mirrored(swapped(pixels)),
}


@pytest.mark.parametrize("suspicion", CHANGES)
def test_the_report_flags_a_view_that_is(suspicion, rig, poses):
    pixels = seen(poses, rig[:3], 2.0)
    pixels[:, 1:2] = CHANGES[suspicion](pixels[:, 1:2])
    names = ("door", "window", "wall")
    _, report = calibrate_from_people(pixels, rig[:3], skeleton=HUMANEVA_15, view_names=names, **QUICK)
    assert not report.trust
    assert "do not trust" in repr(report)
    assert any(text.startswith("view window") and suspicion in text for text in report.warnings), report
    assert not any(text.startswith(("view door", "view wall")) for text in report.warnings), report
    if suspicion == "out of step":
        assert report.synchronisation.best.tolist() == [2, 0, -2]


def test_opposite_cameras_and_people_in_place_are_not_trusted(rig, poses):
    _, report = calibrate_from_people(seen(poses, rig[1:3], 2.0), rig[1:3], **QUICK)
    assert report.angle_deg[0] > 150
    assert any("the rays meet at" in text for text in report.warnings)
    boxing = load_dataset("synthetic", "train", subjects=("S2",), actions=("Box",)).poses_world.double()
    found, report = calibrate_from_people(seen(boxing, rig[:3], 5.0), rig[:3], frames=100, restarts=1)
    assert any("stay in place" in text for text in report.warnings)
    assert compare_cameras(found, rig[:3]).rotation_deg < 3


def test_random_points_are_not_trusted(rig):
    pixels = 100 + 300 * torch.rand(60, 3, 15, 2, generator=generator(0), dtype=torch.float64)
    _, report = calibrate_from_people(pixels, rig[:3], **TWICE)
    assert not report.trust


def test_size_and_upright(rig, poses):
    found, _ = calibrate_from_people(seen(poses, rig[:3]), rig[:3], **QUICK)
    pixels = seen(poses, rig[:3])
    lengths = HUMANEVA_15.bone_lengths(poses[0])
    legs = {joint: lengths[HUMANEVA_15.index(joint) - 1].item() for joint in ("left_knee", "left_ankle")}
    sized = set_scale(found, triangulate(pixels, found).points, HUMANEVA_15, lengths_m=legs)
    assert compare_cameras(sized, rig[:3]).metric_centre_cm < 0.1
    stature = 1.75
    by_stature = set_scale(found, triangulate(pixels, found).points, HUMANEVA_15, stature_m=stature)
    assert compare_cameras(by_stature, rig[:3]).scale == pytest.approx(1, abs=0.05)
    upright = set_upright(sized, triangulate(pixels, sized).points, HUMANEVA_15)
    standing = triangulate(pixels, upright).points
    tilt = (upright.R_world_to_camera[..., 2] * rig[:3].R_world_to_camera[..., 2]).sum(-1).clamp(max=1).arccos().rad2deg()
    assert tilt.max() < 0.5
    assert standing[:, 0, :2].median(0).values.abs().max() < 1e-6
    assert lowest_ankle(standing, HUMANEVA_15).median() == pytest.approx(0.08, abs=0.02)
    torch.testing.assert_close(upright.world_to_pixels(standing[:, None]), pixels, atol=1e-3, rtol=0)


def test_size_wants_one_known_length(rig, poses):
    for wrong, message in (
        (dict(), "either lengths_m or stature_m"),
        (dict(stature_m=1.7, lengths_m={"left_knee": 0.4}), "either lengths_m or stature_m"),
        (dict(lengths_m={"left_knee": -1.0}), "must be positive"),
        (dict(lengths_m={"left_foot": 0.2}), "no joint 'left_foot'"),
        (dict(lengths_m={"pelvis": 0.2}), "is the root"),
    ):
        with pytest.raises(ValueError, match=message):
            set_scale(rig, poses, HUMANEVA_15, **wrong)
    with pytest.raises(ValueError, match="no pose has the bones to left_knee"):
        set_scale(rig, poses * torch.nan, HUMANEVA_15, lengths_m={"left_knee": 0.4})
    with pytest.raises(ValueError, match="no pose has an ankle"):
        set_upright(rig, poses * torch.nan, HUMANEVA_15)


def test_relative_poses_agree_with_opencv(rig, poses):
    pixels = seen(poses[::10], rig[:2], 0.05)
    rays = rig[:2].pixels_to_rays(pixels.transpose(0, 1).flatten(1, 2))
    ones = torch.ones(1, rays.shape[1], dtype=torch.float64)
    found = relative_poses(rays[:1], rays[1:], ones, rig.focal_px[:1].mean(-1), generator(0))
    a, b = rays[..., :2].numpy()
    E, _ = cv2.findEssentialMat(a, b, np.eye(3), cv2.LMEDS, 0.999)
    _, R, t, _ = cv2.recoverPose(E, a, b, np.eye(3))
    assert roma.rotmat_geodesic_distance(found.R[0, 0], torch.from_numpy(R)).rad2deg() < 0.2
    assert (found.t[0, 0] @ torch.from_numpy(t).squeeze(-1)).clamp(max=1).arccos().rad2deg() < 0.3
    assert found.in_front[0, 0] == 1
    true = rig.R_world_to_camera[1] @ rig.R_world_to_camera[0].mT
    assert roma.rotmat_geodesic_distance(found.R[0, 0], true).rad2deg() < 0.05


def test_cross_matrix_is_the_cross_product():
    a, b = torch.randn(2, 5, 3, generator=generator(0))
    torch.testing.assert_close((cross_matrix(a) @ b.unsqueeze(-1)).squeeze(-1), torch.linalg.cross(a, b))


@pytest.mark.parametrize("robust_px", [5.0, 1e6])
def test_bundle_adjustment_reaches_scipys_minimum(robust_px, rig, poses):
    """The same cost minimised by SciPy over rotation vectors and OpenCV's projection, from the true cameras."""
    cameras, true = rig[:3], poses[::30, ::3]  # 10 or 11 frames, 5 joints
    pixels = seen(true, cameras, 2.0)
    turn = roma.rotvec_to_rotmat(0.05 * torch.randn(3, 3, generator=generator(0), dtype=torch.float64))
    start = replace(cameras, R_world_to_camera=turn @ cameras.R_world_to_camera)
    ours = bundle_adjust(pixels, start, robust_px=robust_px, iterations=200)
    observed = pixels.transpose(0, 1).flatten(1, 2).numpy()
    matrices = torch.diag_embed(torch.cat([cameras.focal_px, torch.ones(3, 1)], dim=-1))
    matrices[:, :2, 2] = cameras.center_px
    lenses = torch.cat([cameras.radial[:, :2], cameras.tangential, cameras.radial[:, 2:]], dim=-1).numpy()

    def misses(parameters):
        turns, shifts, points = np.split(parameters, [9, 18])
        parts = zip(turns.reshape(3, 3), shifts.reshape(3, 3), matrices.numpy(), lenses, observed)
        errors = [cv2.projectPoints(points.reshape(-1, 3), r, t, K, k)[0][:, 0] - seen for r, t, K, k, seen in parts]
        errors = np.array(errors)
        length = np.linalg.norm(errors, axis=-1, keepdims=True)
        return (errors * robust_px * np.sqrt(np.log1p((length / robust_px) ** 2)) / length).ravel()

    turns = roma.rotmat_to_rotvec(cameras.R_world_to_camera)
    x0 = torch.cat([turns.flatten(), cameras.t_world_to_camera.flatten(), true.flatten()]).numpy()
    theirs = scipy.optimize.least_squares(misses, x0)
    assert ours.cost_px2 == pytest.approx(2 * theirs.cost / observed[..., 0].size, rel=1e-4)
    between = ours.cameras.R_world_to_camera[1:] @ ours.cameras.R_world_to_camera[:1].mT
    other = roma.rotvec_to_rotmat(torch.from_numpy(theirs.x[:9].reshape(3, 3)))
    torch.testing.assert_close(between, other[1:] @ other[:1].mT, atol=1e-3, rtol=0)


def test_bundle_adjustment_keeps_the_gauge_and_the_prior(rig, poses):
    true = rig[:3]
    pixels = seen(poses[::10], true, 1.0)
    off = roma.rotvec_to_rotmat(0.1 * torch.randn(3, 3, generator=generator(0), dtype=torch.float64))
    start = replace(true, R_world_to_camera=off @ true.R_world_to_camera, focal_px=1.1 * true.focal_px)
    free = bundle_adjust(pixels, start, free_focal=True)
    torch.testing.assert_close(free.cameras.R_world_to_camera[0], start.R_world_to_camera[0])
    torch.testing.assert_close(free.cameras.centers_world[0], start.centers_world[0])
    length = (start.centers_world - start.centers_world[0]).norm(dim=-1)
    kept = (free.cameras.centers_world - free.cameras.centers_world[0]).norm(dim=-1)
    assert kept[length.argmax()].item() == pytest.approx(length.max().item())
    assert compare_cameras(free.cameras, true).focal_percent < 2
    assert compare_cameras(free.cameras, true).rotation_deg < 0.5
    held = bundle_adjust(pixels, start, free_focal=True, focal_prior=1e-5)
    torch.testing.assert_close(held.cameras.focal_px, start.focal_px, rtol=1e-3, atol=0)
    assert (held.focal_std < free.focal_std).all()
    fixed = bundle_adjust(pixels, start, free_focal=(False, True, True))
    assert torch.equal(fixed.cameras.focal_px[0], start.focal_px[0])
    assert free.points.shape == (len(pixels), 15, 3)
    assert free.residuals_px.shape == pixels.shape[:-1]


def test_the_distance_that_is_kept_is_that_of_the_camera_furthest_at_the_start(poses):
    """Two cameras are about as far from the first one, and change places on the way."""
    true = human36m_cameras("S9", dtype=torch.float64)
    source = generator(17)
    start = carried(true, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), 15.0, source)
    noise = 2.0 * torch.randn(len(poses[::24]), 4, 15, 2, generator=source, dtype=torch.float64)
    found = bundle_adjust(true.world_to_pixels(poses[::24, None]) + noise, start).cameras
    before, after = ((c.centers_world - c.centers_world[0]).norm(dim=-1) for c in (start, found))
    assert before.argmax() != after.argmax()
    torch.testing.assert_close(after[before.argmax()], before.max())


def test_adjusting_again_and_again_stays_where_it_is(rig, poses):
    """Rotations rounded to float32 are not quite rotations; what they lack must not grow."""
    true, pixels = rig[:3].to(torch.float32).to(torch.float64), seen(poses[::10], rig[:3])
    cameras = true
    for _ in range(25):
        cameras = bundle_adjust(pixels, cameras, iterations=1).cameras
    torch.testing.assert_close(cameras.R_world_to_camera, true.R_world_to_camera, atol=1e-6, rtol=0)
    torch.testing.assert_close(cameras.centers_world, true.centers_world, atol=1e-5, rtol=0)


def test_a_tree_takes_the_best_pairs():
    # Pairs 01, 02, 03, 12, 13, 23.
    tree = spanning_tree(torch.tensor([1.0, 0.0, 2.0, 5.0, 3.0, 0.0]), "abcd", [""] * 6)
    assert {frozenset(edge) for edge in tree} == {frozenset(edge) for edge in ((1, 2), (1, 3), (0, 3))}
    with pytest.raises(ValueError, match="view b, c, d cannot be placed beside the others: too far"):
        spanning_tree(torch.zeros(6), "abcd", ["too far", *[""] * 5])


def test_what_cannot_be_calibrated_says_why(rig, poses):
    pixels, two = seen(poses, rig[:2], 0.5), rig[:2]
    flat = poses * torch.tensor([1.0, 0.0, 1.0])
    alternating = pixels.clone()
    alternating[::2, 0], alternating[1::2, 1] = torch.nan, torch.nan
    beside = Cameras.stack([rig[0], replace(rig[0], R_world_to_camera=rig.R_world_to_camera[0], lens="opencv")])
    unknown = replace(two, focal_px=torch.tensor([[700.0, 700.0], [torch.nan, 700.0]]))
    one_spot = two.world_to_pixels(poses[:1, None, :1]).expand(len(poses), 2, 15, 2)
    for wrong, cameras, message in (
        (pixels[:, :1], rig[:1], "at least two views, got 1"),
        (pixels * torch.nan, two, "view 0, 1 has no 2D joint"),
        (alternating, two, "no joint is seen by two views"),
        (seen(poses, beside, 0.5), beside, "look from one place"),
        (seen(flat, two, 0.5), two, "lies in one plane"),
        (one_spot, two, "at one spot"),
        (pixels, unknown, "intrinsics of view 1 are missing"),
        (pixels, rig, "intrinsics must have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            calibrate_from_people(wrong, cameras, **QUICK)
    for options, message in (
        (dict(view_names=("a",)), "must name 2 views"),
        (dict(restarts=0), "restarts and frames must be at least 1"),
        (dict(free_focal=(True,) * 3), "free_focal must be one truth value"),
        (dict(skeleton=HUMAN36M_17), "has 17 joints, the pixels have 15"),
    ):
        with pytest.raises(ValueError, match=message):
            calibrate_from_people(pixels, two, **options)
    bare = replace(two, lens="none", radial=two.radial[:, :0], tangential=two.tangential[:, :0])
    with pytest.raises(ValueError, match="has no coefficient"):
        bundle_adjust(pixels, bare, free_k1=True)
