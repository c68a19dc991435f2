"""Dispatching albums to the workers of a pool, and collecting their outcomes.

An album's outcome comes back as an artifact on the server (`outcomes.py`). If a run dies, the albums it still had
are submitted again, each in a run of its own, so that an album that kills its process takes no other with it. If the
dispatching process dies and starts again, it finds the runs that it had submitted by their tag.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterTags,
    WorkerFilter,
    WorkerFilterStatus,
)
from prefect.client.schemas.objects import FlowRun, WorkerStatus
from prefect.states import Cancelling

from realfill.core.hashing import digest_json
from realfill.flows.outcomes import Outcome, make_unfinished_outcome, read_outcomes
from realfill.flows.server import PAGE_SIZE, read_pages
from realfill.library.work_orders import WorkOrder

DEPLOYMENT = "complete-shard/shard"
POOL = "realfill"  # of the deployment, see prefect.yaml
OutcomeCallback = Callable[[Outcome], None]


@dataclass(frozen=True)
class DispatchSettings:
    """How albums are dispatched. All values are set by hand.

    Attributes:
        shard_size: Number of albums in one run; None: as many as leave each worker that is online
            `shards_per_worker` runs, and `max_shard_size` at most.
        max_shard_size: The most albums in one run. A run loads Python's libraries and the base model once, which
            takes some ten seconds.
        shards_per_worker: A worker has up to three runs at a time; each of them has two at least, so that no run is
            long alone at the end of the night.
        hours: Albums that are not completed by then are left for the next night.
        poll_seconds: Pause between two looks at the server.
        max_runs: After so many runs that did not complete it, an album has failed, and is left for the next night.
        reattach_days: Age of the oldest runs that are looked for after a restart. More than `hours`.
    """

    shard_size: int | None = None
    max_shard_size: int = 8
    shards_per_worker: int = 6
    hours: float = 20.0
    poll_seconds: float = 5.0
    max_runs: int = 3
    reattach_days: float = 2.0


def dispatch(
    orders: dict[str, WorkOrder],
    shared_context: dict[str, str],
    on_outcome: OutcomeCallback,
    *,
    share_progress: bool = False,
    queue: str = "nightly",
    settings: DispatchSettings = DispatchSettings(),
) -> None:
    """Have albums completed by the pool's workers, and return when there is an outcome of each.

    Args:
        orders: The work order of each album, by its name.
        shared_context: What the orders have in common.
        on_outcome: Called with the outcome of each album as soon as it is known.
        share_progress: Whether workers keep checkpoints and finished stages on the DVC remote.
        queue: Name of the work queue.
        settings: Size of the shards, and times.
    """
    deadline = time.monotonic() + 3600 * settings.hours
    with get_client(sync_client=True) as client:
        dispatcher = Dispatcher(client, shared_context, on_outcome, dict(orders), share_progress, queue, settings)
        dispatcher.reattach()
        names = sorted(dispatcher.pending.keys() - dispatcher.in_flight())
        size = settings.shard_size or dispatcher.choose_shard_size(len(names))
        for begin in range(0, len(names), size):
            dispatcher.submit(names[begin : begin + size])
        while dispatcher.pending and time.monotonic() < deadline:
            time.sleep(settings.poll_seconds)
            dispatcher.poll()
        dispatcher.cancel()


@dataclass
class Dispatcher:
    """The albums that are still to be completed, and the runs that work on them.

    Attributes:
        client: The server.
        shared_context: What the orders have in common.
        on_outcome: Called with each final outcome.
        pending: The orders of the albums that have no final outcome yet, by the album's name.
        share_progress: Whether workers keep checkpoints and finished stages on the DVC remote.
        queue: Name of the work queue.
        settings: Number of attempts, and times.
        runs: The albums of each run that has not ended.
        lost_runs: How many runs ended without an outcome, by the album's name.
        failures: The last outcome of each album that failed, and not by its own fault.
    """

    client: SyncPrefectClient
    shared_context: dict[str, str]
    on_outcome: OutcomeCallback
    pending: dict[str, WorkOrder]
    share_progress: bool = False
    queue: str = "nightly"
    settings: DispatchSettings = DispatchSettings()
    runs: dict[UUID, set[str]] = field(default_factory=dict)
    lost_runs: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Outcome] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The tag of the runs that work for this clone."""
        return f"clone:{self.shared_context['clone'][:12]}"

    def in_flight(self) -> set[str]:
        """The albums that some run is working on or will work on."""
        return set().union(*self.runs.values())

    def choose_shard_size(self, albums: int) -> int:
        """How many albums a run gets, so that all workers of the pool that are online have something to do."""
        online = WorkerFilter(status=WorkerFilterStatus(any_=[WorkerStatus.ONLINE]))
        workers = self.client.read_workers_for_work_pool(POOL, worker_filter=online, limit=PAGE_SIZE)
        runs = self.settings.shards_per_worker * max(1, len(workers))
        return min(max(1, math.ceil(albums / runs)), self.settings.max_shard_size)

    def reattach(self) -> None:
        """Find the runs that were submitted for the same orders before a restart, and collect their outcomes."""
        since = datetime.now(UTC) - timedelta(days=self.settings.reattach_days)
        query = FlowRunFilter(
            tags=FlowRunFilterTags(all_=[self.tag]),
            expected_start_time=FlowRunFilterExpectedStartTime(after_=since),
        )
        flow_runs = self._read_runs(query)
        for run in flow_runs:
            orders = run.parameters["orders"]
            self.runs[run.id] = {order["album"] for order in orders if self._is_pending(digest_json(order), order)}
        self._collect_outcomes()
        for run in flow_runs:
            if run.state is None or run.state.is_final():
                del self.runs[run.id]

    def submit(self, names: Sequence[str]) -> None:
        """Submit a run for a shard of albums."""
        deployment = self.client.read_deployment_by_name(DEPLOYMENT)
        run = self.client.create_flow_run_from_deployment(
            deployment.id,
            name=names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more",
            parameters={
                "orders": [self.pending[name] for name in names],
                "shared_context": self.shared_context,
                "share_progress": self.share_progress,
            },
            tags=[self.tag],
            work_queue_name=self.queue,
        )
        self.runs[run.id] = set(names)

    def poll(self) -> None:
        """Collect new outcomes, and submit again the albums of runs that ended without one."""
        query = FlowRunFilter(id=FlowRunFilterId(any_=list(self.runs)))
        ended = [run for run in self._read_runs(query) if run.state is not None and run.state.is_final()]
        self._collect_outcomes()
        for run in ended:
            for name in sorted(self.runs.pop(run.id) & self.pending.keys()):
                self._resubmit(name, str(run.state_name))

    def cancel(self) -> None:
        """Cancel the runs of all albums that are still pending; these have failed."""
        for run, names in self.runs.items():
            if names & self.pending.keys():
                self.client.set_flow_run_state(run, Cancelling())
        reason = f"It was not completed within {self.settings.hours:g} hours."
        for name in sorted(self.pending):
            self._finalize(make_unfinished_outcome(name, "TimeoutError", reason))

    def _resubmit(self, name: str, state: str) -> None:
        """Submit an album again whose run ended without an outcome, unless that happened too often."""
        self.lost_runs[name] += 1
        if self.lost_runs[name] < self.settings.max_runs and state != "Cancelled":
            get_run_logger().warning("The run that worked on %s ended as %s. It is submitted again.", name, state)
            self.submit([name])
            return
        reason = f"The run that worked on it ended as {state}, {self.lost_runs[name]} times in a row."
        self._finalize(self.failures.get(name) or make_unfinished_outcome(name, state, reason))

    def _collect_outcomes(self) -> None:
        runs = [run for run, names in self.runs.items() if names & self.pending.keys()]
        for outcome in read_outcomes(self.client, runs):
            if not self._is_pending(outcome["order"], outcome):
                continue
            if outcome["outcome"] == "failed":
                self.failures[outcome["album"]] = outcome
            else:
                self._finalize(outcome)

    def _finalize(self, outcome: Outcome) -> None:
        """Report an outcome and drop the album."""
        self.on_outcome(outcome)
        del self.pending[outcome["album"]]

    def _is_pending(self, order_digest: str, document: Outcome | WorkOrder) -> bool:
        """Whether an order, or the outcome of one, belongs to an order that is pending."""
        order = self.pending.get(document["album"])
        return order is not None and digest_json(order) == order_digest

    def _read_runs(self, query: FlowRunFilter) -> list[FlowRun]:
        return list(read_pages(partial(self._read_page, query)))

    def _read_page(self, query: FlowRunFilter, offset: int) -> list[FlowRun]:
        return self.client.read_flow_runs(flow_run_filter=query, limit=PAGE_SIZE, offset=offset)
