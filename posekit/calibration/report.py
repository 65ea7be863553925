"""What a calibration found by itself must show before anybody builds on it, and when it must not be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from posekit.calibration.bundle import BundleAdjustment
from posekit.calibration.relative import cross_matrix, sampson, share_in_front
from posekit.calibration.rig import Pairs, view_pairs
from posekit.calibration.solver import Problem
from posekit.calibration.suspicions import Misreadings, Synchronisation, misreadings, relative, synchronisation
from posekit.skeleton import Skeleton

AGREE_DEG, AGREE_COST = 1.0, 1.05
OPPOSITE_DEG = 150.0
FEW_INLIERS, FEW_IN_FRONT = 0.85, 0.9
IN_PLACE_M, IN_PLACE_DEG = 0.35, 0.3
UNKNOWN_DEG, UNKNOWN_FOCAL = 1.0, 0.05
LARGE_RESIDUAL = 0.06  # of the largest extent of a person in the image


@dataclass(frozen=True)
class CalibrationReport:
    """The evidence for a calibration. `print` shows it as a table; `trust` is what it comes to.

    Args:
        view_names, joint_names: V and J of them.
        frames: how many were used.
        robust_px: Cauchy scale, 3 times the median residual.
        cost_px2: mean robust squared residual.
        restart_costs: the same for every restart on fewer points; those that agree have the same.
        restart_turns_deg: largest turn of a camera by which every restart differs from the one that won.
        pairs: the pairs (a, b) of views that the next four are given for.
        common: number of joints that both views saw.
        inliers: share of these near each other's epipolar lines: three standard deviations of the best pair.
        in_front: share of these in front of both cameras.
        angle_deg: median angle between the two rays at the person.
        residual_px: median residual by view and joint; NaN where there is none.
        view_residual_px, joint_residual_px: by one of the two.
        rotation_std_deg, centre_std_m, focal_std: standard deviations relative to the first view; see
            `bundle.BundleAdjustment`.
        spread_m: how far people's middles are from their median place, in the median over frames.
        synchronisation: what each pair costs if shifted in time.
        misreadings: what each pair costs if one view is mirrored or its sides are swapped.
        unobservable: what the images do not determine.
        warnings: why the calibration is likely to be wrong.
        notes: what else to know.
    """

    view_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    frames: int
    robust_px: float
    cost_px2: float
    restart_costs: Float[Tensor, " restarts"]
    restart_turns_deg: Float[Tensor, " restarts"]
    pairs: Int[Tensor, "pairs 2"]
    common: Int[Tensor, " pairs"]
    inliers: Float[Tensor, " pairs"]
    in_front: Float[Tensor, " pairs"]
    angle_deg: Float[Tensor, " pairs"]
    residual_px: Float[Tensor, "V J"]
    view_residual_px: Float[Tensor, " V"]
    joint_residual_px: Float[Tensor, " J"]
    rotation_std_deg: Float[Tensor, " V"]
    centre_std_m: Float[Tensor, " V"]
    focal_std: Float[Tensor, " V"]
    spread_m: float
    synchronisation: Synchronisation
    misreadings: Misreadings
    unobservable: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def trust(self) -> bool:
        """Whether nothing speaks against the calibration; if not, see `warnings`."""
        return not self.warnings

    def __repr__(self) -> str:
        """One line; `str` has the whole."""
        trust = "nothing speaks against it" if self.trust else f"do not trust it: {len(self.warnings)} warnings"
        return f"CalibrationReport({len(self.view_names)} views, {self.frames} frames: {trust})"

    def __str__(self) -> str:
        """Tables of pairs and views, what is unknown, and the warnings."""
        agreeing = int(self._agreeing().sum())
        lines = [
            repr(self),
            f"robust cost {self.cost_px2:.3g} px^2 at {self.robust_px:.3g} px; "
            f"{agreeing} of {len(self.restart_costs)} restarts agree",
            "",
            f"{'pair':<24}{'common':>8}{'inliers':>9}{'in front':>10}{'angle':>8}{'shift':>7}",
        ]
        rows = zip(self.pairs.tolist(), self.common, self.inliers, self.in_front, self.angle_deg, self.synchronisation.best)
        for (a, b), common, inliers, front, angle, shift in rows:
            name = f"{self.view_names[a]} - {self.view_names[b]}"
            lines.append(f"{name:<24}{common:>8}{inliers:>9.2f}{front:>10.2f}{angle:>7.0f}°{shift:>7}")
        lines += ["", f"{'view':<24}{'residual':>11}{'turn ±':>10}{'centre ±':>12}{'focal ±':>10}"]
        rows = zip(self.view_names, self.view_residual_px, self.rotation_std_deg, self.centre_std_m, self.focal_std)
        for name, residual, turn, centre, focal in rows:
            share = f"{100 * focal:.1f} %" if focal > 0 else "given"
            lines.append(f"{name:<24}{residual:>8.2f} px{turn:>9.2f}°{100 * centre:>9.1f} cm{share:>10}")
        worst = int(self.joint_residual_px.nan_to_num().argmax())
        lines += ["", f"largest residual: {self.joint_names[worst]}, {self.joint_residual_px[worst]:.2f} px"]
        for title, texts in (("not determined", self.unobservable), ("note", self.notes), ("WARNING", self.warnings)):
            lines += [f"{title}: {text}" for text in texts]
        return "\n".join(lines)

    def _agreeing(self) -> Bool[Tensor, " restarts"]:
        return self.restart_turns_deg <= AGREE_DEG


def report_on(
    pixels: Float[Tensor, "F V J 2"],
    confidence: Float[Tensor, "F V J"] | None,
    chosen: Int[Tensor, " K"],
    adjusted: BundleAdjustment,
    restarts: tuple[Float[Tensor, " restarts"], Float[Tensor, " restarts"]],
    pairs: Pairs,
    problem: Problem,
    names: Sequence[str],
    skeleton: Skeleton | None,
) -> CalibrationReport:
    """Measure everything that `CalibrationReport` shows.

    Args:
        pixels, confidence: the whole recording.
        chosen: numbers of the frames used.
        adjusted: the calibration of these frames.
        restarts: cost of every restart, and its largest turn from the one that won.
        pairs: the candidates that it began with.
        problem: the 2D joints used.
        names: of the views.
        skeleton: of the joints, or None.
    """
    cameras = adjusted.cameras
    a, b = view_pairs(len(cameras)).T
    R, t = relative(cameras, a, b)
    rays = cameras.pixels_to_rays(problem.pixels)
    weights = (problem.weights[a] * problem.weights[b]).sqrt()
    focal = cameras.focal_px.mean(-1)
    distance = (sampson(cross_matrix(t) @ R, rays[a], rays[b]) * (focal[a] * focal[b]).sqrt().unsqueeze(-1)).abs()
    typical = distance.where(weights > 0, torch.nan).nanmedian(-1).values.nan_to_num(nan=torch.inf).min().item()
    total = weights.sum(-1)
    residual = adjusted.residuals_px
    joints = residual.shape[-1]
    report = CalibrationReport(
        view_names=tuple(names),
        joint_names=skeleton.joints if skeleton else tuple(f"joint {joint}" for joint in range(joints)),
        frames=len(chosen),
        robust_px=problem.robust_px,
        cost_px2=adjusted.cost_px2,
        restart_costs=restarts[0],
        restart_turns_deg=restarts[1],
        pairs=view_pairs(len(cameras)),
        common=(weights > 0).sum(-1),
        inliers=((distance <= max(1.0, 4.5 * typical)) * weights).sum(-1) / total,  # 4.5 medians: 3 deviations
        in_front=share_in_front(R, t, rays[a], rays[b], weights),
        angle_deg=ray_angles_deg(adjusted.points.flatten(0, 1), cameras.centers_world, a, b, weights),
        residual_px=residual.nanmedian(0).values,
        view_residual_px=residual.transpose(0, 1).flatten(1).nanmedian(-1).values,
        joint_residual_px=residual.flatten(0, 1).nanmedian(0).values,
        rotation_std_deg=adjusted.rotation_std_deg,
        centre_std_m=adjusted.centre_std,
        focal_std=adjusted.focal_std,
        spread_m=_spread(adjusted.points),
        synchronisation=synchronisation(pixels, confidence, cameras, chosen),
        misreadings=misreadings(pixels, confidence, cameras, chosen, skeleton),
    )
    extent = _extent_px(problem.pixels.unflatten(1, (-1, joints)), problem.weights.unflatten(1, (-1, joints)))
    warnings = (*_restart_warnings(report), *_view_warnings(report, extent), *_unknown_warnings(report))
    return replace(report, unobservable=_unobservable(problem, cameras), warnings=warnings, notes=_notes(report, pairs))


def ray_angles_deg(
    points: Float[Tensor, "N 3"],
    centres: Float[Tensor, "V 3"],
    a: Int[Tensor, " pairs"],
    b: Int[Tensor, " pairs"],
    weights: Float[Tensor, "pairs N"],
) -> Float[Tensor, " pairs"]:
    """Median angle, degrees, at which the two rays of every pair (a, b) of views meet; where the weight is 0, no matter."""
    directions = torch.nn.functional.normalize(points - centres.unsqueeze(1), dim=-1)
    cosine = (directions[a] * directions[b]).sum(-1).clamp(-1, 1)
    return cosine.arccos().rad2deg().where(weights > 0, torch.nan).nanmedian(-1).values


def _spread(points):
    middle = points.nanmedian(1).values
    return (middle - middle.nanmedian(0).values).norm(dim=-1).nanmedian().item()


def _extent_px(pixels, weights):
    """Median over frames of the longer side of the box around a person, (V,)."""
    seen = (weights > 0).unsqueeze(-1)
    box = pixels.where(seen, -torch.inf).amax(-2) - pixels.where(seen, torch.inf).amin(-2)
    box = box.amax(-1)
    return box.where(box > 0, torch.nan).nanmedian(-1).values


def _restart_warnings(report):
    agree = report._agreeing()
    equal = report.restart_costs <= AGREE_COST * report.restart_costs.min() + 1e-9
    most = report.restart_turns_deg.max()
    if (equal & ~agree).any():
        yield f"restarts disagree: rigs that differ by {most:.0f}° fit equally well; more frames in other places would help"
    elif 2 * agree.sum() <= len(agree) and len(agree) > 1:
        yield f"restarts disagree: only {int(agree.sum())} of {len(agree)} found this rig, others differ by {most:.0f}°"


def _view_warnings(report, extent):
    misread = report.misreadings.best > 0
    for index, reading in enumerate(report.misreadings.names[1:], start=1):
        found = report.misreadings.best == index
        if found.any():
            yield f"{_culprits(report, found)}: the images look {reading}"
    late = report.synchronisation.best * ~misread
    if _everywhere(report, late != 0).any():  # one pair alone, of three or more views, is chance
        steps = int(late[late != 0].abs().median())
        yield f"{_culprits(report, late != 0)}: out of step, by about {steps} frame{'s' * (steps > 1)} (see `synchronisation`)"
    few = report.inliers < FEW_INLIERS * report.inliers.max()
    if few.any() or (report.inliers < 0.6).any():
        few = few if few.any() else report.inliers < 0.6
        yield (
            f"{_culprits(report, few)}: few inliers ({report.inliers[few].min():.0%}), as with a view that is shifted, "
            "swapped, mirrored or moved"
        )
    behind = report.in_front < FEW_IN_FRONT
    if behind.any():
        yield f"{_culprits(report, behind)}: only {report.in_front[behind].min():.0%} of the joints in front of both cameras"
    large = report.view_residual_px > LARGE_RESIDUAL * extent
    if large.any():
        names = ", ".join(name for name, one in zip(report.view_names, large) if one)
        yield f"{names}: residuals of {report.view_residual_px.max():.0f} px are large for people of {extent.min():.0f} px"
    alone = _everywhere(report, (report.angle_deg > OPPOSITE_DEG) | (report.angle_deg < 180 - OPPOSITE_DEG))
    if alone.any():
        angle = report.angle_deg.max() if (report.angle_deg > OPPOSITE_DEG).any() else report.angle_deg.min()
        names = ", ".join(name for name, one in zip(report.view_names, alone) if one)
        yield f"{names}: the rays meet at {angle:.0f}°, which hardly determines places along them; add a view from the side"


def _everywhere(report, of_pairs):
    """Views (V,) all of whose pairs are so."""
    touches = (report.pairs.unsqueeze(-1) == torch.arange(len(report.view_names))).any(1)  # (pairs, V)
    return (of_pairs.unsqueeze(-1) | ~touches).all(0)


def _culprits(report, of_pairs):
    """The views all of whose pairs are suspect, if that tells them from the others; else the pairs."""
    views = _everywhere(report, of_pairs)
    if 0 < views.sum() < len(views):
        return "view " + ", ".join(name for name, one in zip(report.view_names, views) if one)
    pairs = report.pairs[of_pairs].tolist()
    return "views " + ", ".join(f"{report.view_names[a]} - {report.view_names[b]}" for a, b in pairs)


def _unknown_warnings(report):
    turn = report.rotation_std_deg.max()
    if report.spread_m < IN_PLACE_M and turn > IN_PLACE_DEG:
        yield f"people stay in place (within {report.spread_m:.1f} m): the turns are known to ±{turn:.1f}° only"
    elif turn > UNKNOWN_DEG:
        yield f"the cameras' turns are known to ±{turn:.1f}° only: more frames in more places would help"
    if (report.focal_std > UNKNOWN_FOCAL).any():
        yield f"focal lengths are known to ±{100 * report.focal_std.max():.0f} % only"


def _unobservable(problem, cameras):
    turn = torch.atan(10 / cameras.focal_px.mean()).rad2deg()
    texts = [
        "the size of the rig (`set_scale`) and which way is up (`set_upright`): both are guessed",
        f"the principal points: taken as given; one that is 10 px off turns its camera by {turn:.1f}° instead",
    ]
    if not problem.free_focal.all():
        texts.append("the given focal lengths: one that is wrong by a tenth hardly changes the residuals")
    return tuple(texts)


def _notes(report, pairs):
    opposite = report.angle_deg > OPPOSITE_DEG
    notes = [fault for fault in pairs.faults if fault]
    if opposite.any() and len(report.view_names) > 2:
        names = ", ".join(f"{report.view_names[a]} - {report.view_names[b]}" for a, b in report.pairs[opposite].tolist())
        notes.append(f"nearly opposite cameras ({names}): the pair alone triangulates badly")
    return tuple(notes)
