"""Where networks run: device and precision, layout in memory, order of sums, and errors of short memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from realfill.core.errors import ModelError


def create_accelerator(device: str, precision: str) -> Any:
    """Choose device and precision; "auto" is bfloat16 on CUDA and float32 on the CPU.

    Args:
        device: "auto", "cuda" or "cpu".
        precision: As in the parameters.

    Raises:
        ModelError: There is no such device.
    """
    from accelerate import Accelerator

    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise ModelError("No CUDA device is visible.", "Set base.device to auto or cpu, or repair the driver.")
    on_cpu = device == "cpu" or not has_cuda
    # the backward pass of cuDNN's attention broke off with an illegal memory access at FLUX.1 Fill's size
    # (H100, PyTorch 2.11); flash attention does not
    torch.backends.cuda.enable_cudnn_sdp(False)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once; sums in a fixed order
    usual = "no" if on_cpu else "bf16"
    mixed_precision = {"auto": usual, "nf4": usual}.get(precision, precision)
    return Accelerator(cpu=on_cpu, mixed_precision=mixed_precision)


def memory_format(device: torch.device) -> torch.memory_format:
    """How networks and their activations lie in memory: as convolutions like it on the CPU, as norms do on CUDA.

    CUDA's group norm takes contiguous values alone. At Stable Diffusion 2's size and batch 16 a tuning step took
    .132 s that way and .145 s with channels last (H200, CUDA graphs).
    """
    return torch.contiguous_format if device.type == "cuda" else torch.channels_last


@contextmanager
def deterministic_algorithms(device: torch.device) -> Iterator[None]:
    """Let CUDA sum in a fixed order inside the block; the CPU does so always.

    cuBLAS also needs `CUBLAS_WORKSPACE_CONFIG`, which `create_accelerator` sets before the first product.
    """
    if device.type != "cuda":
        yield
        return
    deterministic: Any = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False  # which would find errors, and takes time
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory is short, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)  # PyTorch's on the CPU
