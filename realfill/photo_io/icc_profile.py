"""ICC profiles written for colors that a file tells in another way (ICC.1:2022: a display with a matrix and a curve).

The same arguments give the same bytes: the profiles have no date.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Color = tuple[float, float]  # x and y of CIE 1931
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1, as ICC's parametric curve 3
_D50 = (0.9642, 1.0, 0.8249)  # XYZ of ICC's white
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def write_rgb_profile(name: str, colors: Sequence[Color], gamma: float | None) -> bytes:
    """Write the profile of an RGB space.

    Args:
        name: What it is called; a gamma is added to it.
        colors: Red, green, blue and white.
        gamma: Exponent of the curve; None for that of sRGB.
    """
    matrix, adaptation = _adapt_to_d50(colors)
    columns = {b"%cXYZ" % channel: _xyz(matrix[:, i]) for i, channel in enumerate(b"rgb")}
    curves = {b"%cTRC" % channel: _curve(gamma) for channel in b"rgb"}
    chad = {b"chad": b"sf32\0\0\0\0" + _fixed(adaptation.ravel())}
    return _pack(b"RGB ", _describe(name, gamma) | chad | columns | curves)


def write_gray_profile(name: str, gamma: float) -> bytes:
    """Write the profile of a gray space with a gamma, which is added to its name."""
    return _pack(b"GRAY", _describe(name, gamma) | {b"kTRC": _curve(gamma)})


def to_xyz(colors: Sequence[Color]) -> npt.NDArray[np.float64]:
    """Matrix [3, 3] from linear RGB to XYZ, white of luminance 1; of red, green, blue and white."""
    *primaries, white = colors
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    return columns * np.linalg.solve(columns, (white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]))


def _adapt_to_d50(colors: Sequence[Color]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Matrix [3, 3] from linear RGB to XYZ under D50, and the adaptation in it (Bradford)."""
    matrix = to_xyz(colors)
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ matrix.sum(axis=1))
    adaptation = np.linalg.solve(_BRADFORD, gains[:, None] * _BRADFORD)
    return adaptation @ matrix, adaptation


def _describe(name: str, gamma: float | None) -> dict[bytes, bytes]:
    """The tags that every profile has."""
    name += "" if gamma is None else f", gamma {gamma:g}"
    return {b"desc": _text(name), b"cprt": _text("Public domain"), b"wtpt": _xyz(_D50)}


def _curve(gamma: float | None) -> bytes:
    parameters = _SRGB_CURVE if gamma is None else (gamma,)
    return b"para" + struct.pack(">IHH", 0, 3 if gamma is None else 0, 0) + _fixed(parameters)


def _xyz(color: npt.ArrayLike) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(color)


def _fixed(numbers: npt.ArrayLike) -> bytes:
    """Numbers as ICC's s15Fixed16."""
    return np.rint(np.asarray(numbers) * 65536).astype(">i4").tobytes()


def _text(text: str) -> bytes:
    """An English text as ICC's multiLocalizedUnicodeType."""
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _pack(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """The profile of a display with tags."""
    start = 128 + 4 + 12 * len(tags)
    table, values = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(values), len(value))
        values += value + bytes(-len(value) % 4)
    size, version = start + len(values), 0x04400000
    header = struct.pack(">I4xI4s4s4s12x4s", size, version, b"mntr", space, b"XYZ ", b"acsp")
    return (header + bytes(28) + _fixed(_D50)).ljust(128, b"\0") + table + values
