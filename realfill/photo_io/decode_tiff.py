"""Decoding of TIFF pages with 8 or 16 bits a sample, which Pillow reads only in part."""

from __future__ import annotations

import numpy as np
import tifffile
from PIL import ExifTags

from realfill.imaging.ops import Pixels
from realfill.photo_io.photo import Photo, valid_orientation

# The first 4 bytes: byte order, and the version of TIFF or BigTIFF.
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO = 0  # photometric interpretation (TIFF 6.0, tag 262)
_COLOR_CHANNELS = {_WHITE_IS_ZERO: 1, 1: 1, 2: 3, 5: 4}  # by photometric interpretation: gray, gray, RGB, CMYK
_PREMULTIPLIED, _UNASSOCIATED = 1, 2  # kinds of alpha (TIFF 6.0, tag 338, ExtraSamples)


def is_supported_page(page: tifffile.TiffPage, max_channels: int) -> bool:
    """Whether `decode_tiff_page` reads a page: unsigned gray, RGB or CMYK of 8 or 16 bits.

    Args:
        page: The page.
        max_channels: Pages with more channels, alpha included, are not supported.
    """
    channels = _COLOR_CHANNELS.get(int(page.photometric))
    return (
        channels is not None
        and page.dtype in (np.uint8, np.uint16)
        and page.bitspersample in (8, 16)
        and page.axes in ("YX", "YXS", "SYX")
        and channels <= page.samplesperpixel <= max_channels
    )


def decode_tiff_page(page: tifffile.TiffPage) -> Photo:
    """Decode a supported page; of the channels that are not colors, the first alpha channel is kept."""
    channels = _COLOR_CHANNELS[int(page.photometric)]
    samples = page.asarray()
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    if samples.ndim == 2:
        samples = samples[..., None]  # [H, W, S]
    if page.photometric == _WHITE_IS_ZERO:
        samples = np.iinfo(samples.dtype).max - samples
    extra_kinds = [int(kind) for kind in page.extrasamples]
    alphas = [channels + i for i, kind in enumerate(extra_kinds) if kind in (_PREMULTIPLIED, _UNASSOCIATED)]
    samples = samples[..., [*range(channels), *alphas[:1]]]
    if alphas and extra_kinds[alphas[0] - channels] == _PREMULTIPLIED:
        samples = _unpremultiply(samples)
    tags = {name: page.tags[name].value for name in ("Orientation", "InterColorProfile") if name in page.tags}
    return Photo.from_samples(
        samples,
        channels,
        icc=tags.get("InterColorProfile"),
        file_format="TIFF",
        orientation=valid_orientation(tags.get("Orientation")),
        exif=ExifTags.IFD.Exif in page.tags,
    )


def _unpremultiply(samples: Pixels) -> Pixels:
    """Divide colors by alpha, the last channel of [H, W, C + 1]."""
    full = np.iinfo(samples.dtype).max
    alpha = samples[..., -1:].astype(np.float64)  # [H, W, 1]
    colors = np.rint(samples[..., :-1] * (full / np.maximum(alpha, 1))).clip(0, full)
    return np.concatenate([colors.astype(samples.dtype), samples[..., -1:]], axis=2)
