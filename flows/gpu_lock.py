"""One album at a time on a machine's GPU, while other albums are decoded, ranked or exported there."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency

from realfill.flows.server import has_server


@dataclass(frozen=True)
class GpuLockSettings:
    """How a GPU is shared.

    Attributes:
        lease_seconds: How long the server reserves the GPU between two renewals. Prefect renews the lease in the
            background, so this only limits how long a killed process keeps the GPU. 60 is the shortest lease that
            Prefect allows.
    """

    lease_seconds: float = 60.0


def worker_name() -> str:
    """The name of this machine's worker: REALFILL_WORKER, or else the host's name."""
    return os.environ.get("REALFILL_WORKER") or socket.gethostname()


@contextmanager
def gpu_lock(*, needed: bool = True, settings: GpuLockSettings = GpuLockSettings()) -> Iterator[None]:
    """Hold this worker's GPU inside the block; a killed process loses it within two minutes.

    Without a server there are no other runs on this machine to take turns with, and nothing is locked.

    Args:
        needed: False where the block does not use the GPU: nothing is locked then.
        settings: How the GPU is shared.
    """
    if not needed or not has_server():
        yield
        return
    name, lease = worker_name(), settings.lease_seconds
    create_gpu_limit(name)
    with concurrency(f"gpu:{name}", lease_duration=lease, strict=True, raise_on_lease_renewal_failure=False):
        yield


@cache
def create_gpu_limit(name: str) -> None:
    """Create the server's concurrency limit by which one process at a time has a worker's GPU.

    Args:
        name: Name of the worker.
    """
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(f"gpu:{name}", limit=1)
