"""The flow that completes a whole library overnight.

It finds the albums that are stale, has them completed in shards, records their outcomes, and updates the gallery and
the library table, which are committed and pushed. It can be killed and started again at any time: albums that agents
have completed or are still working on are not submitted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from realfill.core.errors import LibraryError, RealFillError
from realfill.core.params import load_params
from realfill.flows.complete_here import complete_here
from realfill.flows.dispatcher import DispatchSettings, OutcomeCallback, dispatch
from realfill.flows.outcomes import Outcome, make_error_outcome
from realfill.flows.publish_night import publish_night
from realfill.flows.retries import LIBRARY_DELAYS
from realfill.library import quarantine, run_history, work_orders
from realfill.library.dvc_state import open_dvc_state
from realfill.library.engine import renew_engine
from realfill.library.repository import Library
from realfill.library.run_history import HistoryRow
from realfill.library.staleness import FreshnessCache
from realfill.library.work_orders import WorkOrder
from realfill.review.application import write_choices
from realfill.review.collection import Collection
from realfill.review.journal import Journal


@flow(name="complete-library", persist_result=True, result_serializer="json")
def complete_library(
    library: str = ".",
    albums: list[str] | None = None,
    agents: bool = False,
    again: bool = False,
    shard: int | None = None,
    jobs: int | None = None,
    share_progress: bool = False,
    hours: float = DispatchSettings.hours,
    queue: str = "nightly",
) -> dict[str, Any]:
    """Complete every album of the library that is new or changed.

    Args:
        library: Root of the library's own clone; the working directory by default.
        albums: Only these albums; all by default.
        agents: Have the albums completed by the workers of the pool, and not by this machine.
        again: Also try albums in quarantine whose photos and parameters did not change.
        shard: Number of albums of a worker's run. By default few enough for all workers to have several runs.
        jobs: Albums at a time without agents. By default as many as cores, memory and GPU allow.
        share_progress: Keep checkpoints and finished stages on the DVC remote, so that another machine can continue
            an album if the one that works on it goes away.
        hours: Albums that are not completed by then are left for the next night.
        queue: Work queue of the pool: nightly, or urgent to go before it.

    Returns:
        {"night": its date, and the albums' names by what became of them: "completed", "quarantined", "failed",
        "unchanged", "skipped" (in quarantine since an earlier night, and not tried)}.

    Raises:
        LibraryError: There is no such library, or no such album in it.
        ParamsError: The library's `params.yaml` is not valid.
    """
    clone = Library.open(Path(library))
    night = datetime.now().astimezone().date().isoformat()
    load_params(clone.root / "params.yaml")  # an error in it is no album's own
    names = _choose_albums(clone, albums)
    note = _renew_engine(clone)
    freshness = FreshnessCache.read(clone)
    stale = find_stale(clone, freshness, names, again)
    context = work_orders.shared_context(clone)
    rows: dict[str, HistoryRow] = {}

    def on_outcome(outcome: Outcome) -> None:
        state = record_outcome(clone, freshness, night, outcome, from_agent=agents, return_state=True)
        name, row = outcome["album"], state.result(raise_on_failure=False)
        rows[name] = row if isinstance(row, HistoryRow) else _make_failed_row(clone, name, row, night)

    orders = _make_orders(clone, stale, context, on_outcome)
    if agents and orders:
        push_photos(clone, list(orders))
        settings = DispatchSettings(shard_size=shard, hours=hours)
        dispatch(orders, context, on_outcome, share_progress=share_progress, queue=queue, settings=settings)
    else:
        for outcome in complete_here(clone, list(orders.values()), context, share_progress, jobs):
            on_outcome(outcome)
    tried = set(rows)
    table = _make_table(clone, names, rows, night)
    publish_night(clone, freshness, night, f"{datetime.now():%H%M%S}-{str(flow_run.get_id())[:8]}", table, note)
    return _sum_up(night, table, tried)


def count_outcomes(result: Mapping[str, Any]) -> str:
    """What became of the albums of a night, counted, in one line; see `complete_library`."""
    return ", ".join(f"{len(names)} {outcome}" for outcome, names in result.items() if outcome != "night")


@task(cache_policy=NO_CACHE, persist_result=False)
def find_stale(library: Library, freshness: FreshnessCache, names: list[str], again: bool) -> list[str]:
    """Find the albums that DVC does not find up to date, and record their photos with DVC.

    What was decided in the review is written into them before.

    Args:
        library: The library's own clone.
        freshness: Which albums are known to be up to date; it is updated.
        names: The albums to look at.
        again: Whether to include albums in quarantine that did not change.
    """
    _write_choices(library)
    stale = []
    for name in library.misnamed_folders:
        get_run_logger().warning("%s is left out: no album can have this name. Rename the folder.", name)
    for name in freshness.find_stale(names):
        try:
            library.commit_photos(name)
        except (RealFillError, DvcException, OSError) as error:
            get_run_logger().warning("The photos of %s cannot be recorded: %s", name, error)
        if again or not quarantine.is_quarantined(library, name):
            stale.append(name)
    return stale


@task(retries=len(LIBRARY_DELAYS), retry_delay_seconds=LIBRARY_DELAYS, cache_policy=NO_CACHE, persist_result=False)
def push_photos(library: Library, names: list[str]) -> None:
    """Send albums' photos to the remote, from which agents fetch them. What is not here was sent before."""
    for name in filter(library.has_photos, names):
        with open_dvc_state(library.root, *(file for file in library.dvc_files(name) if file.is_file())) as dvc_state:
            dvc_state.push()


@task(retries=len(LIBRARY_DELAYS), retry_delay_seconds=LIBRARY_DELAYS, cache_policy=NO_CACHE, persist_result=False)
def record_outcome(
    library: Library, freshness: FreshnessCache, night: str, outcome: Outcome, *, from_agent: bool
) -> HistoryRow:
    """Record in the library what became of an album: pull its results, or put it into quarantine.

    Args:
        library: The library's own clone.
        freshness: Which albums are known to be up to date; it is updated.
        night: Date of the night, YYYY-MM-DD.
        outcome: The album's outcome.
        from_agent: Whether an agent completed it, so that its results have to be pulled from the remote.

    Returns:
        The album's row for the library table.
    """
    name = outcome["album"]
    inputs = quarantine.inputs_digest(library, name)
    if outcome["outcome"] == "completed":
        if from_agent:
            work_orders.pull_results(library, name, outcome["lock"])
        quarantine.release(library, name)
        if freshness.is_up_to_date(name):
            freshness.mark_fresh(name)
    if outcome["outcome"] == "failed" and not quarantine.is_quarantined(library, name):
        quarantine.release(library, name)
    if outcome["outcome"] == "quarantined":
        before = quarantine.read_note(library, name)
        attempts = before.attempts + 1 if before and before.inputs == inputs else 1
        log = tuple(outcome["log"])
        note = quarantine.Note(outcome["error"], outcome["reason"], log, inputs, night, attempts)
        quarantine.write_note(library, name, note)
    columns = {field.name for field in fields(HistoryRow)}
    row = HistoryRow(**{key: value for key, value in outcome.items() if key in columns})
    return replace(row, inputs=inputs, night=night)


def _choose_albums(library: Library, names: list[str] | None) -> list[str]:
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


def _renew_engine(library: Library) -> str:
    """Renew `engine.yaml`, so that stages whose code changed are run again; returns what to note of that, or ""."""
    renewal = renew_engine(library)
    for note in renewal.notes:
        get_run_logger().info("%s", note)
    for warning in renewal.warnings:
        get_run_logger().warning("%s", warning)
    return "\n".join(renewal.notes)


def _write_choices(library: Library) -> None:
    """Write what was decided in the review into the albums, which are stale then."""
    if not library.album_names or not Journal(library.root).path.is_file():
        return
    for name, error in write_choices(Collection(library.root)).items():
        get_run_logger().warning("The choice about %s is not applied: %s", name, error)


def _make_orders(
    library: Library, names: list[str], context: dict[str, str], on_outcome: OutcomeCallback
) -> dict[str, WorkOrder]:
    """Make the order of each album; for an album in quarantine it differs from the order that failed.

    An album for which none can be made has its outcome at once.
    """
    orders = {}
    for name in names:
        note = quarantine.read_note(library, name)
        try:
            attempt = note.attempts + 1 if note else 1
            orders[name] = work_orders.make_work_order(library, name, context, attempt)
        except (RealFillError, OSError) as error:
            on_outcome({"album": name, "log": [], **make_error_outcome(error, library.root)})
    return orders


def _make_table(library: Library, names: list[str], rows: dict[str, HistoryRow], night: str) -> list[HistoryRow]:
    """Make a row for each album: the new one if it was worked on, otherwise one that says how it stands."""
    last_rows = run_history.latest_rows(library)
    for name in names:
        if name not in rows:
            try:
                rows[name] = _make_idle_row(library, name, last_rows.get(name), night)
            except (RealFillError, OSError) as error:
                rows[name] = _make_failed_row(library, name, error, night)
    return [rows[name] for name in names]


def _sum_up(night: str, table: list[HistoryRow], tried: set[str]) -> dict[str, Any]:
    """What the flow returns; albums in quarantine that were not tried are "skipped"."""
    names: dict[str, list[str]] = {outcome: [] for outcome in (*run_history.OUTCOMES, "skipped")}
    for row in table:
        is_skipped = row.outcome == "quarantined" and row.album not in tried
        names["skipped" if is_skipped else row.outcome].append(row.album)
    result = {"night": night, **names}
    get_run_logger().info("%s", count_outcomes(result))
    return result


def _make_failed_row(library: Library, name: str, error: Any, night: str) -> HistoryRow:
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
