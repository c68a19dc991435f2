"""Prefect's server for one night, where none is named.

Prefect would start one itself: in the process group of the night, so that an interrupt would take it from the night
while that still asks it, and without an end if the night is killed. This one has a session of its own, and ends as
soon as the process that started it does, however that ends.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import uvicorn
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    get_current_settings,
    temporary_settings,
)
from sqlalchemy import make_url

from realfill.core.errors import LibraryError
from realfill.flows.server import describe, reach_loopback_directly

_OWN_SETTINGS = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
_ENDS_IN = 5  # seconds, after which it is killed
_POLL = 0.1  # seconds


@contextmanager
def temporary_server() -> Iterator[None]:
    """Have Prefect use a server of this process inside the block.

    No flow sends heartbeats: nothing looks at them, and each flow would wait a second for their thread to end.

    Raises:
        LibraryError: It cannot be started.
    """
    reach_loopback_directly()
    _require_database()
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        env={**os.environ, **settings, **_OWN_SETTINGS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            address = _wait_for(process)
            with temporary_settings({PREFECT_API_URL: address, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                try:
                    yield
                finally:  # what is sent later would be sent to nobody, for minutes
                    EventsWorker.drain_all(timeout=_ENDS_IN)
                    APILogHandler().flush()
        finally:
            _stop(process)


def _require_database() -> None:
    """Check the database of the temporary server, which would say in a hundred lines that it cannot be used.

    Raises:
        LibraryError: It cannot be opened for writing.
    """
    url = get_current_settings().server.database.connection_url
    address = make_url(url.get_secret_value()) if url else None
    if address is None or not address.database or not address.drivername.startswith("sqlite"):
        return
    path = Path(address.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    except (OSError, sqlite3.Error) as error:
        problem = f"Prefect's database cannot be used ({describe(error)})."
        raise LibraryError(problem, "Mend or remove it, or let PREFECT_HOME name another folder.", path) from error


def _wait_for(process: subprocess.Popen[str]) -> str:
    """Wait until the server answers; its address."""
    assert process.stdout is not None
    port = process.stdout.readline().strip()  # empty if it has ended
    address = f"http://127.0.0.1:{port}/api"
    deadline = time.monotonic() + PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
    while port and process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/health", trust_env=False).is_success:
                return address
        except httpx.HTTPError:
            pass
        time.sleep(_POLL)
    raise LibraryError("Prefect's temporary server does not start.", "`prefect server start` tells more.")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_ENDS_IN)
    except subprocess.TimeoutExpired:
        process.kill()


def _serve() -> None:
    """Print the port, and serve until stopped, or until standard input ends, as it does with the other process."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    app = "prefect.server.api.server:create_app"
    uvicorn.Server(uvicorn.Config(app, factory=True, log_level="error", lifespan="on")).run([listener])


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    _serve()
