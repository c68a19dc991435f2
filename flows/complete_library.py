"""The flow that completes a whole library overnight.

It finds the albums that are stale, has them completed in shards, records their outcomes, and updates the gallery and
the library table, which are committed and pushed. It can be killed and started again at any time: albums that agents
have completed or are still working on are not submitted twice.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from realfill.core.atomic_io import atomic_write
from realfill.core.errors import RealFillError
from realfill.core.hashing import digest_json
from realfill.flows.complete_shard import complete_shard
from realfill.flows.dispatcher import DispatchSettings, dispatch
from realfill.flows.git_commit import commit_data
from realfill.flows.outcomes import Outcome
from realfill.flows.retries import LIBRARY_DELAYS
from realfill.flows.server import has_server
from realfill.library import quarantine, run_history, work_orders
from realfill.library.dvc_state import open_dvc_state
from realfill.library.engine import ENGINE, renew_engine
from realfill.library.gallery import update_gallery
from realfill.library.repository import Library
from realfill.library.run_history import HistoryRow
from realfill.library.staleness import FreshnessCache
from realfill.library.work_orders import WorkOrder


@flow(name="complete-library", persist_result=True, result_serializer="json")
def complete_library(
    library: str = ".",
    albums: list[str] | None = None,
    agents: bool = False,
    again: bool = False,
    shard: int = DispatchSettings.shard_size,
    share_progress: bool = False,
    hours: float = DispatchSettings.hours,
    queue: str = "nightly",
) -> dict[str, Any]:
    """Complete every album of the library that is new or changed.

    Args:
        library: Root of the library's own clone; the working directory by default.
        albums: Only these albums; all by default.
        agents: Have the albums completed by the workers of the pool, and not in this process.
        again: Also try albums in quarantine whose photos and parameters did not change.
        shard: Number of albums that a worker takes at a time.
        share_progress: Keep checkpoints and finished stages on the DVC remote, so that another machine can continue
            an album if the one that works on it goes away.
        hours: Albums that are not completed by then are left for the next night.
        queue: Work queue of the pool: nightly, or urgent to go before it.

    Returns:
        {"night": its date, and the albums' names by outcome: "completed", "quarantined", "failed"}.
    """
    clone = Library.open(Path(library))
    night = datetime.now().astimezone().date().isoformat()
    names = clone.album_names if albums is None else [clone.album(name).name for name in albums]
    changed_stages = _renew_engine(clone)
    freshness = FreshnessCache.read(clone)
    stale = find_stale(clone, freshness, names, again)
    context = work_orders.shared_context(clone)
    orders = {name: _make_order(clone, name, context) for name in stale}
    rows: dict[str, HistoryRow] = {}

    def on_outcome(outcome: Outcome) -> None:
        state = record_outcome(clone, freshness, night, outcome, from_agent=agents, return_state=True)
        row = state.result(raise_on_failure=False)
        failed = HistoryRow(outcome["album"], "failed", type(row).__name__, str(row), night=night)
        rows[outcome["album"]] = row if isinstance(row, HistoryRow) else failed

    if agents and orders:
        push_photos(clone, stale)
        settings = DispatchSettings(shard_size=shard, hours=hours)
        dispatch(orders, context, on_outcome, share_progress=share_progress, queue=queue, settings=settings)
    else:
        for outcome in _complete_here(clone, list(orders.values()), context, share_progress):
            on_outcome(outcome)
    table = _make_table(clone, names, rows, night)
    run = f"{datetime.now():%H%M%S}-{str(flow_run.get_id())[:8]}"
    publish_night(clone, freshness, night, run, table, changed_stages)
    names_by_outcome = {kind: [row.album for row in table if row.outcome == kind] for kind in run_history.OUTCOMES}
    get_run_logger().info("%s", ", ".join(f"{len(names)} {kind}" for kind, names in names_by_outcome.items()))
    return {"night": night, **{kind: names_by_outcome[kind] for kind in ("completed", "quarantined", "failed")}}


@task(cache_policy=NO_CACHE, persist_result=False)
def find_stale(library: Library, freshness: FreshnessCache, names: list[str], again: bool) -> list[str]:
    """Find the albums that DVC does not find up to date, and record their photos with DVC.

    Args:
        library: The library's own clone.
        freshness: Which albums are known to be up to date; it is updated.
        names: The albums to look at.
        again: Whether to include albums in quarantine that did not change.
    """
    stale = []
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
    """Send albums' photos to the remote, from which agents fetch them."""
    for name in names:
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
    if outcome["outcome"] == "quarantined":
        before = quarantine.read_note(library, name)
        attempts = before.attempts + 1 if before and before.inputs == inputs else 1
        log = tuple(outcome["log"])
        note = quarantine.Note(outcome["error"], outcome["reason"], log, inputs, night, attempts)
        quarantine.write_note(library, name, note)
    columns = {field.name for field in fields(HistoryRow)}
    row = HistoryRow(**{key: value for key, value in outcome.items() if key in columns})
    return replace(row, inputs=inputs, night=night)


@task(retries=len(LIBRARY_DELAYS), retry_delay_seconds=LIBRARY_DELAYS, cache_policy=NO_CACHE, persist_result=False)
def publish_night(
    library: Library,
    freshness: FreshnessCache,
    night: str,
    run: str,
    rows: list[HistoryRow],
    changed_stages: list[str],
) -> None:
    """Write the library table and the gallery, record them with DVC, push them, and commit to git what git tracks.

    Args:
        library: The library's own clone.
        freshness: Which albums are known to be up to date; it is stored.
        night: Date of the night, YYYY-MM-DD.
        run: Name of this run among those of the night.
        rows: One row for each album.
        changed_stages: The stages whose code changed since the night before; the commit names them.
    """
    table = library.root / "data" / "nights.dvc"
    run_history.write_rows(library, night, run, rows)
    if not table.is_file():
        atomic_write(table, "outs:\n- path: nights\n")
    failures = [{"album": row.album, "reason": row.reason, "scores": row.scores} for row in rows if row.reason]
    gallery_digest = digest_json([freshness.fingerprints, failures])
    if gallery_digest != freshness.gallery_digest:
        update_gallery(library, [asdict(row) for row in rows])
        freshness.gallery_digest = gallery_digest
    freshness.write(library.album_names)
    with open_dvc_state(library.root, table, library.root / "dvc.yaml") as dvc_state:
        dvc_state.commit(table)
    with open_dvc_state(library.root, table, library.root / "dvc.yaml") as dvc_state:
        if dvc_state.has_remote:
            dvc_state.push()
    note = f"\n\n{ENGINE} is renewed: the code changed of {', '.join(changed_stages)}." if changed_stages else ""
    commit_data(library.root, f"Night of {night}{note}")


def _renew_engine(library: Library) -> list[str]:
    """Renew `engine.yaml`, so that stages whose code changed are run again; returns their names."""
    changed = renew_engine(library)
    if changed:
        get_run_logger().info("%s is renewed: the code changed of %s.", ENGINE, ", ".join(changed))
    return changed


def _complete_here(
    library: Library, orders: list[WorkOrder], context: dict[str, str], share_progress: bool
) -> list[Outcome]:
    """Complete albums in this process.

    Heartbeats are switched off if no server receives them: each flow would wait a second for their thread to end.
    """
    if not orders:
        return []
    with ExitStack() as stack:
        if not has_server():
            stack.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
        return complete_shard(orders, context, str(library.root), share_progress)


def _make_order(library: Library, name: str, context: dict[str, str]) -> WorkOrder:
    """Make the order of an album; for an album in quarantine it differs from the order that failed."""
    note = quarantine.read_note(library, name)
    return work_orders.make_work_order(library, name, context, attempt=note.attempts + 1 if note else 1)


def _make_table(library: Library, names: list[str], rows: dict[str, HistoryRow], night: str) -> list[HistoryRow]:
    """Make a row for each album: the new one if it was worked on, otherwise one that says how it stands."""
    last_rows = run_history.latest_rows(library)
    return [rows.get(name) or _make_idle_row(library, name, last_rows.get(name), night) for name in names]


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
    result = run_history.summarize_result(library.album(name))
    return HistoryRow(name, "completed", inputs=inputs, night=night, **result)
