"""Colors told by numbers: code points (CICP, ITU-T H.273) of HEIC, AVIF and PNG; `gAMA` and `cHRM` of PNG.

A color space of standard range becomes an ICC profile. High dynamic range (PQ, HLG) is mapped to standard range, so
that all else need not know of it: an approximation, as such photos look different on every screen.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from realfill.imaging.ops import Pixels

Color = tuple[float, float]  # x and y of CIE 1931
_UNSPECIFIED, _BT_709 = 2, 1  # color primaries
_PQ, _HLG = 16, 18  # transfer characteristics
_SRGB_CURVES = (1, 2, 6, 11, 12, 13, 14, 15)  # video's curves are displayed by about that of sRGB
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_PRIMARIES = {  # name, and x and y of red, green, blue and white, by color primaries
    4: ("BT.470 M", (0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ("BT.601 625", (0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ("BT.601 525", (0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ("SMPTE 240M", (0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    _BT_709: ("BT.709", (0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65),
    9: ("BT.2020", (0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ("DCI-P3", (0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ("Display P3", (0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ("EBU 3213", (0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1, as ICC's parametric curve 3
_D50 = (0.9642, 1.0, 0.8249)  # XYZ of ICC's white
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_PQ_M1, _PQ_M2 = 2610 / 16384, 2523 / 32  # SMPTE ST 2084
_PQ_C1, _PQ_C2, _PQ_C3 = 3424 / 4096, 2413 / 128, 2392 / 128
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073  # ITU-R BT.2100


@dataclass(frozen=True)
class ToneMapSettings:
    """How high dynamic range is mapped to standard range.

    Attributes:
        white: Luminance that becomes white, candela per square meter; ITU-R BT.2408's for HDR graphics.
        hlg_peak: Luminance of HLG's brightest white, candela per square meter; the nominal one of BT.2100.
        hlg_gamma: Exponent of HLG's display for that peak (BT.2100).
        peak_percentile: Brighter pixels do not count for the photo's peak, percent; set by hand.
        sample_step: Every so many rows and columns are looked at for the peak; set by hand.
        strip_rows: Rows that are mapped at once, which bounds the memory; set by hand.
    """

    white: float = 203.0
    hlg_peak: float = 1000.0
    hlg_gamma: float = 1.2
    peak_percentile: float = 99.9
    sample_step: int = 4
    strip_rows: int = 256


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


@dataclass(frozen=True)
class CodePoints:
    """Color primaries and transfer characteristics, as in H.273, tables 2 and 3."""

    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED

    def interpret(
        self, samples: Pixels, settings: ToneMapSettings = ToneMapSettings()
    ) -> tuple[Pixels, bytes | None, str]:
        """Express the colors by an ICC profile.

        Args:
            samples: [H, W, C] uint8 or uint16; RGB, or RGB with alpha. Gray is returned as it is.
            settings: How high dynamic range is mapped.

        Returns:
            The samples, of uint16 if they were mapped from high dynamic range; the profile, None for sRGB; a warning,
            or an empty string.
        """
        if samples.ndim < 3 or samples.shape[2] < 3:
            return samples, None, ""
        primaries = self.primaries if self.primaries in _PRIMARIES else _BT_709
        if self.transfer in (_PQ, _HLG):
            kind = "PQ" if self.transfer == _PQ else "HLG"
            warning = f"Its high dynamic range ({kind}) was mapped to standard range: its look is approximate."
            return self._map_tones(samples, settings), make_profile(primaries), warning
        gamma = _GAMMAS.get(self.transfer)
        is_known = self.primaries in (*_PRIMARIES, _UNSPECIFIED) and (gamma or self.transfer in _SRGB_CURVES)
        warning = "" if is_known else "Its color space is unknown; sRGB is assumed."
        return samples, make_profile(primaries, gamma), warning

    def _map_tones(self, samples: Pixels, settings: ToneMapSettings) -> Pixels:
        """Map the colors of samples [H, W, C] to standard range with the curve of sRGB, uint16; alpha stays."""
        deep = samples if samples.dtype == np.uint16 else samples.astype(np.uint16) * np.uint16(257)
        mapped = np.empty_like(deep)
        mapped[..., 3:] = deep[..., 3:]
        step = settings.sample_step
        light = self._to_light(deep[::step, ::step, :3], settings)
        peak = float(np.percentile(light.max(axis=2), settings.peak_percentile))
        luminances, factors = _tone_curve(peak, settings.white)
        curve = _encode_srgb(np.linspace(0, 1, 65536))  # by linear light of 16 bits
        for top in range(0, len(deep), settings.strip_rows):
            strip = slice(top, top + settings.strip_rows)
            light = self._to_light(deep[strip, :, :3], settings)
            light *= np.interp(light.max(axis=2), luminances, factors)[..., None]
            codes = np.rint(light.clip(0, settings.white) * (65535 / settings.white)).astype(np.uint16)
            mapped[strip, :, :3] = curve[codes]
        return mapped

    def _to_light(self, colors: Pixels, settings: ToneMapSettings) -> npt.NDArray[np.float32]:
        """Luminance of each channel on a display, candela per square meter, of colors [h, w, 3] uint16."""
        codes = np.linspace(0, 1, 65536)
        if self.transfer == _PQ:
            return _decode_pq(codes).astype(np.float32)[colors]
        scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - _HLG_C) / _HLG_A) + _HLG_B) / 12)
        light = scene.astype(np.float32)[colors]  # [h, w, 3], 0 to 1
        weights = _to_xyz(_PRIMARIES[self.primaries if self.primaries in _PRIMARIES else _BT_709][1:])[1]
        luma = np.maximum(light @ weights.astype(np.float32), np.float32(1e-6))
        return light * (settings.hlg_peak * luma ** (settings.hlg_gamma - 1))[..., None]


def read_png_code_points(file: BinaryIO) -> CodePoints | None:
    """The code points of a PNG (chunk `cICP`, which counts more than an ICC profile), or None."""
    file.seek(8)  # behind the signature
    while len(header := file.read(8)) == 8 and header[4:] != b"IDAT":
        size = int.from_bytes(header[:4])
        if header[4:] == b"cICP" and size == 4:
            primaries, transfer, matrix, full_range = file.read(4)
            return CodePoints(primaries, transfer) if (matrix, full_range) == (0, 1) else None
        file.seek(size + 4, io.SEEK_CUR)  # a checksum follows the data
    return None


def make_profile(primaries: int, gamma: float | None = None) -> bytes | None:
    """An ICC profile (ICC.1:2022, of a display with a matrix and a curve).

    The same arguments give the same bytes: the profile has no date.

    Args:
        primaries: Color primaries (H.273, table 2).
        gamma: Exponent of the curve; None for that of sRGB.

    Returns:
        The profile, or None for sRGB.
    """
    if primaries == _BT_709 and gamma is None:
        return None
    name, *colors = _PRIMARIES[primaries]
    return _write_profile(name, colors, gamma)


def read_png_colors(
    info: Mapping[str, Any], settings: PngColorSettings = PngColorSettings()
) -> tuple[bytes | None, str]:
    """Express the gAMA and cHRM of a PNG that tells nothing better of its colors by an ICC profile.

    Args:
        info: What Pillow read of it: "gamma" and "chromaticity", each optional.
        settings: How near to sRGB counts as sRGB.

    Returns:
        The profile, None for sRGB; a warning, or an empty string.
    """
    exponent = info.get("gamma", 1 / 2.2)
    white, *colors = np.reshape(info.get("chromaticity", [_D65, *_PRIMARIES[_BT_709][1:4]]), (4, 2)).tolist()
    area = abs(np.linalg.det(np.c_[colors, np.ones(3)])) / 2
    is_usable = settings.least_exponent <= exponent <= settings.largest_exponent and area >= settings.least_area
    if not is_usable or not all(0 <= x <= 1 and 0 < y <= 1 for x, y in (white, *colors)):
        return None, "Its color space (gAMA, cHRM) makes no sense; sRGB is assumed."
    is_srgb_curve = abs(exponent * 2.2 - 1) < settings.exponent_tolerance
    differences = np.abs(np.subtract([*colors, white], _PRIMARIES[_BT_709][1:]))
    if is_srgb_curve and differences.max() < settings.color_tolerance:
        return None, ""
    return _write_profile("PNG", [*colors, white], None if is_srgb_curve else 1 / exponent), ""


def _write_profile(name: str, colors: Sequence[Color], gamma: float | None) -> bytes:
    """An ICC profile of red, green, blue and white (x, y), and a curve as `make_profile` has it."""
    name += "" if gamma is None else f", gamma {gamma:g}"
    matrix, adaptation = _adapt_to_d50(colors)
    curve = _SRGB_CURVE if gamma is None else (gamma,)
    parametric = b"para" + struct.pack(">IHH", 0, 3 if gamma is None else 0, 0) + _fixed(curve)
    tags = {
        b"desc": _text(name),
        b"cprt": _text("Public domain"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(_D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(adaptation.ravel()),
        **{b"%cXYZ" % channel: b"XYZ \0\0\0\0" + _fixed(matrix[:, i]) for i, channel in enumerate(b"rgb")},
        **{b"%cTRC" % channel: parametric for channel in b"rgb"},
    }
    start = 128 + 4 + 12 * len(tags)
    table, values = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(values), len(value))
        values += value + bytes(-len(value) % 4)
    size, version = start + len(values), 0x04400000
    header = struct.pack(">I4xI4s4s4s12x4s", size, version, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return (header + bytes(28) + _fixed(_D50)).ljust(128, b"\0") + table + values


def _decode_pq(codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Luminance, candela per square meter, of PQ codes 0 to 1."""
    power = codes ** (1 / _PQ_M2)
    return 10_000 * (np.maximum(power - _PQ_C1, 0) / (_PQ_C2 - _PQ_C3 * power)) ** (1 / _PQ_M1)


def _encode_pq(luminance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    power = (luminance / 10_000) ** _PQ_M1
    return ((_PQ_C1 + _PQ_C2 * power) / (1 + _PQ_C3 * power)) ** _PQ_M2


def _encode_srgb(light: npt.NDArray[np.float64]) -> npt.NDArray[np.uint16]:
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 65535).astype(np.uint16)


def _tone_curve(peak: float, white: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Luminances, and the factors by which they are dimmed so that `peak` becomes `white` (BT.2390, EETF).

    What is much darker than white stays; a photo without highlights stays as it is.
    """
    if peak <= white:
        return np.array([0.0, 1.0]), np.ones(2)
    codes = np.linspace(1e-3, 1, 2048)
    top, full = _encode_pq(np.array([white, peak]))
    ratio = top / full
    knee = 1.5 * ratio - 0.5
    t = np.maximum(codes - knee, 0) / (1 - knee)
    rolled = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * ratio
    luminances = _decode_pq(codes * full)
    return luminances, _decode_pq(np.where(codes < knee, codes, rolled) * full) / np.maximum(luminances, 1e-9)


def _to_xyz(colors: Sequence[Color]) -> npt.NDArray[np.float64]:
    """Matrix [3, 3] from linear RGB to XYZ, white of luminance 1; of red, green, blue and white."""
    *primaries, white = colors
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    return columns * np.linalg.solve(columns, (white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]))


def _adapt_to_d50(colors: Sequence[Color]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Matrix [3, 3] from linear RGB to XYZ under D50, and the adaptation in it (Bradford)."""
    matrix = _to_xyz(colors)
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ matrix.sum(axis=1))
    adaptation = np.linalg.solve(_BRADFORD, gains[:, None] * _BRADFORD)
    return adaptation @ matrix, adaptation


def _fixed(numbers: npt.ArrayLike) -> bytes:
    """Numbers as ICC's s15Fixed16."""
    return np.rint(np.asarray(numbers) * 65536).astype(">i4").tobytes()


def _text(text: str) -> bytes:
    """An English text as ICC's multiLocalizedUnicodeType."""
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded
