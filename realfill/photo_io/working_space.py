"""The color space that an album is computed in: the smallest of a few RGB spaces that holds the target's colors.

It is sRGB wherever the target's profile is within it. The wider spaces have the primaries of their standards and the
transfer curve of sRGB or a gamma, whichever is nearer to the target's, so that its values hardly change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
from PIL import ImageCms

from realfill.photo_io.icc_transform import profile_problem
from realfill.photo_io.photo import COLOR_MODES, Photo

_Chromaticity = tuple[float, float]  # CIE 1931 x, y
_D50, _D65 = (0.3457, 0.3585), (0.3127, 0.3290)


@dataclass(frozen=True)
class RgbSpace:
    """Chromaticities of an RGB space."""

    white: _Chromaticity
    red: _Chromaticity
    green: _Chromaticity
    blue: _Chromaticity


_SRGB = RgbSpace(_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))  # IEC 61966-2-1
_WIDER = (  # from small to large
    RgbSpace(_D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),  # Display P3
    RgbSpace(_D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),  # Adobe RGB (1998)
    RgbSpace(_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # ITU-R BT.2020
    RgbSpace(_D50, (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),  # ProPhoto RGB, ISO 22028-2
)


@dataclass(frozen=True)
class WorkingSpaceSettings:
    """When a space holds the colors of a profile.

    Attributes:
        tolerance: How far colors may lie outside of the space, in linear light, where 1 is white; set by hand, above
            what the many profiles that are called sRGB differ by.
        grid: Colors along each side of the profile's RGB cube that are tried; set by hand. The gamut of a profile
            with tables may bulge between the corners.
        curve_points: Entries of the table of the transfer curve; set by hand.
        gammas: Least and greatest gamma of a space; set by hand. The gamma of 1 of a linear scan would leave too few
            dark values to 8 bits.
    """

    tolerance: float = 0.02
    grid: int = 9
    curve_points: int = 1024
    gammas: tuple[float, float] = (1.5, 3.0)


def choose_working_profile(photo: Photo, settings: WorkingSpaceSettings = WorkingSpaceSettings()) -> bytes | None:
    """Choose the color space that the album of a target is computed in.

    Args:
        photo: The target.
        settings: When a space holds its colors.

    Returns:
        The ICC profile of the space, the same bytes for the same target; None for sRGB, which serves gray, CMYK and
        photos without a usable profile too.
    """
    if photo.icc is None or COLOR_MODES[photo.pixels.shape[2]] != "rgb" or profile_problem(photo):
        return None
    return _choose_for_profile(photo.icc, settings)


@lru_cache(maxsize=16)
def _choose_for_profile(icc: bytes, settings: WorkingSpaceSettings) -> bytes | None:
    if _holds(_SRGB, icc, settings):
        return None
    space = next((space for space in _WIDER if _holds(space, icc, settings)), _WIDER[-1])
    values = np.linspace(0, 1, settings.curve_points, dtype=np.float32)
    srgb = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    own = _to_linear(np.repeat(values[:, None], 3, axis=1), icc, space)[:, 1].clip(1e-6, 1)
    gamma = float(np.log(np.interp(0.5, values, own)) / np.log(0.5))
    least, greatest = settings.gammas
    if least < gamma < greatest and np.abs(own - values**gamma).max() < np.abs(own - srgb).max():
        return _build_profile(space, gamma=gamma)
    return _build_profile(space, transferfunction=np.stack([srgb] * 3).astype(np.float32))


def _holds(space: RgbSpace, icc: bytes, settings: WorkingSpaceSettings) -> bool:
    """Whether an RGB space holds all colors of an RGB profile."""
    steps = np.linspace(0, 1, settings.grid, dtype=np.float32)
    linear = _to_linear(np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3), icc, space)
    return bool(linear.min() >= -settings.tolerance and linear.max() <= 1 + settings.tolerance)


def _to_linear(colors: np.ndarray, icc: bytes, space: RgbSpace) -> np.ndarray:
    """Convert colors [N, 3] float32 of a profile to linear light in an RGB space; values outside are not clipped."""
    linear: np.ndarray = imagecodecs.cms_transform(
        colors[None],
        icc,
        _build_profile(space, gamma=1.0),
        colorspace="rgb",
        outcolorspace="rgb",
        outdtype="float32",
        intent=int(ImageCms.Intent.RELATIVE_COLORIMETRIC),
        flags=int(ImageCms.Flags.NOOPTIMIZE),
    )
    return linear[0]


def _build_profile(space: RgbSpace, **curve: Any) -> bytes:
    """Build the ICC profile of an RGB space; `curve` is an argument of `imagecodecs.cms_profile`."""
    white, *primaries = ((*chromaticity, 1.0) for chromaticity in (space.white, space.red, space.green, space.blue))
    profile = imagecodecs.cms_profile("rgb", whitepoint=white, primaries=np.ravel(primaries).tolist(), **curve)
    return bytes(profile[:24] + bytes(12) + profile[36:])  # without the time of its making
