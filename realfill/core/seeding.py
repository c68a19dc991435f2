"""Random generators with a seed derived from their purpose.

A draw depends only on the key it is made for, not on how many draws came before it: candidate 3 is the same whether
or not candidates 0 to 2 are drawn first.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(*key: int | str) -> int:
    """Hash a key, such as `("noise", seed, number)`, into a seed of 63 bits (BLAKE2b), 0 or greater."""
    hashed = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big") >> 1


def numpy_generator(*key: int | str) -> np.random.Generator:
    """Create a NumPy generator with the seed of a key."""
    return np.random.default_rng(derive_seed(*key))


def torch_generator(*key: int | str) -> torch.Generator:
    """Create a PyTorch generator with the seed of a key.

    It runs on the CPU, so that it yields the same numbers whatever device they are used on.
    """
    import torch  # takes seconds; the stages that only place and blend pixels do without it

    return torch.Generator("cpu").manual_seed(derive_seed(*key))
