"""Sharpness matching: scale the detail of a reference, frequency band by band, to the strength of the target's."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class SharpnessSettings:
    """How the strength of detail is measured and limited.

    Attributes:
        scales: Standard deviations of the Gaussians between the frequency bands, pixels of the full-size photo, the
            finest first; set by hand. With them the confident parts of castle-front and tree-mouth had .97 to 1.02 of
            the truth's energy of detail finer than 1, 2 and 4 pixels.
        window: Side of the box over which the strength of detail is averaged, pixels; set by hand.
        min_detail: Mean absolute value of a band, in 0..1, below which a place is not compared; set by hand.
        min_gain: Smallest gain of a band; set by hand.
        max_gain: Largest gain of a band; set by hand.
    """

    scales: tuple[float, ...] = (1.0, 2.0, 4.0)
    window: int = 33
    min_detail: float = 0.002
    min_gain: float = 0.8
    max_gain: float = 2.0


@dataclass(frozen=True)
class BandGains:
    """A gain for each frequency band of a picture.

    Attributes:
        scales: See `SharpnessSettings.scales`.
        gains: The gain of each band, the finest first; more than 1 sharpens.
    """

    scales: tuple[float, ...]
    gains: tuple[float, ...]

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Multiply the bands of an image [H, W, 3] float32 by their gains; the rest stays. [H, W, 3] float32."""
        *bands, image = _split_bands(image, self.scales)
        for gain, band in zip(self.gains, bands, strict=True):
            image = image + np.float32(gain) * band
        return image


def estimate_band_gains(
    reference: np.ndarray,
    target: np.ndarray,
    shared: np.ndarray,
    settings: SharpnessSettings = SharpnessSettings(),
) -> BandGains:
    """Estimate how much stronger the target's detail is than a reference's in each frequency band.

    The gain of a band is the median ratio of the two pictures' local mean absolute values; 1 where there is nothing
    to compare.

    Args:
        reference: The reference in the target's view and colors, at full size, [H, W, 3] float32 RGB in 0..1.
        target: [H, W, 3] float32 RGB in 0..1.
        shared: Where both show the same, bool [H, W].
        settings: How the strength of detail is measured and limited.
    """
    target_bands, reference_bands = (
        _split_bands(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), settings.scales)[:-1] for image in (target, reference)
    )
    gains = []
    for bands in zip(target_bands, reference_bands, strict=True):
        size = (settings.window, settings.window)
        wanted, given = (cv2.blur(np.abs(band), size)[shared] for band in bands)  # [N]
        textured = (wanted > settings.min_detail) & (given > settings.min_detail)
        ratio = np.median(wanted[textured] / given[textured]) if textured.any() else 1.0
        gains.append(float(np.clip(ratio, settings.min_gain, settings.max_gain)))
    return BandGains(settings.scales, tuple(gains))


def _split_bands(image: np.ndarray, scales: tuple[float, ...]) -> list[np.ndarray]:
    """Split an image into what is finer than each scale, the finest first, and the rest; they sum to the image."""
    bands = []
    for scale in scales:
        coarser = cv2.GaussianBlur(image, (0, 0), scale)
        bands.append(image - coarser)
        image = coarser
    return [*bands, image]
