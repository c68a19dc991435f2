"""What became of a night's albums: their rows for the library table, and a line that counts them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from realfill.core.errors import LibraryError, RealFillError
from realfill.library import quarantine, run_history
from realfill.library.repository import Library
from realfill.library.run_history import HistoryRow


def choose_albums(library: Library, names: list[str] | None) -> list[str]:
    """The albums of these names, or all.

    Raises:
        LibraryError: There is no album of one of the names.
    """
    known = library.album_names
    for name in names or ():
        if name not in known:
            remedy = f"`realfill add` it. Known: {', '.join(known[:20]) or 'none yet'}."
            raise LibraryError(f"There is no album {name!r} here.", remedy, library.root)
    return known if names is None else names


def make_table(library: Library, names: list[str], rows: Mapping[str, HistoryRow], night: str) -> list[HistoryRow]:
    """Make a row for each album: the new one if it was worked on, otherwise one that says how it stands."""
    last_rows, table = run_history.latest_rows(library), dict(rows)
    for name in names:
        if name not in table:
            try:
                table[name] = _make_idle_row(library, name, last_rows.get(name), night)
            except (RealFillError, OSError) as error:
                table[name] = make_failed_row(library, name, error, night)
    return [table[name] for name in names]


def sum_up(night: str, table: Sequence[HistoryRow], tried: Collection[str]) -> dict[str, Any]:
    """A night's date, and its albums by what became of them; in quarantine and not tried is "skipped"."""
    names: dict[str, list[str]] = {outcome: [] for outcome in (*run_history.OUTCOMES, "skipped")}
    for row in table:
        is_skipped = row.outcome == "quarantined" and row.album not in tried
        names["skipped" if is_skipped else row.outcome].append(row.album)
    return {"night": night, **names}


def make_failed_row(library: Library, name: str, error: Any, night: str) -> HistoryRow:
    """Make the row of an album whose outcome could not be recorded."""
    return HistoryRow(name, "failed", type(error).__name__, str(error).replace(f"{library.root}/", ""), night=night)


def _make_idle_row(library: Library, name: str, last_row: HistoryRow | None, night: str) -> HistoryRow:
    """Make the row of an album that was not worked on.

    It is in quarantine, or it is unchanged, or an earlier night was killed after it had recorded the album's photo
    and before it had written the table: then the row says "completed".
    """
    note = quarantine.read_note(library, name)
    if note is not None:
        known = last_row or HistoryRow(name, "quarantined", note.error, note.reason, note.inputs)
        return replace(known.as_unchanged(), outcome="quarantined", night=night)
    if last_row is not None and last_row.digest == run_history.read_photo_digest(library, name):
        return replace(last_row.as_unchanged(), night=night)
    inputs = quarantine.inputs_digest(library, name)
    result = run_history.summarize_results(library.targets(name))
    return HistoryRow(name, "completed", inputs=inputs, night=night, **result)


def count_outcomes(result: Mapping[str, Any]) -> str:
    """What became of the albums of a night, counted, in one line; see `complete_library`."""
    return ", ".join(f"{len(names)} {outcome}" for outcome, names in result.items() if outcome != "night")
