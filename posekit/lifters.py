"""Lifters: networks that turn one view's 2D pose into a 3D pose in that view's camera frame."""

import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posekit.lifter_files import load_module, save_module
from posekit.random import seeded
from posekit.skeleton import from_root_anchored

ROOTS = ("positive", "free")
NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class RootAnchoredHead(nn.Module):
    """The last layer of every lifter: features -> absolute joints, camera frame, metres.

    A linear map to J rows of 3, read as root-anchored: the root's place, the other joints relative to it.

    Args:
        width: of the features.
        joints: number of joints, J.
        root: "positive": the first row is the root's ray (x / z, y / z) and the logarithm of its depth over
            `scene_distance`, so the depth is positive by construction. The layer starts at zero: the first guess is
            a point in the middle of the view at `scene_distance`, in front of every camera of a ring. "free": as
            published, x, y, z as they come; with about half of all seeds most people start behind the camera.
        scene_distance: metres, for a "positive" root.
    """

    def __init__(self, width: int, joints: int, root: str, scene_distance: float):
        super().__init__()
        if root not in ROOTS:
            raise ValueError(f"root must be one of {ROOTS}, got {root!r}")
        self.root, self.scene_distance = root, scene_distance
        self.linear = nn.Linear(width, 3 * joints)
        if root == "positive":
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def forward(self, features: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch J 3"]:
        """Features -> absolute joints."""
        anchored = self.linear(features).unflatten(-1, (-1, 3))
        if self.root == "positive":
            ray_x, ray_y, log_depth = anchored[..., :1, :].split(1, dim=-1)
            ray = torch.cat([ray_x, ray_y, torch.ones_like(ray_x)], dim=-1)
            root = self.scene_distance * log_depth.exp() * ray
            anchored = torch.cat([root, anchored[..., 1:, :]], dim=-2)
        return from_root_anchored(anchored)


class FrameLifter(nn.Module):
    """Single-frame lifter: a residual multilayer perceptron.

    Linear(2J, width), norm, ReLU, dropout; `blocks` residual blocks of twice (Linear(width, width), norm, ReLU,
    dropout); Linear(width, 3J). The output is read as root-anchored: the root's place in the camera frame, the
    other joints relative to it.

    Args:
        joints: number of joints, J.
        width: of the hidden layers (1024 reproduces the report, whose text says 512).
        blocks: number of residual blocks.
        dropout: probability of dropping a hidden unit in train mode.
        norm: "batch" as published, or "layer".
        root, scene_distance: how the root's place is read; see `RootAnchoredHead`.
        generator: source of the initial weights.

    Source: J. Martinez et al., "A simple yet effective baseline for 3d human pose estimation", ICCV 2017.
    """

    def __init__(
        self,
        joints: int,
        width: int = 1024,
        blocks: int = 2,
        dropout: float = 0.5,
        norm: str = "batch",
        root: str = "positive",
        scene_distance: float = 4.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {tuple(NORMS)}, got {norm!r}")
        self.settings = dict(joints=joints, width=width, blocks=blocks, dropout=dropout, norm=norm)
        self.settings |= dict(root=root, scene_distance=scene_distance)
        self.joints = joints
        with seeded(generator):
            self.inner = _layer(2 * joints, width, norm, dropout)
            self.blocks = nn.ModuleList(
                nn.Sequential(_layer(width, width, norm, dropout), _layer(width, width, norm, dropout)) for _ in range(blocks)
            )
            self.outer = RootAnchoredHead(width, joints, root, scene_distance)

    def forward(self, screen: Float[Tensor, "*batch J 2"]) -> Float[Tensor, "*batch J 3"]:
        """2D joints in screen coordinates -> absolute 3D joints, camera frame, metres.

        A missing joint (NaN) enters at the centroid of the pose's other joints; a pose without any joint stays NaN.
        """
        check_joints(screen, self.joints)
        poses = fill_missing(screen)
        gone = poses.isnan().any(-1).any(-1)[..., None, None]
        hidden = self.inner(poses.where(~gone, 0.0).reshape(-1, 2 * self.joints))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.outer(hidden).reshape(*screen.shape[:-1], 3).where(~gone, torch.nan)


def _layer(inputs: int, outputs: int, norm: str, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), NORMS[norm](outputs), nn.ReLU(), nn.Dropout(dropout))


def check_joints(screen: Tensor, joints: int) -> None:
    """Raise a ValueError unless the poses have that many joints."""
    if screen.shape[-2] != joints:
        raise ValueError(f"this lifter takes poses of {joints} joints, got {screen.shape[-2]}: another skeleton?")


def fill_missing(screen: Float[Tensor, "*batch J 2"]) -> Float[Tensor, "*batch J 2"]:
    """Put each missing joint (NaN) at the centroid of the pose's other joints; a pose without any stays NaN.

    Only for a network's input: data, losses and metrics keep the NaN.
    """
    return screen.where(screen.isfinite(), screen.nanmean(dim=-2, keepdim=True))


class SequenceLifter(nn.Module):
    """Lifts frames with others of their clip in view: a transformer encoder over time.

    Linear(2J, width), norm, ReLU, dropout; `layers` encoder layers; Linear, ReLU, dropout, Linear(width, 3J).
    Frames without any joint (padding) are not attended to and stay NaN.

    Args:
        joints: number of joints, J.
        width: of the embedding.
        heads, layers: of the encoder.
        feedforward: hidden units of the encoder's layers; default twice the width. The report has torch's 2048.
        dropout: everywhere.
        norm: of the first layer: "batch" as published, or "layer".
        positions: add a sinusoidal encoding of time, and normalise before each sublayer, which trains more steadily.
            Without them, as published, the encoder cannot tell the order of the frames: they are a bag.
        window: an odd number of frames: stretches of it go in, the pose of the middle frame comes out. None: whole
            clips go in and poses of all frames come out, as published.
        root, scene_distance, generator: as in `FrameLifter`.

    Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017; the 2022 report's sequence model.
    """

    def __init__(
        self,
        joints: int,
        width: int = 512,
        heads: int = 4,
        layers: int = 2,
        feedforward: int | None = None,
        dropout: float = 0.1,
        norm: str = "layer",
        positions: bool = True,
        window: int | None = 27,
        root: str = "positive",
        scene_distance: float = 4.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        feedforward = feedforward or 2 * width
        self.settings = dict(joints=joints, width=width, heads=heads, layers=layers, feedforward=feedforward)
        self.settings |= dict(dropout=dropout, norm=norm, positions=positions, window=window)
        self.settings |= dict(root=root, scene_distance=scene_distance)
        self.joints, self.window, self.positions = joints, window, positions
        with seeded(generator):
            self.inner = _layer(2 * joints, width, norm, dropout)
            layer = nn.TransformerEncoderLayer(width, heads, feedforward, dropout, batch_first=True, norm_first=positions)
            last_norm = nn.LayerNorm(width) if positions else None
            self.encoder = nn.TransformerEncoder(layer, layers, last_norm, enable_nested_tensor=False)
            hidden = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
            self.outer = nn.Sequential(hidden, RootAnchoredHead(width, joints, root, scene_distance))

    def forward(self, screen: Float[Tensor, "*batch T V J 2"]) -> Float[Tensor, "*out V J 3"]:
        """2D joints over time, screen coordinates -> absolute 3D joints, each view's camera frame, metres.

        Returns:
            (*batch, V, J, 3), the middle frame's poses; with `window=None` (*batch, T, V, J, 3), every frame's.
        """
        check_joints(screen, self.joints)
        wanted = slice(None) if self.window is None else _middle(screen, self.window)
        stretches, there = _stretches(screen)
        poses = stretches.new_full((*stretches.shape[:-1], 3), torch.nan)
        if there.any():
            some, longest = there.any(1), int(there.any(0).nonzero().max()) + 1  # the rest is padding
            lifted = self._lift(stretches[some, :longest], there[some, :longest])
            poses[some, :longest] = lifted.where(there[some, :longest, None, None], torch.nan)
        return _views_back(poses[:, wanted], screen)

    def _lift(self, poses, there):
        embedded = poses.new_zeros(*there.shape, self.inner[0].out_features)
        embedded[there] = self.inner(poses[there].flatten(1))  # so that batch norm counts real frames only
        if self.positions:
            embedded = embedded + _sinusoids(embedded)
        return self.outer(self.encoder(embedded, src_key_padding_mask=~there))


class TemporalConvLifter(nn.Module):
    """Lifts a frame with those around it by convolutions over time, the known-good reference.

    A layer over every 3 frames, then residual blocks of a layer over every 3 and one over every single result, each with
    norm, ReLU and dropout. So 27 frames become 9, 3 and at last 1: convolutions with as long a stride as kernel, which
    compute only what the middle frame's pose depends on. Where a clip begins or ends, its first or last pose is held.

    Args:
        joints: number of joints, J.
        width: channels.
        dropout: after every layer.
        norm: "batch" as in VideoPose3D, or "layer".
        window: frames in a stretch: 9, 27, 81 or another power of 3.
        root, scene_distance, generator: as in `FrameLifter`.

    Raises:
        ValueError: for another window.

    Source: D. Pavllo et al., VideoPose3D, CVPR 2019; its variant for training, with strides for dilations.
    """

    def __init__(
        self,
        joints: int,
        width: int = 512,
        dropout: float = 0.1,
        norm: str = "layer",
        window: int = 27,
        root: str = "positive",
        scene_distance: float = 4.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        blocks = round(math.log(window, 3)) - 1 if window > 0 else 0
        if blocks < 1 or 3 ** (blocks + 1) != window:
            raise ValueError(f"window must be a power of 3 from 9 on, got {window}")
        self.settings = dict(joints=joints, width=width, dropout=dropout, norm=norm, window=window)
        self.settings |= dict(root=root, scene_distance=scene_distance)
        self.joints, self.window = joints, window
        with seeded(generator):
            self.inner = _layer(3 * 2 * joints, width, norm, dropout)
            self.blocks = nn.ModuleList(
                nn.Sequential(_layer(3 * width, width, norm, dropout), _layer(width, width, norm, dropout))
                for _ in range(blocks)
            )
            self.outer = RootAnchoredHead(width, joints, root, scene_distance)

    def forward(self, screen: Float[Tensor, "*batch T V J 2"]) -> Float[Tensor, "*batch V J 3"]:
        """2D joints over `window` frames, screen coordinates -> the middle frame's 3D joints, camera frame, metres."""
        check_joints(screen, self.joints)
        stretches, there = _stretches(screen)
        middle = _middle(screen, self.window)
        hidden = self.inner(_held(stretches, there).reshape(-1, 3 * 2 * self.joints))
        for block in self.blocks:
            triples = hidden.unflatten(0, (-1, 3))
            hidden = triples[:, 1] + block(triples.flatten(1))
        poses = self.outer(hidden)
        return _views_back(poses.where(there[:, middle, None, None], torch.nan), screen)


def _stretches(screen):
    """Every view of every sample on its own, (N, T, J, 2), and which of its frames are there, (N, T)."""
    poses = fill_missing(screen).movedim(-3, -4).flatten(0, -4)
    there = poses.isfinite().all(-1).all(-1)
    return poses.where(there[..., None, None], 0.0), there


def _views_back(poses, screen):
    """Undo `_stretches` for poses (N, T, J, 3) or (N, J, 3)."""
    *batch, _, views, _, _ = screen.shape
    poses = poses.unflatten(0, (*batch, views))
    return poses if poses.ndim == len(batch) + 3 else poses.movedim(-4, -3)


def _middle(screen, window):
    """The middle of a stretch that is as long as it has to be."""
    if screen.shape[-4] != window:
        raise ValueError(f"this lifter takes stretches of {window} frames, got {screen.shape[-4]}")
    return window // 2


def _held(poses, there):
    """Frames that are missing take the pose of the last frame before that is there; at the start, of the first."""
    time = torch.arange(there.shape[1], device=there.device)
    last = time.where(there, -1).cummax(1).values
    first = there.int().argmax(1, keepdim=True)
    source = last.where(last >= 0, first)
    return poses.gather(1, source[..., None, None].expand_as(poses))


def _sinusoids(embedded: Tensor) -> Tensor:
    """Vaswani et al.'s encoding of position, (T, width)."""
    length, width = embedded.shape[-2:]
    time = torch.arange(length).unsqueeze(-1)
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([torch.sin(time * rate), torch.cos(time * rate)], dim=-1).flatten(-2).to(embedded)


def save_lifter(lifter: nn.Module, path: str | Path) -> None:
    """Write a lifter's weights and settings as one safetensors file, atomically."""
    save_module(lifter, path)


def load_lifter(path: str | Path) -> nn.Module:
    """Read a lifter that `save_lifter` wrote, in eval mode on the CPU. Nothing in the file is executed.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it holds no lifter, or settings or weights that no lifter has.
    """
    return load_module(path, {kind.__name__: kind for kind in (FrameLifter, SequenceLifter, TemporalConvLifter)})
