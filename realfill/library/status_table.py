"""The table that `realfill status` prints."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from realfill.album.verdict import is_to_be_looked_at
from realfill.library.run_history import OUTCOMES, HistoryRow, format_value

_SHOWN_SCORES = (".score", ".psnr")  # endings of the scores' names


def status_table(rows: Iterable[HistoryRow]) -> Table:
    """A table of albums and their outcomes, those that need a person first."""
    table = Table("album", "outcome", "fill", "night", "time", "scores")
    for row in sort_by_outcome(rows):
        shown = {name: value for name, value in row.scores.items() if name.endswith(_SHOWN_SCORES)}
        scores = ", ".join(f"{name} {format_value(value)}" for name, value in shown.items())
        seconds = sum(row.seconds.values())
        time = f"{seconds:.0f} s" if seconds else ""
        outcome = f"{row.outcome}, to be looked at" if _is_to_be_looked_at(row) else row.outcome
        cells = (row.album, outcome, row.verdict, row.night, time, scores)
        table.add_row(*(Text(cell) for cell in cells))  # as it is: a str would be taken as markup
    return table


def status_reasons(rows: Iterable[HistoryRow]) -> list[str]:
    """Why albums failed, and what is warned of in the others, in the order of the table, a line each."""
    told = ((row.album, [row.reason] if row.reason else row.warnings) for row in sort_by_outcome(rows))
    return [f"{album}: {text}" for album, texts in told for text in texts]


def sort_by_outcome(rows: Iterable[HistoryRow]) -> list[HistoryRow]:
    """Rows sorted by outcome, those that need a person first, then by album.

    Finished albums whose photo is to be looked at come before the other finished ones.
    """
    return sorted(rows, key=lambda row: (_is_finished(row) and not _is_to_be_looked_at(row), *_rank(row)))


def _rank(row: HistoryRow) -> tuple[int, str]:
    return OUTCOMES.index(row.outcome), row.album


def _is_finished(row: HistoryRow) -> bool:
    return row.outcome in ("completed", "unchanged")


def _is_to_be_looked_at(row: HistoryRow) -> bool:
    return _is_finished(row) and is_to_be_looked_at(row.verdict)
