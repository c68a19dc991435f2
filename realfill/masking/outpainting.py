"""FIXME DOCSTRING."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from realfill.album.settings import AlbumSettings
from realfill.core.errors import MaskError
from realfill.imaging.ops import Pixels


@dataclass(frozen=True)
class Extension:
    """Whole pixels added at each side of the photo."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


def read_extension(settings: AlbumSettings, width: int, height: int, max_megapixels: float) -> Extension:
    """What outpaint or aspect add to a photo of width x height pixels.

    Raises:
        MaskError: Both are given, they add nothing, or the canvas would exceed `max_megapixels` (10^6 pixels).
    """
    if settings.outpaint and settings.aspect:
        raise MaskError("There is both outpaint and aspect.", "Leave one of them.")
    if settings.outpaint:
        outpaint = settings.outpaint
        left, right = _pixels(outpaint.left, width), _pixels(outpaint.right, width)
        top, bottom = _pixels(outpaint.top, height), _pixels(outpaint.bottom, height)
    elif settings.aspect:
        left, top, right, bottom = _centred(settings.aspect, width, height)
    else:
        return Extension()
    area = (width + left + right) * (height + top + bottom)
    if area > max_megapixels * 1e6:
        problem = f"The extended photo would have {area / 1e6:.3g} megapixels; {max_megapixels:g} are allowed."
        raise MaskError(problem, "Extend it less, or raise validate.max_megapixels.")
    extension = Extension(_rounded(left), _rounded(top), _rounded(right), _rounded(bottom))
    if extension == Extension():
        raise MaskError("The photo is not extended at any side.", "Give another outpaint or aspect, or none.")
    return extension


def _pixels(length: str, whole: int) -> float:
    number = float(length.rstrip("%px "))
    return number * whole / 100 if length.endswith("%") else number


def _centred(aspect: str, width: int, height: int) -> tuple[float, float, float, float]:
    across, down = (float(part) for part in aspect.split(":"))
    if min(across, down) * 100 <= max(across, down):
        raise MaskError(f"No photo has the aspect {aspect!r}.", 'Write it as width:height, such as "16:9".')
    wide = max(_rounded(height * across / down) - width, 0)
    tall = max(_rounded(width * down / across) - height, 0)
    return wide // 2, tall // 2, wide - wide // 2, tall - tall // 2


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)


def extend(picture: Pixels, by: Extension, value: int) -> Pixels:
    pads = [(by.top, by.bottom), (by.left, by.right)] + [(0, 0)] * (picture.ndim - 2)
    return np.pad(picture, pads, constant_values=value)
