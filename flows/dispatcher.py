"""Handing albums to the workers of the pool, and taking in what comes back.

What an agent did comes back as an artifact on the server, an album each. A run that dies is done over for the albums
it still owed, each alone, so that one that kills its process takes no other with it. A coordinator that dies and
comes back finds the runs it started by their tag.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterType,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling

from flows.complete_shard import OUTCOME
from realfill.core.hashing import digest_json
from realfill.library.work_orders import WorkOrder

DEPLOYMENT = "complete-albums/albums"
POLL_SECONDS = 5.0
TRIES = 3
PAGE = 100
Take = Callable[[dict[str, Any]], None]


def hand_out(
    wanted: dict[str, WorkOrder],
    terms: dict[str, str],
    take: Take,
    *,
    shard: int = 8,
    share_progress: bool = False,
    hours: float = 20.0,
    queue: str = "nightly",
) -> None:
    """Have albums completed by the pool's workers.

    Args:
        wanted: The order of each album.
        terms: What the orders have in common.
        take: Called with what became of each album, as soon as it is known.
        shard: How many albums a worker takes at a time.
        share_progress: Whether agents keep checkpoints and finished stages on the DVC remote.
        hours: Albums that are not completed by then are given up.
        queue: Name of the work queue.
    """
    deadline = time.monotonic() + 3600 * hours
    with get_client(sync_client=True) as client:
        desk = _Desk(client, terms, take, dict(wanted), share_progress, queue)
        desk.adopt()
        names = sorted(desk.wanted.keys() - desk.owed())
        for begin in range(0, len(names), shard):
            desk.submit(names[begin : begin + shard])
        while desk.wanted and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            desk.look()
        desk.give_up(hours)


@dataclass
class _Desk:
    client: SyncPrefectClient
    terms: dict[str, str]
    take: Take
    wanted: dict[str, WorkOrder]
    share_progress: bool
    queue: str
    runs: dict[UUID, set[str]] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    failed: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The tag of the runs that work for this clone."""
        return f"clone:{self.terms['clone'][:12]}"

    def owed(self) -> set[str]:
        """The albums that some run is working on or will work on."""
        return set().union(*self.runs.values())

    def adopt(self) -> None:
        """Find the runs that an earlier coordinator started for the very same orders, and what they did."""
        recently = datetime.now(UTC) - timedelta(days=2)
        query = FlowRunFilter(
            tags=FlowRunFilterTags(all_=[self.tag]),
            expected_start_time=FlowRunFilterExpectedStartTime(after_=recently),
        )
        found = list(self._find_runs(query))
        for run in found:
            self.runs[run.id] = {order["album"] for order in run.parameters["orders"] if self._is_wanted(order)}
        self._collect(self.runs)
        for run in found:
            if run.state is None or run.state.is_final():
                del self.runs[run.id]

    def submit(self, names: list[str]) -> None:
        """Hand out a shard."""
        deployment = self.client.read_deployment_by_name(DEPLOYMENT)
        run = self.client.create_flow_run_from_deployment(
            deployment.id,
            name=names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more",
            parameters={
                "orders": [self.wanted[name] for name in names],
                "terms": self.terms,
                "share_progress": self.share_progress,
            },
            tags=[self.tag],
            work_queue_name=self.queue,
        )
        self.runs[run.id] = set(names)

    def look(self) -> None:
        """Take in what has come back, and hand out again what runs that ended still owe."""
        query = FlowRunFilter(id=FlowRunFilterId(any_=list(self.runs)))
        ended = [run for run in self._find_runs(query) if run.state is not None and run.state.is_final()]
        self._collect(self.runs)
        for run in ended:
            state = str(run.state_name)
            for name in sorted(self.runs.pop(run.id) & self.wanted.keys()):
                self._lost(name, state)

    def give_up(self, hours: float) -> None:
        """Let go of what was not completed in time."""
        for run, names in self.runs.items():
            if names & self.wanted.keys():
                self.client.set_flow_run_state(run, Cancelling())
        for name in sorted(self.wanted):
            self._settle(
                _unfinished(name, "TimeoutError", f"It was not completed within {hours:g} hours.", passing=True)
            )

    def _lost(self, name: str, state: str) -> None:
        self.tries[name] += 1
        if self.tries[name] < TRIES and state != "Cancelled":
            get_run_logger().warning("The run that worked on %s ended as %s; it is handed out again.", name, state)
            self.submit([name])
            return
        reason = f"The run that worked on it ended as {state}, {self.tries[name]} times in a row."
        self._settle(self.failed.get(name) or _unfinished(name, state, reason, passing=state == "Cancelled"))

    def _collect(self, runs: Iterable[UUID]) -> None:
        for outcome in self._find_outcomes([run for run in runs if self.runs[run] & self.wanted.keys()]):
            name = outcome["album"]
            if name not in self.wanted or outcome["order"] != digest_json(self.wanted[name]):
                continue
            if outcome["transient"]:
                self.failed[name] = outcome
            else:
                self._settle(outcome)

    def _settle(self, outcome: dict[str, Any]) -> None:
        self.take(outcome)
        del self.wanted[outcome["album"]]

    def _is_wanted(self, order: WorkOrder) -> bool:
        return digest_json(self.wanted.get(order["album"])) == digest_json(order)

    def _find_runs(self, query: FlowRunFilter) -> Iterator[FlowRun]:
        for page in range(10**6):
            found = self.client.read_flow_runs(flow_run_filter=query, limit=PAGE, offset=page * PAGE)
            yield from found
            if len(found) < PAGE:
                return

    def _find_outcomes(self, runs: list[UUID]) -> Iterator[dict[str, Any]]:
        for begin in range(0, len(runs), PAGE):
            query = ArtifactFilter(
                type=ArtifactFilterType(any_=[OUTCOME]),
                flow_run_id=ArtifactFilterFlowRunId(any_=runs[begin : begin + PAGE]),
            )
            for page in range(10**6):
                found = self.client.read_artifacts(artifact_filter=query, limit=PAGE, offset=page * PAGE)
                yield from (json.loads(str(artifact.data)) for artifact in found)
                if len(found) < PAGE:
                    break


def _unfinished(name: str, error: str, reason: str, *, passing: bool) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    outcome = "failed" if passing else "quarantined"
    return {"album": name, "outcome": outcome, "error": error, "reason": reason, "log": [], "ended": now}
