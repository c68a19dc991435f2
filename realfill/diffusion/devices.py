"""Where networks run: device and precision, layout in memory, order of sums, and errors of short memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from realfill.core.errors import ModelError

CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
CUBLAS_WORKSPACES = ":4096:8", ":16:8"


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
    if not on_cpu:
        _fix_order_of_products()
    usual = "no" if on_cpu else "bf16"
    mixed_precision = {"auto": usual, "nf4": usual}.get(precision, precision)
    return Accelerator(cpu=on_cpu, mixed_precision=mixed_precision)


def _fix_order_of_products() -> None:
    """Let cuBLAS sum in a fixed order; read at the first product (PyTorch's `use_deterministic_algorithms`)."""
    if os.environ.get(CUBLAS_VARIABLE) not in CUBLAS_WORKSPACES:
        os.environ[CUBLAS_VARIABLE] = CUBLAS_WORKSPACES[0]


def memory_format(device: torch.device) -> torch.memory_format:
    """How networks and their activations lie in memory: as convolutions like it on the CPU, as norms do on CUDA.

    CUDA's group norm takes contiguous values alone. At Stable Diffusion 2's size and batch 16 a tuning step took
    .132 s that way and .145 s with channels last (H200, CUDA graphs, sums in any order).
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
    before = torch.are_deterministic_algorithms_enabled(), deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = False  # which would find errors, and takes time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        deterministic.fill_uninitialized_memory = before[1]


def move_batch(batch: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A batch on the device; on CUDA without waiting for it."""
    if device.type != "cuda":
        return {name: value.to(device) for name, value in batch.items()}
    return {name: value.pin_memory().to(device, non_blocking=True) for name, value in batch.items()}


def split_batch(batch: Mapping[str, Tensor], size: int) -> list[dict[str, Tensor]]:
    """A batch of tensors [B, ...] in pieces of a number of samples; the last may be smaller."""
    pieces = zip(*(value.split(size) for value in batch.values()), strict=True)
    return [dict(zip(batch, values, strict=True)) for values in pieces]


def has_room(device: torch.device, gigabytes: float) -> bool:
    """Whether the GPU has this much memory to spare, 10^9 bytes: a quarter more is free. The CPU never has."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return 1.25 * gigabytes * 1e9 < free + cached


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory is short, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    messages = "can't allocate memory", "not enough memory", "out of memory"  # of the CPU, twice; of the driver
    return any(message in str(error) for message in messages)
