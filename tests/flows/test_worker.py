"""A machine that works for a pool."""

import os
import signal
import sys
from pathlib import Path

import pytest

from realfill.core.errors import LibraryError
from realfill.flows import worker
from realfill.flows.worker import WorkerSettings, enter_library, run_worker


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a library, with a server that is always there."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "album.dvc.yaml").touch()
    for name in ("require_server", "wait_for_server"):
        monkeypatch.setattr(worker, name, lambda: None)
    monkeypatch.setattr(worker, "create_gpu_limit", lambda name: None)
    return tmp_path


@pytest.mark.parametrize("last", [0, -signal.SIGTERM, -signal.SIGINT])
def test_a_worker_that_dies_is_started_again_and_one_that_is_stopped_is_not(
    last: int, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = [1, -signal.SIGKILL, last]
    commands: list[list[str]] = []

    def run(command: list[str], folder: Path, environment: dict[str, str]) -> int:
        assert folder == library
        assert (environment["REALFILL_LIBRARY"], environment["REALFILL_WORKER"]) == (str(library), "gpu-7")
        commands.append(command)
        return codes.pop(0)

    monkeypatch.setattr(worker, "_run_process", run)
    assert run_worker(library, "realfill", "gpu-7", WorkerSettings(runs=3, restart_seconds=0)) == last
    assert len(commands) == 3
    assert " ".join(commands[0]).endswith("worker start --pool realfill --name gpu-7 --limit 3 --type process")


def test_only_a_library_is_worked_for(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="not a library"):
        run_worker(tmp_path, "realfill")


def test_a_run_begins_in_the_clone_of_its_machine(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library.parent)
    monkeypatch.setenv("REALFILL_LIBRARY", str(library))
    assert enter_library() == {"directory": str(library)}
    assert Path.cwd() == library
    monkeypatch.delenv("REALFILL_LIBRARY")
    enter_library()
    assert (Path.cwd() / "flows" / "worker.py").is_file()


def test_a_signal_to_terminate_is_passed_on(library: Path) -> None:
    code = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    before = signal.getsignal(signal.SIGTERM)
    assert worker._run_process([sys.executable, "-c", code], library, dict(os.environ)) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
