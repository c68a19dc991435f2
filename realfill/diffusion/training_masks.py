"""FIXME DOCSTRING."""

from __future__ import annotations

import numpy as np


def random_mask(generator: np.random.Generator, side: int) -> np.ndarray:
    """The public implementations' recipe: up to 29 rectangles, inverted half of the time, all ones at 10 %.

    Returns:
        [side, side] bool, True = masked.
    """
    if generator.random() < 0.1:
        return np.ones((side, side), bool)
    mask = np.zeros((side, side), bool)
    shortest, longest, margin = (int(share * side) for share in (0.03, 0.25, 0.01))
    for _ in range(generator.integers(1, 30)):
        width, height = generator.integers(max(shortest, 1), longest, size=2)
        left = generator.integers(margin, side - margin - width + 1)
        top = generator.integers(margin, side - margin - height + 1)
        mask[top : top + height, left : left + width] = True
    return ~mask if generator.random() < 0.5 else mask
