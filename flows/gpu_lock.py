"""One album at a time on a machine's GPU, whatever else of other albums goes on there."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.settings import get_current_settings

LEASE = 60.0


def worker() -> str:
    """The name of this machine's worker."""
    return os.environ.get("REALFILL_WORKER") or socket.gethostname()


@contextmanager
def gpu_turn(*, needed: bool = True) -> Iterator[None]:
    """Hold this worker's GPU inside the block; a killed process loses it within two minutes.

    Without a server there is no worker either, and nobody to take turns with.

    Args:
        needed: False where nothing on the GPU is to be done.
    """
    if not needed or not get_current_settings().api.url:
        yield
        return
    limit_gpu(worker())
    with concurrency(f"gpu:{worker()}", lease_duration=LEASE, strict=True, raise_on_lease_renewal_failure=False):
        yield


@cache
def limit_gpu(name: str) -> None:
    """Let one process at a time have a worker's GPU."""
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(f"gpu:{name}", limit=1)
