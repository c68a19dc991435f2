"""The album's flow on a real Prefect server with a real worker, and without either."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from flows.complete_album import complete_stage, may_pass
from realfill.core.errors import PhotoError, RemoteError
from realfill.pipeline import STAGES
from support.fleets import Fleet, fleet
from support.libraries import call, ran

NAMES = [stage.name for stage in STAGES]


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A server that was set up, and a worker in the library's own clone."""
    with fleet(tmp_path_factory.mktemp("prefect"), "first", "second") as made:
        made.start_worker("worker", made.library)
        yield made


def complete(prefect: Fleet, album: str) -> dict[str, Any]:
    return prefect.wait(prefect.run("complete-album/album", f"album={album}"), 300)


def tasks(prefect: Fleet, run: dict[str, Any]) -> list[dict[str, Any]]:
    runs = prefect.find("task_runs", flow_runs={"id": {"any_": [run["id"]]}})
    return sorted(runs, key=lambda task: str(task["start_time"]))


def test_a_deployment_run_completes_an_album_for_dvc_too(prefect: Fleet) -> None:
    run = complete(prefect, "first")
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert [(task["name"], task["state_name"]) for task in tasks(prefect, run)] == [
        (name, "Completed") for name in NAMES
    ]
    assert list((prefect.library / "data" / "albums" / "first" / "completed").glob("*.png"))
    album = "data/albums/first/dvc.yaml"
    assert "up to date" in prefect.call("dvc", "status", album, "dvc.yaml")
    assert ran(prefect.call("dvc", "repro", album)) == []

    found = prefect.find("artifacts", flow_runs={"id": {"any_": [run["id"]]}})
    artifacts = {artifact["key"]: artifact for artifact in found}
    assert float(artifacts["first-finetune"]["data"]) == 100
    assert len(json.loads(artifacts["first-ranking"]["data"])) == 2
    assert artifacts["first-result"]["type"] == "image"
    assert artifacts["first-result"]["data"].startswith("data:image/jpeg;base64,")
    assert len(artifacts["first-result"]["data"]) < 200_000


def test_after_dvc_repro_every_task_is_cached(prefect: Fleet) -> None:
    prefect.call("dvc", "repro")
    run = complete(prefect, "second")
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    cached = tasks(prefect, run)
    assert [(task["name"], task["state_name"]) for task in cached] == [(name, "Cached") for name in NAMES]
    assert all("DVC" in task["state"]["message"] for task in cached)
    assert "up to date" in prefect.call("dvc", "status")


def test_a_failing_album_says_what_to_do_and_is_not_tried_again(prefect: Fleet) -> None:
    target = prefect.library / "data" / "albums" / "first" / "target" / "target.png"
    intact = target.read_bytes()
    target.write_bytes(intact[: len(intact) // 2])
    try:
        run = complete(prefect, "first")
    finally:
        target.write_bytes(intact)
    assert run["state_type"] == "FAILED"
    assert "PhotoError" in run["state"]["message"]
    assert "target/target.png" in run["state"]["message"]
    assert [(task["name"], task["run_count"]) for task in tasks(prefect, run)] == [("validate", 1)]


def test_an_unknown_album_is_named_with_those_that_there_are(prefect: Fleet) -> None:
    run = complete(prefect, "third")
    assert run["state_type"] == "FAILED"
    assert "Known: first, second" in run["state"]["message"]


def test_the_flow_runs_without_server_and_worker(prefect: Fleet, tmp_path: Path) -> None:
    prefect.call("dvc", "repro")
    code = "import json; from flows.complete_album import complete_album; print(json.dumps(complete_album('second')))"
    home = str(tmp_path / "home")
    summary = json.loads(call(prefect.library, sys.executable, "-c", code, PREFECT_HOME=home).splitlines()[-1])
    assert summary["album"] == "second"
    assert (prefect.library / summary["photo"]).is_file()
    assert [(stage["stage"], stage["cached"]) for stage in summary["stages"]] == [(name, True) for name in NAMES]


def test_only_errors_that_may_pass_are_tried_again_and_soon() -> None:
    run = TaskRun(task_key="stage", dynamic_key="0")
    assert may_pass(complete_stage, run, Failed(data=OSError("the disk went away")))
    assert may_pass(complete_stage, run, Failed(data=RemoteError("Away.", "Wait.")))
    assert not may_pass(complete_stage, run, Failed(data=PhotoError("Broken.", "Replace it.", "a.jpg")))
    delays = complete_stage.retry_delay_seconds
    assert isinstance(delays, list)
    assert len(delays) == complete_stage.retries
    assert max(delays) < 300
