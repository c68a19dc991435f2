"""Random masks under which the model learns an album's photos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RandomMaskSettings:
    """How random training masks are drawn.

    All values are those of the public implementations of RealFill (thuanz123/realfill and diffusers'
    `examples/research_projects/realfill/train_realfill.py`, `make_mask` and `RealFillDataset`).

    Attributes:
        full_probability: Probability of a mask that covers everything.
        inverted_probability: Probability that the rectangles are what is left unmasked.
        max_rectangles: Largest number of rectangles; the number is uniform from 1.
        min_side: Shortest side of a rectangle, share of the image's side; in pixels rounded down.
        max_side: Sides of rectangles are below this share of the image's side.
        margin: Distance of all rectangles from the border, share of the image's side.
    """

    full_probability: float = 0.1
    inverted_probability: float = 0.5
    max_rectangles: int = 29
    min_side: float = 0.03
    max_side: float = 0.25
    margin: float = 0.01


def random_mask(
    generator: np.random.Generator, side: int, settings: RandomMaskSettings = RandomMaskSettings()
) -> np.ndarray:
    """Draw a mask of random rectangles.

    Args:
        generator: Source of the draws.
        side: Side of the mask, pixels.
        settings: Number and size of the rectangles.

    Returns:
        [side, side] bool, True = masked.
    """
    if generator.random() < settings.full_probability:
        return np.ones((side, side), bool)
    mask = np.zeros((side, side), bool)
    shares = settings.min_side, settings.max_side, settings.margin
    shortest, longest, margin = (int(share * side) for share in shares)  # pixels
    for _ in range(generator.integers(1, settings.max_rectangles + 1)):
        width, height = generator.integers(max(shortest, 1), longest, size=2)
        left = generator.integers(margin, side - margin - width + 1)
        top = generator.integers(margin, side - margin - height + 1)
        mask[top : top + height, left : left + width] = True
    return ~mask if generator.random() < settings.inverted_probability else mask
