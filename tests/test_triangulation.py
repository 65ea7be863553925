import math
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from posekit import robust
from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.datasets.humaneva import humaneva_cameras
from posekit.random import generator
from posekit.reprojection import distances
from posekit.rig import adjust
from posekit.robust import WIDTH, typical_px
from posekit.triangulation import CLOSED_FORMS, refine, scene_distance, triangulate, triangulate_robustly

by_method = pytest.mark.parametrize("method", CLOSED_FORMS)


@pytest.fixture
def pixels(cameras, poses_world):
    return cameras.world_to_pixels(poses_world[:, None])


@by_method
def test_triangulation_undoes_projection(method, cameras, poses_world, pixels):
    found = triangulate(pixels, cameras, method=method)
    torch.testing.assert_close(found.points, poses_world, atol=1e-6, rtol=0)
    assert (found.views == 3).all()
    assert found.error_px.max() < 1e-4


@by_method
def test_any_leading_axes_and_any_two_views(method, cameras, poses_world, pixels):
    found = triangulate(pixels.view(2, 4, 3, 15, 2)[:, :, 1:], cameras[1:], method=method)
    torch.testing.assert_close(found.points.view(8, 15, 3), poses_world, atol=1e-6, rtol=0)
    single = triangulate(pixels[0, :2], cameras[:2], method=method)
    torch.testing.assert_close(single.points, poses_world[0], atol=1e-6, rtol=0)
    per_frame = triangulate(pixels, cameras.expand(8, 3), method=method)
    torch.testing.assert_close(per_frame.points, poses_world, atol=1e-6, rtol=0)


def test_two_views_agree_with_opencv(poses_world):
    cameras = humaneva_cameras("S1", dtype=torch.float64)[:2]
    noise = torch.randn(8, 2, 15, 2, generator=generator(0), dtype=torch.float64)
    pixels = cameras.world_to_pixels(poses_world[:, None]) + 3 * noise
    undistorted = cameras.pixels_to_rays(pixels)[..., :2] * cameras.focal_px.unsqueeze(-2)
    extrinsics = torch.cat([cameras.R_world_to_camera, cameras.t_world_to_camera.unsqueeze(-1)], dim=-1)
    matrices = (torch.nn.functional.pad(cameras.focal_px, (0, 1), value=1.0).unsqueeze(-1) * extrinsics).numpy()
    flat = undistorted.transpose(0, 1).reshape(2, -1, 2).transpose(1, 2).numpy()
    homogeneous = cv2.triangulatePoints(matrices[0], matrices[1], flat[0], flat[1])
    expected = (homogeneous[:3] / homogeneous[3]).T.reshape(8, 15, 3)
    np.testing.assert_allclose(triangulate(pixels, cameras).points.numpy(), expected, atol=1e-6)


@by_method
def test_missing_joints_rest_on_the_other_views(method, cameras, poses_world, pixels):
    pixels[0, 1, 4] = torch.nan
    pixels[1, :2, 5] = torch.nan
    pixels[2, :, 6] = torch.nan
    found = triangulate(pixels, cameras, method=method)
    assert (found.views[0, 4], found.views[1, 5], found.views[2, 6]) == (2, 1, 0)
    torch.testing.assert_close(found.points[0, 4], poses_world[0, 4], atol=1e-6, rtol=0)
    lost = found.points.isnan().all(-1)
    assert lost.sum() == 2
    assert lost[1, 5]
    assert lost[2, 6]
    assert torch.equal(found.error_px.isnan(), lost)


@by_method
def test_confidence_weighs(method, cameras, poses_world, pixels):
    pixels[:, 2] += 25.0  # one camera is off
    trust = torch.ones(8, 3, 15, dtype=torch.float64)
    fooled = (triangulate(pixels, cameras, method=method).points - poses_world).norm(dim=-1).mean()
    trust[:, 2] = 0.05
    wary = (triangulate(pixels, cameras, trust, method=method).points - poses_world).norm(dim=-1).mean()
    assert wary < fooled / 4
    trust[:, 2] = 0
    deaf = triangulate(pixels, cameras, trust, method=method)
    torch.testing.assert_close(deaf.points, poses_world, atol=1e-6, rtol=0)
    assert (deaf.views == 2).all()


def test_squared_errors_count_with_the_square_of_the_confidence(cameras, pixels):
    pixels[:, 2] += 25.0
    trust = torch.rand(8, 3, 15, generator=generator(1), dtype=torch.float64)
    found = triangulate(pixels, cameras, trust, method="midpoint")
    rays = torch.nn.functional.normalize(cameras.pixels_to_rays(pixels), dim=-1) @ cameras.R_world_to_camera
    away = found.points[:, None] - cameras.centers_world[:, None]
    across = away - (away * rays).sum(-1, keepdim=True) * rays
    torch.testing.assert_close(found.weights, trust**2)
    assert (found.weights[..., None] * across).sum(1).abs().max() < 1e-9  # the gradient of their weighted sum


FISHEYE_WAYS = {
    "dlt": triangulate,
    "midpoint": partial(triangulate, method="midpoint"),
    "robust": triangulate_robustly,
    "threshold": partial(triangulate_robustly, threshold_px=20.0),
}


@pytest.mark.parametrize("way", FISHEYE_WAYS)
def test_a_pixel_beyond_a_fisheyes_reach_is_left_out(way, poses_world):
    cameras, zeros = humaneva_cameras("S1", dtype=torch.float64)[[0, 1, 2, 0]], torch.zeros(4, 4, dtype=torch.float64)
    apart = cameras.t_world_to_camera + 0.3 * torch.arange(4.0)[:, None]
    cameras = replace(cameras, lens="fisheye", radial=zeros, tangential=zeros[:, :0], t_world_to_camera=apart)
    pixels = cameras.world_to_pixels(poses_world[:, None])
    pixels[3, 0, 5] = cameras.center_px[0] + torch.tensor([2.0, 0.0]) * cameras.focal_px[0]  # 2 rad off the axis
    assert cameras.pixels_to_rays(pixels).isnan().any(-1).sum() == 1
    found = FISHEYE_WAYS[way](pixels, cameras)
    assert found.views[3, 5] == 3
    assert found.views.sum() == 4 * 8 * 15 - 1
    torch.testing.assert_close(found.points, poses_world, atol=1e-5, rtol=0)


@pytest.mark.parametrize("way", [triangulate, triangulate_robustly])
def test_a_negative_confidence_is_refused(way, cameras, pixels):
    confidence = torch.ones(pixels.shape[:-1])
    confidence[0, 1, 2] = -0.5
    with pytest.raises(ValueError, match=r"confidence must not be negative, got -0\.5"):
        way(pixels, cameras, confidence)


def test_outliers_are_left_out(cameras, poses_world, pixels):
    source = generator(1)
    noisy = pixels + torch.randn(pixels.shape, generator=source, dtype=torch.float64)
    victim = torch.randint(3, (8, 15), generator=source)
    noisy.scatter_add_(1, victim[:, None, :, None].expand(8, 1, 15, 2), torch.full((8, 1, 15, 2), 60.0, dtype=torch.float64))
    plain = (triangulate(noisy, cameras).points - poses_world).norm(dim=-1)
    robust = triangulate_robustly(noisy, cameras)
    error = (robust.points - poses_world).norm(dim=-1)
    assert error.median() < plain.median() / 4
    assert (robust.views == 2).float().mean() > 0.8


def test_without_outliers_robust_is_plain(cameras, poses_world, pixels):
    torch.testing.assert_close(triangulate_robustly(pixels, cameras).points, triangulate(pixels, cameras).points)


def test_refinement_reaches_the_least_reprojection_error(cameras, poses_world, pixels):
    noisy = pixels + 5 * torch.randn(pixels.shape, generator=generator(2), dtype=torch.float64)
    start = triangulate(noisy, cameras, method="midpoint")
    best = refine(start.points, noisy, cameras)
    squared = lambda points: (cameras.world_to_pixels(points.unsqueeze(-3)) - noisy).square().sum((-3, -1))  # noqa: E731
    assert (squared(best.points) <= squared(start.points) + 1e-9).all()
    points = best.points.clone().requires_grad_()
    (slope,) = torch.autograd.grad(squared(points).sum(), points)
    assert slope.abs().max() < 1e-2  # px^2 per metre, from about 1e4 at the start
    again = refine(triangulate(noisy, cameras).points, noisy, cameras)
    torch.testing.assert_close(again.points, best.points, atol=1e-6, rtol=0)


def test_refinement_leaves_unknown_points_unknown(cameras, pixels):
    pixels[0, :2, 3] = torch.nan
    found = refine(triangulate(pixels, cameras).points, pixels, cameras)
    assert found.points[0, 3].isnan().all()
    assert found.points.isnan().any(-1).sum() == 1


def test_single_precision_in_is_good_to_a_tenth_of_a_millimetre(cameras, poses_world, pixels):
    found = triangulate(pixels.float(), cameras.to(torch.float32))
    assert (found.points - poses_world).norm(dim=-1).max() < 1e-4


def test_what_cannot_be_is_refused(cameras, pixels):
    with pytest.raises(ValueError, match=r"method must be one of \('dlt', 'midpoint'\)"):
        triangulate(pixels, cameras, method="guess")
    with pytest.raises(ValueError, match="at least three views, got 2"):
        triangulate_robustly(pixels[:, :2], cameras[:2])


def looking_at(point, distances):
    """Cameras on horizontal rays around a point, at these distances from it."""
    R, t = [], []
    for k, distance in enumerate(distances):
        forward = torch.tensor([math.cos(k), math.sin(k), 0.0], dtype=torch.float64)
        down = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
        R.append(torch.stack([torch.linalg.cross(down, forward), down, forward]))
        t.append(-R[-1] @ (point - distance * forward))
    pair = torch.ones(len(R), 2, dtype=torch.float64)
    cameras = dict(t_world_to_camera=torch.stack(t), focal_px=500 * pair, center_px=100 * pair, image_size_px=200 * pair)
    return Cameras.checked(R_world_to_camera=torch.stack(R), lens="none", **cameras)


def test_the_noise_is_estimated_and_the_result_does_not_depend_on_chunks(cameras, poses_world, monkeypatch):
    points = poses_world.repeat(40, 1, 1)
    noise = 6 * torch.randn(320, 3, 15, 2, generator=generator(3), dtype=torch.float64)
    pixels = cameras.world_to_pixels(points[:, None]) + noise
    found = triangulate_robustly(pixels, cameras)
    assert 5 < found.noise_px < 7
    monkeypatch.setattr(robust, "CHUNK", 5 * 4 * 3 * 15)  # five frames
    for one, other in zip(found, triangulate_robustly(pixels, cameras)):
        torch.testing.assert_close(torch.as_tensor(one), torch.as_tensor(other), rtol=0, atol=1e-12)
    nested = triangulate_robustly(pixels.view(2, 160, 3, 15, 2), cameras)
    torch.testing.assert_close(nested.points.view(320, 15, 3), found.points, rtol=0, atol=1e-12)


def test_robust_points_are_those_of_least_robust_cost_by_scipy(cameras, poses_world, pixels):
    noisy = pixels + 4 * torch.randn(pixels.shape, generator=generator(5), dtype=torch.float64)
    noisy[:, 0, ::4] += 80.0
    found = triangulate_robustly(noisy, cameras)
    width = WIDTH * typical_px(noisy, cameras, torch.ones(8, 3, 15, dtype=torch.float64))
    rays = cameras.pixels_to_rays(noisy)
    for frame, joint in ((0, 0), (1, 4), (2, 7), (3, 11)):

        def cost(point, frame=frame, joint=joint):
            point = torch.from_numpy(point).view(1, 1, 3)
            away = distances(point, rays[frame : frame + 1, :, joint : joint + 1], cameras)
            return (away**2 / (away**2 + width**2)).sum().item()

        ours = found.points[frame, joint].numpy()
        best = minimize(cost, ours, method="Nelder-Mead", options=dict(xatol=1e-7, fatol=1e-12))
        np.testing.assert_allclose(ours, best.x, atol=2e-4)


@pytest.mark.parametrize("noise_px", [0.0, 1.0, 5.0, 20.0])
def test_robust_is_nowhere_worse_than_plain_under_noise(noise_px):
    people = load_dataset("synthetic", "test").every(6)
    noisy = people.with_detector_noise(noise_px, 0.0, generator(0))
    for confidence in (None, noisy.confidence):
        plain, robust = (
            (f(noisy.pixels, noisy.frame_cameras, confidence).points - people.poses_world).norm(dim=-1)
            for f in (triangulate, triangulate_robustly)
        )
        assert torch.equal(plain.isnan(), robust.isnan())
        assert robust.nanmean() <= plain.nanmean() + 1e-6


def test_blunders_anywhere_hardly_matter(cameras, poses_world):
    points = poses_world.repeat(20, 1, 1)
    rng = generator(4)
    pixels = cameras.world_to_pixels(points[:, None])
    pixels = pixels + 2 * torch.randn(pixels.shape, generator=rng, dtype=torch.float64)
    hit = torch.rand(pixels.shape[:-1], generator=rng) < 0.05
    spoilt = pixels.where(~hit.unsqueeze(-1), torch.rand(pixels.shape, generator=rng, dtype=torch.float64) * 600)
    clean, robust = ((triangulate_robustly(p, cameras).points - points).norm(dim=-1) for p in (pixels, spoilt))
    once = hit.sum(1) == 1
    plain = (triangulate(spoilt, cameras).points - points).norm(dim=-1)
    assert robust[once].nanmedian() < 2 * clean[once].median()  # two views are left of three
    assert robust[once].nanmean() < plain[once].mean() / 10
    assert robust[once].isnan().double().mean() < 0.05


def test_a_joint_that_no_two_views_agree_on_has_no_robust_point(cameras, poses_world, pixels):
    noisy = pixels + torch.randn(pixels.shape, generator=generator(6), dtype=torch.float64)
    noisy[0, 0, 3], noisy[0, 1, 3] = torch.nan, noisy[0, 1, 3] + 200.0
    found = triangulate_robustly(noisy, cameras)
    assert found.points[0, 3].isnan().all()
    assert found.views[0, 3] < 2
    assert (found.points.isnan().any(-1)).sum() == 1


def test_a_fixed_threshold_is_the_former_estimate(cameras, poses_world, pixels):
    noisy = pixels + 5 * torch.randn(pixels.shape, generator=generator(7), dtype=torch.float64)
    found = triangulate_robustly(noisy, cameras, threshold_px=8.0)
    carries = found.weights > 0
    torch.testing.assert_close(found.points, triangulate(noisy, cameras, carries.double()).points, equal_nan=True)
    assert not carries.all()
    assert found.noise_px is None


def test_refinement_keeps_the_robust_weights_and_says_which_views_carry(cameras, poses_world, pixels):
    spoilt = pixels.clone()
    spoilt[:, 1, 5] += 150.0
    found = triangulate_robustly(spoilt, cameras)
    refined = refine(found, spoilt, cameras)
    torch.testing.assert_close(refined.points, poses_world, atol=1e-6, rtol=0)
    assert torch.equal(refined.weights, found.weights)
    assert (refined.views[:, 5] == 2).all()
    assert (refine(found.points, spoilt, cameras).points - poses_world).norm(dim=-1)[:, 5].min() > 0.01
    with pytest.raises(ValueError, match="leave confidence out"):
        refine(found, spoilt, cameras, torch.ones(8, 3, 15))


def test_the_covariance_is_that_of_many_draws(cameras, poses_world):
    exact = cameras.world_to_pixels(poses_world[:1, None])
    noisy = exact + 0.5 * torch.randn(4000, 3, 15, 2, generator=generator(8), dtype=torch.float64)
    found = refine(triangulate(noisy, cameras), noisy, cameras)
    drawn = torch.stack([joint.T.cov() for joint in found.points.unbind(1)])
    expected = 0.25 * triangulate(exact, cameras).covariance[0]
    assert ((drawn - expected).norm(dim=(-2, -1)) < 0.15 * expected.norm(dim=(-2, -1))).all()
    torch.testing.assert_close(found.deviation_m[0] ** 2, torch.linalg.eigvalsh(found.covariance[0])[..., -1])


def test_one_camera_twice_and_a_point_on_the_baseline_show(poses_world):
    cameras = humaneva_cameras("S1", dtype=torch.float64)
    twice = cameras[torch.tensor([0, 0])]
    found = triangulate(twice.world_to_pixels(poses_world[:, None]), twice)
    assert found.angle.max() < 1e-6
    assert (found.deviation_m > 100).all()

    two = looking_at(torch.zeros(3, dtype=torch.float64), [3.0, 3.0])
    opposite = replace(two, R_world_to_camera=two.R_world_to_camera.clone())
    turned = torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64))  # half a turn about the vertical
    opposite.R_world_to_camera[1] = turned @ opposite.R_world_to_camera[0]
    between = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.8]], dtype=torch.float64)
    found = triangulate(opposite.world_to_pixels(between), opposite)
    assert found.angle[0] < 1e-6
    assert found.deviation_m[0] > 100
    assert found.angle[1] == pytest.approx(2 * math.atan(0.8 / 3))
    assert found.deviation_m[1] < 0.05


def test_a_longer_lens_counts_more(poses_world):
    cameras = humaneva_cameras("S1", dtype=torch.float64)
    long = replace(cameras, focal_px=cameras.focal_px * torch.tensor([[1.0], [1.0], [4.0]]))
    noise = 3 * torch.randn(8, 3, 15, 2, generator=generator(9), dtype=torch.float64)
    pixels = long.world_to_pixels(poses_world[:, None]) + noise
    start = triangulate(pixels, long)
    best = refine(start, pixels, long)
    same = replace(long, focal_px=cameras.focal_px)  # the same rays, told to have come through equal lenses
    rays = long.pixels_to_rays(pixels)
    told = triangulate(same.camera_to_pixels(rays), same)
    assert (start.points - best.points).norm(dim=-1).mean() < (told.points - best.points).norm(dim=-1).mean() / 3


def test_the_scene_is_where_lines_of_sight_meet():
    cameras = looking_at(torch.tensor([1.0, -2.0, 0.7], dtype=torch.float64), [3.0, 5.0, 10.0])
    assert scene_distance(cameras) == pytest.approx(6.0)
    assert scene_distance(Cameras.stack([cameras, cameras])) == pytest.approx(6.0)


def test_lines_of_sight_that_do_not_meet_in_front_are_refused():
    point = torch.zeros(3, dtype=torch.float64)
    with pytest.raises(ValueError, match="two cameras or more"):
        scene_distance(looking_at(point, [3.0]))
    with pytest.raises(ValueError, match="parallel"):
        scene_distance(looking_at(point, [3.0, 5.0])[torch.tensor([0, 0])])
    with pytest.raises(ValueError, match="behind a camera"):
        scene_distance(looking_at(point, [3.0, -5.0]))


def left_out_error(method, dataset):
    """The median distance in pixels of each view's joints from what the other views say, joints of low confidence aside."""
    views, errors = range(len(dataset.view_names)), []
    for view in views:
        rest = [other for other in views if other != view]
        points = method(dataset.pixels[:, rest], dataset.frame_cameras[:, rest], dataset.confidence[:, rest]).points
        expected = dataset.frame_cameras[:, view].world_to_pixels(points.float())
        error = (expected - dataset.pixels[:, view]).norm(dim=-1)
        errors.append(error[error.isfinite() & (dataset.confidence[:, view] > 0.3)])
    return torch.cat(errors).median()


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("split", ["train", "test"])
def test_on_a_real_rig_robust_foretells_a_view_left_out_no_worse(split, adjusted):
    dataset = load_dataset("balancing", split)
    dataset = adjust(dataset) if adjusted else dataset
    assert left_out_error(triangulate_robustly, dataset) <= left_out_error(triangulate, dataset)
