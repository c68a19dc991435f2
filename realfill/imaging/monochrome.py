"""Whether a picture is monochrome: black and white, sepia, or toned otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.ops import Pixels


@dataclass(frozen=True)
class MonochromeSettings:
    """How far colors spread around those that lightness alone predicts.

    Gray, sepia and duotone versions of the photos of fifteen albums, as JPEGs and with a scanner's noise, spread by
    up to 6.9, most by less than 5.5; the photos themselves by 8.2 or more.

    Attributes:
        blur: Standard deviation of the Gaussian that takes off noise, pixels; set by hand.
        degree: Degree of the polynomials that predict chroma from lightness: the toning; set by hand.
        percentile: Of the pixels' distances from the prediction; set by hand.
        max_spread: Largest spread of a monochrome picture, CIELAB units; chosen between the values above.
        min_spread: Least spread of a picture that is certainly in color, CIELAB units; set by hand.
    """

    blur: float = 1.5
    degree: int = 3
    percentile: float = 99.0
    max_spread: float = 6.0
    min_spread: float = 12.0


def is_monochrome(image: Pixels, settings: MonochromeSettings = MonochromeSettings()) -> bool:
    """Whether a small picture [h, w, 3] uint8 sRGB has no colors but those of its tones."""
    return color_spread(image, settings) <= settings.max_spread


def is_in_color(image: Pixels, settings: MonochromeSettings = MonochromeSettings()) -> bool:
    """Whether a small picture [h, w, 3] uint8 sRGB certainly has colors of its own."""
    return color_spread(image, settings) >= settings.min_spread


def color_spread(image: Pixels, settings: MonochromeSettings = MonochromeSettings()) -> float:
    """Measure how far colors lie from those that their lightness predicts, CIELAB units.

    Args:
        image: [h, w, 3] uint8 sRGB, some hundred pixels wide.
        settings: How it is measured.
    """
    smooth = cv2.GaussianBlur(image, (0, 0), settings.blur).astype(np.float32) / 255
    lightness, *chroma = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).reshape(-1, 3).T  # [h * w] each
    if lightness.std() < 1:
        return float(np.percentile(np.hypot(*(part - part.mean() for part in chroma)), settings.percentile))
    fit = np.polynomial.Polynomial.fit
    distances = np.hypot(*(part - fit(lightness, part, settings.degree)(lightness) for part in chroma))
    return float(np.percentile(distances, settings.percentile))
