"""Norms of networks with bfloat16 weights, without autocast's conversions to float32 and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def norms_in_type_of_weights(network: nn.Module) -> Iterator[None]:
    """Let the norms of a network with bfloat16 weights take and return bfloat16 inside the block.

    Autocast converts what they take to float32, and the next layer converts it back. Their kernels sum in float32
    whatever they are given.
    """
    kinds = nn.GroupNorm, nn.LayerNorm
    norms = [module for module in network.modules() if isinstance(module, kinds) and _is_reduced(module)]
    for norm in norms:
        norm.forward = partial(_normalize, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _is_reduced(norm: nn.GroupNorm | nn.LayerNorm) -> bool:
    return isinstance(norm.weight, Tensor) and norm.weight.dtype == torch.bfloat16


def _normalize(norm: Any, values: Tensor) -> Tensor:
    with torch.autocast(values.device.type, enabled=False):
        normalized: Tensor = type(norm).forward(norm, values.to(norm.weight.dtype))
    return normalized
