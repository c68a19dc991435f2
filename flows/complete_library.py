"""The flow that completes a whole library overnight.

It finds the albums that are stale, has them completed in shards, records their outcomes, and updates the gallery and
the library table, which are committed and pushed. It can be killed and started again at any time: albums that agents
have completed or are still working on are not submitted twice.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from realfill.core.errors import AlbumError, RealFillError
from realfill.core.params import load_params
from realfill.flows.complete_here import complete_here
from realfill.flows.dispatcher import DispatchSettings, OutcomeCallback, dispatch
from realfill.flows.outcomes import Outcome, make_error_outcome
from realfill.flows.retries import LIBRARY_DELAYS
from realfill.library import quarantine, work_orders
from realfill.library.dvc_state import open_dvc_state
from realfill.library.engine import renew_engine
from realfill.library.night_table import choose_albums, count_outcomes, make_failed_row, make_table, sum_up
from realfill.library.publishing import publish
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
    names = choose_albums(clone, albums)
    note = _renew_engine(clone)
    freshness = FreshnessCache.read(clone)
    context = work_orders.shared_context(clone)
    rows: dict[str, HistoryRow] = {}

    def on_outcome(outcome: Outcome) -> None:
        state = record_outcome(clone, freshness, night, outcome, from_agent=agents, return_state=True)
        name, row = outcome["album"], state.result(raise_on_failure=False)
        rows[name] = row if isinstance(row, HistoryRow) else make_failed_row(clone, name, row, night)

    orders = _make_orders(clone, find_stale(clone, freshness, names, again), context, on_outcome)
    if agents and orders:
        push_photos(clone, list(orders))
        settings = DispatchSettings(shard_size=shard, hours=hours)
        dispatch(orders, context, on_outcome, share_progress=share_progress, queue=queue, settings=settings)
    else:
        for outcome in complete_here(clone, list(orders.values()), context, share_progress, jobs):
            on_outcome(outcome)
    table = make_table(clone, names, rows, night)
    publish_night(clone, freshness, night, f"{datetime.now():%H%M%S}-{str(flow_run.get_id())[:8]}", table, note)
    result = sum_up(night, table, rows)
    get_run_logger().info("%s", count_outcomes(result))
    return result


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


publish_night = task(
    name="publish_night",
    retries=len(LIBRARY_DELAYS),
    retry_delay_seconds=LIBRARY_DELAYS,
    cache_policy=NO_CACHE,
    persist_result=False,
)(publish)


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
    if name not in library.album_names:
        removed = AlbumError("The album was removed while it was worked on.", "There is nothing to do.")
        return make_failed_row(library, name, removed, night)
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
