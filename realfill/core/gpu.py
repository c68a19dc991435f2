"""The machine's GPU: whether there is one, and whose turn it is to use it."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock


def worker_name() -> str:
    """The name of this machine's worker, and of its GPU: REALFILL_WORKER, or else the host's name."""
    return os.environ.get("REALFILL_WORKER") or socket.gethostname()


def has_gpu() -> bool:
    """Whether PyTorch can use a CUDA device. Loads PyTorch, which takes seconds."""
    import torch

    return torch.cuda.is_available()


def gpu_lock(*, needed: bool = True) -> AbstractContextManager[Any]:
    """Make the lock by which one process at a time has this worker's GPU, while others decode, match or export.

    The operating system releases it if the process dies. It can be held again and again.

    Args:
        needed: False where the GPU is not used: nothing is locked then, nor where there is none.
    """
    if not needed or not has_gpu():
        return nullcontext()
    file = f"realfill-{os.getuid()}-{quote(worker_name(), safe='')}.gpu.lock"
    return FileLock(Path(tempfile.gettempdir()) / file)
