"""What is wrong with a recording: each finding with what was expected and the likely cause.

A finding is not a proof. Its cause is the usual one for what was seen, and where a change mends the recording, the
finding says by how much.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from posekit.formats.checks import check_rig
from posekit.formats.contents import Calibration, DataFileError, Detections
from posekit.rig.quality import Quality, measure

LEAST_COVERAGE, LEAST_SEEN_TWICE = 0.7, 0.8
"""Joints that a view finds, as a share of the best view's; and frames in which a joint is seen by two views."""
MOST_ERROR, TIMES_OTHERS = 0.04, 3.0
"""Reprojection errors as a share of the person's height in the image; and of one joint's as a multiple of the others'."""
MENDED = 0.8
"""Adjusting the cameras must bring the error on other frames down to this share to count as a finding."""
MOST_MISREAD = 0.2
"""Share of the frames in which a view may fit better with exchanged sides, or mirrored."""
ANGLES_DEG = (15.0, 165.0)
"""Between these one pair's rays should meet at least."""
MOST_SPREAD, MOST_LOPSIDED = 0.25, 0.15
"""How much a limb's bone may change its length, and differ from its partner."""
THIGH_M = (0.25, 0.60)
"""Where thighs of grown people are, and those of most children."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as expected.

    Args:
        what: is wrong, and where, with numbers.
        expected: what it would be in a sound recording.
        cause: the likely one, and what to do.
    """

    what: str
    expected: str
    cause: str

    def __str__(self) -> str:
        return f"{self.what}\n  expected: {self.expected}\n  likely cause: {self.cause}"


@dataclass(frozen=True)
class Report:
    """What a check of a recording came to: its measurements and findings, the gravest first."""

    quality: Quality
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        """Two tables and the findings, as text."""
        quality = self.quality
        lines = [f"{'view':<16}{'found':>8}{'error':>12}{'of height':>11}{'shift':>7}"]
        error, found, shifts = quality.view_error_px, quality.coverage.mean(-1), quality.shifts()
        for view, name in enumerate(quality.view_names):
            share = error[view] / quality.height_px[view]
            lines.append(f"{name:<16}{found[view]:>8.0%}{error[view]:>9.1f} px{share:>11.1%}{shifts[view]:>7}")
        lines += ["", f"{'pair':<32}{'angle':>8}{'shift':>7}"]
        rows = zip(quality.pairs.tolist(), quality.angle_deg, -quality.synchronisation.best)
        for (a, b), angle, shift in rows:
            lines.append(f"{quality.view_names[a] + ' - ' + quality.view_names[b]:<32}{angle:>7.0f}°{shift:>7}")
        lines += ["", *map(str, self.findings)] if self.findings else ["", "nothing speaks against this recording"]
        return "\n".join(lines)


def check(calibration: Calibration, detections: Detections) -> Report:
    """Measure a recording, and say what is wrong with it.

    Where `formats.checks.check_rig` refuses it, that is the only finding, for all else follows from it.

    Args:
        calibration: of the views, in their order; see `Calibration.for_views`.
        detections: of one person.

    Raises:
        ValueError: for fewer than two views, or if no two views ever found the same joint.
    """
    quality = measure(detections.pixels, detections.confidence, calibration.cameras, detections.view_names, detections.skeleton)
    try:
        check_rig(calibration, detections)
    except DataFileError as error:
        expected = "cameras that can have seen these joints, and a person as large as people are"
        return Report(quality, (Finding(str(error), expected, "what the message says; the measurements follow from it"),))
    return Report(quality, tuple(findings_in(quality)))


def findings_in(quality: Quality) -> Iterator[Finding]:
    """Everything in the measurements that is not as expected. A cause that explains large errors stands alone."""
    yield from _coverage(quality)
    explained = [*_readings(quality)] or [*_synchronisation(quality)]
    yield from explained or [*_calibration(quality), *_errors(quality), *_bones(quality)]
    yield from _rays(quality)


def _coverage(quality: Quality) -> Iterator[Finding]:
    by_view = quality.coverage.mean(-1)
    for view in (by_view < LEAST_COVERAGE * by_view.max()).nonzero().flatten().tolist():
        yield Finding(
            f"{quality.view_names[view]}: {by_view[view]:.0%} of the joints were found",
            f"about as many as in the best view, {by_view.max():.0%}",
            "the person leaves the image or is hidden there, or the detector ran on a rotated video",
        )
    seldom = [joint for joint, share in zip(quality.skeleton.joints, quality.seen_twice) if share < LEAST_SEEN_TWICE]
    if seldom:
        yield Finding(
            f"{_listed(seldom)}: seen by two views in only {quality.seen_twice.min():.0%} of the frames",
            f"{LEAST_SEEN_TWICE:.0%} or more; elsewhere there is no 3D",
            "hidden by the body, or outside the images; another view from that side would help",
        )


def _readings(quality: Quality) -> Iterator[Finding]:
    causes = {
        "left and right exchanged": (
            quality.swapped_sides,
            "a detector that confuses the sides; exchange them back: tracks.undo_swaps, or --undo-swaps",
        ),
        "mirrored": (quality.mirrored, "a mirrored video, as webcams show it; mirror it back and detect again"),
    }
    reading, (share, cause) = max(causes.items(), key=lambda item: item[1][0].max())
    worst = int(share.argmax())
    if share[worst] > MOST_MISREAD:
        yield Finding(
            f"{quality.view_names[worst]}: in {share[worst]:.0%} of the frames it fits the others much better {reading}",
            f"under {MOST_MISREAD:.0%}",
            cause,
        )


def _synchronisation(quality: Quality) -> Iterator[Finding]:
    shifts = quality.shifts()
    for view in shifts.nonzero().flatten().tolist():
        where = "the start of the other views" if shifts[view] > 0 else "its own start"
        more = " or more" if abs(shifts[view]) >= quality.synchronisation.shifts.max() else ""
        yield Finding(
            f"{quality.view_names[view]}: fits best if shifted by {shifts[view]:+d} frames{more}",
            "0: all views show the same moment in the same frame",
            f"cameras that were started one after the other; drop {abs(shifts[view])} frames{more} at {where}",
        )


def _calibration(quality: Quality) -> Iterator[Finding]:
    given, adjusted = quality.given_error_px.nanmean(), quality.adjusted_error_px.nanmean()
    if adjusted < MENDED * given:
        error = quality.view_error_px.nan_to_num()
        worst = int(error.argmax())
        yield Finding(
            f"the cameras disagree, {quality.view_names[worst]} most ({error[worst]:.0f} px): adjusting where they stand and "
            f"look on the first half of the frames brings errors on the second half from {given:.1f} to {adjusted:.1f} px",
            f"a gain of less than {1 - MENDED:.0%}",
            "a camera was moved after its calibration, or the calibration is imprecise; calibrate again, or adjust the cameras",
        )


def _errors(quality: Quality) -> Iterator[Finding]:
    error, share = quality.view_error_px, quality.view_error_px / quality.height_px
    large = (share > MOST_ERROR).nonzero().flatten().tolist()
    if large:
        listed = _listed([f"{quality.view_names[view]} ({error[view]:.0f} px)" for view in large])
        yield Finding(
            f"{listed}: reprojection errors of up to {share.nan_to_num().max():.0%} of the person's height",
            f"at most {MOST_ERROR:.0%}",
            "the calibration is of another video mode (size, zoom, lens), a camera was moved far, or views see other people",
        )
    by_joint = quality.error_px.nanmedian(0).values
    usual = by_joint.nanmedian()
    large = (by_joint > 1 + TIMES_OTHERS * usual).nonzero().flatten().tolist()
    if large:
        yield Finding(
            f"{_listed([quality.skeleton.joints[joint] for joint in large])}: reprojection errors of up to "
            f"{by_joint[large].max():.0f} px",
            f"like other joints, about {usual:.0f} px",
            "joints that are often hidden or confused; give them less confidence, or leave them out",
        )


def _rays(quality: Quality) -> Iterator[Finding]:
    low, high = ANGLES_DEG
    if not ((quality.angle_deg > low) & (quality.angle_deg < high)).any():
        yield Finding(
            f"the rays of every pair of views meet at {quality.angle_deg.min():.0f}° to {quality.angle_deg.max():.0f}°",
            f"between {low:.0f}° and {high:.0f}° for one pair at least, best near 90°",
            "cameras side by side or face to face, which leaves places along the line of sight open; move one to the side",
        )


def _bones(quality: Quality) -> Iterator[Finding]:
    lengths = dict(zip(quality.skeleton.joints[1:], quality.bone_m.tolist()))
    limbs = [name for name in lengths if name.endswith(("elbow", "wrist", "knee", "ankle"))]
    spread = dict(zip(lengths, quality.bone_spread.tolist()))
    stretched = {name: spread[name] for name in limbs if spread[name] > MOST_SPREAD}
    lopsided = {name: _lopsided(lengths, name) for name in limbs if _lopsided(lengths, name) > MOST_LOPSIDED}
    another = "most joints are affected: they are those of another skeleton, in another order"
    for wrong, what, most, cause in (
        (stretched, "lengths that change by", MOST_SPREAD, "joints found on the wrong side or on another person"),
        (lopsided, "lengths that differ between left and right by", MOST_LOPSIDED, "one side is hidden from most views"),
    ):
        if wrong:
            yield Finding(
                f"bones to {_listed(list(wrong))}: {what} up to {max(wrong.values()):.0%}",
                f"at most {most:.0%}, since bones are rigid and people about symmetric",
                another if len({*stretched, *lopsided}) > len(limbs) / 2 else cause,
            )
    thighs = [lengths[name] for name in ("left_knee", "right_knee") if name in lengths]
    if thighs and not stretched and not lopsided and not THIGH_M[0] <= sum(thighs) / len(thighs) <= THIGH_M[1]:
        yield Finding(
            f"thighs of {sum(thighs) / len(thighs):.2f} m",
            f"{THIGH_M[0]} to {THIGH_M[1]} m",
            "the calibration board's squares have another size than was entered; scale the translations",
        )


def _lopsided(lengths: dict[str, float], name: str) -> float:
    """By what share of their mean a bone and its partner differ."""
    this, partner = lengths[name], lengths[_partner(name)]
    return 2 * abs(this - partner) / (this + partner)


def _partner(name: str) -> str:
    side, _, joint = name.partition("_")
    return f"{'right' if side == 'left' else 'left'}_{joint}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
