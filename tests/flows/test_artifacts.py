"""What Prefect's UI shows of an album's progress."""

from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from realfill.album.discovery import open_album
from realfill.core.progress import ProgressUpdate
from realfill.flows import artifacts
from realfill.flows.artifacts import ArtifactSettings, ignore_server_errors, make_progress_callback


def step(done: int, stage: str = "finetune") -> ProgressUpdate:
    return ProgressUpdate(stage, done, 4, loss=0.5, seconds_left=2.0, steps_per_second=1.0)


def test_a_server_that_is_away_stops_no_work() -> None:
    with disable_run_logger(), ignore_server_errors():
        raise ConnectionError("away")


def test_each_stage_gets_one_progress_bar_that_reaches_its_end(
    album_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, float, str]] = []

    def create(percent: float, key: str, description: str) -> str:
        shown.append(("create", percent, key))
        return key

    def update(artifact: str, percent: float, description: str) -> None:
        shown.append(("update", percent, artifact))

    monkeypatch.setattr(artifacts, "create_progress_artifact", create)
    monkeypatch.setattr(artifacts, "update_progress_artifact", update)
    on_progress = make_progress_callback(open_album(album_folder), ArtifactSettings(update_seconds=0))
    for done in (1, 2, 4):
        on_progress(step(done))
    on_progress(step(4, "sample"))
    assert shown == [
        ("create", 25.0, "motorcycle-finetune"),
        ("update", 50.0, "motorcycle-finetune"),
        ("update", 100.0, "motorcycle-finetune"),
        ("create", 100.0, "motorcycle-sample"),
    ]


def test_a_bar_is_not_updated_more_often_than_asked(album_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(artifacts, "create_progress_artifact", fail)
    on_progress = make_progress_callback(open_album(album_folder), ArtifactSettings(update_seconds=3600))
    for done in (1, 2, 4):
        on_progress(step(done))
