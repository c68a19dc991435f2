"""Normalized cross-correlation (NCC) of the square windows around every pixel of two pictures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class NccSettings:
    """How windows are compared.

    Attributes:
        window: Side of the window, pixels; set by hand.
        noise_variance: Variance of gray values (0 to 1) that is taken for noise and added to every window's own, so
            that windows without texture correlate little; set by hand.
        invalid_cost: Distance where a picture shows nothing. It lies just above 1, the largest distance of two
            windows, so that such a pixel is the last choice.
    """

    window: int = 7
    noise_variance: float = 2e-4
    invalid_cost: float = 1.001


@dataclass(frozen=True)
class NccPatches:
    """A picture with mean and deviation of the window around every pixel, computed once for many comparisons.

    Attributes:
        gray: [H, W] float32, 0 to 1.
        mean: [H, W] float32.
        deviation: Standard deviation, the noise included, [H, W] float32.
        valid: Where the picture shows anything, bool [H, W]; None: everywhere.
        settings: Window and noise.
    """

    gray: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    valid: np.ndarray | None = None
    settings: NccSettings = NccSettings()

    @classmethod
    def of(
        cls, gray: np.ndarray, valid: np.ndarray | None = None, settings: NccSettings = NccSettings()
    ) -> NccPatches:
        """Compute mean and deviation of a picture [H, W] float32."""
        mean = _box_filter(gray, settings.window)
        variance = _box_filter(gray * gray, settings.window)
        variance -= mean * mean
        np.maximum(variance, 0, out=variance)
        variance += settings.noise_variance
        return cls(gray, mean, np.sqrt(variance, out=variance), valid, settings)

    def crop(self, box: tuple[slice, slice]) -> NccPatches:
        """Return the same for a part of the picture; its windows still reach beyond it, except in comparisons."""
        valid = None if self.valid is None else self.valid[box]
        return NccPatches(self.gray[box], self.mean[box], self.deviation[box], valid, self.settings)

    def distance(self, other: NccPatches) -> np.ndarray:
        """Compute 1 - NCC, at most 1, [H, W] float32; `invalid_cost` where either picture shows nothing."""
        cost = _box_filter(self.gray * other.gray, self.settings.window)
        cost -= self.mean * other.mean  # the covariance
        cost /= self.deviation * other.deviation
        np.subtract(1, cost, out=cost)
        np.minimum(cost, 1, out=cost)
        for valid in (self.valid, other.valid):
            if valid is not None:
                np.putmask(cost, ~valid, np.float32(self.settings.invalid_cost))
        return cost


def ncc(a: np.ndarray, b: np.ndarray, settings: NccSettings = NccSettings()) -> np.ndarray:
    """Compute the NCC of the windows around every pixel.

    Args:
        a: [H, W] float32, 0 to 1.
        b: [H, W] float32, 0 to 1.
        settings: Window and noise.

    Returns:
        [H, W] float32, 0 to 1; negative correlation counts as 0.
    """
    similarity: np.ndarray = 1 - NccPatches.of(a, settings=settings).distance(NccPatches.of(b, settings=settings))
    return similarity


def _box_filter(values: np.ndarray, window: int) -> np.ndarray:
    mean: np.ndarray = cv2.boxFilter(values, cv2.CV_32F, (window, window))
    return mean
