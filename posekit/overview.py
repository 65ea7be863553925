"""All rows at a glance: one chart in HTML, a line per method and a mark per recorded run, grouped by what a method needs.

The chart needs no script and no other file. Its text keeps its size on a phone, and its colours are those of the page.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from math import ceil, log10
from pathlib import Path

from posekit.colors import CAMERA, COLORS, DARK
from posekit.html_tables import inline
from posekit.records import Record, is_lost
from posekit.settings import Experiment
from posekit.sources import record_address
from posekit.tables import Listing, Row

NAMES = {
    "humaneva": "HumanEva-I",
    "human36m": "Human3.6M",
    "human36m_detected": "Human3.6M",
    "synthetic": "synthetic people",
}
SERIES = {
    "the report's settings": COLORS["right"],
    "our settings": COLORS["left"],
    "beyond the report": CAMERA,
}
"""What the marks stand for, and their colours."""

KNOWLEDGE = ("picture only", "intrinsics", "tilt and height", "full calibration")


@dataclass(frozen=True)
class Mark:
    """One recorded run, or, without a record, the number that the report prints."""

    error_mm: float
    series: str
    text: str
    address: str = ""
    lost: bool = False


@dataclass
class Strip:
    """One line of the chart."""

    title: str
    marks: list[Mark] = field(default_factory=list)


def overview(listing: Listing, runs: Mapping[str, list[Record]], names: Iterable[str], start: str | Path = ".") -> str:
    """The chart of all rows of some tables, on a logarithmic scale of `report_mpjpe` from 1 mm.

    Smaller errors stand at its left end in figures.

    A row has a mark for every recorded seed, also for those that only rows of other names have recorded. Rows without
    records are left out, and a row that several tables show stands where the first has it.

    Args:
        listing: see `tables.listed`.
        runs: records by row; see `records.recorded`.
        names: of the tables.
        start: a folder in the checkout.
    """
    groups = grouped(listing, runs, names, start)
    errors = [mark.error_mm for strips in groups.values() for strip in strips for mark in strip.marks]
    decades = ceil(log10(max(errors)))
    body = "".join(_group(heading, strips, decades) for heading, strips in groups.items())
    alt = (
        f"Errors of {sum(map(len, groups.values()))} methods from {min(errors):.3f} to {max(errors):.0f} mm, one line per "
        f"method: {'; '.join(groups)}. The tables on this page have the same numbers."
    )
    return (
        f'<style>{STYLE}</style><figure class="pk-overview" role="group" aria-label="{escape(alt)}">'
        f'{_key()}<div style="--decades: {decades}">{body}{_axis(decades)}</div></figure>'
    )


def grouped(
    listing: Listing, runs: Mapping[str, list[Record]], names: Iterable[str], start: str | Path = "."
) -> dict[str, list[Strip]]:
    """The lines of the chart by the headings of their groups; arguments as `overview`'s."""
    shown = {}
    for row in (row for name in names for row in listing.tables[name].rows if runs.get(row.key)):
        shown.setdefault(row.key, row)
    alike = defaultdict(list)
    for row in listing.rows:
        alike[row.experiments[0].but(seed=0)].append(row)
    groups: dict[tuple, dict[str, Strip]] = defaultdict(dict)
    for row in shown.values():
        same = [other.key for other in (row, *alike[row.experiments[0].but(seed=0)])]
        strip = groups[_place(row)].setdefault(_title(row), Strip(_title(row)))
        strip.marks += [_mark(row, key, record) for key, record in _by_seed(same, runs).values()]
        if printed := row.printed_mm(start):
            strip.marks.append(Mark(printed, "the report", f"the report: {printed} mm"))
    by_heading: dict[str, list[Strip]] = defaultdict(list)
    for place in sorted(groups):
        by_heading[_heading(place)] += groups[place].values()
    return dict(by_heading)


def series_of(experiment: Experiment) -> str:
    """Which of `SERIES` a run belongs to."""
    if experiment.method == "scenes" or (experiment.method == "supervised" and experiment.teacher.teacher == "triangulation"):
        return "beyond the report"
    flat = experiment.flat()
    published = flat["parametrisation"] == "published" or flat["lens"] == "human36m"
    return "the report's settings" if published else "our settings"


def _by_seed(keys: Iterable[str], runs: Mapping[str, list[Record]]) -> dict[int, tuple[str, Record]]:
    """A record for each seed, from the first row that has it."""
    found = {}
    for key in keys:
        for record in runs.get(key, []):
            found.setdefault(record.experiment["seed"], (key, record))
    return found


def _mark(row: Row, key: str, record: Record) -> Mark:
    error, lost = record.metrics_mm["report_mpjpe"], is_lost(record)
    series = series_of(row.experiments[0])
    text = f"{row.title}, {series}, seed {record.experiment['seed']}: {_figure(error)} mm"
    return Mark(error, series, text + ", lost" * lost, record_address(key, record), lost)


def _title(row: Row) -> str:
    return f"{row.title} ({row.group})" if row.group else row.title


def _place(row: Row) -> tuple:
    """Sorts groups: by the test set, whole and exact ones first, then by views, what is known of the camera, and frames."""
    views, frames, *known = [*row.at_test.split(", "), "picture only"]
    if frames in KNOWLEDGE:
        frames, known = "1 frame", [frames]
    count = 10**9 if frames == "whole clip" else int(frames.split()[0])
    data = row.experiments[0].data
    order = list(NAMES).index(data.dataset), data.stride, data.noise_px
    return order, _test_set(row.experiments[0]), int(views.split()[0]), KNOWLEDGE.index(known[0]), count, views, frames


def _test_set(experiment: Experiment) -> str:
    """The test set in words: which data, how many of its frames, and how exact its 2D is."""
    data = experiment.data
    faults = {"noise_px": "{:g} px of noise", "missing": "{:.0%} of joints missing", "swapped": "{:.0%} of sides swapped"}
    same = [words.format(getattr(data, name)) for name, words in faults.items() if getattr(data, name)]
    noise = ", ".join(same) if data.test_noise == "same" else data.test_noise.replace("exact", "")
    every = f", one frame in {data.stride}" if data.stride > 1 else ""
    exact = "detected 2D" if data.dataset == "human36m_detected" else "exact 2D"
    return f"{NAMES[data.dataset]}{every}, {noise or exact}"


def _heading(place: tuple) -> str:
    _, test_set, _, known, _, views, frames = place
    return f"{test_set}: {views}, {frames}, {KNOWLEDGE[known]}"


# ---- HTML ----


def _group(heading: str, strips: list[Strip], decades: int) -> str:
    test_set, _, needs = heading.partition(": ")
    lines = "".join(_strip(strip, decades) for strip in strips)
    return f'<div class="pk-group"><p><b>{escape(needs)}</b> {escape(test_set)}</p>{lines}</div>'


def _strip(strip: Strip, decades: int) -> str:
    marks = sorted(strip.marks, key=lambda mark: not mark.address)  # the report's lies on top
    drawn = "".join(_drawn(mark, decades) for mark in marks)
    return f'<div class="pk-strip"><span>{inline(strip.title)}</span><span class="pk-scale">{drawn}</span></div>'


def _drawn(mark: Mark, decades: int) -> str:
    said = f'title="{escape(mark.text)}" aria-label="{escape(mark.text)}" style="left: {_across(mark.error_mm, decades)}"'
    if not mark.address:
        return f'<span class="pk-report" role="img" {said}></span>'
    if mark.error_mm < 1:
        words = f"\N{LEFTWARDS ARROW}\N{NO-BREAK SPACE}{_figure(mark.error_mm)} mm"
        return f'<a class="pk-below pk-{list(SERIES).index(mark.series)}" href="{escape(mark.address)}">{words}</a>'
    lost = " pk-lost" if mark.lost else ""
    return f'<a class="pk-mark pk-{list(SERIES).index(mark.series)}{lost}" href="{escape(mark.address)}" {said}></a>'


def _across(error_mm: float, decades: int) -> str:
    return f"{100 * log10(max(error_mm, 1)) / decades:.2f}%"


def _figure(error_mm: float) -> str:
    return f"{error_mm:.3f}" if error_mm < 0.1 else f"{error_mm:.2f}" if error_mm < 10 else f"{error_mm:.1f}"


def _axis(decades: int) -> str:
    ticks = [10.0**power for power in range(decades + 1)]
    ticks = "".join(f'<span style="left: {_across(tick, decades)}">{tick:g}</span>' for tick in ticks)
    words = '<p class="pk-unit"><code>report_mpjpe</code>, mm, on a logarithmic scale; left is better</p>'
    return f'<div class="pk-axis pk-strip" aria-hidden="true"><span></span><span class="pk-scale">{ticks}</span></div>{words}'


def _key() -> str:
    marks = [("pk-report", "the report"), *((f"pk-mark pk-{n}", name) for n, name in enumerate(SERIES))]
    marks.append(("pk-mark pk-lost", "people lost behind the camera"))
    shown = "".join(f'<span><i class="{look}"></i>{name}</span>' for look, name in marks)
    return f'<p class="pk-key">{shown}</p>'


def _colors(shown: Mapping[str, str]) -> str:
    return "; ".join(f"--pk-{n}: {shown.get(color, color)}" for n, color in enumerate(SERIES.values()))


ON_DARK = ':is(html[data-theme="dark"], [data-jp-theme-light="false"])'
STYLE = f"""
.pk-overview {{ {_colors({})}; --pk-ground: var(--pst-color-background, var(--jp-layout-color0, white)); margin: 1rem 0; }}
{ON_DARK} .pk-overview {{ {_colors(DARK)}; }}
.pk-overview p {{ margin: 0; }}
.pk-key span {{ display: inline-block; margin-right: 1.2em; }}
.pk-key i {{ position: relative !important; display: inline-block; margin: 0 0.5em -1px 0; transform: none !important; }}
.pk-group p {{ margin-top: 0.9rem; border-bottom: 1px solid color-mix(in srgb, currentColor 35%, transparent); }}
.pk-group p {{ font-size: 0.85em; padding-bottom: 2px; }}
.pk-strip {{ display: grid; grid-template-columns: 17rem 1fr; gap: 0 1rem; line-height: 1.6rem; font-size: 0.9em; }}
.pk-scale {{
  position: relative; min-height: 1.6rem; margin: 0 0.8rem;
  background: repeating-linear-gradient(to right,
    color-mix(in srgb, currentColor 25%, transparent) 0 1px, transparent 1px calc((100% - 1px) / var(--decades)));
}}
.pk-mark {{
  position: absolute; top: 50%; width: 11px; height: 11px; border-radius: 50%; transform: translate(-50%, -50%);
  border: 1px solid var(--pk-ground); background: currentColor; opacity: 0.9;
}}
a.pk-mark::after {{ content: ""; position: absolute; inset: -6px; }}
a.pk-mark:is(:hover, :focus-visible) {{ z-index: 1; outline: 2px solid currentColor; outline-offset: 2px; }}
.pk-0, .pk-0:hover {{ color: var(--pk-0); }}
.pk-1, .pk-1:hover {{ color: var(--pk-1); }}
.pk-2, .pk-2:hover {{ color: var(--pk-2); }}
.pk-below {{ position: absolute; left: 0; white-space: nowrap; padding: 0 0.3em; background: var(--pk-ground); }}
.pk-overview .pk-below {{ color: inherit; }}
.pk-below::before {{ content: ""; display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 0.3em; }}
.pk-below.pk-0::before {{ background: var(--pk-0); }}
.pk-below.pk-1::before {{ background: var(--pk-1); }}
.pk-below.pk-2::before {{ background: var(--pk-2); }}
.pk-lost {{ background: var(--pk-ground); border: 2px solid currentColor; }}
.pk-report {{
  position: absolute; top: 50%; width: 10px; height: 10px; border: 2px solid currentColor;
  transform: translate(-50%, -50%) rotate(45deg); pointer-events: none;
}}
.pk-key i.pk-report {{ transform: rotate(45deg) !important; margin-bottom: 0; }}
.pk-axis {{ position: sticky; bottom: 0; background: var(--pk-ground); z-index: 2; border-top: 1px solid; }}
.pk-axis .pk-scale {{ background: none; height: 1.5em; }}
.pk-axis .pk-scale span {{ position: absolute; transform: translateX(-50%); }}
.pk-unit {{ text-align: center; font-size: 0.85em; }}
@media (max-width: 700px) {{
  .pk-strip {{ grid-template-columns: 1fr; }}
  .pk-strip {{ line-height: 1.3rem; }}
  .pk-scale {{ min-height: 1.1rem; }}
}}
@media print {{
  .pk-mark, .pk-report {{ print-color-adjust: exact; }}
  .pk-group {{ break-inside: avoid; }}
  .pk-axis {{ position: static; }}
}}
"""
