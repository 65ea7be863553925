"""Lifters: networks that turn one view's 2D pose into a 3D pose in that view's camera frame."""

import json
import math
import os
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

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
            published, x, y, z as they come; about half of all seeds start behind the camera.
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
    """Lifts every frame of a stretch with the others in view: a transformer encoder over time.

    Linear(2J, width), norm, ReLU, dropout; `layers` encoder layers; Linear, ReLU, dropout, Linear(width, 3J).
    Frames without any joint (padding) are not attended to and stay NaN.

    Args:
        joints: number of joints, J.
        width: of the embedding.
        heads, layers: of the encoder.
        dropout: everywhere.
        norm: of the first layer: "batch" as published, or "layer".
        positions: add a sinusoidal encoding of time, and normalise before each sublayer, which trains more steadily.
            Without them, as published, the encoder cannot tell the order of the frames: they are a bag.
        window: frames in a stretch at test; None for whole clips, as published.
        root, scene_distance, generator: as in `FrameLifter`.

    Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017; the 2022 report's sequence model.
    """

    def __init__(
        self,
        joints: int,
        width: int = 512,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.1,
        norm: str = "layer",
        positions: bool = True,
        window: int | None = 81,
        root: str = "positive",
        scene_distance: float = 4.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.settings = dict(joints=joints, width=width, heads=heads, layers=layers, dropout=dropout)
        self.settings |= dict(norm=norm, positions=positions, window=window, root=root, scene_distance=scene_distance)
        self.joints, self.window, self.positions = joints, window, positions
        with seeded(generator):
            self.inner = _layer(2 * joints, width, norm, dropout)
            layer = nn.TransformerEncoderLayer(width, heads, dropout=dropout, batch_first=True, norm_first=positions)
            last_norm = nn.LayerNorm(width) if positions else None
            self.encoder = nn.TransformerEncoder(layer, layers, last_norm, enable_nested_tensor=False)
            hidden = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
            self.outer = nn.Sequential(hidden, RootAnchoredHead(width, joints, root, scene_distance))

    def forward(self, screen: Float[Tensor, "*batch T V J 2"]) -> Float[Tensor, "*batch T V J 3"]:
        """2D joints over time, screen coordinates -> absolute 3D joints, each view's camera frame, metres."""
        check_joints(screen, self.joints)
        return _over_time(self._lift, screen)

    def _lift(self, poses, there):
        embedded = poses.new_zeros(*there.shape, self.inner[0].out_features)
        embedded[there] = self.inner(poses[there].flatten(1))  # so that batch norm counts real frames only
        if self.positions:
            embedded = embedded + _sinusoids(embedded)
        return self.outer(self.encoder(embedded, src_key_padding_mask=~there))


class TemporalConvLifter(nn.Module):
    """Lifts every frame from the 27 around it by convolutions over time, the known-good reference.

    A convolution of 3 frames, then two residual blocks of a convolution of 3 frames, dilated by 3 and 9, and one of a
    single frame; each with norm, ReLU and dropout. At a clip's ends its first and last pose are held.

    Args:
        joints: number of joints, J.
        width: channels.
        dropout: after every layer.
        norm: "batch" as in VideoPose3D, or "layer", over the channels of a frame: neighbouring frames are too much
            alike for small batches of stretches to have steady batch statistics.
        window: frames in a stretch at test; None for whole clips.
        root, scene_distance, generator: as in `FrameLifter`.

    Source: D. Pavllo et al., VideoPose3D, CVPR 2019.
    """

    REACH = 13  # frames to either side

    def __init__(
        self,
        joints: int,
        width: int = 512,
        dropout: float = 0.1,
        norm: str = "layer",
        window: int | None = None,
        root: str = "positive",
        scene_distance: float = 4.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.settings = dict(joints=joints, width=width, dropout=dropout, norm=norm, window=window)
        self.settings |= dict(root=root, scene_distance=scene_distance)
        self.joints, self.window = joints, window
        with seeded(generator):
            self.inner = _convolution(2 * joints, width, 3, 1, norm, dropout)
            self.blocks = nn.ModuleList(
                nn.Sequential(
                    _convolution(width, width, 3, dilation, norm, dropout), _convolution(width, width, 1, 1, norm, dropout)
                )
                for dilation in (3, 9)
            )
            self.outer = RootAnchoredHead(width, joints, root, scene_distance)

    def forward(self, screen: Float[Tensor, "*batch T V J 2"]) -> Float[Tensor, "*batch T V J 3"]:
        """2D joints over time, screen coordinates -> absolute 3D joints, each view's camera frame, metres."""
        check_joints(screen, self.joints)
        return _over_time(self._lift, screen)

    def _lift(self, poses, there):
        signal = _held(poses, there).flatten(2).transpose(1, 2)  # (N, 2J, T)
        hidden = self.inner(nn.functional.pad(signal, (self.REACH, self.REACH), mode="replicate"))
        for block, dilation in zip(self.blocks, (3, 9)):
            hidden = hidden[..., dilation:-dilation] + block(hidden)
        return self.outer(hidden.transpose(1, 2))


def _convolution(inputs: int, outputs: int, frames: int, dilation: int, norm: str, dropout: float) -> nn.Sequential:
    convolution = nn.Conv1d(inputs, outputs, frames, dilation=dilation)
    normalise = nn.BatchNorm1d(outputs) if norm == "batch" else _ChannelNorm(outputs)
    return nn.Sequential(convolution, normalise, nn.ReLU(), nn.Dropout(dropout))


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (N, channels, T)."""

    def forward(self, signal: Tensor) -> Tensor:
        return super().forward(signal.transpose(1, 2)).transpose(1, 2)


def _over_time(lift, screen):
    """Run `lift(poses (N, T, J, 2), there (N, T)) -> (N, T, J, 3)` for every view, with padding cut off and put back."""
    *batch, length, views, joints, _ = screen.shape
    poses = fill_missing(screen).movedim(-3, -4).reshape(-1, length, joints, 2)  # (N = batch x V, T, J, 2)
    there = poses.isfinite().all(-1).all(-1)
    longest = int(there.any(0).nonzero().max()) + 1 if there.any() else 0
    kept = there.any(1)  # stretches with at least one frame
    result = poses.new_full((*poses.shape[:-1], 3), torch.nan)
    if longest:
        poses, there = poses[kept, :longest], there[kept, :longest]
        lifted = lift(poses.where(there[..., None, None], 0.0), there)
        result[kept, :longest] = lifted.where(there[..., None, None], torch.nan)
    return result.view(*batch, views, length, joints, 3).movedim(-4, -3)


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
    """Write a lifter's weights and settings as one safetensors file, whole or not at all."""
    notes = {"lifter": type(lifter).__name__, "settings": json.dumps(lifter.settings)}
    partly = Path(f"{path}.part")
    save_file(lifter.state_dict(), partly, metadata=notes)
    os.replace(partly, path)


def load_lifter(path: str | Path) -> nn.Module:
    """Read a lifter that `save_lifter` wrote, in eval mode on the CPU. Nothing in the file is executed.

    Raises:
        ValueError: naming the file, if it holds no lifter.
    """
    kinds = {kind.__name__: kind for kind in (FrameLifter, SequenceLifter, TemporalConvLifter)}
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error})") from error
    if notes.get("lifter") not in kinds:
        raise ValueError(f"{path}: expected one of {', '.join(kinds)}, found {notes.get('lifter')}")
    lifter = kinds[notes["lifter"]](**json.loads(notes["settings"]))
    lifter.load_state_dict(load_file(path))
    return lifter.eval()
