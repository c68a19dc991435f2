"""The album's flow on a real Prefect server: once by a real worker, then in this process.

test_several_targets.py runs it without a server.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from realfill.album.discovery import open_album
from realfill.album.lock import album_lock
from realfill.core.errors import TransientError
from realfill.core.params import load_params
from realfill.core.progress import ProgressUpdate
from realfill.flows.complete_album import (
    TimeoutSettings,
    _lock_album,
    _upload_checkpoints,
    complete_album,
    stage_timeout,
)
from realfill.pipeline import STAGES
from support.fleets import FINAL_STATES, Fleet, start_fleet
from support.libraries import change_yaml, parse_stages
from support.nights import flows_of_this_process

NAMES = [stage.name for stage in STAGES]


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A server that was set up, and a worker in the library's own clone."""
    with start_fleet(tmp_path_factory.mktemp("prefect"), "first", "second") as fleet:
        fleet.start_worker("worker", fleet.library)
        yield fleet


def complete(prefect: Fleet, album: str) -> State[Any]:
    """Run the flow in this process; the state in which it ended."""
    with flows_of_this_process(prefect, prefect.library):
        state: State[Any] = complete_album(album, return_state=True)
    return state


def tasks(prefect: Fleet, run: Any, count: int) -> list[dict[str, Any]]:
    """The tasks of a flow run, of which there are so many as soon as the server has recorded them all."""
    deadline = time.monotonic() + 60
    while True:
        runs = prefect.query("task_runs", flow_runs={"id": {"any_": [str(run)]}})
        if len([task for task in runs if task["state_type"] in FINAL_STATES]) >= count or time.monotonic() > deadline:
            return sorted(runs, key=lambda task: str(task["start_time"]))
        time.sleep(0.1)


def test_a_deployment_run_completes_an_album_for_dvc_too(prefect: Fleet) -> None:
    run = prefect.wait(prefect.run("complete-album/album", "album=first"))
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert [(task["name"], task["state_name"]) for task in tasks(prefect, run["id"], len(NAMES))] == [
        (name, "Completed") for name in NAMES
    ]
    assert list((prefect.library / "data" / "albums" / "first" / "completed").glob("*.png"))
    album = "data/albums/first/dvc.yaml"
    assert "up to date" in prefect.call("dvc", "status", album, "dvc.yaml")
    assert parse_stages(prefect.call("dvc", "repro", album)) == []

    entries = prefect.query("artifacts", flow_runs={"id": {"any_": [run["id"]]}})
    artifacts = {artifact["key"]: artifact for artifact in entries}
    assert float(artifacts["first-finetune"]["data"]) == 100
    assert len(json.loads(artifacts["first-ranking"]["data"])) == 2
    assert artifacts["first-result"]["type"] == "image"
    assert artifacts["first-result"]["data"].startswith("data:image/jpeg;base64,")
    assert len(artifacts["first-result"]["data"]) < 200_000


def test_after_dvc_repro_every_task_is_cached(prefect: Fleet) -> None:
    prefect.call("dvc", "repro")
    state = complete(prefect, "second")
    assert state.is_completed(), state.message
    summary = state.result()
    assert summary["album"] == "second"
    assert (prefect.library / summary["photo"]).is_file()
    assert [(stage["stage"], stage["cached"]) for stage in summary["stages"]] == [(name, True) for name in NAMES]
    cached = tasks(prefect, state.state_details.flow_run_id, len(NAMES))
    assert [(task["name"], task["state_name"]) for task in cached] == [(name, "Cached") for name in NAMES]
    assert all("DVC" in task["state"]["message"] for task in cached)
    assert "up to date" in prefect.call("dvc", "status")


def test_a_failing_album_says_what_to_do_and_is_not_tried_again(prefect: Fleet) -> None:
    target = prefect.library / "data" / "albums" / "first" / "target" / "target.png"
    intact = target.read_bytes()
    target.write_bytes(intact[: len(intact) // 2])
    try:
        state = complete(prefect, "first")
    finally:
        target.write_bytes(intact)
    assert state.is_failed()
    assert "PhotoError" in str(state.message)
    assert "target/target.png" in str(state.message)
    failed = tasks(prefect, state.state_details.flow_run_id, 1)
    assert [(task["name"], task["run_count"]) for task in failed] == [("validate", 1)]


def test_a_model_that_is_not_here_is_told_before_the_first_task(prefect: Fleet) -> None:
    settings = prefect.library / "data" / "albums" / "first" / "album.yaml"
    before = settings.read_text()
    change_yaml(settings, "base", model="/nowhere/model")
    try:
        state = complete(prefect, "first")
    finally:
        settings.write_text(before)
    assert state.is_failed()
    assert "ModelError" in str(state.message)
    assert tasks(prefect, state.state_details.flow_run_id, 0) == []


def test_an_unknown_album_is_named_with_those_that_there_are(prefect: Fleet) -> None:
    state = complete(prefect, "third")
    assert state.is_failed()
    assert "Known: first, second" in str(state.message)


def test_an_album_that_another_run_works_on_is_tried_again_later(album_folder: Path) -> None:
    album = open_album(album_folder)
    with album_lock(album), pytest.raises(TransientError, match="Another run"), _lock_album(album):
        pass


def test_a_stage_gets_longer_for_more_to_do(album_folder: Path) -> None:
    album = open_album(album_folder)
    settings = TimeoutSettings(base_seconds=100, seconds_per_megabyte=0, seconds_per_sample=0.5)
    assignments = ["finetune.steps=10", "finetune.batch_size=4", "sample.candidates=2", "sample.steps=30"]
    assert stage_timeout(album, load_params(assignments=assignments), settings) == 100 + 0.5 * (40 + 60)
    album.target.write_bytes(bytes(3_000_000))
    assert stage_timeout(album, load_params(), TimeoutSettings(0, 1, 0)) > 3


def test_a_checkpoint_is_uploaded_once_until_it_changes(album_folder: Path) -> None:
    class State:
        uploads: list[str] = []  # noqa: RUF012

        def upload_file(self, source: Path, name: str) -> None:
            assert source.is_file()
            self.uploads.append(name)

    updates: list[ProgressUpdate] = []
    album = open_album(album_folder)
    on_progress = _upload_checkpoints(updates.append, album, State(), "roof/order")  # type: ignore[arg-type]
    update = ProgressUpdate("finetune", 1, 2, loss=0.5, seconds_left=1.0, steps_per_second=1.0)
    on_progress(update)
    assert (updates, State.uploads) == ([update], [])
    checkpoint = album.out / "work" / ".checkpoints" / "key" / "tuning.safetensors"
    checkpoint.parent.mkdir(parents=True)
    for content in (b"first", b"second"):
        checkpoint.write_bytes(content)
        on_progress(update)
        on_progress(update)
    assert State.uploads == ["roof/order/work/.checkpoints/key/tuning.safetensors"] * 2
