"""The table that `realfill status` prints."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from realfill.library.run_history import OUTCOMES, HistoryRow, format_value

_SHOWN_SCORES = (".score", ".psnr")  # endings of the scores' names


def status_table(rows: Iterable[HistoryRow]) -> Table:
    """A table of albums and their outcomes, those that need a person first."""
    table = Table("album", "outcome", "night", "time", "scores", "reason")
    for row in sort_by_outcome(rows):
        shown = {name: value for name, value in row.scores.items() if name.endswith(_SHOWN_SCORES)}
        scores = ", ".join(f"{name} {format_value(value)}" for name, value in shown.items())
        seconds = sum(row.seconds.values())
        time = f"{seconds:.0f} s" if seconds else ""
        cells = (row.album, row.outcome, row.night, time, scores, row.reason)
        table.add_row(*(Text(cell) for cell in cells))  # as it is: a str would be taken as markup
    return table


def sort_by_outcome(rows: Iterable[HistoryRow]) -> list[HistoryRow]:
    """Rows sorted by outcome, those that need a person first, then by album."""
    return sorted(rows, key=lambda row: (OUTCOMES.index(row.outcome), row.album))
