"""The album's flow on a real Prefect server, in this process; test_complete_library.py has a worker run it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from realfill.album.discovery import open_album
from realfill.album.lock import album_lock
from realfill.core.errors import TransientError
from realfill.core.params import load_params
from realfill.core.progress import ProgressUpdate
from realfill.flows.artifacts import ArtifactSettings, make_progress_callback
from realfill.flows.complete_album import (
    TimeoutSettings,
    _lock_album,
    _upload_checkpoints,
    complete_album,
    stage_timeout,
)
from realfill.pipeline import STAGES
from support.fleets import Fleet
from support.libraries import call, change_yaml, make_library, parse_stages
from support.nights import flows_of_this_process

NAMES = [stage.name for stage in STAGES]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with two albums."""
    return make_library(tmp_path_factory.mktemp("albums") / "library", "first", "second")


def complete(server: Fleet, library: Path, album: str) -> State[Any]:
    """Run the flow in this process; the state in which it ended."""
    with flows_of_this_process(server, library):
        state: State[Any] = complete_album(album, return_state=True)
    return state


def test_the_flow_completes_an_album_for_dvc_too(
    prefect_server: Fleet, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = partial(make_progress_callback, settings=ArtifactSettings(update_seconds=0))
    monkeypatch.setattr("realfill.flows.complete_album.make_progress_callback", often)
    state = complete(prefect_server, library, "first")
    assert state.is_completed(), state.message
    run = str(state.state_details.flow_run_id)
    assert [(task["name"], task["state_name"]) for task in prefect_server.tasks(run, len(NAMES))] == [
        (name, "Completed") for name in NAMES
    ]
    assert list((library / "data" / "albums" / "first" / "completed").glob("*.png"))
    album = "data/albums/first/dvc.yaml"
    assert "up to date" in call(library, "dvc", "status", album, "dvc.yaml")
    assert parse_stages(call(library, "dvc", "repro", album)) == []

    entries = prefect_server.query("artifacts", flow_runs={"id": {"any_": [run]}})
    artifacts = {artifact["key"]: artifact for artifact in entries}
    assert float(artifacts["first-finetune"]["data"]) == 100
    assert len(json.loads(artifacts["first-ranking"]["data"])) == 2
    assert artifacts["first-result"]["type"] == "image"
    assert artifacts["first-result"]["data"].startswith("data:image/jpeg;base64,")
    assert len(artifacts["first-result"]["data"]) < 200_000


def test_after_dvc_repro_every_task_is_cached(prefect_server: Fleet, library: Path) -> None:
    call(library, "dvc", "repro")
    state = complete(prefect_server, library, "second")
    assert state.is_completed(), state.message
    summary = state.result()
    assert summary["album"] == "second"
    assert (library / summary["photo"]).is_file()
    assert [(stage["stage"], stage["cached"]) for stage in summary["stages"]] == [(name, True) for name in NAMES]
    cached = prefect_server.tasks(str(state.state_details.flow_run_id), len(NAMES))
    assert [(task["name"], task["state_name"]) for task in cached] == [(name, "Cached") for name in NAMES]
    assert all("DVC" in task["state"]["message"] for task in cached)
    assert "up to date" in call(library, "dvc", "status")


def test_a_failing_album_says_what_to_do_and_is_not_tried_again(prefect_server: Fleet, library: Path) -> None:
    target = library / "data" / "albums" / "first" / "target" / "target.png"
    intact = target.read_bytes()
    target.write_bytes(intact[: len(intact) // 2])
    try:
        state = complete(prefect_server, library, "first")
    finally:
        target.write_bytes(intact)
    assert state.is_failed()
    assert "PhotoError" in str(state.message)
    assert "target/target.png" in str(state.message)
    failed = prefect_server.tasks(str(state.state_details.flow_run_id), 1)
    assert [(task["name"], task["run_count"]) for task in failed] == [("validate", 1)]


def test_a_model_that_is_not_here_is_told_before_the_first_task(prefect_server: Fleet, library: Path) -> None:
    settings = library / "data" / "albums" / "first" / "album.yaml"
    before = settings.read_text()
    change_yaml(settings, "base", model="/nowhere/model")
    try:
        state = complete(prefect_server, library, "first")
    finally:
        settings.write_text(before)
    assert state.is_failed()
    assert "ModelError" in str(state.message)
    assert prefect_server.tasks(str(state.state_details.flow_run_id), 0) == []


def test_an_unknown_album_is_named_with_those_that_there_are(prefect_server: Fleet, library: Path) -> None:
    state = complete(prefect_server, library, "third")
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
