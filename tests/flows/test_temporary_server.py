"""The server of a night for which none is named: it outlives an interrupt, and not the night."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prefect import flow
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from realfill.flows.temporary_server import temporary_server

NIGHT = """
import signal, time
from prefect import flow, task
from prefect.settings import get_current_settings
from realfill.flows.temporary_server import temporary_server

@task
def work():
    print(get_current_settings().api.url, flush=True)
    time.sleep(120)

@flow
def night():
    work()

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
with temporary_server():
    night()
"""


@flow
def tell_run() -> str:
    return str(flow_run.get_id())


def test_flows_use_it_and_it_ends_with_the_block() -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        with temporary_server():
            address = str(get_current_settings().api.url)
            assert httpx.get(f"{address}/flow_runs/{tell_run()}").json()["state_name"] == "Completed"
        assert get_current_settings().api.url != address
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/health")


@pytest.mark.parametrize(
    ("send", "sent"),
    [(os.killpg, signal.SIGINT), (os.killpg, signal.SIGTERM), (os.kill, signal.SIGKILL)],
    ids=["Ctrl-C", "timeout", "kill -9"],
)
def test_a_night_that_is_stopped_ends_soon_and_its_server_too(
    send: Callable[[int, int], None], sent: signal.Signals, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    with subprocess.Popen(
        [sys.executable, "-c", NIGHT],
        env=environment | {"PREFECT_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        send(process.pid, sent)
        assert process.wait(30) == -sent
    deadline = time.monotonic() + 30
    while is_there(address):
        assert time.monotonic() < deadline, "the server is left behind"
        time.sleep(0.1)


def is_there(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").is_success
    except httpx.HTTPError:
        return False
