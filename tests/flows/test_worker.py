"""A machine that works for a pool."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    monkeypatch.setattr(worker, "require_server", lambda: None)
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
    (library / "data").mkdir()
    monkeypatch.setenv("REALFILL_LIBRARY", str(library / "data"))
    assert enter_library() == {"directory": str(library)}


@pytest.mark.parametrize("inside", [True, False])
def test_without_a_name_the_clone_is_where_the_run_or_its_worker_was_started(
    inside: bool, library: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REALFILL_LIBRARY", raising=False)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    run = "from realfill.flows.worker import enter_library; print(enter_library()['directory'])"
    worker = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[2]], cwd=sys.argv[1])"
    started = library / "pipelines" if inside else elsewhere
    done = subprocess.run(
        [sys.executable, "-c", worker, str(elsewhere), run], cwd=started, capture_output=True, text=True, check=False
    )
    if inside:
        assert done.stdout == f"{library}\n"
    else:
        assert "realfill fleet work" in done.stderr


def test_a_signal_to_terminate_is_passed_on(library: Path) -> None:
    code = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    before = signal.getsignal(signal.SIGTERM)
    assert worker._run_process([sys.executable, "-c", code], library, dict(os.environ)) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_arrives_while_the_process_starts_is_passed_on(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen

    def start_late(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", start_late)
    code = "import signal; signal.pause()"
    assert worker._run_process([sys.executable, "-c", code], library, dict(os.environ)) == -signal.SIGTERM
