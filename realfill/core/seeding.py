"""Random draws keyed by what they are for, so that none depends on how many came before it."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def key(*parts: int | str) -> int:
    """A 63-bit seed that is a pure function of `parts`."""
    hashed = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big") >> 1


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """A NumPy generator keyed by `parts`."""
    return np.random.default_rng(key(*parts))


def torch_generator(*parts: int | str) -> torch.Generator:
    """A CPU PyTorch generator keyed by `parts`: the same numbers whatever the device."""
    return torch.Generator("cpu").manual_seed(key(*parts))
