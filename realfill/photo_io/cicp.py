"""Colors told by code points (CICP, ITU-T H.273), as in HEIC, AVIF and PNG.

A color space of standard range becomes an ICC profile. High dynamic range (PQ, HLG) is mapped to standard range, so
that all else need not know of it: an approximation, as such photos look different on every screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from realfill.imaging.ops import Pixels
from realfill.photo_io.icc_profile import to_xyz, write_gray_profile, write_rgb_profile
from realfill.photo_io.photo import to_16_bits

_UNSPECIFIED, BT_709 = 2, 1  # color primaries
_PQ, _HLG = 16, 18  # transfer characteristics
_SRGB_CURVES = (1, 2, 6, 11, 12, 13, 14, 15)  # video's curves are displayed by about that of sRGB
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
PRIMARIES = {  # name, and x and y of red, green, blue and white, by color primaries
    4: ("BT.470 M", (0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ("BT.601 625", (0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ("BT.601 525", (0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ("SMPTE 240M", (0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    BT_709: ("BT.709", (0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65),
    9: ("BT.2020", (0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ("DCI-P3", (0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ("Display P3", (0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ("EBU 3213", (0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
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
class CodePoints:
    """Color primaries and transfer characteristics, as in H.273, tables 2 and 3."""

    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED

    def interpret(
        self, samples: Pixels, settings: ToneMapSettings = ToneMapSettings()
    ) -> tuple[Pixels, bytes | None, str]:
        """Express the colors by an ICC profile.

        Args:
            samples: [H, W] or [H, W, C] uint8 or uint16; gray or RGB, without or with alpha.
            settings: How high dynamic range is mapped.

        Returns:
            The samples, of uint16 if they were mapped from high dynamic range; the profile, None for sRGB; a warning,
            or an empty string.
        """
        if samples.ndim < 3 or samples.shape[2] < 3:
            return self._interpret_gray(samples, settings)
        primaries = self.primaries if self.primaries in PRIMARIES else BT_709
        if self._is_hdr:
            return self._map_tones(samples, settings), make_profile(primaries), self._hdr_warning
        gamma = _GAMMAS.get(self.transfer)
        is_known = self.primaries in (*PRIMARIES, _UNSPECIFIED) and (gamma or self.transfer in _SRGB_CURVES)
        warning = "" if is_known else "Its color space is unknown; sRGB is assumed."
        return samples, make_profile(primaries, gamma), warning

    @property
    def is_srgb(self) -> bool:
        """Whether they tell of colors that are read as sRGB."""
        return self.primaries in (BT_709, _UNSPECIFIED) and self.transfer in _SRGB_CURVES

    @property
    def _is_hdr(self) -> bool:
        return self.transfer in (_PQ, _HLG)

    @property
    def _hdr_warning(self) -> str:
        kind = "PQ" if self.transfer == _PQ else "HLG"
        return f"Its high dynamic range ({kind}) was mapped to standard range: its look is approximate."

    def _interpret_gray(self, samples: Pixels, settings: ToneMapSettings) -> tuple[Pixels, bytes | None, str]:
        """As `interpret`, of samples [H, W] or [H, W, 2]."""
        if self._is_hdr:
            channels = samples if samples.ndim == 3 else samples[..., None]
            mapped = self._map_tones(channels[..., [0, 0, 0, *range(1, channels.shape[2])]], settings)
            return mapped[..., 2:].reshape(samples.shape), None, self._hdr_warning
        gamma = _GAMMAS.get(self.transfer)
        return samples, None if gamma is None else write_gray_profile("Gray", gamma), ""

    def _map_tones(self, samples: Pixels, settings: ToneMapSettings) -> Pixels:
        """Map the colors of samples [H, W, C] to standard range with the curve of sRGB, uint16; alpha stays."""
        deep = to_16_bits(samples)
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
        weights = to_xyz(PRIMARIES[self.primaries if self.primaries in PRIMARIES else BT_709][1:])[1]
        luma = np.maximum(light @ weights.astype(np.float32), np.float32(1e-6))
        return light * (settings.hlg_peak * luma ** (settings.hlg_gamma - 1))[..., None]


def make_profile(primaries: int, gamma: float | None = None) -> bytes | None:
    """An ICC profile of an RGB space.

    Args:
        primaries: Color primaries (H.273, table 2).
        gamma: Exponent of the curve; None for that of sRGB.

    Returns:
        The profile, or None for sRGB.
    """
    if primaries == BT_709 and gamma is None:
        return None
    name, *colors = PRIMARIES[primaries]
    return write_rgb_profile(name, colors, gamma)


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
