"""FIXME DOCSTRING."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

NCC_WINDOW = 7  # pixels
_NOISE = 2e-4  # variance of brightness below which nothing can be told
ABSENT = 1.001  # cost where a view does not reach


@dataclass(frozen=True)
class NccPatches:
    """A picture with mean and variance around every pixel."""

    gray: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    valid: np.ndarray | None = None

    @classmethod
    def of(cls, gray: np.ndarray, valid: np.ndarray | None = None) -> NccPatches:
        mean = _box(gray)
        return cls(gray, mean, np.maximum(_box(gray * gray) - mean * mean, 0) + _NOISE, valid)

    def distance(self, other: NccPatches) -> np.ndarray:
        """1 - normalised cross-correlation, at most 1."""
        covariance = _box(self.gray * other.gray) - self.mean * other.mean
        cost: np.ndarray = np.minimum(1 - covariance / np.sqrt(self.variance * other.variance), 1)
        for valid in (self.valid, other.valid):
            if valid is not None:
                cost[~valid] = ABSENT
        return cost


def ncc(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Normalised cross-correlation of the surroundings of every pixel of two pictures [H, W] float32, 0 to 1."""
    similarity: np.ndarray = 1 - NccPatches.of(a).distance(NccPatches.of(b))
    return similarity


def _box(values: np.ndarray) -> np.ndarray:
    mean: np.ndarray = cv2.boxFilter(values, cv2.CV_32F, (NCC_WINDOW, NCC_WINDOW))
    return mean
