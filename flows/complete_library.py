"""The flow that completes a whole library overnight.

It finds the albums that are stale, hands them out in shards, takes in what comes back, and leaves the gallery and the
library table behind, committed and pushed. It can be killed and run again at any moment: what agents have done or are
still doing is found again and not asked for twice.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run as this_run
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings, temporary_settings

from flows.complete_shard import SOON, complete_albums
from flows.dispatcher import hand_out
from realfill.core.atomic_io import atomic_write
from realfill.core.errors import RealFillError
from realfill.core.hashing import digest_json
from realfill.library import quarantine, run_history, work_orders
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library
from realfill.library.run_history import Row
from realfill.library.staleness import Seals
from realfill.library.work_orders import WorkOrder

_ROW = {field.name for field in fields(Row)}


@flow(name="complete-library", persist_result=True, result_serializer="json")
def complete_library(
    library: str = ".",
    albums: list[str] | None = None,
    agents: bool = False,
    again: bool = False,
    shard: int = 8,
    share_progress: bool = False,
    hours: float = 20.0,
    queue: str = "nightly",
) -> dict[str, Any]:
    """Complete every album of the library that is new or changed.

    Args:
        library: Root of the library's own clone; the working directory by default.
        albums: Only these albums; all by default.
        agents: Hand the albums to the workers of the pool; otherwise complete them in this process.
        again: Also try albums in quarantine whose photos and parameters did not change.
        shard: How many albums a worker takes at a time.
        share_progress: Keep checkpoints and finished stages on the DVC remote, so that an album goes on where it was
            on another machine when its own goes away.
        hours: What has not been completed by then is left for the next night.
        queue: Work queue of the pool that gets the albums: nightly, or urgent to go before it.

    Returns:
        {"night": its date, and the albums' names by what became of them: "completed", "quarantined", "failed"}.
    """
    shelf = Library.open(Path(library))
    night = datetime.now().astimezone().date().isoformat()
    chosen = shelf.albums if albums is None else [shelf.album(name).name for name in albums]
    seals = Seals.of(shelf)
    stale = find_stale(shelf, seals, chosen, again)
    terms, rows = work_orders.shared_context(shelf), dict[str, Row]()
    wanted = {name: _order(shelf, name, terms) for name in stale}

    def take(outcome: dict[str, Any]) -> None:
        state = take_in(shelf, seals, night, outcome, foreign=agents, return_state=True)
        taken = state.result(raise_on_failure=False)
        failed = Row(outcome["album"], "failed", type(taken).__name__, str(taken), night=night)
        rows[outcome["album"]] = taken if isinstance(taken, Row) else failed

    if agents and wanted:
        send_photos(shelf, stale)
        hand_out(wanted, terms, take, shard=shard, share_progress=share_progress, hours=hours, queue=queue)
    elif wanted:
        with _without_heartbeats():
            outcomes = complete_albums(list(wanted.values()), terms, str(shelf.root), share_progress)
        for outcome in outcomes:
            take(outcome)
    table = _table(shelf, chosen, rows, night)
    run = f"{datetime.now():%H%M%S}-{str(this_run.get_id())[:8]}"
    publish(shelf, seals, night, run, table)
    told = {kind: [row.album for row in table if row.outcome == kind] for kind in run_history.OUTCOMES}
    get_run_logger().info("%s", ", ".join(f"{len(names)} {kind}" for kind, names in told.items()))
    return {"night": night, **{kind: told[kind] for kind in ("completed", "quarantined", "failed")}}


@contextmanager
def _without_heartbeats() -> Iterator[None]:
    """Where no server hears a flow's heartbeats, spare the second that its end waits for their thread."""
    if get_current_settings().api.url:
        yield
        return
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


@task(cache_policy=NO_CACHE, persist_result=False)
def find_stale(shelf: Library, seals: Seals, names: list[str], again: bool) -> list[str]:
    """The albums that DVC does not find up to date, without those in quarantine; their photos are taken up."""
    found = []
    for name in seals.stale(names):
        try:
            shelf.record_photos(name)
        except (RealFillError, DvcException, OSError) as error:
            get_run_logger().warning("The photos of %s cannot be taken up: %s", name, error)
        if again or not quarantine.holds(shelf, name):
            found.append(name)
    return found


@task(retries=len(SOON), retry_delay_seconds=SOON, cache_policy=NO_CACHE, persist_result=False)
def send_photos(shelf: Library, names: list[str]) -> None:
    """Send albums' photos to the remote, where agents fetch them."""
    for name in names:
        with open_dvc_state(shelf.root, *(file for file in shelf.photos(name) if file.is_file())) as known:
            known.push()


@task(retries=len(SOON), retry_delay_seconds=SOON, cache_policy=NO_CACHE, persist_result=False)
def take_in(shelf: Library, seals: Seals, night: str, outcome: dict[str, Any], *, foreign: bool) -> Row:
    """Take an album's results, or the reason why there are none, into the library."""
    name = outcome["album"]
    inputs = quarantine.inputs(shelf, name)
    if outcome["outcome"] == "completed":
        if foreign:
            work_orders.take_lock(shelf, name, outcome["lock"])
        quarantine.release(shelf, name)
        if seals.is_current(name):
            seals.seal(name)
    if outcome["outcome"] == "quarantined":
        before = quarantine.read(shelf, name)
        attempts = before.attempts + 1 if before and before.inputs == inputs else 1
        log = tuple(outcome["log"])
        note = quarantine.Note(outcome["error"], outcome["reason"], log, inputs, night, attempts)
        quarantine.write(shelf, name, note)
    row = Row(**{key: value for key, value in outcome.items() if key in _ROW})
    return replace(row, inputs=inputs, night=night)


@task(retries=len(SOON), retry_delay_seconds=SOON, cache_policy=NO_CACHE, persist_result=False)
def publish(shelf: Library, seals: Seals, night: str, run: str, rows: list[Row]) -> None:
    """Write table and gallery, record them with DVC, push them, and commit what git keeps."""
    table = shelf.root / "data" / "nights.dvc"
    run_history.write(shelf, night, run, rows)
    if not table.is_file():
        atomic_write(table, "outs:\n- path: nights\n")
    shown = [{"album": row.album, "reason": row.reason, "scores": row.scores} for row in rows]
    state = digest_json([seals.seals, [entry for entry in shown if entry["reason"]]])
    if state != seals.gallery:
        shelf.update_gallery([asdict(row) for row in rows])
        seals.gallery = state
    seals.write(shelf.albums)
    with open_dvc_state(shelf.root, table, shelf.root / "dvc.yaml") as known:
        known.record(table)
    with open_dvc_state(shelf.root, table, shelf.root / "dvc.yaml") as known:
        if known.has_remote:
            known.push()
    _commit(shelf.root, f"Night of {night}")


def _order(shelf: Library, name: str, terms: dict[str, str]) -> WorkOrder:
    """The order of an album; another one than the last time where it is tried again."""
    note = quarantine.read(shelf, name)
    return work_orders.make_work_order(shelf, name, terms, attempt=note.attempts + 1 if note else 1)


def _table(shelf: Library, names: list[str], rows: dict[str, Row], night: str) -> list[Row]:
    """A row for each album: what was done, what is still in quarantine, and what is as it was."""
    last = run_history.latest(shelf)
    return [rows.get(name) or _as_it_was(shelf, name, last.get(name), night) for name in names]


def _as_it_was(shelf: Library, name: str, last: Row | None, night: str) -> Row:
    """The row of an album of which nothing came this time; a photo that the table has not told yet is told now."""
    note = quarantine.read(shelf, name)
    if note is not None:
        known = last or Row(name, "quarantined", note.error, note.reason, note.inputs)
        return replace(known.unchanged(), outcome="quarantined", night=night)
    if last is not None and last.digest == run_history.delivered(shelf, name):
        return replace(last.unchanged(), night=night)
    inputs = quarantine.inputs(shelf, name)
    return Row(name, "completed", inputs=inputs, night=night, **run_history.result(shelf.album(name)))


def _commit(root: Path, message: str) -> None:
    """Commit what changed below data/ and in dvc.lock, and nothing else, to git, if the library is kept in it."""
    if not (root / ".git").exists():
        return
    paths = ["data", *(["dvc.lock"] if (root / "dvc.lock").is_file() else [])]
    _git(root, "add", "--all", "--", *paths)
    if _git(root, "diff", "--cached", "--name-only", "--", *paths):
        who = ("-c", "user.name=realfill", "-c", "user.email=realfill@localhost")
        _git(root, *who, "commit", "--quiet", "-m", message, "--", *paths)


def _git(root: Path, *command: str) -> str:
    return subprocess.run(["git", *command], cwd=root, check=True, capture_output=True, text=True).stdout
