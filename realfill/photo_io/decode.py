"""Decoding of photo files: JPEG, PNG, WebP, TIFF and HEIC."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import ExifTags, Image, UnidentifiedImageError

from realfill.core.errors import PhotoError
from realfill.photo_io.decode_tiff import TIFF_MAGIC, decode_tiff_page, is_supported_page
from realfill.photo_io.photo import Photo, valid_orientation

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")
_PILLOW_CHANNELS = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "CMYK": 4}  # color channels by Pillow's mode
_DAMAGED = "Export it again from the original, or leave it out."
_CONVERT = "Open it in an image editor and save it as a JPEG or as an RGB TIFF of 8 or 16 bits."

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # `read_photo` has a limit of its own, checked before anything is decoded


@dataclass(frozen=True)
class DecodeSettings:
    """Which decoder is used.

    Attributes:
        max_tiff_channels: TIFFs with more channels, alpha and unknown ones included, are left to Pillow; set by hand.
    """

    max_tiff_channels: int = 8


def read_photo(path: Path, *, max_megapixels: float = math.inf, settings: DecodeSettings = DecodeSettings()) -> Photo:
    """Decode the first image of a JPEG (MPO too), PNG, WebP, TIFF or HEIC file.

    The content decides the format, not the name. Palette, 1-bit and YCbCr images become RGB or gray. HEIC of more
    than 8 bits becomes 8 bits.

    Args:
        path: The file.
        max_megapixels: Larger photos are refused, in 10^6 pixels. `validate` sets the limit; what it accepted is read
            without one.
        settings: Which decoder is used.

    Raises:
        PhotoError: The file is missing, of another format, damaged, too large, or has a kind of pixels that is not
            supported (floating point, LAB, 12 or 32 bits).
    """
    try:
        with path.open("rb") as file:
            return _decode_file(file, max_megapixels, settings)
    except PhotoError as error:
        raise PhotoError(error.problem, error.remedy, path) from None
    except UnidentifiedImageError as error:
        problem = "This is not a JPEG, PNG, WebP, TIFF or HEIC photo that can be read."
        raise PhotoError(problem, _CONVERT, path) from error
    except OSError as error:
        if error.errno is not None:
            problem = f"The file cannot be opened ({error.strerror})."
            raise PhotoError(problem, "Check that it exists and can be read.", path) from error
        raise PhotoError(f"The photo is damaged ({str(error)[:200]}).", _DAMAGED, path) from error
    except MemoryError as error:
        raise PhotoError("Decoding the photo takes more memory than there is.", _DAMAGED, path) from error
    except Exception as error:  # on damaged files decoders raise errors of any type
        problem = f"The photo is damaged ({type(error).__name__}: {str(error)[:200]})."
        raise PhotoError(problem, _DAMAGED, path) from error


def is_lossless_webp(path: Path) -> bool:
    """Whether a WebP file is compressed without loss: its first image chunk is "VP8L", not "VP8 "."""
    with path.open("rb") as file:
        file.seek(12)  # behind the RIFF header
        while len(header := file.read(8)) == 8:
            if header[:4] in (b"VP8L", b"VP8 "):
                return header[:4] == b"VP8L"
            size = int.from_bytes(header[4:], "little")
            file.seek(size + size % 2, io.SEEK_CUR)  # chunks are padded to even sizes
    return False


def _decode_file(file: BinaryIO, max_megapixels: float, settings: DecodeSettings) -> Photo:
    magic = file.read(4)
    file.seek(0)
    if magic in TIFF_MAGIC:
        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages[0]
            _check_size(page.imagewidth, page.imagelength, max_megapixels)
            if is_supported_page(page, settings.max_tiff_channels):
                return decode_tiff_page(page)
        file.seek(0)
    with Image.open(file, formats=FORMATS) as image:
        _check_size(*image.size, max_megapixels)
        return _decode_image(image, file)


def _check_size(width: int, height: int, max_megapixels: float) -> None:
    if width < 1 or height < 1:
        raise PhotoError("The photo has no pixels.", _DAMAGED)
    if width * height > max_megapixels * 1e6:
        raise PhotoError(
            f"The photo has {width} x {height} pixels, more than the {max_megapixels:g} megapixels allowed.",
            "Scale it down, or raise validate.max_megapixels.",
        )


def _decode_image(image: Image.Image, file: BinaryIO) -> Photo:
    """Decode what Pillow has opened; 16-bit PNGs, which Pillow reduces to 8 bits, by another decoder."""
    file_format = "JPEG" if image.format == "MPO" else str(image.format)
    orientation = _read_orientation(image)
    exif = "exif" in image.info or (file_format == "TIFF" and ExifTags.IFD.Exif in image.getexif())
    if file_format == "PNG" and _is_16_bit_png(file):
        file.seek(0)
        samples = imagecodecs.png_decode(file.read())
        channels = 1 if samples.ndim == 2 or samples.shape[2] == 2 else 3
    else:
        plain = _to_plain_mode(image)
        samples = np.asarray(plain)
        channels = _PILLOW_CHANNELS[plain.mode]
    return Photo.from_samples(
        samples,
        channels,
        icc=image.info.get("icc_profile"),
        file_format=file_format,
        orientation=orientation,
        exif=exif,
        is_upright=file_format == "TIFF",  # of all formats, Pillow applies the orientation of TIFFs alone
    )


def _to_plain_mode(image: Image.Image) -> Image.Image:
    """Load an image and convert it to one of the modes L, LA, RGB, RGBA and CMYK."""
    image.load()
    has_alpha = image.has_transparency_data
    match image.mode:
        case "1" | "L" | "LA" | "La":
            mode = "LA" if has_alpha else "L"
        case "P" | "PA" | "RGB" | "RGBA" | "RGBa" | "RGBX" | "YCbCr":
            mode = "RGBA" if has_alpha else "RGB"
        case "CMYK":
            mode = "CMYK"
        case _:
            raise PhotoError(f"Pixels of the mode {image.mode!r} are not supported.", _CONVERT)
    return image if image.mode == mode else image.convert(mode)


def _read_orientation(image: Image.Image) -> int:
    if image.format == "HEIF":
        return 1
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata is no reason to refuse the pixels
        return 1
    return valid_orientation(value)


def _is_16_bit_png(file: BinaryIO) -> bool:
    file.seek(24)  # bit depth in IHDR, which is always the first chunk
    return file.read(1) == b"\x10"
