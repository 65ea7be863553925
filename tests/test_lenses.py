"""Every lens against its formula or OpenCV, there and back."""

import cv2
import numpy as np
import pytest
import torch

from posekit.lenses import LENS_REACH, LENSES, distort, find_lens, undistort
from posekit.random import generator

COEFFICIENTS = {
    "opencv": ((-0.2, 0.24, -0.002), (-0.0009, -0.0014)),
    "human36m": ((-0.2, 0.24, -0.002), (-0.0009, -0.0014)),
    "fisheye": ((0.05, -0.03, 0.02, -0.004), ()),
    "none": ((), ()),
}
every_lens = pytest.mark.parametrize("name", LENSES)
MATRIX = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])


def coefficients(name):
    return tuple(torch.tensor(numbers, dtype=torch.float64) for numbers in COEFFICIENTS[name])


def rays_within(reach):
    """Points of the plane z = 1 up to a distance from the axis, and the axis itself."""
    angle, length = torch.rand(2, 60, generator=generator(0), dtype=torch.float64) * torch.tensor([[6.3], [reach]])
    around = length.unsqueeze(-1) * torch.stack([angle.cos(), angle.sin()], dim=-1)
    return torch.cat([torch.zeros(1, 2, dtype=torch.float64), around])


def to_pixels(bent):
    return bent * torch.tensor([500.0, 510.0]) + torch.tensor([320.0, 240.0])


def test_the_human36m_lens_is_the_formula_of_its_code():
    rays = torch.rand(50, 2, generator=generator(0), dtype=torch.float64) - 0.5
    (k1, k2, k3), (p1, p2) = (-0.2, 0.24, -0.002), (-0.0009, -0.0014)
    x, y = rays.unbind(-1)
    r2 = x * x + y * y
    gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p2 * x + p1 * y
    expected = torch.stack([x * gain + p2 * r2, y * gain + p1 * r2], dim=-1)
    actual = distort(rays, torch.tensor([k1, k2, k3]).double(), torch.tensor([p1, p2]).double(), "human36m")
    torch.testing.assert_close(actual, expected)


@every_lens
def test_undistortion_undoes_distortion(name):
    rays = rays_within({"fisheye": 11.0, "none": 100.0}.get(name, 1.2))  # 11 is 85 degrees off the axis
    bent = distort(rays, *coefficients(name), name)
    torch.testing.assert_close(undistort(bent, *coefficients(name), name), rays, atol=1e-9, rtol=1e-9)
    assert torch.equal(bent, rays) == (name == "none")


@every_lens
@pytest.mark.parametrize("function", [distort, undistort])
def test_gradients_are_right(name, function):
    points = torch.cat([rays_within(1.2)[:4], rays_within(0.01)[1:3]])
    bent = points if function is distort else distort(points, *coefficients(name), name)
    inputs = [tensor.clone().requires_grad_() for tensor in (bent, *coefficients(name))]
    assert torch.autograd.gradcheck(lambda *values: function(*values, name), inputs)


@every_lens
def test_nan_in_is_nan_out_and_nothing_else_is(name):
    rays = rays_within(1.0)
    rays[3] = torch.nan
    for function in (distort, undistort):
        done = function(rays, *coefficients(name), name)
        assert torch.equal(done.isnan(), rays.isnan())


@every_lens
def test_leading_axes_broadcast(name):
    rays = rays_within(1.0)
    radial, tangential = (numbers.expand(3, 1, -1) for numbers in coefficients(name))
    for function in (distort, undistort):
        alone = function(rays, *coefficients(name), name)
        torch.testing.assert_close(function(rays, radial, tangential, name), alone.expand(3, -1, -1))


def test_fisheye_agrees_with_opencv_both_ways():
    rays = rays_within(5.0)[1:]  # up to 79 degrees off the axis; on it undistortPoints divides by zero
    bent = distort(rays, *coefficients("fisheye"), "fisheye")
    k = np.array(COEFFICIENTS["fisheye"][0])
    points = torch.cat([rays, torch.ones(len(rays), 1)], dim=-1).numpy()[:, None]
    expected, _ = cv2.fisheye.projectPoints(points, np.zeros((3, 1)), np.zeros((3, 1)), MATRIX, k)
    np.testing.assert_allclose(to_pixels(bent).numpy(), expected[:, 0], atol=1e-6)
    back = cv2.fisheye.undistortPoints(expected, MATRIX, k, criteria=(cv2.TERM_CRITERIA_MAX_ITER, 50, 0))
    ours = undistort((torch.from_numpy(expected[:, 0]) - torch.tensor([320.0, 240])) / torch.tensor([500.0, 510]),
                     *coefficients("fisheye"), "fisheye")  # fmt: skip
    np.testing.assert_allclose(ours.numpy(), back[:, 0], atol=1e-6)


def test_a_fisheye_ray_of_more_than_90_degrees_is_nan():
    none = torch.zeros(4), torch.zeros(0)
    bent = torch.tensor([[1.5, 0.0], [1.6, 0.0]])  # radians off the axis, where all coefficients are 0
    rays = undistort(bent, *none, "fisheye")
    assert rays[0, 0].item() == pytest.approx(np.tan(1.5), rel=1e-4)
    assert rays[1].isnan().all()


@pytest.mark.parametrize("name", ["opencv", "human36m"])
def test_beyond_the_reach_the_gain_stays_and_the_image_moves_on(name):
    radial, tangential = coefficients(name)
    direction = torch.tensor([0.6, 0.8], dtype=torch.float64)
    at, twice, thrice = (distort(direction * LENS_REACH * k, radial, tangential, name) for k in (1, 2, 3))
    torch.testing.assert_close(thrice - twice, twice - at)


def test_far_out_the_fisheye_image_tends_to_that_of_90_degrees():
    far = distort(torch.tensor([[1e9, 0.0]], dtype=torch.float64), *coefficients("fisheye"), "fisheye")
    angle = np.pi / 2
    expected = angle + sum(k * angle ** (2 * i + 3) for i, k in enumerate(COEFFICIENTS["fisheye"][0]))
    assert far[0, 0].item() == pytest.approx(expected, abs=1e-6)


@every_lens
def test_a_lens_knows_its_name_and_its_coefficients(name):
    lens = find_lens(name)
    assert lens.name == name
    assert (lens.radial, lens.tangential) == tuple(map(len, COEFFICIENTS[name]))


@pytest.mark.parametrize("function", [distort, undistort])
def test_an_unknown_lens_lists_the_known(function):
    with pytest.raises(ValueError, match="lens must be one of .*'opencv', 'human36m', 'fisheye', 'none'.*, got 'wide'"):
        function(torch.zeros(1, 2), torch.zeros(3), torch.zeros(2), "wide")
