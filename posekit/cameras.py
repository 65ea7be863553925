"""Calibrated pinhole cameras with a lens, batched: world <-> camera <-> pixels <-> screen.

Frames. World: metres, z up. Camera: metres, x right, y down, z forward; `x_camera = R @ x_world + t`.
Pixels: (0, 0) at the image's top left, x right, y down. Screen: x in [-1, 1] over the image width, y on the
same scale, (0, 0) at the image's centre; this is what a lifter sees.

Axes. A `Cameras` has any leading axes `*batch`, e.g. `(views,)` or `(frames, views)`. Points are
`(*batch, joints, 3 or 2)`: one joint axis more than the cameras, and leading axes that broadcast with theirs.
Everything is differentiable, and NaN in is NaN out.
"""

from dataclasses import dataclass, fields, replace

import roma
import torch
from jaxtyping import Float
from torch import Tensor

LENSES = ("opencv", "human36m")

NEAR_M = 0.25
"""Depth in metres under which `inverse_depth` continues along its tangent."""

LENS_REACH = 1.5
"""Distance from the optical axis, in the plane z = 1, up to which a lens polynomial is believed (56 degrees)."""


def inverse_depth(z: Float[Tensor, "*shape"], near: float = NEAR_M) -> Float[Tensor, "*shape"]:
    """1 / z in front of `near` metres; below it the tangent of 1 / z at `near`: (2 near - z) / near^2.

    A point at or behind the camera so has a finite image with a finite, non-zero gradient, and the image moves
    further out the further behind the point lies: an optimiser is always told to bring it to the front.
    """
    return torch.where(z > near, 1 / z.clamp(min=near), (2 * near - z) / near**2)


def distort(
    rays: Float[Tensor, "*#batch 2"],
    radial: Float[Tensor, "*#batch 3"],
    tangential: Float[Tensor, "*#batch 2"],
    lens: str = "opencv",
) -> Float[Tensor, "*batch 2"]:
    """Bend undistorted image-plane coordinates (x / z, y / z) as the lens does.

    Args:
        rays: points of the plane z = 1, no unit.
        radial: k1, k2, k3.
        tangential: p1, p2, in OpenCV's order and meaning.
        lens: "opencv" is Brown-Conrady as in OpenCV's calibration module. "human36m" is the variant in
            Human3.6M's own projection code, which leaves the factor 2 out of the tangential terms.

    Beyond `LENS_REACH` the polynomial, fitted inside the image, would grow without bound; from there on the lens
    magnifies as it does at the reach, so a stray point has a stray but moderate image and gradient.

    Source: D. C. Brown, "Close-range camera calibration", 1971; OpenCV, `projectPoints`.
    """
    p2_p1 = tangential.flip(-1)
    r2 = (rays * rays).sum(-1, keepdim=True)
    within = rays * (LENS_REACH / r2.clamp(min=LENS_REACH**2).sqrt())
    r2 = r2.clamp(max=LENS_REACH**2)
    return rays * _lens_gain(within, r2, radial, p2_p1, lens) + r2 * p2_p1


def _lens_gain(rays, r2, radial, p2_p1, lens):
    k1, k2, k3 = radial.split(1, dim=-1)
    bend = _tangential_factor(lens) * (rays * p2_p1).sum(-1, keepdim=True)
    return 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + bend


def _tangential_factor(lens: str) -> int:
    if lens not in LENSES:
        raise ValueError(f"lens must be one of {LENSES}, got {lens!r}")
    return 2 if lens == "opencv" else 1


def undistort(
    bent: Float[Tensor, "*#batch 2"],
    radial: Float[Tensor, "*#batch 3"],
    tangential: Float[Tensor, "*#batch 2"],
    lens: str = "opencv",
    iterations: int = 10,
) -> Float[Tensor, "*batch 2"]:
    """The inverse of `distort`, by Newton's method; arguments as there.

    The root is found without gradients; one last Newton step with them makes the derivative exact.
    Valid within `LENS_REACH` and where the lens is one-to-one: in the image and well around it.
    """
    rays = bent.detach()
    with torch.no_grad():
        for _ in range(iterations):
            rays = _newton_step(rays, bent, radial, tangential, lens)
    return _newton_step(rays, bent, radial, tangential, lens)


def _newton_step(rays, bent, radial, tangential, lens):
    k1, k2, k3 = radial.split(1, dim=-1)
    p2_p1 = tangential.flip(-1)
    r2 = (rays * rays).sum(-1, keepdim=True)
    gain = _lens_gain(rays, r2, radial, p2_p1, lens)
    gain_slope = 2 * rays * (k1 + r2 * (2 * k2 + r2 * 3 * k3)) + _tangential_factor(lens) * p2_p1
    error = rays * gain + r2 * p2_p1 - bent

    # The Jacobian [[a, b], [c, d]] of distort, inverted in closed form.
    x, y = rays.split(1, dim=-1)
    gain_x, gain_y = gain_slope.split(1, dim=-1)
    p2, p1 = p2_p1.split(1, dim=-1)
    a, b = gain + x * gain_x + 2 * x * p2, x * gain_y + 2 * y * p2
    c, d = y * gain_x + 2 * x * p1, gain + y * gain_y + 2 * y * p1
    error_x, error_y = error.split(1, dim=-1)
    step = torch.cat([d * error_x - b * error_y, a * error_y - c * error_x], dim=-1)
    return rays - step / (a * d - b * c)


def rotation_from_quaternion(quaternion_wxyz: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Unit quaternion (w, x, y, z) -> rotation matrix.

    Raises:
        ValueError: if a quaternion's norm is further than 1e-3 from 1 (rounded calibrations are nearer).
    """
    norm = quaternion_wxyz.norm(dim=-1)
    if not ((norm - 1).abs() < 1e-3).all():
        raise ValueError(f"a rotation needs a unit quaternion (w, x, y, z); got norm {norm.flatten().tolist()}")
    wxyz = quaternion_wxyz / norm.unsqueeze(-1)
    return roma.unitquat_to_rotmat(wxyz.roll(-1, dims=-1))  # roma's order is x, y, z, w


@dataclass(frozen=True)
class Cameras:
    """A batch of calibrated cameras.

    Args:
        R_world_to_camera: rotations, `x_camera = R @ x_world + t`.
        t_world_to_camera: translations, metres.
        focal_px: focal lengths fx, fy, pixels.
        center_px: principal points cx, cy, pixels.
        radial: lens coefficients k1, k2, k3.
        tangential: lens coefficients p1, p2 (OpenCV's order).
        image_size_px: image width and height, pixels.
        lens: one of `LENSES`; see `distort`.

    Build them with `Cameras.checked` where the numbers come from outside; indexing and moving stay unchecked and fast.
    """

    R_world_to_camera: Float[Tensor, "*batch 3 3"]
    t_world_to_camera: Float[Tensor, "*batch 3"]
    focal_px: Float[Tensor, "*batch 2"]
    center_px: Float[Tensor, "*batch 2"]
    radial: Float[Tensor, "*batch 3"]
    tangential: Float[Tensor, "*batch 2"]
    image_size_px: Float[Tensor, "*batch 2"]
    lens: str = "opencv"

    @classmethod
    def checked(cls, **values) -> "Cameras":
        """`Cameras(**values)`, with the values looked at; for calibrations that come from outside.

        Raises:
            ValueError: if shapes disagree, a matrix is no rotation, a size is not positive, or the lens is unknown.
        """
        cameras = cls(**values)
        if cameras.lens not in LENSES:
            raise ValueError(f"lens must be one of {LENSES}, got {cameras.lens!r}")
        for name, tail in _TAILS.items():
            shape, expected = tuple(values[name].shape), (*cameras.shape, *tail)
            if shape != expected:
                raise ValueError(f"{name} must have shape {expected} beside {cameras.shape} rotations, got {shape}")
        R = cameras.R_world_to_camera
        error = (R @ R.mT - torch.eye(3).to(R)).abs().amax(dim=(-2, -1))
        if not ((error < 1e-3) & (torch.linalg.det(R) > 0)).all():
            raise ValueError("R_world_to_camera holds a matrix that is not a rotation (R R^T = 1, det R = 1)")
        if not (cameras.focal_px > 0).all() or not (cameras.image_size_px > 0).all():
            raise ValueError("focal_px and image_size_px must be positive")
        return cameras

    @property
    def shape(self) -> tuple[int, ...]:
        """The leading axes, e.g. `(views,)`."""
        return tuple(self.R_world_to_camera.shape[:-2])

    def __len__(self) -> int:
        return self.shape[0]

    def _map(self, change) -> "Cameras":
        return replace(self, **{name: change(getattr(self, name), len(tail)) for name, tail in _TAILS.items()})

    def __getitem__(self, index) -> "Cameras":
        """Index the leading axes as one would a tensor: `cameras[frames]`, `cameras[:, :2]`, `cameras[..., None]`."""
        index = index if isinstance(index, tuple) else (index,)
        return self._map(lambda tensor, tail: tensor[(*index, *[slice(None)] * tail)])

    def expand(self, *shape: int) -> "Cameras":
        """Broadcast the leading axes to a shape."""
        return self._map(lambda tensor, tail: tensor.expand(*shape, *tensor.shape[tensor.ndim - tail :]))

    def to(self, *args, **kwargs) -> "Cameras":
        """Move or cast every tensor, as `Tensor.to` does."""
        return self._map(lambda tensor, tail: tensor.to(*args, **kwargs))

    @staticmethod
    def stack(cameras: list["Cameras"]) -> "Cameras":
        """Cameras of one shape and one lens, along a new first axis."""
        lenses = {c.lens for c in cameras}
        if len(lenses) != 1:
            raise ValueError(f"cameras stacked together must have one lens, got {sorted(lenses)}")
        stacked = {name: torch.stack([getattr(c, name) for c in cameras]) for name in _TAILS}
        return replace(cameras[0], **stacked)

    @property
    def centers_world(self) -> Float[Tensor, "*batch 3"]:
        """Where the cameras stand, world metres."""
        return -(self.R_world_to_camera.mT @ self.t_world_to_camera.unsqueeze(-1)).squeeze(-1)

    def world_to_camera(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*out 3"]:
        """World metres -> camera metres."""
        return points @ self.R_world_to_camera.mT + self.t_world_to_camera.unsqueeze(-2)

    def camera_to_world(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*out 3"]:
        """Camera metres -> world metres."""
        return (points - self.t_world_to_camera.unsqueeze(-2)) @ self.R_world_to_camera

    def camera_to_pixels(self, points: Float[Tensor, "*points 3"], clamp: float | None = None) -> Float[Tensor, "*out 2"]:
        """Project: camera metres -> pixels, lens included.

        Args:
            points: camera metres. At or behind the camera see `inverse_depth`.
            clamp: None, or as in the published code 1.0: x / z and y / z are cut to [-clamp, clamp] before the
                lens. Beyond the cut, behind the camera above all, the gradient is then zero.
        """
        xy, z = points[..., :2], points[..., 2:]
        if clamp is None:
            rays = xy * inverse_depth(z)
        else:
            rays = (xy / z.where(z != 0, 1e-12)).clamp(-clamp, clamp)  # 0 / 0 would make every gradient NaN
        bent = distort(rays, *self._lens_for_points(), self.lens)
        return bent * self.focal_px.unsqueeze(-2) + self.center_px.unsqueeze(-2)

    def pixels_to_rays(self, pixels: Float[Tensor, "*points 2"]) -> Float[Tensor, "*out 3"]:
        """Unproject: pixels -> the point at depth 1 on each one's ray, camera frame. Times a depth, the 3D point."""
        bent = (pixels - self.center_px.unsqueeze(-2)) / self.focal_px.unsqueeze(-2)
        rays = undistort(bent, *self._lens_for_points(), self.lens)
        return torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1)

    def _lens_for_points(self):
        return self.radial.unsqueeze(-2), self.tangential.unsqueeze(-2)

    def pixels_to_screen(self, pixels: Float[Tensor, "*points 2"]) -> Float[Tensor, "*out 2"]:
        """Pixels -> screen coordinates: x in [-1, 1] over the image width, y on the same scale."""
        size = self.image_size_px.unsqueeze(-2)
        return (2 * pixels - size) / size[..., :1]

    def screen_to_pixels(self, screen: Float[Tensor, "*points 2"]) -> Float[Tensor, "*out 2"]:
        """The inverse of `pixels_to_screen`."""
        size = self.image_size_px.unsqueeze(-2)
        return (screen * size[..., :1] + size) / 2

    def world_to_pixels(self, points: Float[Tensor, "*points 3"], clamp: float | None = None) -> Float[Tensor, "*out 2"]:
        """World metres -> pixels; `clamp` as in `camera_to_pixels`."""
        return self.camera_to_pixels(self.world_to_camera(points), clamp)

    def world_to_screen(self, points: Float[Tensor, "*points 3"], clamp: float | None = None) -> Float[Tensor, "*out 2"]:
        """World metres -> screen coordinates; `clamp` as in `camera_to_pixels`."""
        return self.pixels_to_screen(self.world_to_pixels(points, clamp))


_TAILS = {
    "R_world_to_camera": (3, 3),
    "t_world_to_camera": (3,),
    "focal_px": (2,),
    "center_px": (2,),
    "radial": (3,),
    "tangential": (2,),
    "image_size_px": (2,),
}
assert set(_TAILS) == {f.name for f in fields(Cameras)} - {"lens"}
