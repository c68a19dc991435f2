"""The album's flow on a real Prefect server with a real worker, and without either."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from flows.album import complete_stage, may_pass
from libraries import call, environment, make_library, ran
from realfill.errors import PhotoError
from realfill.pipeline import STAGES

NAMES = [stage.name for stage in STAGES]


@dataclass
class Prefect:
    """A running server and worker, and the library they work on."""

    library: Path
    api: str

    def call(self, *command: str) -> str:
        return call(self.library, *command, PREFECT_API_URL=self.api, PREFECT_HOME=str(self.library.parent / "home"))

    def run(self, album: str) -> dict[str, Any]:
        """Run the deployment as a user does, wait, and return the flow run."""
        self.call("prefect", "deployment", "run", "complete-album/album", "--param", f"album={album}")
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            runs = self.find("flow_runs", sort="EXPECTED_START_TIME_DESC", limit=1)
            if runs[0]["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return runs[0]
            time.sleep(1)
        raise TimeoutError(runs[0]["state_name"])

    def find(self, kind: str, **query: Any) -> list[dict[str, Any]]:
        response = httpx.post(f"{self.api}/{kind}/filter", json=query, timeout=60).raise_for_status()
        found: list[dict[str, Any]] = response.json()
        return found

    def tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        runs = self.find("task_runs", flow_runs={"id": {"any_": [run["id"]]}})
        return sorted(runs, key=lambda task: str(task["start_time"]))

    def artifacts(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        return self.find("artifacts", flow_runs={"id": {"any_": [run["id"]]}})


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """A server, a work pool, a deployment and a worker."""
    library = make_library(tmp_path_factory.mktemp("prefect") / "library", "first", "second")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = Prefect(library, f"http://127.0.0.1:{port}/api")
    home = str(library.parent / "home")
    processes = [_start(library, "server", "start", "--port", str(port), PREFECT_HOME=home)]
    try:
        _wait_for(served.api)
        served.call("prefect", "work-pool", "create", "realfill", "--type", "process")
        served.call("prefect", "--no-prompt", "deploy", "--all")
        options = ("--pool", "realfill")
        processes.append(_start(library, "worker", "start", *options, PREFECT_HOME=home, PREFECT_API_URL=served.api))
        yield served
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(60)


def _start(library: Path, *command: str, **more: str) -> subprocess.Popen[bytes]:
    with (library.parent / f"{command[0]}.log").open("wb") as log:
        return subprocess.Popen(
            ["prefect", *command], cwd=library, env=environment(library, **more), stdout=log, stderr=log
        )


def _wait_for(api: str) -> None:
    for _ in range(240):
        try:
            if httpx.get(f"{api}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise TimeoutError(api)


def test_a_deployment_run_completes_an_album_for_dvc_too(prefect: Prefect) -> None:
    run = prefect.run("first")
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert [(task["name"], task["state_name"]) for task in prefect.tasks(run)] == [
        (name, "Completed") for name in NAMES
    ]
    assert list((prefect.library / "data" / "albums" / "first" / "completed").glob("*.png"))
    album = "data/albums/first/dvc.yaml"
    assert "up to date" in prefect.call("dvc", "status", album, "dvc.yaml")
    assert ran(prefect.call("dvc", "repro", album)) == []

    artifacts = {artifact["key"]: artifact for artifact in prefect.artifacts(run)}
    assert float(artifacts["first-finetune"]["data"]) == 100
    assert len(json.loads(artifacts["first-ranking"]["data"])) == 2
    assert artifacts["first-result"]["type"] == "image"
    assert artifacts["first-result"]["data"].startswith("data:image/jpeg;base64,")
    assert len(artifacts["first-result"]["data"]) < 200_000


def test_after_dvc_repro_every_task_is_cached(prefect: Prefect) -> None:
    prefect.call("dvc", "repro")
    run = prefect.run("second")
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    tasks = prefect.tasks(run)
    assert [(task["name"], task["state_name"]) for task in tasks] == [(name, "Cached") for name in NAMES]
    assert all("DVC" in task["state"]["message"] for task in tasks)
    assert "up to date" in prefect.call("dvc", "status")


def test_a_failing_album_says_what_to_do_and_is_not_tried_again(prefect: Prefect) -> None:
    target = prefect.library / "data" / "albums" / "first" / "target" / "target.png"
    intact = target.read_bytes()
    target.write_bytes(intact[: len(intact) // 2])
    try:
        run = prefect.run("first")
    finally:
        target.write_bytes(intact)
    assert run["state_type"] == "FAILED"
    assert "PhotoError" in run["state"]["message"]
    assert "target/target.png" in run["state"]["message"]
    assert [(task["name"], task["run_count"]) for task in prefect.tasks(run)] == [("validate", 1)]


def test_an_unknown_album_is_named_with_those_that_there_are(prefect: Prefect) -> None:
    run = prefect.run("third")
    assert run["state_type"] == "FAILED"
    assert "Known: first, second" in run["state"]["message"]


def test_the_flow_runs_without_server_and_worker(prefect: Prefect, tmp_path: Path) -> None:
    prefect.call("dvc", "repro")
    code = "import json; from flows.album import complete_album; print(json.dumps(complete_album('second')))"
    home = str(tmp_path / "home")
    summary = json.loads(call(prefect.library, sys.executable, "-c", code, PREFECT_HOME=home).splitlines()[-1])
    assert summary["album"] == "second"
    assert (prefect.library / summary["photo"]).is_file()
    assert [(stage["stage"], stage["cached"]) for stage in summary["stages"]] == [(name, True) for name in NAMES]


def test_only_errors_that_may_pass_are_tried_again_and_soon() -> None:
    run = TaskRun(task_key="stage", dynamic_key="0")
    assert may_pass(complete_stage, run, Failed(data=OSError("the disk went away")))
    assert not may_pass(complete_stage, run, Failed(data=PhotoError("Broken.", "Replace it.", "a.jpg")))
    delays = complete_stage.retry_delay_seconds
    assert isinstance(delays, list)
    assert len(delays) == complete_stage.retries
    assert max(delays) < 300
