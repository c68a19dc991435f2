"""Multi-band blending with Laplacian pyramids (Burt and Adelson, ACM Transactions on Graphics 1983)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np


def blend_pyramids(layers: Iterable[tuple[np.ndarray, np.ndarray]], levels: int) -> np.ndarray:
    """Sum weighted images band by band: the coarser a band, the smoother its weight.

    Args:
        layers: At least one image [H, W] or [H, W, C] float32 with its weight [H, W] float32, 0 to 1; all of one
            size. One layer is read at a time, so a generator keeps only one in memory.
        levels: Number of bands above the coarsest one; 0 is plain weighting.

    Returns:
        The weighted sum, of the images' shape, float32.
    """
    bands: list[np.ndarray] = []  # finest first
    for image, weight in layers:
        for level, band in enumerate(_weighted_bands(image, weight, levels)):
            if level < len(bands):
                bands[level] += band
            else:
                bands.append(band)
    return _collapse(bands)


def _weighted_bands(image: np.ndarray, weight: np.ndarray, levels: int) -> Iterator[np.ndarray]:
    """Multiply an image's Laplacian pyramid by the Gaussian pyramid of its weight, finest band first."""
    channels = (...,) if image.ndim == 2 else (..., None)
    for _ in range(levels):
        coarse = cv2.pyrDown(image)
        yield weight[channels] * (image - cv2.pyrUp(coarse, dstsize=image.shape[1::-1]))
        image, weight = coarse, cv2.pyrDown(weight)
    yield weight[channels] * image


def _collapse(bands: list[np.ndarray]) -> np.ndarray:
    """Add the bands of a Laplacian pyramid, finest first, to one image."""
    image = bands[-1]
    for band in reversed(bands[:-1]):
        image = cv2.pyrUp(image, dstsize=band.shape[1::-1]) + band
    return np.asarray(image)
