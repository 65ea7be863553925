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

from posekit.lenses import LENS_REACH as LENS_REACH  # users look for both here as well
from posekit.lenses import LENSES as LENSES
from posekit.lenses import distort, find_lens, undistort

NEAR_M = 0.25
"""Depth in metres under which `inverse_depth` continues along its tangent."""


def inverse_depth(z: Float[Tensor, "*shape"], near: float = NEAR_M) -> Float[Tensor, "*shape"]:
    """1 / z in front of `near` metres; below it the tangent of 1 / z at `near`: (2 near - z) / near^2.

    A point at or behind the camera therefore still has a finite image with a finite, non-zero gradient, and the image
    moves further out the further behind the point lies: an optimiser is always told to bring it to the front.
    """
    return torch.where(z > near, 1 / z.clamp(min=near), (2 * near - z) / near**2)


def rotation_from_quaternion(quaternion_wxyz: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Unit quaternion (w, x, y, z) -> rotation matrix.

    Raises:
        ValueError: if the norm of a quaternion differs from 1 by more than 1e-3 (rounding causes less).
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
        radial: the lens's coefficients k1, k2, ...: three for "opencv" and "human36m", four for "fisheye", none (an
            axis of length 0) for "none".
        tangential: the lens's coefficients p1, p2 (OpenCV's order): two for "opencv" and "human36m", none for others.
        image_size_px: image width and height, pixels.
        lens: a name in `lenses.LENSES`; see `lenses.distort`.

    Build them with `Cameras.checked` where the numbers come from outside; indexing and moving stay unchecked and fast.

    >>> camera = Cameras.checked(  # at the origin of the world, looking along z
    ...     R_world_to_camera=torch.eye(3),
    ...     t_world_to_camera=torch.zeros(3),
    ...     focal_px=torch.tensor([500.0, 500.0]),
    ...     center_px=torch.tensor([320.0, 240.0]),
    ...     image_size_px=torch.tensor([640.0, 480.0]),
    ...     lens="none",
    ... )
    >>> camera.world_to_pixels(torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0]]))  # two points, 2 m in front
    tensor([[320., 240.],
            [570., 240.]])
    """

    R_world_to_camera: Float[Tensor, "*batch 3 3"]
    t_world_to_camera: Float[Tensor, "*batch 3"]
    focal_px: Float[Tensor, "*batch 2"]
    center_px: Float[Tensor, "*batch 2"]
    radial: Float[Tensor, "*batch K"]
    tangential: Float[Tensor, "*batch P"]
    image_size_px: Float[Tensor, "*batch 2"]
    lens: str = "opencv"

    @classmethod
    def checked(cls, *, R_world_to_camera: Tensor, **values) -> "Cameras":
        """`Cameras(...)` after a look at the values; for calibrations that come from outside.

        Lens coefficients that are left out (`radial`, `tangential`) are zeros, as many as the lens has.

        Raises:
            ValueError: if shapes disagree, a matrix is not a rotation, a size is not positive, or the lens is unknown or
                has another number of coefficients.
        """
        tails = _tails(values.get("lens", "opencv"))
        R = R_world_to_camera
        for name in ("radial", "tangential"):
            values.setdefault(name, R.new_zeros(*R.shape[:-2], *tails[name]))
        cameras = cls(R_world_to_camera=R, **values)
        for name, tail in tails.items():
            shape, expected = tuple(getattr(cameras, name).shape), (*cameras.shape, *tail)
            if shape != expected:
                where = f"beside {cameras.shape} rotations and with the lens {cameras.lens!r}"
                raise ValueError(f"{name} must have shape {expected} {where}, got {shape}")
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

    def __repr__(self) -> str:
        """Leading axes, lens and image size instead of every number."""
        sizes = self.image_size_px.reshape(-1, 2).unique(dim=0)
        size = "{:g} x {:g} px".format(*sizes[0].tolist()) if len(sizes) == 1 else f"{len(sizes)} image sizes"
        count = " x ".join(map(str, self.shape)) or "1"
        return f'Cameras({count}, lens "{self.lens}", {size})'

    def _map(self, change) -> "Cameras":
        return replace(self, **{name: change(getattr(self, name), axes) for name, axes in _AXES.items()})

    def __getitem__(self, index) -> "Cameras":
        """Index the leading axes as one would a tensor: `cameras[frames]`, `cameras[:, :2]`, `cameras[..., None]`."""
        index = index if isinstance(index, tuple) else (index,)
        return self._map(lambda tensor, axes: tensor[(*index, *[slice(None)] * axes)])

    def expand(self, *shape: int) -> "Cameras":
        """Broadcast the leading axes to a shape."""
        return self._map(lambda tensor, axes: tensor.expand(*shape, *tensor.shape[tensor.ndim - axes :]))

    def to(self, *args, **kwargs) -> "Cameras":
        """Move or cast every tensor, as `Tensor.to` does."""
        return self._map(lambda tensor, axes: tensor.to(*args, **kwargs))

    @staticmethod
    def stack(cameras: list["Cameras"]) -> "Cameras":
        """Cameras of one shape and one lens, along a new first axis."""
        lenses = {c.lens for c in cameras}
        if len(lenses) != 1:
            raise ValueError(f"cameras stacked together must have one lens, got {sorted(lenses)}")
        stacked = {name: torch.stack([getattr(c, name) for c in cameras]) for name in _AXES}
        return replace(cameras[0], **stacked)

    @property
    def centers_world(self) -> Float[Tensor, "*batch 3"]:
        """Where the cameras stand, world metres."""
        return -(self.R_world_to_camera.mT @ self.t_world_to_camera.unsqueeze(-1)).squeeze(-1)

    def world_to_camera(self, points: Float[Tensor, "*points J 3"]) -> Float[Tensor, "*out J 3"]:
        """World metres -> camera metres."""
        return points @ self.R_world_to_camera.mT + self.t_world_to_camera.unsqueeze(-2)

    def camera_to_world(self, points: Float[Tensor, "*points J 3"]) -> Float[Tensor, "*out J 3"]:
        """Camera metres -> world metres."""
        return (points - self.t_world_to_camera.unsqueeze(-2)) @ self.R_world_to_camera

    def camera_to_pixels(self, points: Float[Tensor, "*points J 3"], clamp: float | None = None) -> Float[Tensor, "*out J 2"]:
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

    def pixels_to_rays(self, pixels: Float[Tensor, "*points J 2"]) -> Float[Tensor, "*out J 3"]:
        """Unproject: pixels -> the point at depth 1 on each one's ray, camera frame. Times a depth, the 3D point."""
        bent = (pixels - self.center_px.unsqueeze(-2)) / self.focal_px.unsqueeze(-2)
        rays = undistort(bent, *self._lens_for_points(), self.lens)
        return torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1)

    def _lens_for_points(self):
        return self.radial.unsqueeze(-2), self.tangential.unsqueeze(-2)

    def pixels_to_screen(self, pixels: Float[Tensor, "*points J 2"]) -> Float[Tensor, "*out J 2"]:
        """Pixels -> screen coordinates: x in [-1, 1] over the image width, y on the same scale."""
        size = self.image_size_px.unsqueeze(-2)
        return (2 * pixels - size) / size[..., :1]

    def screen_to_pixels(self, screen: Float[Tensor, "*points J 2"]) -> Float[Tensor, "*out J 2"]:
        """The inverse of `pixels_to_screen`."""
        size = self.image_size_px.unsqueeze(-2)
        return (screen * size[..., :1] + size) / 2

    def world_to_pixels(self, points: Float[Tensor, "*points J 3"], clamp: float | None = None) -> Float[Tensor, "*out J 2"]:
        """World metres -> pixels; `clamp` as in `camera_to_pixels`."""
        return self.camera_to_pixels(self.world_to_camera(points), clamp)

    def world_to_screen(self, points: Float[Tensor, "*points J 3"], clamp: float | None = None) -> Float[Tensor, "*out J 2"]:
        """World metres -> screen coordinates; `clamp` as in `camera_to_pixels`."""
        return self.pixels_to_screen(self.world_to_pixels(points, clamp))


def _tails(lens: str) -> dict[str, tuple[int, ...]]:
    """The axes that each tensor of cameras with this lens has after the leading ones."""
    found = find_lens(lens)
    return {
        "R_world_to_camera": (3, 3),
        "t_world_to_camera": (3,),
        "focal_px": (2,),
        "center_px": (2,),
        "radial": (found.radial,),
        "tangential": (found.tangential,),
        "image_size_px": (2,),
    }


_AXES = {name: len(tail) for name, tail in _tails("opencv").items()}
assert set(_AXES) == {f.name for f in fields(Cameras)} - {"lens"}
