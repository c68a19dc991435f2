"""One album at a time on a machine's GPU."""

import socket
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from realfill.core import gpu
from realfill.core.gpu import gpu_lock, worker_name


def test_a_worker_is_named_by_its_variable_or_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REALFILL_WORKER", raising=False)
    assert worker_name() == socket.gethostname()
    monkeypatch.setenv("REALFILL_WORKER", "gpu-7")
    assert worker_name() == "gpu-7"


def test_one_holder_at_a_time_has_a_gpu_and_nothing_is_locked_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("REALFILL_WORKER", "gpu/7")
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    with gpu_lock(), gpu_lock():
        assert not list(tmp_path.iterdir())
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    with gpu_lock(needed=False):
        assert not list(tmp_path.iterdir())
    lock = gpu_lock()
    for _ in range(2):
        with lock:
            (file,) = tmp_path.iterdir()
            assert "gpu%2F7" in file.name
            other = gpu_lock()
            assert isinstance(other, FileLock)
            assert not other.is_locked
            with pytest.raises(TimeoutError):
                other.acquire(timeout=0)
