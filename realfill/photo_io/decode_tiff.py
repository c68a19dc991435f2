"""Decoding of TIFF pages: of 8 to 16 or 32 bits a sample and of floating point, of which Pillow reads only a part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import ExifTags

from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels
from realfill.photo_io.orientation import unapplied_orientation
from realfill.photo_io.photo import Photo, scale_bits, valid_orientation

# The first 4 bytes: byte order, and the version of TIFF or BigTIFF.
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO = 0  # photometric interpretation (TIFF 6.0, tag 262)
_COLOR_CHANNELS = {_WHITE_IS_ZERO: 1, 1: 1, 2: 3, 5: 4}  # by photometric interpretation: gray, gray, RGB, CMYK
_SENSOR_DATA = (32803, 34892)  # photometric interpretation of camera raw files (DNG): color filter array, linear raw
_PREMULTIPLIED, _UNASSOCIATED = 1, 2  # kinds of alpha (TIFF 6.0, tag 338, ExtraSamples)
_ORIENTATION, _ICC, _XMP = ExifTags.Base.Orientation, ExifTags.Base.InterColorProfile, ExifTags.Base.XMLPacket
_PAGE_OF_SEVERAL = 2  # bit of NewSubfileType; the others are of reduced images, masks and depth maps
_INTACT = "Export it again from the original, or leave it out."
_RESCALE = "Scale the values to 0 to 1, or save it as a TIFF of 16 bits."


@dataclass(frozen=True)
class TiffDecodeSettings:
    """Which pages are looked at, and which of them are decoded here.

    Attributes:
        max_channels: Pages with more channels, alpha and unknown ones included, are left to Pillow; set by hand.
        max_pages: Pages that are looked at; set by hand.
        max_thumbnail: A first page of a smaller share of the pixels of the largest is its thumbnail, though nothing
            tells, if it has about the same shape; set by hand.
        shape_tolerance: How far the ratios of width to height of a page and its thumbnail differ, relative; set by
            hand.
    """

    max_channels: int = 8
    max_pages: int = 64
    max_thumbnail: float = 0.25
    shape_tolerance: float = 0.05


@dataclass(frozen=True)
class ChosenPage:
    """The page of a TIFF file that is the photo.

    Attributes:
        page: The page.
        index: Its number among the file's pages; None if it lies inside of another page (SubIFDs).
        orientation: EXIF orientation, 1 to 8. Where the page has none, the file's first page tells.
        icc: ICC profile, or None, likewise.
        exif: Whether the page, or the file's first page, has EXIF metadata.
        is_raw: Whether the file holds a sensor's data.
        warning: What is not certain, such as that there are other pages of full resolution; otherwise empty.
    """

    page: tifffile.TiffPage
    index: int | None
    orientation: int
    icc: bytes | None
    exif: bool
    is_raw: bool
    warning: str


def choose_page(tiff: tifffile.TiffFile, settings: TiffDecodeSettings = TiffDecodeSettings()) -> ChosenPage:
    """Choose the first page of full resolution; the largest without one, or where the first looks like its thumbnail.

    Thumbnails, masks and depth maps are passed over, as NewSubfileType or SubfileType tells them (TIFF 6.0, tags 254
    and 255).
    """
    pages: list[tuple[int | None, tifffile.TiffPage]] = [(0, tiff.pages[0])]
    with suppress(Exception):  # further pages may be damaged in any way
        pages.extend(islice(_iterate_further_pages(tiff), settings.max_pages))
    full = [(index, page) for index, page in pages if not int(page.subfiletype) & ~_PAGE_OF_SEVERAL]
    index, page = full[0] if full else max(pages, key=lambda item: _count_pixels(item[1]))
    largest = max(full, key=lambda item: _count_pixels(item[1]), default=(index, page))
    is_thumbnail = _is_thumbnail(page, largest[1], settings)
    index, page = largest if is_thumbnail else (index, page)
    tags = {tag.code: tag for source in (tiff.pages[0], page) for tag in source.tags}
    orientation, icc = (tags[code].value if code in tags else None for code in (_ORIENTATION, _ICC))
    packet = tags[_XMP].value if _XMP in tags and _ORIENTATION not in tags else None
    warnings = (
        _describe_choice(len(full), is_thumbnail),
        unapplied_orientation(packet if isinstance(packet, bytes) else None),
    )
    return ChosenPage(
        page=page,
        index=index,
        orientation=valid_orientation(orientation),
        icc=icc if isinstance(icc, bytes) else None,
        exif=ExifTags.IFD.Exif in tags,
        is_raw=any(int(page.photometric) in _SENSOR_DATA for _, page in pages),
        warning=" ".join(filter(None, warnings)),
    )


def _count_pixels(page: tifffile.TiffPage) -> int:
    return int(page.imagewidth * page.imagelength)


def _is_thumbnail(page: tifffile.TiffPage, largest: tifffile.TiffPage, settings: TiffDecodeSettings) -> bool:
    """Whether a page that claims full resolution is a thumbnail of another one."""
    if _count_pixels(page) >= settings.max_thumbnail * _count_pixels(largest):
        return False
    shape, other = page.imagewidth / page.imagelength, largest.imagewidth / largest.imagelength
    return abs(shape / other - 1) < settings.shape_tolerance


def _describe_choice(count: int, is_thumbnail: bool) -> str:
    """What is told of the choice among pages of full resolution; nothing if there is one."""
    if count < 2:
        return ""
    which = "the largest is read, since the first looks like its thumbnail" if is_thumbnail else "the first is read"
    return f"It has {count} pages; {which}."


def find_photo(path: Path, settings: TiffDecodeSettings = TiffDecodeSettings()) -> int:
    """Offset of the directory of the page of a TIFF file that is the photo, see `choose_page`."""
    with tifffile.TiffFile(path) as tiff:
        return int(choose_page(tiff, settings).page.offset)


def is_supported_page(page: tifffile.TiffPage, settings: TiffDecodeSettings = TiffDecodeSettings()) -> bool:
    """Whether `decode_tiff_page` reads a page: gray, RGB or CMYK, unsigned of 8 to 16 or 32 bits, or float."""
    channels = _COLOR_CHANNELS.get(int(page.photometric))
    if channels is None or page.dtype is None:
        return False
    is_integer = page.dtype.kind == "u" and page.bitspersample in (*range(8, 17), 32)
    return (
        (is_integer or page.dtype.kind == "f")
        and page.axes in ("YX", "YXS", "SYX")
        and channels <= page.samplesperpixel <= settings.max_channels
    )


def decode_tiff_page(chosen: ChosenPage) -> Photo:
    """Decode a supported page; of the channels that are not colors, the first alpha channel is kept.

    Samples of more than 8 bits and of floating point become 16 bits. 0 to 1 of floating point is black to white.

    Raises:
        PhotoError: Parts of it are missing, or values of floating point are outside of 0 to 1, or no numbers.
    """
    page = chosen.page
    if not all(page.dataoffsets) or not all(page.databytecounts):
        raise PhotoError("The photo is damaged: the file lacks parts of it.", _INTACT)
    channels = _COLOR_CHANNELS[int(page.photometric)]
    samples = page.asarray()
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    if samples.ndim == 2:
        samples = samples[..., None]  # [H, W, S]
    extra_kinds = [int(kind) for kind in page.extrasamples]
    alphas = [channels + i for i, kind in enumerate(extra_kinds) if kind in (_PREMULTIPLIED, _UNASSOCIATED)]
    samples = samples[..., [*range(channels), *alphas[:1]]]
    is_float = samples.dtype.kind == "f"
    samples = _scale_float(samples) if is_float else scale_bits(samples, page.bitspersample)
    if page.photometric == _WHITE_IS_ZERO:
        samples[..., :1] = np.iinfo(samples.dtype).max - samples[..., :1]
    if alphas and extra_kinds[alphas[0] - channels] == _PREMULTIPLIED:
        samples = _unpremultiply(samples)
    warning = chosen.warning
    if is_float and not chosen.icc:
        warning += " Its floating-point values are taken for sRGB, as it has no color profile."
    return Photo.from_samples(
        samples,
        channels,
        icc=chosen.icc,
        file_format="TIFF",
        orientation=chosen.orientation,
        exif=chosen.exif,
        warning=warning.strip(),
    )


def _iterate_further_pages(tiff: tifffile.TiffFile) -> Iterator[tuple[int | None, tifffile.TiffPage]]:
    """The pages behind the first one, each page followed by those inside of it (SubIFDs)."""
    for index, page in enumerate(tiff.pages):
        if index > 0:
            yield index, page
        for inner in page.pages or ():
            yield None, inner


def _scale_float(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.uint16]:
    """Scale samples [H, W, C] in 0..1 to 16 bits, a row at a time, which bounds the memory.

    Raises:
        PhotoError: A sample is outside of 0 to 1, or no number.
    """
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high <= 1):
        problem = f"Its floating-point values go from {low:.4g} to {high:.4g}; only 0 to 1, black to white, is read."
        raise PhotoError(problem, _RESCALE)
    scaled = np.empty(samples.shape, np.uint16)
    for row, source in zip(scaled, samples, strict=True):
        row[...] = np.rint(source * np.float64(65535))
    return scaled


def _unpremultiply(samples: Pixels) -> Pixels:
    """Divide colors by alpha, the last channel of [H, W, C + 1]."""
    full = np.iinfo(samples.dtype).max
    alpha = samples[..., -1:].astype(np.float64)  # [H, W, 1]
    colors = np.rint(samples[..., :-1] * (full / np.maximum(alpha, 1))).clip(0, full)
    return np.concatenate([colors.astype(samples.dtype), samples[..., -1:]], axis=2)
