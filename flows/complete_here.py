"""Completing the albums of a night by this machine alone, several at a time.

Each process completes one album after the other and has the base model loaded. While one of them has the GPU, the
others decode, match, rank or export. DVC's own lock keeps their records apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings, temporary_settings

from realfill.core.worker_processes import answer_side_by_side, default_jobs
from realfill.flows.complete_shard import complete_shard
from realfill.flows.outcomes import Outcome, make_unfinished_outcome
from realfill.library.repository import Library
from realfill.library.work_orders import WorkOrder

_DIED = "Crashed"


def complete_here(
    library: Library,
    orders: list[WorkOrder],
    shared_context: dict[str, str],
    share_progress: bool,
    jobs: int | None = None,
) -> Iterator[Outcome]:
    """Complete albums by this machine.

    An album whose process dies is tried again alone, after the others; if it dies again, the album has failed.

    Args:
        library: The library's own clone.
        orders: The work order of each album.
        shared_context: What they have in common.
        share_progress: Whether to keep checkpoints and finished stages on the DVC remote.
        jobs: Albums at a time; 1: in this process. As many as cores, memory and GPU allow by default.

    Yields:
        The outcome of each album, as soon as it and those of the albums before it are known.
    """
    jobs = min(jobs or default_jobs(len(orders)), len(orders))
    heartbeats = get_current_settings().flows.heartbeat_frequency is not None
    arguments = (shared_context, str(library.root), share_progress, heartbeats)
    if jobs <= 1:
        yield from _complete(*arguments, orders) if orders else ()
        return
    died = []
    for order, outcome in zip(orders, _complete_in_processes(orders, arguments, jobs), strict=True):
        if outcome["error"] == _DIED:
            died.append(order)
        else:
            yield outcome
    if died:
        yield from _complete_in_processes(died, arguments, 1)


def _complete_in_processes(orders: list[WorkOrder], arguments: tuple[Any, ...], jobs: int) -> Iterator[Outcome]:
    """Complete albums in processes that use the server of this one."""
    with get_client(sync_client=True) as client:
        address = str(client.api_url).rstrip("/")
    variables = get_current_settings().to_environment_variables(exclude_unset=True) | {"PREFECT_API_URL": address}
    shards = [[order] for order in orders]
    for outcomes in answer_side_by_side(shards, _prepare, arguments, _tell_death, jobs=jobs, environment=variables):
        yield from outcomes


def _prepare(*arguments: Any) -> Callable[[list[WorkOrder]], list[Outcome]]:
    """Make what completes albums in a process."""
    return partial(_complete, *arguments)


def _complete(
    shared_context: dict[str, str], root: str, share_progress: bool, heartbeats: bool, orders: list[WorkOrder]
) -> list[Outcome]:
    """Complete albums one after the other.

    Heartbeats are switched off where they are in the process that asks for it.
    """
    with nullcontext() if heartbeats else temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        return complete_shard(orders, shared_context, root, share_progress)


def _tell_death(orders: list[WorkOrder], ended: str, _seconds: float) -> list[Outcome]:
    reason = f"The process that completed it ended ({ended}), most likely out of memory."
    return [make_unfinished_outcome(order["album"], _DIED, reason) for order in orders]
