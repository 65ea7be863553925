"""All rows at a glance: one chart in HTML, a line per method and a mark per recorded run, grouped by what a method needs.

The chart needs no script and no other file. Its text keeps its size on a phone, and its colours are those of the page.
Test sets with noise are folded. A click on a line lists its records, for marks are small and may lie on each other.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from math import ceil, log10
from pathlib import Path

from posekit.colors import CAMERA, COLORS, DARK
from posekit.html_tables import inline
from posekit.records import Record, is_lost
from posekit.settings import Experiment
from posekit.sources import record_address, sheet
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

MARK_PERCENT = 2.5  # of the scale's width, what a mark takes on a phone
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
    places: list[str] = field(default_factory=list)
    """In which tables its rows stand, with their titles there."""


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
    by_test_set = groupby(groups.items(), key=lambda group: group[0].partition(": ")[0])
    body = "".join(_test_set_html(test_set, groups, decades) for test_set, groups in by_test_set)
    alt = (
        f"Errors of {sum(map(len, groups.values()))} methods from {min(errors):.3f} to {max(errors):.0f} mm, one line per "
        f"method: {'; '.join(groups)}. The tables on this page have the same numbers."
    )
    return (
        f'<style>{STYLE}</style><figure class="pk-overview" role="group" aria-label="{escape(alt)}">'
        f'{_key()}<div style="--decades: {decades}">{_axis(decades)}{body}</div></figure>'
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
        table = listing.tables[row.table]
        strip.places.append(f"{table.caption or table.titles}: {row.title}")
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
    text = f"{_title(row)}, {series}, seed {record.experiment['seed']}: {_figure(error)} mm"
    return Mark(error, series, text + ", lost" * lost, record_address(key, record), lost)


def _title(row: Row) -> str:
    return row.alone or (f"{row.title} ({row.group})" if row.group else row.title)


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


def _test_set_html(test_set: str, groups: Iterable[tuple[str, list[Strip]]], decades: int) -> str:
    shown = "".join(_group(heading.partition(": ")[2], strips, decades) for heading, strips in groups)
    folded = "" if "noise" in test_set else " open"
    return f'<details class="pk-test-set"{folded}><summary>{escape(test_set)}</summary>{shown}</details>'


def _group(needs: str, strips: list[Strip], decades: int) -> str:
    lines = "".join(_strip(strip, decades) for strip in strips)
    return f'<div class="pk-group"><p>{escape(needs)}</p>{lines}</div>'


def _strip(strip: Strip, decades: int) -> str:
    records = sorted((mark for mark in strip.marks if mark.address), key=lambda mark: mark.error_mm)
    drawn = [_drawn(mark, decades, lane) for mark, lane in zip(records, _lanes(records, decades))]
    drawn += [_drawn(mark, decades) for mark in strip.marks if not mark.address]  # the report's lies on top
    listed = sheet(inline(strip.title), strip.title, _records(strip))
    return f'<div class="pk-strip">{listed}<span class="pk-scale">{"".join(drawn)}</span></div>'


def _records(strip: Strip) -> str:
    """What the sheet of a line says: in which tables its rows stand, and the number and the address of every mark."""
    places = "<br>".join(map(inline, strip.places))
    links = (f'<a href="{escape(mark.address)}">{escape(mark.text)}</a>' if mark.address else mark.text for mark in strip.marks)
    return f"<p>{places}</p><ul>{''.join(f'<li>{link}</li>' for link in links)}</ul>"


def _lanes(records: list[Mark], decades: int) -> Iterator[int]:
    """The lane of each mark within its line, 0 in the middle, so that neighbours do not hide each other's centre."""
    ends = dict.fromkeys((0, -1, 1), 0.0)
    for mark in records:
        across = _across(mark.error_mm, decades)
        free = [lane for lane, end in ends.items() if end <= across]
        lane = free[0] if free else min(ends, key=ends.get)
        ends[lane] = across + MARK_PERCENT
        yield lane


def _drawn(mark: Mark, decades: int, lane: int = 0) -> str:
    place = f"left: {_across(mark.error_mm, decades):.2f}%; --lane: {lane}"
    said = f'title="{escape(mark.text)}" aria-label="{escape(mark.text)}" style="{place}"'
    if not mark.address:
        return f'<span class="pk-report" role="img" {said}></span>'
    if mark.error_mm < 1:
        words = f"\N{LEFTWARDS ARROW}\N{NO-BREAK SPACE}{_figure(mark.error_mm)} mm"
        return f'<a class="pk-below pk-{list(SERIES).index(mark.series)}" href="{escape(mark.address)}">{words}</a>'
    lost = " pk-lost" if mark.lost else ""
    return f'<a class="pk-mark pk-{list(SERIES).index(mark.series)}{lost}" href="{escape(mark.address)}" {said}></a>'


def _across(error_mm: float, decades: int) -> float:
    """Where an error stands on the scale, percent."""
    return 100 * log10(max(error_mm, 1)) / decades


def _figure(error_mm: float) -> str:
    return f"{error_mm:.3f}" if error_mm < 0.1 else f"{error_mm:.2f}" if error_mm < 10 else f"{error_mm:.1f}"


def _axis(decades: int) -> str:
    ticks = [10.0**power for power in range(decades + 1)]
    ticks = "".join(f'<span style="left: {_across(tick, decades):.2f}%">{tick:g}</span>' for tick in ticks)
    words = "<span><code>report_mpjpe</code>, mm; left is better</span>"
    return f'<div class="pk-axis pk-strip" aria-hidden="true">{words}<span class="pk-scale">{ticks}</span></div>'


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
.pk-overview p, .pk-overview ul {{ margin: 0; }}
.pk-key span {{ display: inline-block; margin-right: 1.2em; }}
.pk-key i {{ position: relative !important; display: inline-block; margin: 0 0.5em -1px 0; transform: none !important; }}
.pk-test-set {{ margin-top: 0.6rem; font-size: 0.85em; }}
.pk-test-set > summary {{ font-weight: bold; cursor: pointer; }}
.pk-group > p {{ margin-top: 0.3rem; font-style: italic; }}
.pk-group > p {{ border-bottom: 1px solid color-mix(in srgb, currentColor 35%, transparent); }}
.pk-strip {{ position: relative; display: grid; grid-template-columns: 17rem 1fr; gap: 0 1rem; line-height: 1.25rem; }}
.pk-strip > .pk-source > button {{
  padding: 0; border: 0; background: none; color: inherit; font: inherit; text-align: left; cursor: pointer;
}}
.pk-strip > .pk-source > button::after {{ content: ""; position: absolute; inset: 0; }}
.pk-strip > .pk-source > button:is(:hover, :focus-visible)::after {{
  background: color-mix(in srgb, currentColor 12%, transparent);
}}
.pk-scale {{
  position: relative; min-height: 1.25rem; margin: 0 0.8rem;
  background: repeating-linear-gradient(to right,
    color-mix(in srgb, currentColor 25%, transparent) 0 1px, transparent 1px calc((100% - 1px) / var(--decades)));
}}
.pk-strip:not(.pk-axis) .pk-scale {{ pointer-events: none; }}
.pk-scale a {{ pointer-events: auto; z-index: 1; }}
.pk-mark {{
  position: absolute; top: calc(50% + 6px * var(--lane, 0)); width: 7px; height: 7px; border-radius: 50%;
  transform: translate(-50%, -50%); background: currentColor;
}}
a.pk-mark:is(:hover, :focus-visible) {{ z-index: 2; outline: 2px solid currentColor; outline-offset: 2px; }}
.pk-0, .pk-0:hover {{ color: var(--pk-0); }}
.pk-1, .pk-1:hover {{ color: var(--pk-1); }}
.pk-2, .pk-2:hover {{ color: var(--pk-2); }}
.pk-below {{ position: absolute; left: 0; white-space: nowrap; padding: 0 0.3em; background: var(--pk-ground); }}
.pk-overview .pk-below {{ color: inherit; }}
.pk-below::before {{ content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 0.3em; }}
.pk-below.pk-0::before {{ background: var(--pk-0); }}
.pk-below.pk-1::before {{ background: var(--pk-1); }}
.pk-below.pk-2::before {{ background: var(--pk-2); }}
.pk-lost {{ background: var(--pk-ground); border: 1.5px solid currentColor; }}
.pk-report {{
  position: absolute; top: 50%; width: 10px; height: 10px; border: 2px solid currentColor;
  transform: translate(-50%, -50%) rotate(45deg); pointer-events: none; z-index: 1;
}}
.pk-key i.pk-report {{ transform: rotate(45deg) !important; margin-bottom: 0; }}
.pk-axis {{
  position: sticky; top: var(--pk-top, 0); z-index: 3; font-size: 0.85em;
  background: var(--pk-ground); border-bottom: 1px solid;
}}
.pk-axis .pk-scale {{ background: none; }}
.pk-axis .pk-scale span {{ position: absolute; transform: translateX(-50%); }}
@media (max-width: 700px) {{
  .pk-strip {{ grid-template-columns: 1fr; line-height: 1.1rem; }}
}}
@media print {{
  .pk-mark, .pk-report {{ print-color-adjust: exact; }}
  .pk-group {{ break-inside: avoid; }}
  .pk-test-set::details-content {{ content-visibility: visible; block-size: auto; }}
  .pk-axis {{ position: static; }}
}}
"""
