"""Tables of recorded rows as HTML: numbers aligned, the best in bold, and in each line a sheet with command and records."""

import re
from collections import defaultdict
from html import escape
from math import isnan
from pathlib import Path
from typing import NamedTuple

from posekit.records import mean_and_spread
from posekit.settings import PARAMETERS
from posekit.sources import data_link, runs_html, sheet
from posekit.tables import Line, Row, Runs, Table

WORDS = ("at_test", "records")  # the columns that hold no numbers
NUMBER = ' class="pk-number"'
NO_METRICS = (*WORDS, *PARAMETERS, "printed", "passes", "seconds", "seeds", "change")


def html_table(table: Table, runs: Runs, start: str | Path = ".", folded: bool = False) -> str:
    """A table as HTML; arguments and errors as `Table.markdown`'s.

    Bold is the smallest mean error among the rows of one group that need the same at test, if there are several. In a
    table across a parameter it is the smallest of its column; in one across `column`, of its line.

    Args:
        folded: whether a reader has to open the table.
    """
    columns = _columns(table)
    head = "".join(f'<th scope="col"{column.side}>{inline(column.heading)}</th>' for column in columns)
    source = '<th scope="col"><span class="visually-hidden">source</span></th>'
    lines = [line for line in table.lines(runs, start) if line.rows or not table.across]
    best = best_cells(table, runs)
    body = "".join(_line(line, columns, best, runs) for line in lines)
    caption = inline(table.caption)
    shown = f'<thead><tr><th scope="col">{inline(table.titles)}</th>{head}{source}</tr></thead><tbody>{body}</tbody>'
    data = data_link([row.key for row in table.rows], runs, table.name)
    whole = f'<div class="pk-scrolls"><table class="table pk-numbers">{shown}</table></div><div class="pk-sources">{data}</div>'
    if folded:
        return f'<details class="pk-fold"><summary>{caption or inline(table.titles)}</summary>{whole}</details>'
    named = f"<figcaption>{caption}</figcaption>" if caption else ""  # outside of the box, so that it does not scroll away
    return f'<figure class="pk-table">{named}{whole}</figure>'


class _Column(NamedTuple):
    index: int  # among the cells of a line
    heading: str
    metric: str  # empty unless its cells are errors
    side: str  # numbers stand on the right


def _columns(table: Table) -> list[_Column]:
    """All columns but those of the titles and the records."""
    if table.across:
        return [_Column(n, heading, table.metric, NUMBER) for n, heading in enumerate(table.headings())]
    return [
        _Column(n, heading, "" if name in NO_METRICS else name, "" if name in WORDS else NUMBER)
        for n, (name, heading) in enumerate(table.columns.items())
        if name != "records"
    ]


def inline(markdown: str) -> str:
    """The little Markdown that titles and cells have, code and bold, as HTML."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(markdown, quote=False))
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)


def best_cells(table: Table, runs: Runs) -> set[tuple[str, str]]:
    """Key and metric of every cell that is the best of those it can be compared with."""
    groups = defaultdict(dict)
    for row in table.rows:
        for metric in [table.metric] if table.across else [column.metric for column in _columns(table) if column.metric]:
            records = [record for record in runs.get(row.key, []) if metric in record.metrics_mm]
            mean, _ = mean_and_spread(records, metric)
            if not isnan(mean):
                groups[(metric, *_compared(table, row))][row.key] = mean
    return {(min(means, key=means.get), metric) for (metric, *_), means in groups.items() if len(means) > 1}


def _compared(table: Table, row: Row) -> tuple:
    """What rows have in common that can be compared with one another."""
    if not table.across:
        return row.group, row.at_test
    (parameter,) = table.across
    return (row.title,) if parameter == "column" else tuple(row.values(parameter))


def _line(line: Line, columns: list[_Column], best: set[tuple[str, str]], runs: Runs) -> str:
    if not line.rows:
        return f'<tr><th scope="colgroup" colspan="{len(columns) + 2}">{inline(line.title)}</th></tr>'
    cells = ""
    for column in columns:
        row, cell = line.rows[column.index if len(line.rows) > 1 else 0], inline(line.cells[column.index])
        is_best = row and (row.key, column.metric) in best
        cells += f"<td{column.side}>{f'<strong>{cell}</strong>' if is_best else cell}</td>"
    keys = dict.fromkeys(row.key for row in line.rows if row and runs.get(row.key))
    source = sheet("run", line.title, runs_html(keys, runs)) if keys else ""
    return f'<tr><th scope="row">{inline(line.title)}</th>{cells}<td>{source}</td></tr>'
