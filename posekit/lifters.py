"""Lifters: networks that turn one view's 2D pose into a 3D pose in that view's camera frame."""

import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posekit.lifter_files import load_module, save_module
from posekit.random import seeded
from posekit.ray_lifter import RayLifter
from posekit.skeleton import check_joints, from_root_anchored
from posekit.window_lifter import WindowLifter

ROOTS = ("positive", "free")
STARTS = ("preset", "zero", "random")
NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class RootAnchoredHead(nn.Module):
    """The last layer of every lifter: features -> absolute joints, camera frame, metres.

    A linear map to J rows of 3, read as root-anchored: the position of the root, the other joints relative to it.

    Args:
        width: of the features.
        joints: number of joints, J.
        root: "positive": the first row is the root's ray (x / z, y / z) and the logarithm of its depth over
            `scene_distance`, so the depth is positive by construction. "free": as published, x, y, z directly.
        scene_distance: metres, for a "positive" root; `triangulation.scene_distance` tells it from the cameras.
        start_weights: of the untrained layer. "zero": the first guess is a point in the middle of the view. "random":
            as published. "preset": zero for a "positive" root, random for a "free" one, which with about half of all
            seeds puts most people behind the camera.
        start_distance: metres in front of the camera that are added to the root's depth before training ("free"), or
            that replace `scene_distance` there ("positive"). 0 leaves the start as it is.

    Raises:
        ValueError: for another `root` or `start_weights`, or a negative `start_distance`.
    """

    def __init__(
        self,
        width: int,
        joints: int,
        root: str,
        scene_distance: float,
        start_weights: str = "preset",
        start_distance: float = 0.0,
    ):
        super().__init__()
        if root not in ROOTS:
            raise ValueError(f"root must be one of {ROOTS}, got {root!r}")
        if start_weights not in STARTS or start_distance < 0:
            expected = f"start_weights must be one of {STARTS} and start_distance not negative"
            raise ValueError(f"{expected}, got {start_weights!r} and {start_distance}")
        self.root, self.scene_distance = root, scene_distance
        self.linear = nn.Linear(width, 3 * joints)
        if start_weights == "zero" or (start_weights == "preset" and root == "positive"):
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)
        if start_distance:
            with torch.no_grad():
                self.linear.bias[2] += start_distance if root == "free" else math.log(start_distance / scene_distance)

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

    Linear(2J, width), norm, ReLU, dropout; `blocks` residual blocks of two layers (Linear(width, width), norm, ReLU,
    dropout) each; Linear(width, 3J). The output is read as root-anchored: the position of the root in the camera frame,
    the other joints relative to it.

    Args:
        joints: number of joints, J.
        width: of the hidden layers (1024 reproduces the report, whose text says 512).
        blocks: number of residual blocks.
        dropout: probability of dropping a hidden unit in train mode.
        norm: "batch" as published, or "layer".
        root, scene_distance: how the position of the root is read; see `RootAnchoredHead`.
        start_weights, start_distance: where people are put before training; see there.
        generator: of the initial weights.

    Source: J. Martinez et al., "A simple yet effective baseline for 3d human pose estimation", ICCV 2017.

    >>> lifter = FrameLifter(joints=15, width=256, dropout=0.0)
    >>> lifter
    FrameLifter(15 joints, width 256, 0.3 M weights)
    >>> lifter(torch.zeros(8, 3, 15, 2)).shape  # 8 frames of 3 views
    torch.Size([8, 3, 15, 3])
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
        start_weights: str = "preset",
        start_distance: float = 0.0,
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
            self.outer = RootAnchoredHead(width, joints, root, scene_distance, start_weights, start_distance)

    def __repr__(self) -> str:
        return _summary(self)

    def forward(self, screen: Float[Tensor, "*batch J 2"]) -> Float[Tensor, "*batch J 3"]:
        """2D joints in screen coordinates -> absolute 3D joints, camera frame, metres.

        A missing joint (NaN) is replaced by the centroid of the pose's other joints; a pose without joints stays NaN.
        """
        check_joints(screen, self.joints)
        poses = fill_missing(screen)
        empty = poses.isnan().any(-1).any(-1)[..., None, None]
        hidden = self.inner(poses.where(~empty, 0.0).reshape(-1, 2 * self.joints))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.outer(hidden).reshape(*screen.shape[:-1], 3).where(~empty, torch.nan)


def _layer(inputs: int, outputs: int, norm: str, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), NORMS[norm](outputs), nn.ReLU(), nn.Dropout(dropout))


def _summary(lifter: nn.Module) -> str:
    """A lifter in one line; `dict(lifter.named_children())` has its layers."""
    settings, weights = lifter.settings, sum(parameter.numel() for parameter in lifter.parameters())
    window = f"window {settings['window'] or 'whole clips'}, " if "window" in settings else ""
    count = f"{weights / 1e6:.1f} M" if weights >= 1e5 else f"{weights / 1e3:.1f} k"
    sizes = f"{settings['joints']} joints, width {settings['width']}, {window}{count} weights"
    return f"{type(lifter).__name__}({sizes})"


def fill_missing(screen: Float[Tensor, "*batch J 2"]) -> Float[Tensor, "*batch J 2"]:
    """Replace each missing joint (NaN) by the centroid of the pose's other joints; a pose without joints stays NaN.

    Only for the input of a network: data, losses and metrics keep the NaN.

    >>> fill_missing(torch.tensor([[0.0, 0.0], [torch.nan, torch.nan], [0.5, 1.0]]))
    tensor([[0.0000, 0.0000],
            [0.2500, 0.5000],
            [0.5000, 1.0000]])
    """
    return screen.where(screen.isfinite(), screen.nanmean(dim=-2, keepdim=True))


class SequenceLifter(nn.Module):
    """Lifts each frame together with others of its clip: a transformer encoder over time.

    Linear(2J, width), norm, ReLU, dropout; `layers` encoder layers; Linear, ReLU, dropout, Linear(width, 3J).
    Frames without joints (padding) are not attended to and stay NaN.

    Args:
        joints: number of joints, J.
        width: of the embedding.
        heads, layers: of the encoder.
        feedforward: hidden units of the encoder's layers; by default twice the width. The report has torch's 2048.
        dropout: of every layer.
        norm: of the first layer: "batch" as published, or "layer".
        positions: add a sinusoidal encoding of time, and normalise before each sublayer, which trains more steadily.
            Without it, as published, the encoder cannot tell the order of the frames: it sees a set.
        window: an odd number of frames: windows go in, and the pose of the middle frame comes out. None: whole clips
            go in, and poses of all frames come out, as published.
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

    def __repr__(self) -> str:
        return _summary(self)

    def forward(self, screen: Float[Tensor, "*batch T V J 2"]) -> Float[Tensor, "*out V J 3"]:
        """2D joints over time, screen coordinates -> absolute 3D joints, each view's camera frame, metres.

        Returns:
            (*batch, V, J, 3), the middle frame's poses; with `window=None` (*batch, T, V, J, 3), every frame's.
        """
        check_joints(screen, self.joints)
        wanted = slice(None) if self.window is None else _middle(screen, self.window)
        windows, present = _windows(screen)
        poses = windows.new_full((*windows.shape[:-1], 3), torch.nan)
        if present.any():
            some, longest = present.any(1), int(present.any(0).nonzero().max()) + 1  # the rest is padding
            lifted = self._lift(windows[some, :longest], present[some, :longest])
            poses[some, :longest] = lifted.where(present[some, :longest, None, None], torch.nan)
        return _views_back(poses[:, wanted], screen)

    def _lift(self, poses, present):
        embedded = poses.new_zeros(*present.shape, self.inner[0].out_features)
        embedded[present] = self.inner(poses[present].flatten(1))  # so that batch norm counts real frames only
        if self.positions:
            embedded = embedded + _sinusoids(embedded)
        return self.outer(self.encoder(embedded, src_key_padding_mask=~present))


class TemporalConvLifter(nn.Module):
    """Lifts a frame together with those around it by convolutions over time: the established reference.

    One layer over 3 frames, then residual blocks of one layer over 3 results and one over each single result, all with
    norm, ReLU and dropout. Thus 27 frames become 9, then 3, then 1. The stride of each convolution equals its kernel, so
    only what the pose of the middle frame depends on is computed. Beyond the ends of a clip its first or last pose is
    repeated.

    Args:
        joints: number of joints, J.
        width: channels.
        dropout: after every layer.
        norm: "batch" as in VideoPose3D, or "layer".
        window: number of frames: 9, 27, 81 or another power of 3.
        root, scene_distance, generator: as in `FrameLifter`.

    Raises:
        ValueError: for another window.

    Source: D. Pavllo et al., VideoPose3D, CVPR 2019; its variant for training, with strides instead of dilations.
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
            raise ValueError(f"window must be a power of 3, at least 9, got {window}")
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

    def __repr__(self) -> str:
        return _summary(self)

    def forward(self, screen: Float[Tensor, "*batch T V J 2"]) -> Float[Tensor, "*batch V J 3"]:
        """2D joints over `window` frames, screen coordinates -> the middle frame's 3D joints, camera frame, metres."""
        check_joints(screen, self.joints)
        windows, present = _windows(screen)
        middle = _middle(screen, self.window)
        hidden = self.inner(_held(windows, present).reshape(-1, 3 * 2 * self.joints))
        for block in self.blocks:
            triples = hidden.unflatten(0, (-1, 3))
            hidden = triples[:, 1] + block(triples.flatten(1))
        poses = self.outer(hidden)
        return _views_back(poses.where(present[:, middle, None, None], torch.nan), screen)


def _windows(screen):
    """Every view of every sample on its own, (N, T, J, 2), and which of its frames have a pose, (N, T)."""
    poses = fill_missing(screen).movedim(-3, -4).flatten(0, -4)
    present = poses.isfinite().all(-1).all(-1)
    return poses.where(present[..., None, None], 0.0), present


def _views_back(poses, screen):
    """Undo `_windows` for poses (N, T, J, 3) or (N, J, 3)."""
    *batch, _, views, _, _ = screen.shape
    poses = poses.unflatten(0, (*batch, views))
    return poses if poses.ndim == len(batch) + 3 else poses.movedim(-4, -3)


def _middle(screen, window):
    """Index of the middle frame of a window, whose length is checked."""
    if screen.shape[-4] != window:
        raise ValueError(f"this lifter takes windows of {window} frames, got {screen.shape[-4]}")
    return window // 2


def _held(poses, present):
    """A missing frame takes the pose of the last present frame before it, or of the first present one at the start."""
    time = torch.arange(present.shape[1], device=present.device)
    last = time.where(present, -1).cummax(1).values
    first = present.int().argmax(1, keepdim=True)
    taken = last.where(last >= 0, first)
    return poses.gather(1, taken[..., None, None].expand_as(poses))


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
    return load_module(
        path, {kind.__name__: kind for kind in (FrameLifter, SequenceLifter, TemporalConvLifter, RayLifter, WindowLifter)}
    )
