"""How much memory a piece of work took at its peak."""

from __future__ import annotations

import re
from pathlib import Path

import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def has_gpu() -> bool:
    """Whether there is a GPU to work on."""
    return bool(torch.cuda.is_available())


def reset_peaks() -> None:
    """Begin to measure anew."""
    _CLEAR.write_text("5")
    if has_gpu():
        torch.cuda.reset_peak_memory_stats()


def peaks() -> dict[str, float]:
    """The peaks since then: "gigabytes" of the process, "gpu_gigabytes" on the GPU, in 10^9 bytes."""
    kilobytes = re.search(r"VmHWM:\s+(\d+)", _STATUS.read_text())
    used = torch.cuda.max_memory_allocated() if has_gpu() else 0
    return {"gigabytes": int(kilobytes[1]) * 1024 / 1e9 if kilobytes else 0.0, "gpu_gigabytes": used / 1e9}
