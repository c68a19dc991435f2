"""Peak memory use of the process and of its GPU, over an interval (Linux).

PyTorch is asked only if something has loaded it: without it nothing of the process is on a GPU, and loading it takes
seconds.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def has_gpu() -> bool:
    """Whether PyTorch was loaded and can use a CUDA device."""
    return _loaded_torch() is not None


def reset_peaks() -> None:
    """Start a new interval: forget the peaks so far."""
    _CLEAR_REFS.write_text("5")  # resets the resident set's peak, VmHWM (man proc_pid_clear_refs)
    torch = _loaded_torch()
    if torch is not None:
        torch.cuda.reset_peak_memory_stats()


def read_peaks() -> dict[str, float]:
    """Read the peaks since the last `reset_peaks`.

    Returns:
        "gigabytes": resident memory of the process; "gpu_gigabytes": memory that PyTorch allocated on the GPU, 0
        without one. Both in 10^9 bytes.
    """
    kibibytes = re.search(r"VmHWM:\s+(\d+)", _STATUS.read_text())
    torch = _loaded_torch()
    gpu_bytes = torch.cuda.max_memory_allocated() if torch is not None else 0
    return {"gigabytes": int(kibibytes[1]) * 1024 / 1e9 if kibibytes else 0.0, "gpu_gigabytes": gpu_bytes / 1e9}


def _loaded_torch() -> ModuleType | None:
    """PyTorch, if something has loaded it and it can use a CUDA device."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_available() else None
