"""The list of rows, and the tables drawn from it."""

from dataclasses import replace
from pathlib import Path

import pytest

from posekit.records import by_row, recorded
from posekit.settings import Experiment
from posekit.tables import listed, read_list

ROOT = Path(__file__).parent.parent
LIST = """
tables:
  lifters:
    caption: made up, mm
    titles: method
    base: narrow
    columns:
      at_test: needs at test
      width: width
      passes: epochs
      seeds: seeds
      report_mpjpe: error
      root_error: of the root
      change: change
      records: records
  noise:
    titles: error
    across: {noise_px: "{:g} px"}
    digits: 1
    best: true

rows:
- {name: narrow, table: lifters, title: narrow lifter, at_test: "1 view, 1 frame", seeds: [0, 1], width: 8}
- {name: wide, like: narrow, title: wide lifter, group: more weights, width: 16}
- {name: unseen, like: narrow, width: 99}
- {name: adapted, like: narrow, title: adapted, at_test: "3 views, full calibration", method: adaptation, adapt_epochs: 7}
- {name: one-seed, like: wide, title: one seed, seeds: [0]}
- {name: few-px, like: narrow, table: noise, title: lifter, seeds: [0]}
- {name: many-px, like: few-px, title: lifter, noise_px: 5}
- {name: geometry, table: noise, title: geometry, method: triangulation}
- {shows: wide, table: noise, title: shown again}
"""


@pytest.fixture
def write(tmp_path):
    def write(text=LIST):
        path = tmp_path / "runs.yml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def record():
    return recorded(ROOT)["humaneva/label_free-ours"][0]


@pytest.fixture
def invent(record, tmp_path):
    """Save made-up records of a row: an error for each of its experiments."""

    def invent(row, *errors, **others):
        for experiment, error in zip(row.experiments, errors, strict=True):
            metrics = {"report_mpjpe": error} | others
            replace(record, experiment=experiment.flat(), metrics_mm=metrics).save(tmp_path, row.name)

    return invent


def cells(markdown):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line.startswith("| ")]


def in_text(markdown):
    return markdown.replace("\N{NO-BREAK SPACE}", " ")


def test_a_new_row_is_one_entry(write, invent, tmp_path):
    """Added to a copy of the book's list, with made-up records, it stands in its table, and all else stays."""
    runs, before = recorded(ROOT), listed(ROOT).tables
    entry = "- {name: ablation-width64, like: ablation-width512, group: the switch, title: narrow, width: 64}"
    rows, tables, _ = read_list(write((ROOT / "book" / "results" / "runs.yml").read_text() + "\n" + entry))
    base = [record.metrics_mm["report_mpjpe"] for record in runs["humaneva/ablation-width512"]]
    invent(rows[-1], *(error + 10 for error in base))
    runs |= by_row(tmp_path)
    drawn = {name: in_text(table.markdown(runs, ROOT)).splitlines() for name, table in tables.items()}
    new = [line for name in drawn for line in drawn[name] if line not in in_text(before[name].markdown(runs, ROOT))]
    assert len(new) == 1
    assert new[0].startswith(f"| narrow | {sum(base) / 3 + 10:.2f} ± ")
    assert "| +10.0 ± 0.0 | `ablation-width64`, seed [2](https://" in new[0]
    above = drawn["ablations"][drawn["ablations"].index(new[0]) - 1]
    assert "no dropout, one-cycle learning rate" in above  # the last of its group, not of the table


def test_columns_are_metrics_parameters_and_what_a_row_says(write, invent, tmp_path):
    rows, tables, _ = read_list(write())
    narrow, wide, _, adapted, one_seed, *_ = rows
    invent(narrow, 10.0, 12.0, root_error=1.0)
    invent(wide, 9.0, 13.0, root_error=2.0)
    invent(one_seed, 8.0)
    markdown = in_text(tables["lifters"].markdown(by_row(tmp_path)))
    assert markdown.startswith("**made up, mm**\n\n| method | needs at test | width | epochs | seeds |")
    link = "https://github.com/posekit/posekit/blob/main/book/results/synthetic"
    link = {row: f"[0]({link}/{row}-seed0.json)" for row in ("narrow", "wide", "one-seed")} | {"second": link}
    narrow_links = f"`narrow`, seed {link['narrow']}, [1]({link['second']}/narrow-seed1.json)"
    wide_links = f"`wide`, seed {link['wide']}, [1]({link['second']}/wide-seed1.json)"
    unrecorded = ["0", "not recorded yet", "not recorded yet", "–", "–"]
    assert cells(markdown)[2:] == [
        ["narrow lifter", "1 view, 1 frame", "8", "30", "2", "11.00 ± 1.41", "1.00 ± 0.00", "–", narrow_links],
        ["adapted", "3 views, full calibration", "8", "7", *unrecorded],
        ["**more weights**", *[""] * 8],
        ["wide lifter", "1 view, 1 frame", "16", "30", "2", "11.00 ± 2.83", "2.00 ± 0.00", "+0.0 ± 1.4", wide_links],
        ["one seed", "1 view, 1 frame", "16", "30", "1", "8.00", "–", "–", f"`one-seed`, seed {link['one-seed']}"],
    ]
    assert adapted.values("width") == [8]
    assert read_list(write()).rows[-1].values("width") == []  # triangulation has none


def test_seconds_are_those_of_the_runs_in_the_mean(write, record, tmp_path):
    text = LIST.replace("      seeds: seeds\n", "      seconds: took\n")
    rows, tables, _ = read_list(write(text))
    for experiment, seconds in zip(rows[0].experiments, (10.0, 20.6)):
        where = record.provenance | {"seconds": seconds}
        replace(record, experiment=experiment.flat(), provenance=where).save(tmp_path, rows[0].name)
    first, second = (line[4] for line in cells(tables["lifters"].markdown(by_row(tmp_path)))[2:4])
    assert (first, second) == ("15", "–")


def test_a_table_across_a_parameter_has_a_column_for_each_value(write, invent, tmp_path):
    rows, tables, _ = read_list(write())
    by_name = {row.name: row for row in rows}
    for name, errors in {"few-px": [20.0], "many-px": [30.0], "geometry": [0.5], "wide": [25.0, 35.0]}.items():
        invent(by_name[name], *errors)
    assert cells(in_text(tables["noise"].markdown(by_row(tmp_path)))) == [
        ["error", "0 px", "5 px"],
        ["---", "---", "---"],
        ["lifter", "20.0", "30.0"],
        ["geometry", "0.5", "–"],
        ["shown again", "30.0 ± 7.1", "–"],
        ["**best**", "geometry", "lifter"],
    ]
    curves = tables["noise"].curves(by_row(tmp_path))
    assert curves == {"lifter": ([0, 5], [20, 30]), "geometry": ([0], [0.5]), "shown again": ([0], [30])}


def test_each_value_across_can_have_a_heading_of_its_own(write):
    own = LIST.replace('noise_px: "{:g} px"', "noise_px: {0: none, 5: much}")
    header = cells(read_list(write(own)).tables["noise"].markdown({}))[0]
    assert header[1:] == ["none", "much"]
    assert cells(read_list(write()).tables["noise"].markdown({}))[0][1:] == ["0 px", "5 px"]


def test_rows_may_say_themselves_in_which_column_they_stand(write, invent, tmp_path):
    text = LIST.replace('across: {noise_px: "{:g} px"}', 'across: {column: "{}"}')
    text = text.replace("title: lifter, seeds", "title: seen, column: ours, seeds").replace(
        "title: lifter, noise_px: 5", "title: unseen, noise_px: 5"
    )
    text = text.replace("title: geometry,", "title: seen, column: geometry,").replace(
        "title: shown again", "title: seen, column: wide"
    )
    rows, tables, _ = read_list(write(text))
    by_name = {row.name: row for row in rows}
    for name, errors in {"few-px": [20.0], "many-px": [30.0], "geometry": [0.5], "wide": [25.0, 25.0]}.items():
        invent(by_name[name], *errors)
    assert cells(in_text(tables["noise"].markdown(by_row(tmp_path)))) == [
        ["error", "ours", "geometry", "wide"],
        ["---", "---", "---", "---"],
        ["seen", "20.0", "0.5", "25.0 ± 0.0"],
        ["unseen", "30.0", "–", "–"],
        ["**best**", "seen", "seen", "seen"],
    ]


def test_a_misspelt_metric_is_named_with_those_there_are(write, invent, tmp_path):
    rows, tables, _ = read_list(write(LIST.replace("root_error:", "rot_error:")))
    invent(rows[0], 1.0, 2.0, root_error=1.0)
    with pytest.raises(ValueError, match="lifters: no record has 'rot_error'; they have report_mpjpe, root_error"):
        tables["lifters"].markdown(by_row(tmp_path))


def test_like_takes_over_all_but_name_title_and_printed_number(write):
    text = LIST.replace("table: lifters, title: narrow lifter,", "table: lifters, title: narrow lifter, printed: supervised,")
    narrow, wide, unseen, *_ = read_list(write(text)).rows
    assert (unseen.table, unseen.at_test, unseen.title, unseen.printed) == ("lifters", "1 view, 1 frame", "", "")
    assert narrow.printed == "supervised"
    assert wide.experiments[1] == Experiment().but(width=16, seed=1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("title: adapted", "title: narrow lifter"), "table lifters: two rows are titled 'narrow lifter'"),
        (("title: geometry", "title: lifter"), "table noise: two rows are titled 'lifter'"),
        (("table: noise, title: lifter", "table: nose, title: lifter"), "few-px: no table is called 'nose'"),
        (("3 views, full", "3 views, perfect"), "adapted: at_test must be like"),
        (("base: narrow", "base: thin"), "table lifters: its base thin is not among its rows"),
        (("shows: wide", "shows: wider"), "wider is shown, but is not above"),
        (("name: unseen, ", ""), "a row without a name: {'like': 'narrow', 'width': 99}"),
        (("across: {noise_px", "across: {nose_px"), "table noise: across must name a parameter, got nose_px"),
        (('    across: {noise_px: "{:g} px"}\n', ""), "table noise: expected either columns or across"),
        (("    best: true", "    worst: true"), "table noise: .*'worst'"),
        (("rows:\n", "lines:\n"), "expected the keys tables and rows, got tables, lines"),
    ],
)
def test_a_list_that_cannot_be_drawn_is_refused_by_file_and_row(write, change, complaint):
    assert LIST.count(change[0]) == 1
    with pytest.raises(ValueError, match=rf"runs\.yml: {complaint}"):
        read_list(write(LIST.replace(*change)))
