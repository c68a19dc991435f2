"""The flow by which a process that has loaded the base model completes a shard of a library's albums.

It runs on the machine that took the shard, in that machine's own clone. The base model is loaded once; between albums
only the small adapter changes. An album that fails does not stop the others. The outcome of each album is left with
the server as soon as it is known, so that nothing is lost if the process is killed between two albums.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from realfill.core import peak_memory
from realfill.core.errors import RealFillError, RemoteError
from realfill.core.gpu import worker_name
from realfill.core.hashing import digest_json
from realfill.flows.complete_album import complete_album
from realfill.flows.outcomes import Outcome, make_error_outcome, publish_outcome
from realfill.flows.retries import LIBRARY_DELAYS
from realfill.library import disk_space, run_history, work_orders
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library
from realfill.library.target_pipelines import plain_stage_name
from realfill.library.work_orders import WorkOrder
from realfill.pipeline import stage as stage_named


@dataclass(frozen=True)
class ShardSettings:
    """How much an outcome tells of an album's run.

    Attributes:
        log_lines: Number of the last lines of the log that an outcome keeps. Set by hand.
    """

    log_lines: int = 60


@flow(name="complete-shard", persist_result=True, result_serializer="json")
def complete_shard(
    orders: list[dict[str, Any]], shared_context: dict[str, str], library: str = ".", share_progress: bool = False
) -> list[dict[str, Any]]:
    """Complete a shard of albums one after the other; an album that fails does not stop the others.

    Args:
        orders: The work order of each album (`realfill.library.work_orders`).
        shared_context: What the orders have in common.
        library: Root of this machine's clone; the working directory by default.
        share_progress: Whether to keep checkpoints and finished stages on the DVC remote while an album is worked on,
            so that another machine can continue if this one goes away.

    Returns:
        The outcome of each album (`realfill.flows.outcomes`).
    """
    clone = Library.open(Path(library))
    return [complete_order(clone, order, shared_context, share_progress) for order in orders]


def complete_order(
    library: Library,
    order: WorkOrder,
    shared_context: dict[str, str],
    share_progress: bool,
    settings: ShardSettings = ShardSettings(),
) -> Outcome:
    """Complete one album as ordered and leave its outcome with the server.

    An agent that has already carried out the very same order answers with that outcome.

    Args:
        library: This machine's clone.
        order: The work order.
        shared_context: What it has in common with other orders.
        share_progress: Whether to keep checkpoints and finished stages on the DVC remote.
        settings: How much the outcome tells.
    """
    is_agent = not work_orders.is_own_clone(library, shared_context)
    outcome = work_orders.read_outcome(library, order) if is_agent else None
    if outcome is None:
        outcome = _run_order(library, order, shared_context, share_progress, settings)
        if is_agent and outcome["outcome"] != "failed":
            work_orders.write_outcome(library, order, outcome)
    publish_outcome(outcome)
    return outcome


@task(retries=len(LIBRARY_DELAYS), retry_delay_seconds=LIBRARY_DELAYS, cache_policy=NO_CACHE, persist_result=False)
def pull_album(library: Library, name: str) -> None:
    """Fetch an album's photos, and the results of earlier runs, from the remote."""
    with library.album_state(name) as dvc_state:
        dvc_state.pull()


@task(retries=len(LIBRARY_DELAYS), retry_delay_seconds=LIBRARY_DELAYS, cache_policy=NO_CACHE, persist_result=False)
def pull_photos(library: Library, name: str) -> None:
    """Fetch an album that is known here by its text files alone, as after `git clone`.

    Its results are fetched if the remote has them all; otherwise they are made again.
    """
    with open_dvc_state(library.root, *library.dvc_files(name)) as dvc_state:
        dvc_state.pull()
    with suppress(RemoteError), open_dvc_state(library.root, library.pipeline_file(name)) as dvc_state:
        dvc_state.pull()


@task(retries=len(LIBRARY_DELAYS), retry_delay_seconds=LIBRARY_DELAYS, cache_policy=NO_CACHE, persist_result=False)
def push_album(library: Library, name: str) -> None:
    """Send an album's photos and results to the remote."""
    with library.album_state(name) as dvc_state:
        dvc_state.push()


def _run_order(
    library: Library,
    order: WorkOrder,
    shared_context: dict[str, str],
    share_progress: bool,
    settings: ShardSettings,
) -> Outcome:
    """Carry out an order and measure it, whatever error it ends with."""
    name, began = str(order["album"]), _now()
    peak_memory.reset_peaks()
    outcome: Outcome = {
        "album": name,
        "began": began,
        "worker": worker_name(),
        "versions": run_history.software_versions(),
    }
    with _capture_log() as log:
        try:
            outcome |= _complete_album(library, order, shared_context, share_progress)
        except Exception as error:
            get_run_logger().error("%s is not completed: %s", name, error)
            log.extend(_format_traceback(error))
            outcome |= make_error_outcome(error, library.root)
    lines = "\n".join(log).replace(f"{library.root}/", "").splitlines()[-settings.log_lines :]
    outcome |= {"order": digest_json(order), "log": lines}
    return outcome | peak_memory.read_peaks() | {"ended": _now()}


def _complete_album(
    library: Library, order: WorkOrder, shared_context: dict[str, str], share_progress: bool
) -> Outcome:
    """Prepare this clone for an order, complete the album, and send its results to the remote.

    Returns:
        The part of the outcome that tells of the result.

    Raises:
        RealFillError: The album, this clone, its disk or the remote does not allow it.
    """
    name = str(order["album"])
    is_own_clone = work_orders.is_own_clone(library, shared_context)
    is_first_attempt = work_orders.apply_work_order(library, order, shared_context)
    remote_folder = f"{name}/{digest_json(order)[:16]}" if share_progress else ""
    if is_first_attempt and remote_folder:
        with library.album_state(name) as dvc_state:
            dvc_state.download_folder(remote_folder, library.folder(name))
    disk_space.require_disk_space(library, name)
    if not is_own_clone:
        pull_album(library, name)
    elif not library.has_photos(name) and _has_remote(library):
        pull_photos(library, name)
    stages = complete_album(name, str(library.root), gallery=False, remote_folder=remote_folder)["stages"]
    if not is_own_clone or _has_remote(library):
        push_album(library, name)
    if remote_folder:
        with library.album_state(name) as dvc_state:
            dvc_state.delete_folder(name)
    return _summarize_completion(library, name, [stage for stage in stages if not stage["cached"]])


def _summarize_completion(library: Library, name: str, ran: list[dict[str, Any]]) -> Outcome:
    """Make the part of an outcome that tells of a finished album and of the stages that ran."""
    has_gpu = peak_memory.has_gpu()
    seconds = {stage["stage"]: stage["seconds"] for stage in ran}
    return {
        "outcome": "completed",
        "error": "",
        "reason": "",
        "lock": (library.folder(name) / "dvc.lock").read_text(encoding="utf-8"),
        "seconds": seconds,
        "gpu_seconds": {stage: time for stage, time in seconds.items() if has_gpu and _uses_model(stage)},
        **run_history.summarize_results(library.targets(name)),
    }


def _uses_model(stage: str) -> bool:
    """Whether a stage, by its name for DVC, runs the base model."""
    return stage_named(plain_stage_name(stage)).uses_model


def _has_remote(library: Library) -> bool:
    with open_dvc_state(library.root) as dvc_state:
        return dvc_state.has_remote


def _format_traceback(error: Exception) -> list[str]:
    """The traceback of an unforeseen error, without Prefect's frames; nothing for an error that explains itself."""
    if isinstance(error, RealFillError):
        return []
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/prefect/" not in frame.filename]
    return [*traceback.format_list(frames), *traceback.format_exception_only(error)]


@contextmanager
def _capture_log() -> Iterator[list[str]]:
    """Collect the lines that the stages log inside the block."""
    lines: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(f"{record.levelname} {record.getMessage()}")  # type: ignore[method-assign]
    logger = logging.getLogger("realfill")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
