"""Dispatching albums to workers, on a server that a few lines of Python stand for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter, WorkerFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import disable_run_logger
from prefect.states import Cancelled, Completed, Crashed, Running

from realfill.core.hashing import digest_json
from realfill.flows import dispatcher
from realfill.flows.dispatcher import DispatchSettings, dispatch
from realfill.flows.outcomes import Outcome

CONTEXT = {"clone": "0123456789abcdef"}
QUICK = DispatchSettings(shard_size=2, poll_seconds=0)
Script = dict[str, list[State[Any] | Outcome]]


def order(name: str, attempt: int = 1) -> dict[str, Any]:
    return {"album": name, "attempt": attempt}


def completed(name: str, **changes: Any) -> Outcome:
    outcome = {"album": name, "outcome": "completed", "order": digest_json(order(name))}
    return outcome | changes


@dataclass
class Server:
    """Runs, and what they leave behind.

    Attributes:
        script: What happens to an album, one entry for each run that works on it: the outcome that the run leaves, or
            the state that the run is in without one.
        runs: All runs.
        outcomes: The outcomes that each run has left.
        cancelled: Runs that were asked to stop.
        workers: How many workers are online.
        names: The albums of each run that was submitted, in order.
    """

    script: Script
    runs: dict[UUID, FlowRun] = field(default_factory=dict)
    outcomes: dict[UUID, list[Outcome]] = field(default_factory=dict)
    cancelled: list[UUID] = field(default_factory=list)
    names: list[list[str]] = field(default_factory=list)
    workers: int = 0

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None: ...

    def add_run(self, orders: list[dict[str, Any]], state: State[Any]) -> FlowRun:
        run = FlowRun(id=uuid4(), flow_id=uuid4(), state=state, state_name=state.name, parameters={"orders": orders})
        self.runs[run.id] = run
        return run

    def read_workers_for_work_pool(self, pool: str, worker_filter: WorkerFilter, limit: int) -> list[None]:
        assert worker_filter.status
        assert (pool, worker_filter.status.any_) == ("realfill", ["ONLINE"])
        return [None] * min(self.workers, limit)

    def read_deployment_by_name(self, name: str) -> SimpleNamespace:
        assert name == "complete-shard/shard"
        return SimpleNamespace(id=uuid4())

    def create_flow_run_from_deployment(
        self, _deployment: UUID, *, parameters: dict[str, Any], tags: list[str], **_: Any
    ) -> FlowRun:
        assert tags == ["clone:0123456789ab"]
        assert parameters["shared_context"] == CONTEXT
        self.names.append([entry["album"] for entry in parameters["orders"]])
        scripts = [self.script.get(name) for name in self.names[-1]]
        events = [script.pop(0) if script else Running() for script in scripts]
        states = [event for event in events if isinstance(event, State)]
        run = self.add_run(parameters["orders"], states[0] if states else Completed())
        self.outcomes[run.id] = [event for event in events if not isinstance(event, State)]
        return run

    def read_flow_runs(self, flow_run_filter: FlowRunFilter, limit: int, offset: int) -> list[FlowRun]:
        ids = flow_run_filter.id.any_ if flow_run_filter.id else None
        runs = [run for run in self.runs.values() if ids is None or run.id in ids]
        return runs[offset : offset + limit]

    def read_artifacts(self, artifact_filter: ArtifactFilter, limit: int, offset: int) -> list[SimpleNamespace]:
        assert artifact_filter.flow_run_id
        runs = artifact_filter.flow_run_id.any_ or []
        outcomes = [outcome for run in runs for outcome in self.outcomes.get(run, [])]
        return [SimpleNamespace(data=json.dumps(outcome)) for outcome in outcomes[offset : offset + limit]]

    def set_flow_run_state(self, run: UUID, state: State[Any]) -> None:
        assert state.is_cancelling()
        self.cancelled.append(run)


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    with disable_run_logger():
        yield


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    def serve(**script: list[Any]) -> Server:
        server = Server(script)
        monkeypatch.setattr(dispatcher, "get_client", lambda sync_client: server)
        return server

    return serve


def run(*names: str, settings: DispatchSettings = QUICK) -> dict[str, Outcome]:
    outcomes: list[Outcome] = []
    dispatch({name: order(name) for name in names}, CONTEXT, outcomes.append, settings=settings)
    assert sorted(outcome["album"] for outcome in outcomes) == sorted(names)
    return {outcome["album"]: outcome for outcome in outcomes}


def test_albums_go_out_in_shards_and_every_outcome_comes_back(serve: Any) -> None:
    server = serve(a=[completed("a")], b=[completed("b")], c=[completed("c")])
    assert {outcome["outcome"] for outcome in run("c", "a", "b").values()} == {"completed"}
    assert server.names == [["a", "b"], ["c"]]
    assert server.cancelled == []


@pytest.mark.parametrize(("albums", "workers", "sizes"), [(3, 1, {1}), (24, 2, {2}), (100, 1, {8, 4}), (5, 0, {1})])
def test_small_nights_keep_every_worker_busy_and_large_ones_load_the_model_once_in_a_while(
    albums: int, workers: int, sizes: set[int], serve: Any
) -> None:
    names = [f"a{number:03}" for number in range(albums)]
    server = serve(**{name: [completed(name)] for name in names})
    server.workers = workers
    run(*names, settings=DispatchSettings(poll_seconds=0))
    assert {len(names) for names in server.names} == sizes


def test_what_a_dead_run_still_had_is_submitted_again_one_by_one(serve: Any) -> None:
    server = serve(a=[completed("a")], b=[Crashed(), completed("b")])
    assert run("a", "b")["b"]["outcome"] == "completed"
    assert server.names == [["a", "b"], ["b"]]


def test_an_album_whose_process_is_killed_three_times_is_left_for_the_next_night(serve: Any) -> None:
    server = serve(a=[Crashed(), Crashed(), Crashed()])
    outcome = run("a")["a"]
    assert (outcome["outcome"], outcome["error"]) == ("failed", "Crashed")
    assert "3 times in a row" in outcome["reason"]
    assert len(server.names) == 3


def test_a_cancelled_run_is_not_submitted_again(serve: Any) -> None:
    server = serve(a=[Cancelled()])
    assert run("a")["a"]["outcome"] == "failed"
    assert len(server.names) == 1


def test_a_failure_is_tried_again_and_told_at_last(serve: Any) -> None:
    failure = completed("a", outcome="failed", reason="The remote is away.")
    server = serve(a=[failure, failure, failure])
    assert run("a")["a"]["reason"] == "The remote is away."
    assert len(server.names) == 3


def test_runs_of_an_earlier_process_are_not_submitted_twice(serve: Any) -> None:
    server = serve(c=[completed("c")])
    running = server.add_run([order("a")], Running())
    server.outcomes[running.id] = [completed("a")]
    ended = server.add_run([order("b")], Completed())
    server.outcomes[ended.id] = [completed("b")]
    server.add_run([order("c", attempt=2)], Running())  # another order: its outcome does not count
    assert run("a", "b", "c").keys() == {"a", "b", "c"}
    assert server.names == [["c"]]


def test_the_outcome_of_another_order_does_not_count(serve: Any) -> None:
    other = completed("a", order=digest_json(order("a", attempt=2)))
    serve(a=[other, completed("a", photo="right")])
    assert run("a")["a"]["photo"] == "right"


def test_what_is_not_completed_in_time_is_cancelled_and_has_failed(serve: Any) -> None:
    server = serve()
    outcome = run("a", settings=DispatchSettings(hours=0, poll_seconds=0))["a"]
    assert (outcome["outcome"], outcome["error"]) == ("failed", "TimeoutError")
    assert server.cancelled == list(server.runs)
