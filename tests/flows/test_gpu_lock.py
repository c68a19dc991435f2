"""One album at a time on a machine's GPU."""

import socket

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from realfill.flows import gpu_lock as module
from realfill.flows.gpu_lock import gpu_lock, worker_name


def test_a_worker_is_named_by_its_variable_or_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REALFILL_WORKER", raising=False)
    assert worker_name() == socket.gethostname()
    monkeypatch.setenv("REALFILL_WORKER", "gpu-7")
    assert worker_name() == "gpu-7"


def test_nothing_is_locked_without_a_server_or_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(module, "create_gpu_limit", fail)
    with temporary_settings(restore_defaults={PREFECT_API_URL}), gpu_lock():
        pass
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        with gpu_lock(needed=False):
            pass
        with pytest.raises(AssertionError, match="gpu-7"):
            monkeypatch.setenv("REALFILL_WORKER", "gpu-7")
            with gpu_lock():
                pass
