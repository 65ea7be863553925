"""The chart of all rows and the tables as HTML, on a made-up list."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from posekit.html_tables import html_table
from posekit.overview import grouped, overview
from posekit.records import by_row, load_record
from posekit.sources import RECORDS_ADDRESS, sources
from posekit.tables import read_list

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "book" / "results" / "humaneva" / "label_free-ours-seed0.json"
LIST = """
tables:
  first: {titles: method, caption: "made up, mm", columns: {report_mpjpe: error, at_test: sees, records: records}}
  second: {titles: method, columns: {report_mpjpe: error}}
  across: {titles: error, across: {noise_px: "{:g} px"}}

rows:
- name: plain
  table: first
  title: plain `lifter`
  at_test: 1 view, 1 frame
  printed: supervised
  seeds: [0, 1]
  dataset: humaneva
  width: 8
- {name: plain-lost, like: plain, seeds: [2, 3]}
- {name: better, like: plain, title: better, alone: better than plain, width: 16, seeds: [0]}
- {name: views, table: first, title: geometry, at_test: "3 views, full calibration", dataset: humaneva, method: triangulation}
- {name: noisy, like: plain, table: second, group: noise, title: noisy, noise_px: 5, seeds: [0]}
- {name: missing, like: plain, table: second, title: not there, width: 32}
- {shows: better, table: second, title: again}
- {name: few, like: noisy, table: across, title: a, noise_px: 1}
- {name: many, like: noisy, table: across, title: a, noise_px: 2}
- {name: other, like: noisy, table: across, title: b, noise_px: 1}
"""
ERRORS = {"plain": [30.0, 32.0], "plain-lost": [700.0, 31.0], "better": [20.0], "views": [0.0], "noisy": [50.0]}
ERRORS |= {"few": [3.0], "many": [4.0], "other": [2.0]}


@pytest.fixture
def made(tmp_path):
    """The list and records of its rows."""
    path = tmp_path / "runs.yml"
    path.write_text(LIST)
    listing, record = read_list(path), load_record(RECORD)
    for row in listing.rows:
        for experiment, error in zip(row.experiments, ERRORS.get(row.name, [])):
            replace(record, experiment=experiment.flat(), metrics_mm={"report_mpjpe": error}).save(tmp_path, row.name)
    return listing, by_row(tmp_path)


def test_every_seed_of_a_row_has_a_mark_in_the_group_of_what_it_needs(made):
    groups = grouped(*made, ["first", "second"], ROOT)
    titles = {heading: [strip.title for strip in strips] for heading, strips in groups.items()}
    assert titles == {
        "HumanEva-I, 5 px of noise: 1 view, 1 frame, picture only": ["noisy (noise)"],
        "HumanEva-I, exact 2D: 1 view, 1 frame, picture only": ["plain `lifter`", "better than plain"],
        "HumanEva-I, exact 2D: 3 views, 1 frame, full calibration": ["geometry"],
    }
    assert list(titles)[-1] == "HumanEva-I, 5 px of noise: 1 view, 1 frame, picture only", "exact 2D comes first"
    plain = groups["HumanEva-I, exact 2D: 1 view, 1 frame, picture only"][0]
    assert [mark.error_mm for mark in plain.marks if mark.address] == [30.0, 32.0, 700.0, 31.0]
    assert [mark.error_mm for mark in plain.marks if mark.lost] == [700.0]
    assert [mark.error_mm for mark in plain.marks if not mark.address] == [24.48]
    assert {mark.address.rpartition("/")[2] for mark in plain.marks if mark.lost} == {"plain-lost-seed2.json"}


def test_a_row_stands_where_its_first_table_has_it(made):
    listing, runs = made
    titles = [strip.title for strips in grouped(listing, runs, ["second", "first"], ROOT).values() for strip in strips]
    assert titles == ["better than plain", "plain `lifter`", "geometry", "noisy (noise)"]


def test_groups_of_one_heading_are_one_group(made):
    """Lifters that learned from different noise, all tested on exact 2D."""
    listing, runs = made
    (like,) = [row for row in listing.rows if row.name == "noisy"]
    rows = [
        replace(
            like, experiments=tuple(e.but(noise_px=px, test_noise="exact") for e in like.experiments), title=name, name=name
        )
        for px, name in ((2, "two"), (5, "five"))
    ]
    listing = listing._replace(tables=listing.tables | {"trained": replace(listing.tables["second"], rows=tuple(rows))})
    strips = grouped(listing, runs | {row.key: runs[like.key] for row in rows}, ["trained"], ROOT)
    assert [[strip.title for strip in group] for group in strips.values()] == [["two (noise)", "five (noise)"]]


def test_marks_stand_where_their_errors_are_and_lead_to_their_records(made):
    page = BeautifulSoup(overview(*made, ["first", "second"], ROOT), "html.parser")
    marks = {mark["title"]: mark for mark in page.select(".pk-mark[href]")}
    assert len(marks) == 6
    for mark in marks.values():
        assert mark["href"].startswith(f"{RECORDS_ADDRESS}/humaneva/")
        assert mark["aria-label"] == mark["title"]

    near, first = (
        mark["style"].partition("; ")[2]
        for seed in (1, 0)
        for title, mark in marks.items()
        if f"plain `lifter`, our settings, seed {seed}:" in title
    )
    assert near != first, "neighbours stand in lanes of their own"
    sheet = page.select_one(".pk-strip [popover]")
    assert [link["href"].rpartition("/")[2] for link in sheet.select("a")] == [
        "plain-seed0.json",
        "plain-seed1.json",
        "plain-lost-seed2.json",
        "plain-lost-seed3.json",
    ]
    assert [fold.has_attr("open") for fold in page.select(".pk-test-set")] == [True, False]

    def left(error):
        (style,) = [mark["style"] for title, mark in marks.items() if f": {error:.1f} mm" in title]
        return float(style.removeprefix("left: ").partition("%")[0])

    assert left(700) - left(50) == pytest.approx(100 / 3 * 1.14613, abs=0.02)  # log10(700 / 50), three decades
    assert [mark.text.split("\N{NO-BREAK SPACE}")[1] for mark in page.select(".pk-below")] == ["0.000 mm"]
    assert "1 view, 1 frame, picture only" in page.figure["aria-label"]


def test_numbers_are_on_the_right_and_the_best_comparable_one_is_bold(made):
    listing, runs = made
    page = BeautifulSoup(html_table(listing.tables["first"], runs, ROOT), "html.parser")
    assert [cell.text for cell in page.select("tbody td.pk-number")] == [
        "31.00\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.41",
        "20.00",
        "0.00",
    ]
    assert [cell.text for cell in page.select("td strong")] == ["20.00"]  # nothing else sees as much as the last row
    assert [cell.text for cell in page.select("tbody th code")] == ["lifter"]
    first = page.select_one("tbody tr [popover]")
    assert [link["href"].rpartition("/")[2] for link in first.select("a")] == ["plain-seed0.json", "plain-seed1.json"]
    assert "-p width 8" in first.pre.text


def test_across_a_parameter_the_best_of_each_column_is_bold(made):
    listing, runs = made
    page = BeautifulSoup(html_table(listing.tables["across"], runs, ROOT, folded=True), "html.parser")
    assert page.select_one("details.pk-fold > summary").text == "error"
    assert [[cell.text for cell in line.select("td.pk-number")] for line in page.select("tbody tr")] == [
        ["3.00", "4.00"],
        ["2.00", "–"],
    ]
    assert [cell.text for cell in page.select("td strong")] == ["2.00"]


def test_the_data_are_every_record_as_comma_separated_values(made):
    _, runs = made
    page = BeautifulSoup(sources(["humaneva/plain", "humaneva/nothing", "humaneva/better"], runs), "html.parser")
    text = unquote(page.a["href"].removeprefix("data:text/csv;charset=utf-8,"))
    assert list(csv.reader(io.StringIO(text))) == [
        ["row", "seed", "report_mpjpe_mm"],
        ["humaneva/plain", "0", "30.0"],
        ["humaneva/plain", "1", "32.0"],
        ["humaneva/better", "0", "20.0"],
    ]
