import math

import cv2
import numpy as np
import pytest
import torch

from posekit.cameras import Cameras
from posekit.datasets.humaneva import humaneva_cameras
from posekit.random import generator
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
    rays = cameras.pixels_to_rays(pixels)[..., :2]
    matrices = torch.cat([cameras.R_world_to_camera, cameras.t_world_to_camera.unsqueeze(-1)], dim=-1).numpy()
    flat = rays.transpose(0, 1).reshape(2, -1, 2).transpose(1, 2).numpy()
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
