"""Smoothing over time within each clip: a local quadratic, which bridges gaps, and a Butterworth filter.

Source: W. Cleveland, "Robust locally weighted regression and smoothing scatterplots", 1979, without the robustness;
    D. Winter, "Biomechanics and motor control of human movement", 2009 (the filter, run forwards and backwards).
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.sequences import MultiViewDataset

MIN_FRAMES = 5
"""A quadratic has three coefficients; with fewer frames than this around it a joint is left as it is."""
CHUNK = 512
"""Frames that are fitted at once, which bounds the memory."""


def reach_of(sigma: float) -> int:
    """How many frames before and after have a say."""
    return math.ceil(3 * sigma)


def smooth_over_time(
    values: Float[Tensor, "F *joints xyz"],
    weights: Float[Tensor, " F *joints"],
    dataset: MultiViewDataset,
    sigma: float,
) -> Float[Tensor, "F *joints xyz"]:
    """Fit a quadratic in time around every frame, within its clip, and take its value there.

    Args:
        values: one for each frame of the dataset, such as poses (F, J, 3) or pixels (F, V, J, 2); NaN joints have no
            say, and are bridged where there are enough frames in reach, on both sides.
        weights: trust in each joint.
        dataset: for the clips; nothing else of it is read.
        sigma: standard deviation, in frames, of the Gaussian that weights the neighbours; cut at three of them.

    Raises:
        ValueError: for a sigma that is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be a positive number of frames, got {sigma}")
    flat, trust = values.flatten(1, -2), weights.flatten(1)
    windows = dataset.surrounding_frames(2 * reach_of(sigma) + 1)
    fitted = [
        middle_of_quadratic(flat[frames], trust[frames] * (frames >= 0).unsqueeze(-1), sigma) for frames in windows.split(CHUNK)
    ]
    return torch.cat(fitted).view(values.shape)


def middle_of_quadratic(
    values: Float[Tensor, "N T J xyz"], weights: Float[Tensor, "N T J"], sigma: float
) -> Float[Tensor, "N J xyz"]:
    """Fit a quadratic in time to every window, and take its value at the middle frame.

    Args:
        values: NaN where missing.
        weights: trust in each; 0 for frames that have no say.
        sigma: as in `smooth_over_time`.
    """
    reach = values.shape[1] // 2
    time = torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma
    powers = torch.stack([torch.ones_like(time), time, time**2], dim=-1)  # (T, 3)

    present = values.isfinite().all(-1)
    trust = weights.double() * present
    kernel = trust * torch.exp(-(time**2) / 2).unsqueeze(-1)
    normal = torch.einsum("ntj,ta,tb->njab", kernel, powers, powers)
    right = torch.einsum("ntj,ta,ntjx->njax", kernel, powers, values.double().where(present.unsqueeze(-1), 0.0))

    said = trust > 0
    between = said[:, :reach].any(1) & said[:, reach + 1 :].any(1)  # a parabola carried on beyond its frames leads astray
    enough = (said.sum(1) >= MIN_FRAMES) & (present[:, reach] | between)
    eye = torch.eye(3, dtype=torch.float64)
    fitted = torch.linalg.solve(normal.where(enough[..., None, None], eye), right)[..., 0, :]
    return fitted.where(enough.unsqueeze(-1), values[:, reach].double()).to(values.dtype)


def butterworth(
    values: Float[Tensor, "F *joints xyz"],
    dataset: MultiViewDataset,
    cutoff_hz: float = 6.0,
    order: int = 4,
    longest_gap: int = 10,
) -> Float[Tensor, "F *joints xyz"]:
    """A low-pass Butterworth filter without delay: half of the order forwards in time, then as much backwards.

    Args:
        values: one for each frame of the dataset, such as poses (F, J, 3) or pixels (F, V, J, 2); NaN where missing.
        dataset: for its clips and its frame rate; nothing else of it is read.
        cutoff_hz: below half of the frame rate. Each of the two passes halves the power there.
        order: even.
        longest_gap: frames. A gap of at most this length between two values is bridged by a straight line; a longer
            one stays NaN, and what lies before and after it is filtered separately.

    Raises:
        ValueError: for an odd order, or a cut-off that is not between 0 and half of the frame rate.
    """
    from scipy.signal import butter, filtfilt  # here: importing it takes longer than the rest of posekit

    if order < 2 or order % 2:
        raise ValueError(f"order must be even, since the filter runs forwards and backwards, got {order}")
    if not 0 < cutoff_hz < dataset.frame_rate / 2:
        raise ValueError(
            f"cutoff_hz= or --cutoff must be between 0 and half of {dataset.name}'s {dataset.frame_rate:g} frames per second, "
            f"got {cutoff_hz}"
        )
    coefficients = butter(order // 2, cutoff_hz, fs=dataset.frame_rate)
    smooth = torch.empty_like(values, dtype=torch.float64)
    for clip in dataset.clips:
        tracks = bridged(values[clip.start : clip.stop].double(), longest_gap).flatten(1, -2)  # (T, joints, xyz)
        for (start, stop), joints in _runs(tracks.isfinite().all(-1)).items():
            if stop - start > order:  # fewer frames stay as they are
                padding = min(3 * (order // 2 + 1), stop - start - 1)
                part = filtfilt(*coefficients, tracks[start:stop, joints].numpy(), axis=0, padlen=padding)
                tracks[start:stop, joints] = torch.from_numpy(part.copy())
        smooth[clip.start : clip.stop] = tracks.view(len(tracks), *values.shape[1:])
    return smooth.to(values.dtype)


def bridged(tracks: Float[Tensor, "T *joints xyz"], longest_gap: int) -> Float[Tensor, "T *joints xyz"]:
    """Straight lines over gaps of at most `longest_gap` frames between two values; longer gaps are NaN in all axes."""
    present = tracks.isfinite().all(-1)
    time = torch.arange(len(tracks)).view(-1, *[1] * (present.ndim - 1))
    before = time.where(present, -1).cummax(0).values
    after = time.where(present, len(tracks)).flip(0).cummin(0).values.flip(0)
    inside = (before >= 0) & (after < len(tracks)) & (after - before <= longest_gap + 1)
    start, end = (tracks.gather(0, i.clamp(0, len(tracks) - 1).unsqueeze(-1).expand_as(tracks)) for i in (before, after))
    share = ((time - before) / (after - before).clamp(min=1)).unsqueeze(-1)
    return (start + share * (end - start)).where(inside.unsqueeze(-1), torch.nan)


def _runs(present: Tensor) -> dict[tuple[int, int], list[int]]:
    """Stretches of frames without a gap, (start, stop), with the joints that have each; from (T, joints)."""
    padded = torch.nn.functional.pad(present.T.int(), (1, 1))  # (joints, T + 2)
    change = padded.diff(dim=1)
    runs = {}
    for (joint, start), stop in zip((change > 0).nonzero().tolist(), (change < 0).nonzero()[:, 1].tolist()):
        runs.setdefault((start, stop), []).append(joint)
    return runs


def with_smooth_pixels(dataset: MultiViewDataset, sigma: float) -> MultiViewDataset:
    """The dataset with its 2D joints smoothed over time, each weighted by its confidence squared.

    Missing joints between others are bridged, and get the mean confidence of those that were found.
    """
    pixels = smooth_over_time(dataset.pixels, dataset.confidence**2, dataset, sigma)
    found = dataset.confidence > 0
    bridged = pixels.isfinite().all(-1) & ~found
    return replace(dataset, pixels=pixels, confidence=dataset.confidence.where(~bridged, dataset.confidence[found].mean()))


def smooth_poses(poses_camera: Float[Tensor, "F V J 3"], dataset: MultiViewDataset, sigma: float) -> Float[Tensor, "F V J 3"]:
    """`smooth_over_time` for lifted poses, for `evaluate`: `after=partial(smooth_poses, sigma=3)`."""
    return smooth_over_time(poses_camera, torch.ones(poses_camera.shape[:-1]), dataset, sigma)
