"""Where shown numbers come from, as HTML: a link to the data, and the commands and records on a sheet behind a link.

Rows are named as `records.recorded` names them, "<dataset>/<name>".
"""

import csv
import io
from collections.abc import Iterable, Mapping
from html import escape
from itertools import count
from urllib.parse import quote

from posekit.records import Record

RECORDS_ADDRESS = "https://github.com/posekit/posekit/blob/main/book/results"
"""Where the records can be read. The book's site puts its own copies in the place of these."""


def record_address(key: str, record: Record) -> str:
    """The address of one record of a row."""
    return f"{RECORDS_ADDRESS}/{key}-seed{record.experiment['seed']}.json"


def sources(keys: Iterable[str], runs: Mapping[str, list[Record]], file: str = "data") -> str:
    """A line for under a figure or a table: "data", a file of comma-separated values, and "command", a sheet.

    Args:
        keys: the rows that are shown.
        runs: records by row; see `records.recorded`.
        file: the name under which a reader saves the data, without its ending.
    """
    keys = [key for key in dict.fromkeys(keys) if runs.get(key)]
    commands = sheet("command", "commands and records", runs_html(keys, runs))
    return f'<div class="pk-sources">{data_link(keys, runs, file)} {commands}</div>'


_numbers = count(1)  # one for each sheet, since a page may have several of one row


def sheet(link: str, name: str, content: str) -> str:
    """A link that opens a sheet. The browser closes it on Escape, by a click outside, and when another opens.

    Args:
        link: what the reader clicks on, HTML.
        name: of the sheet, for those who hear it.
        content: HTML.
    """
    place = f"pk-sheet-{next(_numbers)}"
    opens = f'<button type="button" popovertarget="{place}">{link}</button>'
    closes = f'type="button" popovertarget="{place}" popovertargetaction="hide" class="pk-close" aria-label="close" autofocus'
    opened = f'<div popover id="{place}" role="dialog" aria-label="{escape(name)}"><button {closes}>×</button>{content}</div>'
    return f'<div class="pk-source">{opens}{opened}</div>'


def data_link(keys: Iterable[str], runs: Mapping[str, list[Record]], file: str) -> str:
    """A link that holds the errors of rows as comma-separated values, one line per record."""
    records = [(key, record) for key in keys for record in runs.get(key, [])]
    metrics = list(dict.fromkeys(metric for _, record in records for metric in record.metrics_mm))
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["row", "seed", *(f"{metric}_mm" for metric in metrics)])
    lines.writerows([key, record.experiment["seed"], *map(record.metrics_mm.get, metrics)] for key, record in records)
    return f'<a download="{escape(file)}.csv" href="data:text/csv;charset=utf-8,{quote(text.getvalue())}">data</a>'


def runs_html(keys: Iterable[str], runs: Mapping[str, list[Record]]) -> str:
    """Of each row its name, links to its records, and the command of its first run."""
    return "".join(_run(key, runs[key]) for key in keys)


def _run(key: str, records: list[Record]) -> str:
    links = ", ".join(f'<a href="{escape(record_address(key, record))}">{record.experiment["seed"]}</a>' for record in records)
    command = escape(records[0].settings().command_text())
    name = f"<code>{escape(key.partition('/')[2])}</code>"
    return f'<div class="pk-run"><p>{name}, records of seed {links}; the first by</p><pre>{command}</pre></div>'
