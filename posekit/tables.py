"""The list of recorded rows, and the tables drawn from it.

`book/results/runs.yml` declares each table once, and each row with its title, its place and its settings. A new row is
one entry there; the page that draws its table needs no change.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import yaml

from posekit.records import (
    Record,
    book_folder,
    change_in_words,
    in_words,
    mean_and_spread,
    report_table,
    table,
)
from posekit.settings import PARAMETERS, Experiment
from posekit.sources import record_address

AT_TEST = re.compile(r"\d+ views?(, (\d+ frames?|whole clip))?(, (picture only|intrinsics|tilt and height|full calibration))?")
OWN = ("name", "title", "alone", "printed")  # what a row does not take over from the one it is `like`

Runs = Mapping[str, list[Record]]


@dataclass(frozen=True)
class Row:
    """One line of a table: its settings with each seed, and what the table says of it.

    Attributes:
        name: of its records.
        experiments: the settings, one per seed.
        title: how the table calls it; a row without one is in no table.
        alone: how the chart of all rows calls it, where its title needs the rows around it.
        table: which table shows it.
        group: a heading within the table.
        at_test: what the method needs at test, such as "1 view, 9 frames" or "3 views, full calibration".
        printed: which of the report's numbers it stands beside, as `report_table` names them.
        column: in which column of a table across `column` it stands.
    """

    name: str
    experiments: tuple[Experiment, ...]
    title: str = ""
    alone: str = ""
    table: str = ""
    group: str = ""
    at_test: str = ""
    printed: str = ""
    column: str = ""

    @property
    def key(self) -> str:
        """What `recorded` calls it, "<dataset>/<name>"."""
        return f"{self.experiments[0].data.dataset}/{self.name}"

    def printed_mm(self, start: str | Path = ".") -> float | None:
        """The report's number, millimetres; None where it has none."""
        return report_table(self.experiments[0].data.dataset, start=start)[self.printed] if self.printed else None

    def values(self, parameter: str) -> list:
        """The different values of a parameter over the row's runs; none if it does not count for the method.

        For "column" it is the row's own.
        """
        if parameter == "column":
            return [self.column]
        if self.experiments[0].method not in PARAMETERS[parameter].methods:
            return []
        return list(dict.fromkeys(experiment.flat()[parameter] for experiment in self.experiments))


@dataclass(frozen=True)
class Table:
    """A table of recorded rows.

    Attributes:
        name: what pages call it.
        rows: its lines, group by group, those without a group first.
        titles: heading of the rows' titles.
        caption: bold line above it.
        columns: what each column shows, to its heading: a metric, a parameter, or one of `at_test`, `printed` (the
            report's number), `passes` (epochs of training, or of adaptation), `seconds` (of a run, in the mean), `seeds`
            (how many), `change` (seed by seed, against `base`) and `records` (links).
        base: the row that `change` compares with.
        across: a parameter, to the heading of one value of it, such as `{noise_px: "{:g} px"}`, or to its values, each
            with its heading. Rows of one title then share a line, with a column for each value. `{column: "{}"}`:
            the rows say themselves where they stand.
        metric: what `across` and `change` show.
        digits: decimals of a metric.
        best: whether a last line names the best row of each column (with `across`).
    """

    name: str
    rows: tuple[Row, ...]
    titles: str
    caption: str = ""
    columns: Mapping[str, str] | None = None
    base: str = ""
    across: Mapping[str, str | Mapping[Any, str]] | None = None
    metric: str = "report_mpjpe"
    digits: int = 2
    best: bool = False

    def markdown(self, runs: Runs, start: str | Path = ".") -> str:
        """The table as Markdown.

        Args:
            runs: records by row; see `records.recorded`.
            start: a folder in the checkout.

        Raises:
            ValueError: for a column that is neither a parameter, nor one of those above, nor a metric of any record.
        """
        lines = []
        for line in self.lines(runs, start):
            lines += [[f"**{line.title}**", *line.cells]] if not line.rows else [[line.title, *line.cells]]
        caption = f"**{self.caption}**\n\n" if self.caption else ""
        return caption + table([self.titles, *self.headings()], lines)

    def headings(self) -> list[str]:
        """The headings of all columns but that of the titles."""
        if not self.across:
            return list(self.columns.values())
        ((_, heading),) = self.across.items()
        return [_heading(heading, value) for value in self._values()]

    def lines(self, runs: Runs, start: str | Path = ".") -> "list[Line]":
        """What stands in the table, line by line; arguments and errors as `markdown`'s."""
        return self._pivoted(runs) if self.across else self._listed(runs, start)

    def curves(self, runs: Runs) -> dict[str, tuple[list, list[float]]]:
        """Of a table `across` a parameter: its values and the mean errors, millimetres, by title."""
        (parameter,) = self.across
        curves: dict[str, tuple[list, list[float]]] = {}
        for row in self.rows:
            values, errors = curves.setdefault(row.title, ([], []))
            values += row.values(parameter)
            errors.append(mean_and_spread(runs.get(row.key, []), self.metric)[0])
        return curves

    def _listed(self, runs: Runs, start: str | Path) -> "list[Line]":
        lines, group = [], ""
        for row in self.rows:
            if row.group != group:
                group = row.group
                lines.append(Line(group, [""] * len(self.columns)))
            cells = [self._cell(column, row, runs, start) for column in self.columns]
            lines.append(Line(row.title, cells, (row,)))
        return lines

    def _cell(self, column: str, row: Row, runs: Runs, start: str | Path) -> str:
        records = runs.get(row.key, [])
        match column:
            case "at_test":
                return row.at_test
            case "printed":
                return str(row.printed_mm(start) or "–")
            case "passes":
                return _joined(row.values("adapt_epochs") or row.values("epochs"))
            case "seconds":
                return f"{mean(record.provenance['seconds'] for record in records):.0f}" if records else "–"
            case "seeds":
                return str(len(records))
            case "change":
                return change_in_words(records, self._base_records(runs), self.metric)
            case "records":
                return _links(row, records)
        return _joined(row.values(column)) if column in PARAMETERS else self._error(column, records, runs)

    def _base_records(self, runs: Runs) -> list[Record]:
        return next(runs.get(row.key, []) for row in self.rows if row.name == self.base)

    def _error(self, metric: str, records: list[Record], runs: Runs) -> str:
        if all(metric in record.metrics_mm for record in records):
            return in_words(records, metric, self.digits)
        known = {name for row in self.rows for record in runs.get(row.key, []) for name in record.metrics_mm}
        if metric not in known:
            raise ValueError(f"table {self.name}: no record has {metric!r}; they have {', '.join(sorted(known))}")
        return "–"  # records older than the metric

    def _values(self) -> list:
        """The values of the parameter that the table goes across."""
        (parameter,) = self.across
        return list(dict.fromkeys(value for row in self.rows for value in row.values(parameter)))

    def _pivoted(self, runs: Runs) -> "list[Line]":
        (parameter,) = self.across
        placed = {(row.title, value): row for row in self.rows for value in row.values(parameter)}
        lines, values = [], self._values()
        for title in dict.fromkeys(title for title, _ in placed):
            rows = tuple(placed.get((title, value)) for value in values)
            cells = [self._error(self.metric, runs.get(row.key, []), runs) if row else "–" for row in rows]
            lines.append(Line(title, cells, rows))
        if self.best:
            means = {place: mean_and_spread(runs.get(row.key, []), self.metric)[0] for place, row in placed.items()}
            lines.append(Line("best", [_best(means, value) for value in values]))
        return lines


class Line(NamedTuple):
    """One line of a table: its title, its cells (Markdown, for all columns but the titles'), and the row it shows.

    Of a table across a parameter, `rows` has the row of each column, or None. It is empty for the heading of a group, and
    for the line that names the best.
    """

    title: str
    cells: list[str]
    rows: "tuple[Row | None, ...]" = ()


def _heading(heading: str | Mapping[Any, str], value: Any) -> str:
    return heading.format(value) if isinstance(heading, str) else heading.get(value, str(value))


def _best(means: dict[tuple[str, Any], float], value) -> str:
    """The title with the smallest mean in the column of a value."""
    column = {title: mean for (title, at), mean in means.items() if at == value and mean == mean}
    return min(column, key=column.get, default="–")


def _joined(values: list) -> str:
    return ", ".join(map(str, values)) or "–"


def _links(row: Row, records: list[Record]) -> str:
    links = [f"[{record.experiment['seed']}]({record_address(row.key, record)})" for record in records]
    return f"`{row.name}`, seed {', '.join(links)}" if links else "–"


class Listing(NamedTuple):
    """What a list of rows holds: the rows that are run, the tables by name, and commits its history lacks."""

    rows: list[Row]
    tables: dict[str, Table]
    earlier_commits: list[str]


def listed(start: str | Path = ".") -> Listing:
    """The book's list, `book/results/runs.yml` of the checkout that `start` lies in; see `records.recorded`."""
    return read_list(book_folder(start) / "results" / "runs.yml")


def read_list(path: str | Path) -> Listing:
    """Read a list of rows: what each takes over from the row it is `like`, and the tables they make.

    Raises:
        ValueError: naming file and row or table, for an unknown `like`, a name used twice, settings that are not
            valid, a table that is not declared, or two lines of a table that cannot be told apart.
    """
    content = yaml.safe_load(Path(path).read_text())
    if not isinstance(content, dict) or not set(content) <= {"tables", "rows", "earlier_commits"}:
        raise ValueError(f"{path}: expected the keys tables and rows, got {_kind(content)}")
    try:
        rows, shown = _rows(content.get("rows") or [])
        tables = {name: _table(name, declared, shown) for name, declared in (content.get("tables") or {}).items()}
        for row in shown:
            if row.table not in tables:
                raise ValueError(f"{row.name}: no table is called {row.table!r}; there are {', '.join(tables) or 'none'}")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return Listing(rows, tables, content.get("earlier_commits") or [])


def _kind(content: Any) -> str:
    return ", ".join(content) if isinstance(content, dict) else type(content).__name__


def _rows(entries: list[dict[str, Any]]) -> tuple[list[Row], list[Row]]:
    """The rows that are run, and those that tables show, which may show one again under another title."""
    known: dict[str, dict[str, Any]] = {}
    rows: dict[str, Row] = {}
    shown = []
    for entry in entries:
        if again := entry.get("shows"):
            if again not in rows:
                raise ValueError(f"{again} is shown, but is not above")
            row = _row(known[again] | {key: value for key, value in entry.items() if key != "shows"})
        else:
            name = entry.get("name")
            if not name:
                raise ValueError(f"a row without a name: {entry}")
            if name in rows:
                raise ValueError(f"two rows are called {name}")
            known[name] = _completed(entry, known)
            rows[name] = row = _row(known[name])
        shown += [row] if row.title else []
    return list(rows.values()), shown


def _completed(entry: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An entry with what it takes over from the one it is `like`."""
    like = entry.get("like")
    if like and like not in known:
        raise ValueError(f"{entry['name']} is like {like}, which is not above it")
    taken = {key: value for key, value in known[like].items() if key not in OWN} if like else {"seeds": [0]}
    return taken | {key: value for key, value in entry.items() if key != "like"}


def _row(entry: dict[str, Any]) -> Row:
    said = {f.name for f in fields(Row)} - {"experiments"}
    settings = {key: value for key, value in entry.items() if key not in said | {"seeds"}}
    try:
        experiments = tuple(Experiment.parse(settings | {"seed": seed}) for seed in entry["seeds"])
        row = Row(experiments=experiments, **{key: entry[key] for key in said if key in entry})
        if row.at_test and not AT_TEST.fullmatch(row.at_test):
            raise ValueError(f'at_test must be like "1 view, 9 frames" or "3 views, full calibration"; got {row.at_test!r}')
    except ValueError as error:
        raise ValueError(f"{entry['name']}: {error}") from None
    return row


def _table(name: str, declared: dict[str, Any], shown: list[Row]) -> Table:
    """A declared table with its rows, group by group, none of which looks like another."""
    rows = [row for row in shown if row.table == name]
    groups = ["", *(row.group for row in rows)]
    try:
        made = Table(name, tuple(sorted(rows, key=lambda row: groups.index(row.group))), **declared)
    except TypeError as error:
        raise ValueError(f"table {name}: {error}") from None
    if bool(made.columns) == bool(made.across):
        raise ValueError(f"table {name}: expected either columns or across")
    unknown = [parameter for parameter in made.across or {} if parameter not in (*PARAMETERS, "column")]
    if unknown:
        raise ValueError(f"table {name}: across must name a parameter, got {', '.join(unknown)}")
    if made.base and made.base not in [row.name for row in made.rows]:
        raise ValueError(f"table {name}: its base {made.base} is not among its rows")
    lines = Counter((row.title, row.group, *(v for p in made.across or {} for v in row.values(p))) for row in made.rows)
    twice = [line[0] for line, count in lines.items() if count > 1]
    if twice:
        raise ValueError(f"table {name}: two rows are titled {twice[0]!r}")
    return made
