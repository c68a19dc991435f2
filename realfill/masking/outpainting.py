"""Extension of a photo at its sides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from realfill.core.errors import MaskError
from realfill.imaging.ops import Pixels

if TYPE_CHECKING:
    from realfill.album.settings import AlbumSettings, Outpaint


@dataclass(frozen=True)
class OutpaintingSettings:
    """Limits of `compute_extension`.

    Attributes:
        max_aspect: Aspect ratio, longer side / shorter side, that is taken for a mistake, or above. Set by hand.
    """

    max_aspect: float = 100


@dataclass(frozen=True)
class Extension:
    """Pixels added at each side of the photo."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


def compute_extension(
    settings: AlbumSettings,
    width: int,
    height: int,
    max_megapixels: float,
    outpainting: OutpaintingSettings = OutpaintingSettings(),
) -> Extension:
    """Compute what outpaint or aspect in album.yaml add to a photo.

    Args:
        settings: Content of album.yaml.
        width: Width of the photo, pixels.
        height: Height of the photo, pixels.
        max_megapixels: Limit for the extended photo, 10^6 pixels.
        outpainting: Limits.

    Returns:
        The extension; none where neither is given.

    Raises:
        MaskError: Both are given, they add nothing, the aspect ratio is not plausible, or the result is too large.
    """
    if settings.outpaint and settings.aspect:
        raise MaskError("Both outpaint and aspect are given.", "Remove one of them.")
    if settings.outpaint:
        left, top, right, bottom = _extend_sides(settings.outpaint, width, height)
    elif settings.aspect:
        left, top, right, bottom = _extend_to_aspect(settings.aspect, width, height, outpainting)
    else:
        return Extension()
    area = (width + left + right) * (height + top + bottom)
    if area > max_megapixels * 1e6:
        problem = f"The extended photo would have {area / 1e6:.3g} megapixels; {max_megapixels:g} are allowed."
        raise MaskError(problem, "Extend it less, or raise validate.max_megapixels.")
    extension = Extension(*(_round_half_up(length) for length in (left, top, right, bottom)))
    if extension == Extension():
        raise MaskError("The photo is not extended at any side.", "Change or remove outpaint or aspect.")
    return extension


def extend_image(image: Pixels, extension: Extension, value: int) -> Pixels:
    """Pad an image [H, W] or [H, W, C] of any dtype with a constant value."""
    pads = [(extension.top, extension.bottom), (extension.left, extension.right)] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, pads, constant_values=value)


def _extend_sides(outpaint: Outpaint, width: int, height: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of outpaint, pixels."""
    return (
        _to_pixels(outpaint.left, width),
        _to_pixels(outpaint.top, height),
        _to_pixels(outpaint.right, width),
        _to_pixels(outpaint.bottom, height),
    )


def _to_pixels(length: str, whole: int) -> float:
    """Convert "30%" of `whole` pixels, or "200px"."""
    number = float(length.rstrip("%px "))
    return number * whole / 100 if length.endswith("%") else number


def _extend_to_aspect(
    aspect: str, width: int, height: int, settings: OutpaintingSettings
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, pixels, that give a photo this aspect ratio with the photo in the center."""
    across, down = (float(part) for part in aspect.split(":"))
    if min(across, down) * settings.max_aspect <= max(across, down):
        problem = f"The aspect ratio {aspect!r} is not plausible."
        raise MaskError(problem, 'Write it as width:height, for example "16:9".')
    wide = max(_round_half_up(height * across / down) - width, 0)
    tall = max(_round_half_up(width * down / across) - height, 0)
    return wide // 2, tall // 2, wide - wide // 2, tall - tall // 2


def _round_half_up(value: float) -> int:
    return math.floor(value + 0.5)
