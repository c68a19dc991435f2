"""Peak memory use of the process and of its GPU, over an interval (Linux)."""

from __future__ import annotations

import re
from pathlib import Path

import torch

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def has_gpu() -> bool:
    """Whether PyTorch can use a CUDA device."""
    return bool(torch.cuda.is_available())


def reset_peaks() -> None:
    """Start a new interval: forget the peaks so far."""
    _CLEAR_REFS.write_text("5")  # resets the resident set's peak, VmHWM (man proc_pid_clear_refs)
    if has_gpu():
        torch.cuda.reset_peak_memory_stats()


def read_peaks() -> dict[str, float]:
    """Read the peaks since the last `reset_peaks`.

    Returns:
        "gigabytes": resident memory of the process; "gpu_gigabytes": memory that PyTorch allocated on the GPU, 0
        without one. Both in 10^9 bytes.
    """
    kibibytes = re.search(r"VmHWM:\s+(\d+)", _STATUS.read_text())
    gpu_bytes = torch.cuda.max_memory_allocated() if has_gpu() else 0
    return {"gigabytes": int(kibibytes[1]) * 1024 / 1e9 if kibibytes else 0.0, "gpu_gigabytes": gpu_bytes / 1e9}
