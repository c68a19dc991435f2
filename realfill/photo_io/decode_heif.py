"""Decoding of HEIC and AVIF, with all their bits and the colors that `nclx` tells."""

from __future__ import annotations

from typing import BinaryIO

import imagecodecs
import numpy as np
import pillow_heif
from PIL import ExifTags, Image

from realfill.imaging.ops import Pixels
from realfill.photo_io.cicp import CodePoints
from realfill.photo_io.photo import Photo, scale_bits, valid_orientation


def is_avif(header: bytes) -> bool:
    """Whether a file's first 64 bytes name AVIF among its brands (ISO/IEC 14496-12, `ftyp`)."""
    brands = header[8 : int.from_bytes(header[:4])]
    return header[4:8] == b"ftyp" and any(brand in brands for brand in (b"avif", b"avis"))


def decode_heic(file: BinaryIO) -> Photo:
    """Decode the primary image of a HEIC file; libheif applies the orientation that the container declares.

    Args:
        file: The file, at its beginning.
    """
    image = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    samples = np.asarray(image)[:, : image.size[0]]
    bits = image.info["bit_depth"]
    if bits > 8:
        samples = scale_bits(samples >> (16 - bits), bits)
    icc = image.info.get("icc_profile")
    return _build_photo(samples, icc, image, "HEIF", 1, exif=bool(image.info.get("exif")))


def decode_avif(image: Image.Image, file: BinaryIO) -> Photo:
    """Decode the first image of an AVIF file.

    Args:
        image: The file, opened by Pillow, which tells the orientation of the container as that of EXIF.
        file: The same file.
    """
    file.seek(0)
    described = pillow_heif.open_heif(file)
    file.seek(0)
    samples = scale_bits(imagecodecs.avif_decode(file.read()), described.info["bit_depth"])
    icc = image.info.get("icc_profile")
    orientation = valid_orientation(image.getexif().get(ExifTags.Base.Orientation, 1))
    return _build_photo(samples, icc, described, "AVIF", orientation, exif="exif" in image.info)


def _build_photo(
    samples: Pixels, icc: object, described: pillow_heif.HeifFile, file_format: str, orientation: int, *, exif: bool
) -> Photo:
    """A photo of samples [H, W] or [H, W, C]; an ICC profile counts more than `nclx`."""
    warning = ""
    if not icc:
        told = described.info.get("nclx_profile") or {}
        codes = (told.get(name, CodePoints.primaries) for name in ("color_primaries", "transfer_characteristics"))
        samples, icc, warning = CodePoints(*codes).interpret(samples)
    return Photo.from_samples(
        samples,
        1 if samples.ndim == 2 or samples.shape[2] == 2 else 3,
        icc=icc,
        file_format=file_format,
        orientation=orientation,
        exif=exif,
        warning=warning,
    )
