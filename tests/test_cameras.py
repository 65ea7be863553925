import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from posekit.cameras import NEAR_M, Cameras, inverse_depth, rotation_from_quaternion
from posekit.datasets.humaneva import humaneva_cameras
from posekit.lenses import LENS_REACH, undistort

coordinates = st.floats(-1.2, 1.2)


@given(st.lists(st.tuples(coordinates, coordinates, st.floats(NEAR_M * 1.01, 8.0)), min_size=1, max_size=15), st.integers(0, 2))
def test_projection_agrees_with_opencv(points, view):
    rays_and_depth = torch.tensor(points, dtype=torch.float64)
    points = torch.cat([rays_and_depth[:, :2], torch.ones(len(points), 1)], dim=1) * rays_and_depth[:, 2:]
    points = points[points[:, :2].norm(dim=-1) < LENS_REACH * points[:, 2]]
    if not len(points):
        return
    camera = humaneva_cameras("S2", dtype=torch.float64)[view]
    matrix = np.eye(3)
    matrix[[0, 1], [0, 1]], matrix[:2, 2] = camera.focal_px, camera.center_px
    lens = np.array([*camera.radial[:2], *camera.tangential, camera.radial[2]])
    expected, _ = cv2.projectPoints(points.numpy(), np.zeros(3), np.zeros(3), matrix, lens)
    np.testing.assert_allclose(camera.camera_to_pixels(points).numpy(), expected[:, 0], atol=1e-6)


def test_world_to_camera_agrees_with_opencv(poses_world):
    cameras = humaneva_cameras("S1", dtype=torch.float64)
    for view in range(3):
        camera = cameras[view]
        rotation, _ = cv2.Rodrigues(camera.R_world_to_camera.numpy())
        matrix = np.diag([*camera.focal_px, 1.0])
        matrix[:2, 2] = camera.center_px
        lens = np.array([*camera.radial[:2], *camera.tangential, camera.radial[2]])
        translation = camera.t_world_to_camera.numpy()
        expected, _ = cv2.projectPoints(poses_world.reshape(-1, 3).numpy(), rotation, translation, matrix, lens)
        actual = camera.world_to_pixels(poses_world).reshape(-1, 2).numpy()
        np.testing.assert_allclose(actual, expected[:, 0], atol=1e-6)


def test_world_and_camera_frames_are_inverse(cameras, poses_world):
    there = cameras.world_to_camera(poses_world[:, None])
    assert there.shape == (8, 3, 15, 3)
    torch.testing.assert_close(cameras.camera_to_world(there), poses_world[:, None].expand(8, 3, 15, 3))


def test_a_camera_stands_at_its_own_origin(cameras):
    origin = cameras.world_to_camera(cameras.centers_world[:, None])
    torch.testing.assert_close(origin, torch.zeros(3, 1, 3, dtype=torch.float64))


def test_unprojection_undoes_projection_to_a_millionth_of_a_pixel(cameras, poses_world):
    points = cameras.world_to_camera(poses_world[:, None])
    pixels = cameras.camera_to_pixels(points)
    rays = cameras.pixels_to_rays(pixels)
    torch.testing.assert_close(rays * points[..., 2:], points, atol=1e-9, rtol=0)
    assert (cameras.camera_to_pixels(rays) - pixels).abs().max() < 1e-6


@given(st.floats(0, 640), st.floats(0, 480), st.integers(0, 2), st.sampled_from(["opencv", "human36m"]))
def test_every_pixel_of_every_image_unprojects(x, y, view, lens):
    camera = humaneva_cameras("S3", lens, dtype=torch.float64)[view]
    pixel = torch.tensor([[x, y]], dtype=torch.float64)
    assert (camera.camera_to_pixels(camera.pixels_to_rays(pixel)) - pixel).abs().max() < 1e-6


def test_screen_coordinates(cameras):
    corners = torch.tensor([[0.0, 0], [640, 480], [320, 240]], dtype=torch.float64)
    screen = cameras.pixels_to_screen(corners)
    torch.testing.assert_close(screen[0], torch.tensor([[-1, -0.75], [1, 0.75], [0, 0]], dtype=torch.float64))
    torch.testing.assert_close(cameras.screen_to_pixels(screen), corners.expand(3, 3, 2))


def test_cameras_take_any_leading_axes(cameras, poses_world):
    alone = torch.stack([cameras[view].world_to_pixels(poses_world) for view in range(3)], dim=1)
    torch.testing.assert_close(cameras.world_to_pixels(poses_world[:, None]), alone)
    many = cameras.expand(8, 3)
    assert many.shape == (8, 3)
    torch.testing.assert_close(many.world_to_pixels(poses_world[:, None]), alone)
    torch.testing.assert_close(many[:, 1:].world_to_pixels(poses_world[:, None]), alone[:, 1:])
    torch.testing.assert_close(Cameras.stack([cameras, cameras])[1].centers_world, cameras.centers_world)


@pytest.mark.parametrize("clamp", [None, 1.0])
def test_projection_has_the_right_gradient(cameras, poses_world, clamp):
    points = cameras.world_to_camera(poses_world[:2, None]).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: cameras.camera_to_pixels(p, clamp), points)


def test_projection_is_differentiable_in_the_cameras(cameras, poses_world):
    def project(rotation, translation, focal, radial, tangential):
        values = dict(
            R_world_to_camera=rotation, t_world_to_camera=translation, focal_px=focal, radial=radial, tangential=tangential
        )
        moved = Cameras(center_px=cameras.center_px, image_size_px=cameras.image_size_px, lens=cameras.lens, **values)
        return moved.world_to_screen(poses_world[:1, None])

    c = cameras
    inputs = [c.R_world_to_camera, c.t_world_to_camera, c.focal_px, c.radial, c.tangential]
    assert torch.autograd.gradcheck(project, [tensor.clone().requires_grad_() for tensor in inputs])


def test_unprojection_has_the_right_gradient(cameras):
    bent = torch.tensor([[0.1, -0.2], [0.3, 0.25]], dtype=torch.float64, requires_grad=True)
    radial, tangential = (tensor[0].clone().requires_grad_() for tensor in (cameras.radial, cameras.tangential))
    assert torch.autograd.gradcheck(lambda b, k, p: undistort(b, k, p, cameras.lens), (bent, radial, tangential))


def test_nan_in_is_nan_out(cameras):
    points = torch.tensor([[0.1, 0.2, 4.0], [torch.nan] * 3], dtype=torch.float64)
    pixels = cameras.camera_to_pixels(points)
    assert pixels[:, 0].isfinite().all()
    assert pixels[:, 1].isnan().all()
    rays = cameras.pixels_to_rays(pixels)
    assert rays[:, 0].isfinite().all()
    assert rays[:, 1, :2].isnan().all()


def test_inverse_depth_is_exact_in_front_and_smooth_at_near():
    z = torch.tensor([NEAR_M, 0.5, 4.0], dtype=torch.float64)
    torch.testing.assert_close(inverse_depth(z), 1 / z)
    around = torch.tensor([NEAR_M - 1e-7, NEAR_M + 1e-7], dtype=torch.float64, requires_grad=True)
    values = inverse_depth(around)
    (slopes,) = torch.autograd.grad(values.sum(), around)
    torch.testing.assert_close(values[0], values[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(slopes[0], slopes[1], atol=1e-4, rtol=1e-4)


@given(st.floats(-1e3, 1e-3), st.integers(0, 2))
@settings(max_examples=50)
def test_behind_the_camera_the_image_is_finite_and_pulls_forward(z, view):
    camera = humaneva_cameras("S1", dtype=torch.float64)[view]
    point = torch.tensor([[0.3, -0.2, z]], dtype=torch.float64, requires_grad=True)
    pixels = camera.camera_to_pixels(point)
    assert pixels.isfinite().all()
    loss = (pixels - camera.center_px).norm()
    (gradient,) = torch.autograd.grad(loss, point)
    assert gradient.isfinite().all()
    assert gradient[0, 2] < 0  # going forward brings the image in


@pytest.mark.parametrize("z", [0.0, -3.0])
def test_the_published_clamp_stays_finite_but_loses_the_gradient(cameras, z):
    point = torch.tensor([[4.0, 5.0, z]], dtype=torch.float64, requires_grad=True)
    pixels = cameras.camera_to_pixels(point, clamp=1.0)
    assert pixels.isfinite().all()
    (gradient,) = torch.autograd.grad(pixels.sum(), point)
    assert (gradient == 0).all()


def test_quaternions_must_be_unit():
    half = 2**-0.5
    torch.testing.assert_close(
        rotation_from_quaternion(torch.tensor([half, 0.0, 0.0, half])),
        torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        atol=1e-6,
        rtol=0,
    )
    with pytest.raises(ValueError, match="unit quaternion .* got norm"):
        rotation_from_quaternion(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match="unit quaternion"):
        rotation_from_quaternion(torch.tensor([torch.nan, 0.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("focal_px", torch.ones(2, 2), "focal_px must have shape \\(3, 2\\)"),
        ("R_world_to_camera", torch.ones(3, 3, 3), "not a rotation"),
        ("R_world_to_camera", -torch.eye(3).expand(3, 3, 3), "not a rotation"),
        ("focal_px", torch.zeros(3, 2), "must be positive"),
        ("lens", "pinhole", "lens must be one of \\('opencv', 'human36m', 'fisheye', 'none'\\), got 'pinhole'"),
        ("lens", "fisheye", "radial must have shape \\(3, 4\\) .* lens 'fisheye', got \\(3, 3\\)"),
        ("radial", torch.zeros(3, 4), "radial must have shape \\(3, 3\\) .* lens 'opencv', got \\(3, 4\\)"),
        ("tangential", torch.zeros(3, 0), "tangential must have shape \\(3, 2\\)"),
    ],
)
def test_a_bad_calibration_is_refused(field, value, complaint):
    good = humaneva_cameras("S1")
    values = {name: getattr(good, name) for name in good.__dataclass_fields__}
    if field == "focal_px" and value.shape[0] == 2:
        # The shape contracts of the tests refuse this even before the check does.
        with pytest.raises((ValueError, TypeError)):
            Cameras.checked(**values | {field: value})
        return
    with pytest.raises(ValueError, match=complaint):
        Cameras.checked(**values | {field: value})


def test_lenses_do_not_mix():
    with pytest.raises(ValueError, match="one lens"):
        Cameras.stack([humaneva_cameras("S1"), humaneva_cameras("S1", "human36m")])


def test_coefficients_left_out_are_zeros_as_many_as_the_lens_has():
    good = humaneva_cameras("S1")
    named = ("R_world_to_camera", "t_world_to_camera", "focal_px", "center_px", "image_size_px")
    values = {name: getattr(good, name) for name in named}
    for lens, radial, tangential in (("opencv", 3, 2), ("fisheye", 4, 0), ("none", 0, 0)):
        cameras = Cameras.checked(**values, lens=lens)
        assert (tuple(cameras.radial.shape), tuple(cameras.tangential.shape)) == ((3, radial), (3, tangential))
        assert not cameras.radial.any()
        assert not cameras.tangential.any()


def test_the_repr_summarises():
    cameras = humaneva_cameras("S1")
    assert repr(cameras) == 'Cameras(3, lens "opencv", 640 x 480 px)'
    assert repr(cameras[0]) == 'Cameras(1, lens "opencv", 640 x 480 px)'
    assert repr(cameras.expand(8, 3)) == 'Cameras(8 x 3, lens "opencv", 640 x 480 px)'


def test_points_need_a_joint_axis(cameras):
    with pytest.raises(TypeError, match="points"):  # the shape contracts of the tests: three views' points without joints
        cameras[0].world_to_pixels(torch.zeros(3, dtype=torch.float64))
