"""The flow by which a warm process works through a shard of a library's albums.

It runs on whatever machine took the shard, in that machine's own clone. The base model is loaded once; between
albums only the small adapter changes. An album that fails does not stop the others: what became of each is told as
soon as it is known, as an artifact, so that nothing is lost when the process is killed between two albums.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from prefect import flow, get_run_logger, task
from prefect.artifacts import Artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectException

from flows.complete_album import complete_album
from flows.gpu_lock import worker
from realfill.core import peak_memory
from realfill.core.errors import RealFillError, TransientError
from realfill.core.hashing import digest_json
from realfill.library import disk_space, run_history, work_orders
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library
from realfill.library.work_orders import WorkOrder
from realfill.pipeline import stage as stage_named

OUTCOME = "realfill-outcome"
LOG_LINES = 60
_PASSING = (TransientError, OSError, httpx.HTTPError, PrefectException)
SOON = [5.0, 20.0, 60.0, 120.0]


@flow(name="complete-albums", persist_result=True, result_serializer="json")
def complete_albums(
    orders: list[dict[str, Any]], terms: dict[str, str], library: str = ".", share_progress: bool = False
) -> list[dict[str, Any]]:
    """Complete a shard of albums one after the other, whatever becomes of each.

    Args:
        orders: What must be known of each album (`realfill.orders`).
        terms: What the orders have in common.
        library: Root of this machine's clone; the working directory by default.
        share_progress: Whether to keep checkpoints and finished stages on the DVC remote while an album is worked on,
            so that another machine can go on when this one goes away.

    Returns:
        What became of each album: the fields of `realfill.nights.Row`, and "order": digest of its order, "lock": its
        `dvc.lock`, "log": the last lines that were told.
    """
    shelf = Library.open(Path(library))
    return [complete_order(shelf, wanted, terms, share_progress) for wanted in orders]


def complete_order(shelf: Library, wanted: WorkOrder, terms: dict[str, str], share_progress: bool) -> dict[str, Any]:
    """Complete one album as ordered, and tell what became of it."""
    foreign = not work_orders.is_own(shelf, terms)
    outcome = work_orders.kept_outcome(shelf, wanted) if foreign else None
    if outcome is None:
        outcome = _outcome(shelf, wanted, terms, share_progress)
        if foreign and not outcome["transient"]:
            work_orders.keep_outcome(shelf, wanted, outcome)
    tell(outcome)
    return outcome


@task(retries=6, retry_delay_seconds=[5, 20, 60, 120, 240, 240], cache_policy=NO_CACHE, persist_result=False)
def tell(outcome: dict[str, Any]) -> None:
    """Leave an album's outcome with the server."""
    Artifact(type=OUTCOME, description=outcome["album"], data=outcome).create()


@task(retries=len(SOON), retry_delay_seconds=SOON, cache_policy=NO_CACHE, persist_result=False)
def pull(shelf: Library, name: str) -> None:
    """Fetch an album's photos, and what earlier runs made of them, from the remote."""
    with shelf.tracked(name) as known:
        known.pull()


@task(retries=len(SOON), retry_delay_seconds=SOON, cache_policy=NO_CACHE, persist_result=False)
def push(shelf: Library, name: str) -> None:
    """Send an album's photos and results to the remote."""
    with shelf.tracked(name) as known:
        known.push()


def _outcome(shelf: Library, wanted: WorkOrder, terms: dict[str, str], share_progress: bool) -> dict[str, Any]:
    name, began = str(wanted["album"]), _now()
    peak_memory.reset_peaks()
    told: dict[str, Any] = {"album": name, "began": began, "worker": worker(), "versions": run_history.versions()}
    with _captured() as log:
        try:
            told |= _completed(shelf, wanted, terms, share_progress)
        except Exception as error:
            get_run_logger().error("%s is not completed: %s", name, error)
            log.extend(_trace(error))
            told |= _failed(shelf, error)
    lines = "\n".join(log).replace(f"{shelf.root}/", "").splitlines()[-LOG_LINES:]
    told |= {"order": digest_json(wanted), "log": lines}
    return told | peak_memory.peaks() | {"ended": _now()}


def _completed(shelf: Library, wanted: WorkOrder, terms: dict[str, str], share_progress: bool) -> dict[str, Any]:
    name = str(wanted["album"])
    own, first = work_orders.is_own(shelf, terms), work_orders.apply_work_order(shelf, wanted, terms)
    shared = f"{name}/{digest_json(wanted)[:16]}" if share_progress else ""
    if first and shared:
        with shelf.tracked(name) as known:
            known.receive(shared, shelf.folder(name))
    disk_space.check(shelf, name)
    if not own:
        pull(shelf, name)
    stages = complete_album(name, str(shelf.root), gallery=False, shared=shared)["stages"]
    if not own or _has_remote(shelf):
        push(shelf, name)
    if shared:
        with shelf.tracked(name) as known:
            known.forget(name)
    ran = [stage for stage in stages if not stage["cached"]]
    on_gpu = peak_memory.has_gpu()
    return {
        "outcome": "completed",
        "error": "",
        "reason": "",
        "transient": False,
        "lock": (shelf.folder(name) / "dvc.lock").read_text(encoding="utf-8"),
        "seconds": {stage["stage"]: stage["seconds"] for stage in ran},
        "gpu_seconds": {
            stage["stage"]: stage["seconds"] for stage in ran if on_gpu and stage_named(stage["stage"]).uses_model
        },
        **run_history.result(shelf.album(name)),
    }


def _has_remote(shelf: Library) -> bool:
    with open_dvc_state(shelf.root) as known:
        return known.has_remote


def _trace(error: Exception) -> list[str]:
    """Where an error that nobody foresaw came from, without the frames of the engine that called us."""
    if isinstance(error, RealFillError):
        return []
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/prefect/" not in frame.filename]
    return [*traceback.format_list(frames), *traceback.format_exception_only(error)]


def _failed(shelf: Library, error: Exception) -> dict[str, Any]:
    passing = isinstance(error, _PASSING)
    reason = str(error) if isinstance(error, RealFillError) else f"{type(error).__name__}: {error}"
    return {
        "outcome": "failed" if passing else "quarantined",
        "error": type(error).__name__,
        "reason": reason.replace(f"{shelf.root}/", ""),
        "transient": passing,
        "lock": "",
    }


@contextmanager
def _captured() -> Iterator[list[str]]:
    """The lines that the stages log inside the block."""
    lines: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(f"{record.levelname} {record.getMessage()}")  # type: ignore[method-assign]
    logger = logging.getLogger("realfill")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
