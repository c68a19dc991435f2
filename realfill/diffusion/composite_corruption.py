"""Errors that a placed composite is given in tuning, so that the model learns to mend it rather than to copy it.

Without them tuning on placed references made results worse than none at all (GeoComplete, arXiv 2510.03110).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class CompositeCorruptionSettings:
    """How large the errors are; all set by hand, lengths as shares of the window's side R.

    Attributes:
        shift: The largest displacement that changes smoothly; most are much smaller.
        depth_error: The largest displacement of a patch, as a wrong depth makes it.
        patch: Sides of wrong patches, at least and at most.
        light: Standard deviation of the logarithms of gamma and gain.
        balance: The same of each channel's gain.
        missing: The largest share of the composite that is taken away.
    """

    shift: float = 0.015
    depth_error: float = 0.05
    patch: tuple[float, float] = (0.05, 0.2)
    light: float = 0.1
    balance: float = 0.04
    missing: float = 0.3


def corrupt_composite(
    colors: np.ndarray,
    known: np.ndarray,
    generator: np.random.Generator,
    settings: CompositeCorruptionSettings = CompositeCorruptionSettings(),
) -> tuple[np.ndarray, np.ndarray]:
    """Displace a composite, smoothly and by patches, change its light, paint patches white, and take parts away.

    Args:
        colors: [R, R, 3] uint8 sRGB.
        known: Where references are placed, bool [R, R].
        generator: Source of the draws.
        settings: How large the errors are.

    Returns:
        The composite, [R, R, 3] uint8, and where anything is placed, bool [R, R].
    """
    side = len(colors)
    shift = _smooth_noise(generator, side, 2, 4) * (settings.shift * side * generator.random() ** 2)  # [R, R, 2]
    for box in _boxes(generator, side, settings):
        shift[box] += generator.uniform(-1, 1, 2) * settings.depth_error * side
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    places = (columns + shift[..., 0]).astype(np.float32), (rows + shift[..., 1]).astype(np.float32)
    shown = cv2.remap(colors, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT) / np.float32(255)
    placed = cv2.remap(known.astype(np.uint8), *places, cv2.INTER_NEAREST) > 0
    size = generator.random()
    gamma, gain = np.exp(size * settings.light * generator.normal(size=2))
    shown = shown**gamma * gain * np.exp(size * settings.balance * generator.normal(size=3))
    for box in _boxes(generator, side, settings):
        shown[box], placed[box] = 1.0, True
    gaps = _smooth_noise(generator, side, 1, 8)[..., 0]
    placed &= gaps <= np.quantile(gaps, 1 - settings.missing * generator.random())
    return np.rint(shown.clip(0, 1) * 255).astype(np.uint8), placed


def _boxes(
    generator: np.random.Generator, side: int, settings: CompositeCorruptionSettings
) -> list[tuple[slice, slice]]:
    """No box, one or two."""
    boxes = []
    for _ in range(generator.integers(3)):
        height, width = np.rint(generator.uniform(*settings.patch, 2) * side).astype(int)
        top, left = generator.integers(side - height + 1), generator.integers(side - width + 1)
        boxes.append(np.s_[top : top + height, left : left + width])
    return boxes


def _smooth_noise(generator: np.random.Generator, side: int, channels: int, nodes: int) -> np.ndarray:
    """Gaussian noise on `nodes` x `nodes` points, interpolated to [side, side, channels] float32."""
    coarse = generator.normal(size=(nodes, nodes, channels)).astype(np.float32)
    noise = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(noise.reshape(side, side, channels))
