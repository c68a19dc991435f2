"""What a PNG (third edition) tells of its colors besides an ICC profile: the chunks cICP, sRGB, gAMA and cHRM."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from realfill.photo_io.cicp import BT_709, PRIMARIES, CodePoints
from realfill.photo_io.icc_profile import write_gray_profile, write_rgb_profile

Chunk = tuple[bytes, bytes]
"""Name and data."""

COLOR_CHUNKS = (b"cICP", b"sRGB", b"gAMA", b"cHRM")
_SRGB_COLORS = PRIMARIES[BT_709][1:]
_FULL_RANGE_RGB = (0, 1)  # matrix coefficients and range of cICP; no others are for PNG


@dataclass(frozen=True)
class PngColorSettings:
    """How gAMA and cHRM of PNGs are read.

    Attributes:
        exponent_tolerance: Relative difference from 1 / 2.2 up to which gAMA means the curve of sRGB; libpng's.
        color_tolerance: Difference from the x and y of sRGB up to which cHRM means sRGB. Set by hand: some programs
            write three digits.
        least_exponent: Smaller values of gAMA make no sense. Set by hand.
        largest_exponent: Larger ones neither. Set by hand.
        least_area: Least area of the triangle of the primaries in x and y. Set by hand; sRGB's is 0.11.
    """

    exponent_tolerance: float = 0.05
    color_tolerance: float = 0.005
    least_exponent: float = 0.2
    largest_exponent: float = 2.0
    least_area: float = 0.01


def read_png_code_points(file: BinaryIO) -> CodePoints | None:
    """The code points of a PNG (chunk `cICP`, which counts more than an ICC profile), or None."""
    file.seek(8)  # behind the signature
    while len(header := file.read(8)) == 8 and header[4:] != b"IDAT":
        size = int.from_bytes(header[:4])
        if header[4:] == b"cICP" and size == 4:
            return _parse_code_points(file.read(4))
        file.seek(size + 4, io.SEEK_CUR)  # a checksum follows the data
    return None


def read_png_colors(
    info: Mapping[str, Any], *, gray: bool = False, settings: PngColorSettings = PngColorSettings()
) -> tuple[bytes | None, str]:
    """Express the gAMA and cHRM of a PNG that tells nothing better of its colors by an ICC profile.

    Args:
        info: What Pillow read of it: "gamma" and "chromaticity", each optional.
        gray: Whether it is gray, of which gAMA alone tells.
        settings: How near to sRGB counts as sRGB.

    Returns:
        The profile, None for sRGB; a warning, or an empty string.
    """
    exponent = info.get("gamma", 1 / 2.2)
    told = None if gray else info.get("chromaticity")
    white, *colors = np.reshape(told or [_SRGB_COLORS[3], *_SRGB_COLORS[:3]], (4, 2)).tolist()
    area = abs(np.linalg.det(np.c_[colors, np.ones(3)])) / 2
    is_usable = settings.least_exponent <= exponent <= settings.largest_exponent and area >= settings.least_area
    if not is_usable or not all(0 <= x <= 1 and 0 < y <= 1 for x, y in (white, *colors)):
        return None, "Its color space (gAMA, cHRM) makes no sense; sRGB is assumed."
    is_srgb_curve = _is_srgb_exponent(exponent, settings)
    if is_srgb_curve and (gray or _are_srgb_colors([*colors, white], settings)):
        return None, ""
    if gray:
        return write_gray_profile("PNG", 1 / exponent), ""
    return write_rgb_profile("PNG", [*colors, white], None if is_srgb_curve else 1 / exponent), ""


def keep_true_chunks(
    chunks: Iterable[Chunk], *, has_profile: bool, settings: PngColorSettings = PngColorSettings()
) -> tuple[Chunk, ...]:
    """The chunks on colors of an original that are true of the finished photo, so that no two contradict each other.

    Args:
        chunks: The original's, in any order.
        has_profile: Whether the finished photo has an ICC profile, which then tells alone; otherwise it is sRGB.
        settings: How near to sRGB counts as sRGB.
    """
    return () if has_profile else tuple(chunk for chunk in chunks if _says_srgb(*chunk, settings))


def _says_srgb(name: bytes, data: bytes, settings: PngColorSettings) -> bool:
    numbers = np.frombuffer(data[: len(data) // 4 * 4], ">u4") / 100_000
    match name:
        case b"cICP":
            codes = _parse_code_points(data)
            return codes is not None and codes.is_srgb
        case b"gAMA":
            return len(numbers) == 1 and _is_srgb_exponent(float(numbers[0]), settings)
        case b"cHRM":
            return len(numbers) == 8 and _are_srgb_colors(numbers.reshape(-1, 2)[[1, 2, 3, 0]], settings)
    return name == b"sRGB"


def _parse_code_points(data: bytes) -> CodePoints | None:
    if len(data) != 4:
        return None
    primaries, transfer, *others = data
    codes = CodePoints(primaries, transfer)
    return codes if tuple(others) == _FULL_RANGE_RGB and codes != CodePoints() else None


def _is_srgb_exponent(exponent: float, settings: PngColorSettings) -> bool:
    return abs(exponent * 2.2 - 1) < settings.exponent_tolerance


def _are_srgb_colors(colors: npt.ArrayLike, settings: PngColorSettings) -> bool:
    """Whether red, green, blue and white are those of sRGB."""
    return bool(np.abs(np.subtract(colors, _SRGB_COLORS)).max() < settings.color_tolerance)
