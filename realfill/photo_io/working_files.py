"""Image files that pass between stages: quick to write, lossless, and with the same bytes for the same pixels."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from realfill.imaging.ops import Pixels
from realfill.photo_io.photo import Photo

_PNG_HEADER_SIZE = 8 + 25  # signature and IHDR, behind which the color profile goes


@dataclass(frozen=True)
class WorkingFileSettings:
    """How working files are compressed.

    Attributes:
        level: Deflate level of PNGs and TIFFs, 0 to 9; set by hand: fast rather than small.
        rows_per_strip: Rows in a strip of a TIFF; set by hand.
    """

    level: int = 1
    rows_per_strip: int = 256


def write_lossless_tiff(path: Path, photo: Photo, settings: WorkingFileSettings = WorkingFileSettings()) -> None:
    """Write a photo as a TIFF that `read_photo` decodes to the same pixels, alpha and ICC profile."""
    samples = photo.samples
    tifffile.imwrite(
        path,
        samples if samples.shape[2] > 1 else samples[..., 0],
        photometric={1: "minisblack", 3: "rgb", 4: "separated"}[photo.pixels.shape[2]],
        planarconfig="contig" if samples.shape[2] > 1 else None,
        extrasamples=None if photo.alpha is None else ["unassalpha"],
        iccprofile=photo.icc,
        compression="zlib",
        compressionargs={"level": settings.level},
        predictor=True,
        rowsperstrip=settings.rows_per_strip,
        metadata=None,
        software=False,
    )


def write_png(
    path: Path,
    image: Pixels,
    profile: bytes | None = None,
    settings: WorkingFileSettings = WorkingFileSettings(),
) -> None:
    """Write a PNG.

    Args:
        path: The file.
        image: [H, W, 3] RGB or [H, W] gray, uint8 or uint16.
        profile: ICC profile of its color space, embedded so that every program shows it right; None for sRGB.
        settings: How it is compressed.
    """
    data = imagecodecs.png_encode(np.ascontiguousarray(image), level=settings.level)
    if profile is not None:
        content = b"iCCP" + b"working space\0\0" + zlib.compress(profile, settings.level)
        chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
        data = data[:_PNG_HEADER_SIZE] + chunk + data[_PNG_HEADER_SIZE:]
    path.write_bytes(data)


def read_png(path: Path) -> Pixels:
    """Read a PNG as [H, W, 3] RGB or [H, W] gray, uint8 or uint16, without color management."""
    image: Pixels = imagecodecs.png_decode(path.read_bytes())
    return image


def read_png_profile(path: Path) -> bytes | None:
    """Read the ICC profile of a PNG that `write_png` wrote; None for sRGB."""
    with Image.open(path, formats=["PNG"]) as image:
        profile: bytes | None = image.info.get("icc_profile")
    return profile
