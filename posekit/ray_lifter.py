"""A lifter that is told what is known of the camera, and says depths along the rays."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from posekit.cameras import NEAR_M, Cameras
from posekit.inputs import KINDS, NEEDS_AT_TEST, Seen, see
from posekit.random import seeded
from posekit.scenes import Drawn, Scene
from posekit.skeleton import check_joints, from_root_anchored
from posekit.skeletons import SKELETONS

DEPTH_SPREAD = 0.3
"""An output of 1 means 30 % of the root's distance, or 0.3 m of another joint's depth."""


class PreNormBlock(nn.Module):
    """x + Linear(GELU(Linear(LayerNorm(x)))). Source: R. Xiong et al., "On layer normalization in the transformer", 2020."""

    def __init__(self, width: int):
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, hidden: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Features -> features."""
        return hidden + self.inner(hidden)


class RayLifter(nn.Module):
    """Single-frame lifter of rays: a pre-norm residual multilayer perceptron.

    Input as `inputs.see` gives it, standardised; output for each joint a depth and, where the 2D is not to be taken
    at its word, a step aside. With "rays" and "level" every joint that was found lies on its ray, so the own view is
    met exactly. The last layer starts at zero: the first guess is everyone at `distance`, flat.

    Args:
        skeleton: its name; one of `skeletons.SKELETONS`.
        needs: what it must be told at test; one of `inputs.KINDS`.
        width, blocks: of the network.
        on_rays: joints stay on their rays. Default: where rays are known, so not for "screen".
        mirrored: in eval mode, average with the mirror image of what the mirrored input gives. Default: not for
            "screen", since a mirrored picture is that of a mirrored camera, which training has not seen.
        generator: random numbers for the initial weights.

    Raises:
        ValueError: for an unknown skeleton or need.
    """

    def __init__(
        self,
        skeleton: str,
        needs: str = "level",
        width: int = 512,
        blocks: int = 3,
        on_rays: bool | None = None,
        mirrored: bool | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if skeleton not in SKELETONS or needs not in KINDS:
            raise ValueError(
                f"skeleton must be one of {', '.join(SKELETONS)}, needs one of {', '.join(KINDS)}; got {skeleton!r}, {needs!r}"
            )
        on_rays = needs != "screen" if on_rays is None else on_rays
        mirrored = needs != "screen" if mirrored is None else mirrored
        self.settings = dict(skeleton=skeleton, needs=needs, width=width, blocks=blocks, on_rays=on_rays, mirrored=mirrored)
        self.skeleton, self.needs, self.on_rays, self.mirrored = SKELETONS[skeleton], needs, on_rays, mirrored
        self.bfloat16 = False  # whether hidden layers train in half the bits: faster on processors that have them
        with seeded(generator):
            self.inner = nn.Sequential(nn.Linear(self.inputs(), width), nn.GELU())
            self.blocks = nn.Sequential(*(PreNormBlock(width) for _ in range(blocks)))
            self.outer = nn.Linear(width, self.outputs() * len(self.skeleton))
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)
        self.register_buffer("mean", torch.zeros(self.inputs()))
        self.register_buffer("std", torch.ones(self.inputs()))
        self.register_buffer("distance", torch.tensor(4.0))
        self.register_buffer("assumed_focal", torch.tensor([2.0, 2.0]))
        self.register_buffer("assumed_center", torch.zeros(2))

    def inputs(self) -> int:
        """Length of the network's input."""
        return 3 * len(self.skeleton)

    def outputs(self) -> int:
        """Numbers that the network says of each joint."""
        return 3

    def forward(self, screen: Float[Tensor, "*batch J 2"], cameras: Cameras | None = None) -> Float[Tensor, "*batch J 3"]:
        """2D joints in screen coordinates -> absolute 3D joints, camera frame, metres.

        Args:
            screen: NaN where missing; the joint's pose is then told from the others.
            cameras: leading axes that broadcast with (*batch). Not needed, and not looked at, by a lifter of the
                "screen"; only their intrinsics are by one of "rays".

        Raises:
            ValueError: for another number of joints, or if cameras are needed and not given.
        """
        return self._lift(self.see(screen, cameras))

    def see(self, screen: Float[Tensor, "*batch J 2"], cameras: Cameras | None = None) -> Seen:
        """What the network sees of a picture."""
        return self.turned(self.rays(screen, cameras), cameras)

    def turned(self, rays: Float[Tensor, "*batch J 3"], cameras: Cameras | None) -> Seen:
        """`inputs.see` with as much of the cameras as this lifter needs."""
        return see(self.needs, rays, self.skeleton, cameras.expand(*rays.shape[:-2]) if self.needs == "level" else None)

    def rays(self, screen: Float[Tensor, "*batch J 2"], cameras: Cameras | None = None) -> Float[Tensor, "*batch J 3"]:
        """Pixels as points at depth 1, through the camera that is known or, for the "screen", assumed."""
        check_joints(screen, len(self.skeleton))
        if self.needs == "screen":
            bent = (screen - self.assumed_center) / self.assumed_focal
            return torch.cat([bent, torch.ones_like(bent[..., :1])], dim=-1)
        if cameras is None:
            raise ValueError(f"this lifter needs, besides the picture, the camera's {NEEDS_AT_TEST[self.needs]}: pass cameras=")
        return cameras.pixels_to_rays(cameras.screen_to_pixels(screen))

    def see_scene(self, scene: Scene) -> Seen:
        """What the network would see of drawn people; exact 2D without the detour of bending and unbending rays."""
        if self.needs == "screen" or scene.error_px is not None:
            return self.see(scene.screen(), scene.cameras)
        poses = scene.poses_camera()
        depth = poses[..., 2:]
        rays = (poses / depth).where(depth > NEAR_M, torch.nan)  # nothing is seen of what is behind the camera
        return self.turned(rays, scene.cameras)

    def lift_scene(self, scene: Drawn) -> tuple[Float[Tensor, "N J 3"], Bool[Tensor, "N 1"]]:
        """Lift drawn people; poses in the camera frame, and who of them was seen at all."""
        seen = self.see_scene(scene)
        return self._lift(seen), ~seen.missing.all(-1, keepdim=True)

    @torch.no_grad()
    def standardise(self, scene: Drawn) -> None:
        """Set the constants of input and output from a large sample of scenes: mean, spread, distance, focal length."""
        cameras = scene.cameras
        width = cameras.image_size_px[..., :1]
        self.assumed_focal.copy_((2 * cameras.focal_px / width).mean(0))
        self.assumed_center.copy_(cameras.pixels_to_screen(cameras.center_px.unsqueeze(-2)).mean((0, 1)))
        seen = self.see_scene(scene)
        features = seen.features(self.skeleton)[~seen.missing.all(-1)]
        features = features[features.isfinite().all(-1)]
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0).clamp(min=1e-4))
        joints = len(self.skeleton)
        self.mean[-joints:], self.std[-joints:] = 0, 1  # `missing`: as it is
        self.distance.copy_(scene.poses_camera()[:, 0].norm(dim=-1).nanmedian())

    def _lift(self, seen) -> Tensor:
        outputs = self._network(seen)
        if self.mirrored and not self.training:
            mirrored = self._network(seen.mirrored(self.needs, self.skeleton))
            sideways = outputs.new_ones(self.outputs())
            sideways[1] = -1
            outputs = (outputs + mirrored[..., list(self.skeleton.partners), :] * sideways) / 2
        poses = seen.to_camera(self._placed(outputs, seen))
        return poses.where(~seen.missing.all(-1)[..., None, None], torch.nan)

    def _network(self, seen) -> Tensor:
        """For every joint its depth, a step aside in x and y, and what else is said of it."""
        features = (seen.features(self.skeleton) - self.mean) / self.std
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.bfloat16 and self.training):
            hidden = self.blocks(self.inner(features))
        return self.outer(hidden.float()).unflatten(-1, (-1, self.outputs()))

    def _placed(self, outputs: Tensor, seen) -> Tensor:
        """The joints in the frame of `seen`: root-anchored depths along the rays, and the steps aside where allowed."""
        depth, aside = (DEPTH_SPREAD * outputs[..., :3]).split([1, 2], dim=-1)
        root = self.distance * depth[..., :1, :].exp()
        depth = torch.cat([root, root + depth[..., 1:, :]], dim=-2)
        if self.on_rays:
            aside = aside * seen.missing.unsqueeze(-1)
        else:
            aside = from_root_anchored(aside)
        return depth * self.rays_from(outputs, seen) + torch.nn.functional.pad(aside, (0, 1))

    def rays_from(self, outputs: Tensor, seen) -> Float[Tensor, "*batch J 3"]:
        """The rays on which the joints are put: those seen."""
        return seen.rays
