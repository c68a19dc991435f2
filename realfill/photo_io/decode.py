"""Decoding of photo files: JPEG, PNG, WebP, TIFF, HEIC, AVIF and camera raw files."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels
from realfill.photo_io.decode_heif import decode_avif, decode_heic, is_avif
from realfill.photo_io.decode_raw import decode_raw, is_raw
from realfill.photo_io.decode_tiff import (
    TIFF_MAGIC,
    TiffDecodeSettings,
    choose_page,
    decode_tiff_page,
    is_supported_page,
)
from realfill.photo_io.exif_colors import read_exif_colors
from realfill.photo_io.one_way_profile import replace_one_way_profile
from realfill.photo_io.orientation import unapplied_orientation
from realfill.photo_io.photo import Photo, valid_orientation
from realfill.photo_io.png_colors import read_png_code_points, read_png_colors

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
_PILLOW_CHANNELS = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "CMYK": 4}  # color channels by Pillow's mode
_JPEG_MAGIC = b"\xff\xd8\xff"
_HEADER_SIZE = 64  # bytes that tell the format
_DAMAGED = "Export it again from the original, or leave it out."
_CONVERT = "Open it in an image editor and save it as a JPEG or as an RGB TIFF of 8 or 16 bits."

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # `read_photo` has a limit of its own, checked before anything is decoded
PngImagePlugin.MAX_TEXT_CHUNK = 1 << 25  # bytes of a color profile or a text, decompressed; scanners' have several MB
PngImagePlugin.MAX_TEXT_MEMORY = 1 << 26  # bytes of all texts of a file


@dataclass(frozen=True)
class DecodeSettings:
    """How photos are decoded.

    Attributes:
        tiff: Which pages of TIFFs are looked at, and which are left to Pillow.
    """

    tiff: TiffDecodeSettings = field(default_factory=TiffDecodeSettings)


def read_photo(
    path: Path,
    *,
    max_megapixels: float = math.inf,
    reduction: int = 1,
    settings: DecodeSettings = DecodeSettings(),
) -> Photo:
    """Decode the first image of full resolution of a JPEG (MPO too), PNG, WebP, TIFF, HEIC, AVIF or camera raw file.

    The content decides the format, not the name. Palette, 1-bit and YCbCr images become RGB or gray; samples of more
    than 8 bits and of floating point become 16 bits. Orientation is EXIF's; see `unapplied_orientation`.

    Args:
        path: The file.
        max_megapixels: Larger photos are refused, in 10^6 pixels. `validate` sets the limit; what it accepted is read
            without one.
        reduction: 2, 4 or 8 reads JPEGs at that fraction of their size, sides rounded up, which is faster; other
            formats, and turned JPEGs that cannot be divided by it, are read whole.
        settings: How it is decoded.

    Raises:
        PhotoError: The file is missing, of another format, damaged, too large, or has a kind of pixels that is not
            supported (LAB, signed integers, floating point outside of 0 to 1).
    """
    try:
        with path.open("rb") as file:
            return replace_one_way_profile(_decode_file(file, max_megapixels, reduction, settings))
    except PhotoError as error:
        raise PhotoError(error.problem, error.remedy, path) from None
    except Exception as error:  # on damaged files decoders raise errors of any type
        raise PhotoError(*_explain(error), path) from error


def _explain(error: Exception) -> tuple[str, str]:
    """Problem and remedy of what a decoder, or opening the file, has raised."""
    text = str(error)[:200]
    if isinstance(error, UnidentifiedImageError):
        return "This is not a JPEG, PNG, WebP, TIFF, HEIC, AVIF or camera raw photo that can be read.", _CONVERT
    if isinstance(error, OSError) and error.errno is not None:
        return f"The file cannot be opened ({error.strerror}).", "Check that it exists and can be read."
    if isinstance(error, OSError):
        return f"The photo is damaged ({text}).", _DAMAGED
    if isinstance(error, MemoryError):
        return "Decoding the photo takes more memory than there is.", _DAMAGED
    if isinstance(error, ValueError) and "MAX_TEXT" in text:
        limit = PngImagePlugin.MAX_TEXT_CHUNK >> 20
        return f"Its color profile or a text in it is larger than {limit} MiB.", "Save it again without metadata."
    return f"The photo is damaged ({type(error).__name__}: {text}).", _DAMAGED


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


def _decode_file(file: BinaryIO, max_megapixels: float, reduction: int, settings: DecodeSettings) -> Photo:
    header = file.read(_HEADER_SIZE)
    file.seek(0)
    check_size = partial(_check_size, max_megapixels)
    if is_raw(header):
        return decode_raw(file, check_size)
    if header[:4] in TIFF_MAGIC:
        return _decode_tiff(file, check_size, settings)
    with _open_image(file, header) as image:
        check_size(*image.size)
        if image.format == "JPEG" and reduction > 1:
            _reduce(image, reduction)
        if image.format == "AVIF":
            return decode_avif(image, file)
        if image.format == "HEIF":
            file.seek(0)
            return decode_heic(file)
        return _decode_image(image, file)


def _open_image(file: BinaryIO, header: bytes) -> Image.Image:
    """Open a file by Pillow.

    Raises:
        PhotoError: It is a JPEG of a kind that is not supported, such as of 12 bits or without loss.
        UnidentifiedImageError: It is of another format.
    """
    try:
        return Image.open(file, formats=("AVIF",) if is_avif(header) else FORMATS)
    except UnidentifiedImageError:
        if header.startswith(_JPEG_MAGIC):
            raise PhotoError("This kind of JPEG is not supported, or its header is damaged.", _CONVERT) from None
        raise


def _reduce(image: Image.Image, reduction: int) -> None:
    """Have a JPEG decoded at a fraction of its size, unless it would be out of place when it is turned upright."""
    is_whole = image.width % reduction == 0 and image.height % reduction == 0
    if is_whole or image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
        image.draft(None, (max(1, image.width // reduction), max(1, image.height // reduction)))


def _check_size(max_megapixels: float, width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise PhotoError("The photo has no pixels.", _DAMAGED)
    if width * height > max_megapixels * 1e6:
        raise PhotoError(
            f"The photo has {width} x {height} pixels, more than the {max_megapixels:g} megapixels allowed.",
            "Scale it down, or raise validate.max_megapixels.",
        )


def _decode_tiff(file: BinaryIO, check_size: Callable[[int, int], None], settings: DecodeSettings) -> Photo:
    """Decode a TIFF by tifffile; pages that `is_supported_page` does not know by Pillow."""
    with tifffile.TiffFile(file) as tiff:
        chosen = choose_page(tiff, settings.tiff)
        if not chosen.is_raw:
            check_size(chosen.page.imagewidth, chosen.page.imagelength)
            if is_supported_page(chosen.page, settings.tiff):
                return decode_tiff_page(chosen)
    file.seek(0)
    if chosen.is_raw:
        return decode_raw(file, check_size)
    if chosen.index is None or chosen.page.dtype is None or chosen.page.dtype.kind == "i":
        raise PhotoError("The kind of its pixels is not supported.", _CONVERT)
    with Image.open(file, formats=("TIFF",)) as image:
        image.seek(chosen.index)
        check_size(*image.size)
        image.getexif()[ExifTags.Base.Orientation] = 1  # else Pillow would turn it, also by XMP
        plain = _to_plain_mode(image)
    return Photo.from_samples(
        np.asarray(plain),
        _PILLOW_CHANNELS[plain.mode],
        icc=chosen.icc,
        file_format="TIFF",
        orientation=chosen.orientation,
        exif=chosen.exif,
        warning=chosen.warning,
    )


def _decode_image(image: Image.Image, file: BinaryIO) -> Photo:
    """Decode what Pillow has opened; 16-bit PNGs, which Pillow reduces to 8 bits, by another decoder."""
    file_format = "JPEG" if image.format == "MPO" else str(image.format)
    if file_format == "PNG" and "exif" not in image.info:
        image.load()  # EXIF metadata may lie behind the pixels
    orientation, remark = _read_orientation(image)
    if file_format == "PNG" and _is_16_bit_png(file):
        file.seek(0)
        samples = imagecodecs.png_decode(file.read())
        channels = 1 if samples.ndim == 2 or samples.shape[2] == 2 else 3
    else:
        plain = _to_plain_mode(image)
        samples = np.asarray(plain)
        channels = _PILLOW_CHANNELS[plain.mode]
    read_colors = _read_png_colors if file_format == "PNG" else _read_exif_colors
    samples, icc, warning = read_colors(image, file, samples, channels)
    return Photo.from_samples(
        samples,
        channels,
        icc=icc,
        file_format=file_format,
        orientation=orientation,
        exif="exif" in image.info,
        warning=f"{remark} {warning}".strip(),
    )


def _read_png_colors(
    image: Image.Image, file: BinaryIO, samples: Pixels, channels: int
) -> tuple[Pixels, bytes | None, str]:
    """Samples of standard range, the ICC profile of their colors, and a warning; of a PNG."""
    codes = read_png_code_points(file)
    if codes is not None:
        return codes.interpret(samples)
    icc = image.info.get("icc_profile")
    if icc is not None or "srgb" in image.info:
        return samples, icc, ""
    told = {str(key): value for key, value in image.info.items()}
    return samples, *read_png_colors(told, gray=channels == 1)


def _read_exif_colors(
    image: Image.Image, file: BinaryIO, samples: Pixels, channels: int
) -> tuple[Pixels, bytes | None, str]:
    """As `_read_png_colors`, of other files, where EXIF tells if there is no profile."""
    icc = image.info.get("icc_profile")
    if not icc and channels == 3 and "exif" in image.info:
        with suppress(Exception):  # damaged metadata is no reason to refuse the pixels
            exif = Image.Exif()
            exif.load(image.info["exif"])
            icc = read_exif_colors(exif)
    return samples, icc, ""


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


def _read_orientation(image: Image.Image) -> tuple[int, str]:
    """EXIF orientation, 1 to 8, and a warning if XMP alone tells one."""
    texts = [image.info.pop(key, b"") for key in ("xmp", "XML:com.adobe.xmp")]  # else Pillow would take XMP's
    packet = next((text for text in texts if isinstance(text, bytes)), None)
    exif = Image.Exif()
    try:
        if "exif" in image.info:
            exif.load(image.info["exif"])
        elif "Raw profile type exif" in image.info:  # of older PNGs
            exif = image.getexif()
        value = exif.get(ExifTags.Base.Orientation)
    except Exception:  # damaged metadata is no reason to refuse the pixels
        value = None
    return valid_orientation(value), "" if value is not None else unapplied_orientation(packet)


def _is_16_bit_png(file: BinaryIO) -> bool:
    file.seek(24)  # bit depth in IHDR, which is always the first chunk
    return file.read(1) == b"\x10"
