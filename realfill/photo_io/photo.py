"""A decoded photo in memory, in its own color space and bit depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from realfill.imaging.ops import Pixels
from realfill.photo_io.reframing import FLIPPED, QUARTER_TURNS

COLOR_MODES = {1: "gray", 3: "rgb", 4: "cmyk"}  # by the number of channels without alpha


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright.

    Attributes:
        pixels: [H, W, C] uint8 or uint16 in the photo's own color space. C is 1 for gray, 3 for RGB and 4 for CMYK
            (0 = no ink).
        alpha: [H, W] of the same dtype, 0 = transparent, not premultiplied. None without an alpha channel.
        icc: The embedded ICC profile, or None.
        format: "JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF" or "RAW".
        orientation: EXIF orientation of the file, 1 to 8, which has already been applied to `pixels`. Always 1 for
            HEIF and camera raw files: their decoders apply the rotation that the file declares.
        exif: Whether the file has EXIF metadata.
        warning: What was not certain in decoding it, in sentences; empty if all was.
    """

    pixels: Pixels
    alpha: Pixels | None
    icc: bytes | None
    format: str
    orientation: int
    exif: bool = False
    warning: str = ""

    @classmethod
    def from_samples(
        cls,
        samples: Pixels,
        channels: int,
        *,
        icc: object,
        file_format: str,
        orientation: int,
        exif: bool,
        warning: str = "",
    ) -> Self:
        """Build a photo from decoded samples.

        Args:
            samples: [H, W] or [H, W, C], uint8 or uint16. A channel after the first `channels` ones is alpha.
            channels: Number of color channels, 1, 3 or 4.
            icc: The ICC profile as the decoder reports it; anything but nonempty bytes counts as none.
            file_format: "JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF" or "RAW".
            orientation: EXIF orientation of the file, 1 to 8, which is applied here.
            exif: Whether the file has EXIF metadata.
            warning: What was not certain in decoding it.
        """
        if samples.ndim == 2:
            samples = samples[..., None]
        samples = apply_orientation(samples, orientation)
        return cls(
            pixels=np.ascontiguousarray(samples[..., :channels]),
            alpha=np.ascontiguousarray(samples[..., channels]) if samples.shape[2] > channels else None,
            icc=icc if isinstance(icc, bytes) and icc else None,
            format=file_format,
            orientation=orientation,
            exif=exif,
            warning=warning,
        )

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def bits(self) -> int:
        """Bits a sample, 8 or 16."""
        return self.pixels.dtype.itemsize * 8

    @property
    def mode(self) -> str:
        """Color mode: "gray", "rgb" or "cmyk", with "a" appended if there is an alpha channel."""
        return COLOR_MODES[self.pixels.shape[2]] + ("" if self.alpha is None else "a")

    @property
    def samples(self) -> Pixels:
        """All channels, [H, W, C], or [H, W, C + 1] with alpha as the last one."""
        return self.pixels if self.alpha is None else np.dstack([self.pixels, self.alpha])


def to_8_bits(samples: Pixels) -> Pixels:
    """Scale uint16 samples to uint8 with rounding; uint8 samples are returned as they are."""
    if samples.dtype == np.uint8:
        return samples
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 = 257 * 255


def to_16_bits(samples: Pixels) -> Pixels:
    """Scale uint8 samples to uint16; uint16 samples are returned as they are."""
    return samples if samples.dtype == np.uint16 else samples.astype(np.uint16) * np.uint16(257)


def scale_bits(samples: Pixels, bits: int) -> Pixels:
    """Scale unsigned integers of 2 to 32 bits to the whole range of uint8, or of uint16 if they have more than 8."""
    dtype = np.uint8 if bits <= 8 else np.uint16
    if bits in (8, 16):
        return samples.astype(dtype, copy=False)
    factor = np.iinfo(dtype).max / (2**bits - 1)
    if bits < 16:
        scaled = np.rint(np.arange(2**bits) * factor).astype(dtype)
        return scaled.take(samples, mode="clip")
    deep = np.empty(samples.shape, dtype)
    for row, source in zip(deep, samples, strict=True):  # a row at a time, which bounds the memory
        row[...] = np.rint(source * factor)
    return deep


def valid_orientation(value: object) -> int:
    """The value if it is an EXIF orientation, 1 to 8; otherwise 1."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def apply_orientation(samples: Pixels, orientation: int) -> Pixels:
    """Turn samples [H, W] or [H, W, C] upright (EXIF 2.3, tag 0x0112)."""
    if orientation in FLIPPED:
        samples = samples[:, ::-1]
    return np.rot90(samples, QUARTER_TURNS[orientation])
