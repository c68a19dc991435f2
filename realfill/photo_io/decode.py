"""Photos in and out: decoding, orientation, colour management, and the plain pictures of the work folders.

Colour is computed in sRGB. A `Photo` keeps the pixels in its own colour space and depth, so that what is not
filled can be delivered untouched; `to_srgb` and `from_srgb` go there and back through its ICC profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import ExifTags, Image, UnidentifiedImageError

from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")
COLOR_MODES = {1: "gray", 3: "rgb", 4: "cmyk"}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TIFF_CHANNELS = {0: 1, 1: 1, 2: 3, 5: 4}  # photometric interpretation: channels without alpha
_DAMAGED = "Export it again from where it came, or leave it out."
_CONVERT = "Open it in an image editor and save it as a JPEG or as an RGB TIFF of 8 or 16 bits."
pillow_heif.register_heif_opener()


Image.MAX_IMAGE_PIXELS = None  # `read` has its own limit, and applies it before anything is decoded


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright.

    Attributes:
        pixels: [H, W, C] uint8 or uint16 in the photo's own colour space; C = 1 grey, 3 RGB, 4 CMYK (0 = no ink).
        alpha: [H, W] of the same dtype, 0 = transparent, not premultiplied; None where there is none.
        icc: Embedded ICC profile.
        format: "JPEG", "PNG", "WEBP", "TIFF" or "HEIF".
        orientation: EXIF orientation that the file had and `pixels` no longer need, 1 to 8. HEIF's own rotation
            is applied by its decoder and leaves 1.
        exif: Whether the file has EXIF metadata.
    """

    pixels: Pixels
    alpha: Pixels | None
    icc: bytes | None
    format: str
    orientation: int
    exif: bool = False

    @property
    def width(self) -> int:
        """Pixels, upright."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels, upright."""
        return int(self.pixels.shape[0])

    @property
    def bits(self) -> int:
        """Bits a sample, 8 or 16."""
        return self.pixels.dtype.itemsize * 8

    @property
    def mode(self) -> str:
        """ "gray", "rgb" or "cmyk", with "a" appended where there is an alpha channel."""
        return COLOR_MODES[self.pixels.shape[2]] + ("" if self.alpha is None else "a")


def read_photo(path: Path, *, max_megapixels: float = 150.0) -> Photo:
    """Decode the first frame of a JPEG (MPO too), PNG, WebP, TIFF or HEIC file, whatever its name ends in.

    Palette, 1-bit and YCbCr pictures become RGB or grey; HEIC of more than 8 bits becomes 8 bits.

    Raises:
        PhotoError: The file is missing, of another format, damaged, of more than `max_megapixels` (10^6 pixels),
            or of a kind that is not read (floating point, LAB, 12 or 32 bits).
    """
    try:
        with path.open("rb") as file:
            return _read(file, max_megapixels)
    except PhotoError as error:
        raise PhotoError(error.problem, error.remedy, path) from None
    except UnidentifiedImageError as error:
        raise PhotoError(
            "This is not a JPEG, PNG, WebP, TIFF or HEIC photo that can be read.", _CONVERT, path
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise PhotoError(
                f"The file cannot be opened ({error.strerror}).", "Check that it is there.", path
            ) from error
        raise PhotoError(f"The photo is damaged ({str(error)[:200]}).", _DAMAGED, path) from error
    except MemoryError as error:
        raise PhotoError("Decoding the photo takes more memory than there is.", _DAMAGED, path) from error
    except Exception as error:  # decoders raise anything at all on damaged files
        problem = f"The photo is damaged ({type(error).__name__}: {str(error)[:200]})."
        raise PhotoError(problem, _DAMAGED, path) from error


def _read(file: BinaryIO, max_megapixels: float) -> Photo:
    magic = file.read(4)
    file.seek(0)
    if magic in _TIFF:
        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages[0]
            _check_size(page.imagewidth, page.imagelength, max_megapixels)
            if _is_plain(page):
                return _decode_tiff(page)
        file.seek(0)
    with Image.open(file, formats=FORMATS) as image:
        _check_size(*image.size, max_megapixels)
        return _decode(image, file)


def _check_size(width: int, height: int, max_megapixels: float) -> None:
    if width < 1 or height < 1:
        raise PhotoError("The photo has no pixels.", _DAMAGED)
    if width * height > max_megapixels * 1e6:
        raise PhotoError(
            f"The photo has {width} x {height} pixels, more than the {max_megapixels:g} megapixels allowed.",
            "Scale it down, or raise validate.max_megapixels.",
        )


def _decode(image: Image.Image, file: BinaryIO) -> Photo:
    orientation = _orientation(image)
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    exif = "exif" in image.info or (kind == "TIFF" and ExifTags.IFD.Exif in image.getexif())
    if kind == "PNG" and _is_deep_png(file):
        file.seek(0)
        samples = imagecodecs.png_decode(file.read())
        channels = 1 if samples.ndim == 2 or samples.shape[2] == 2 else 3
    else:
        plain = _plain(image)
        samples = np.asarray(plain)
        channels = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "CMYK": 4}[plain.mode]
    turn = 1 if kind == "TIFF" else orientation  # Pillow turns TIFFs, and nothing else, while it loads them
    return _photo(samples, channels, turn, orientation, image.info.get("icc_profile"), kind, exif)


def _photo(samples: Pixels, channels: int, turn: int, orientation: int, icc: object, kind: str, exif: bool) -> Photo:
    if samples.ndim == 2:
        samples = samples[..., None]
    samples = _upright(samples, turn)
    return Photo(
        pixels=np.ascontiguousarray(samples[..., :channels]),
        alpha=np.ascontiguousarray(samples[..., channels]) if samples.shape[2] > channels else None,
        icc=icc if isinstance(icc, bytes) and icc else None,
        format=kind,
        orientation=orientation,
        exif=exif,
    )


def _plain(image: Image.Image) -> Image.Image:
    image.load()
    clear = image.has_transparency_data
    match image.mode:
        case "1" | "L" | "LA" | "La":
            plain = "LA" if clear else "L"
        case "P" | "PA" | "RGB" | "RGBA" | "RGBa" | "RGBX" | "YCbCr":
            plain = "RGBA" if clear else "RGB"
        case "CMYK":
            plain = "CMYK"
        case _:
            raise PhotoError(f"Photos with pixels of the kind {image.mode!r} are not read.", _CONVERT)
    return image if image.mode == plain else image.convert(plain)


def _orientation(image: Image.Image) -> int:
    if image.format == "HEIF":
        return 1
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata is no reason to refuse the pixels
        return 1
    return _known(value)


def _known(orientation: object) -> int:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _upright(samples: Pixels, orientation: int) -> Pixels:
    if orientation in (2, 4, 5, 7):
        samples = samples[:, ::-1]
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[orientation]
    return np.rot90(samples, turns)


def _is_deep_png(file: BinaryIO) -> bool:
    file.seek(24)  # bit depth in IHDR, always the first chunk
    return file.read(1) == b"\x10"


def _is_plain(page: tifffile.TiffPage) -> bool:
    """Whether tifffile alone reads a page as it is meant: unsigned grey, RGB or CMYK of 8 or 16 bits."""
    channels = _TIFF_CHANNELS.get(int(page.photometric), 99)
    return (
        page.dtype in (np.uint8, np.uint16)
        and page.bitspersample in (8, 16)
        and page.axes in ("YX", "YXS", "SYX")
        and channels <= page.samplesperpixel <= 8
    )


def _decode_tiff(page: tifffile.TiffPage) -> Photo:
    channels = _TIFF_CHANNELS[int(page.photometric)]
    samples = page.asarray()
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    if samples.ndim == 2:
        samples = samples[..., None]
    if page.photometric == 0:
        samples = np.iinfo(samples.dtype).max - samples
    extras = [int(extra) for extra in page.extrasamples]
    alphas = [channels + i for i, extra in enumerate(extras) if extra in (1, 2)]
    samples = samples[..., [*range(channels), *alphas[:1]]]
    if alphas and extras[alphas[0] - channels] == 1:
        samples = _unpremultiplied(samples)
    tags = {name: page.tags[name].value for name in ("Orientation", "InterColorProfile") if name in page.tags}
    orientation = _known(tags.get("Orientation"))
    exif = ExifTags.IFD.Exif in page.tags
    return _photo(samples, channels, orientation, orientation, tags.get("InterColorProfile"), "TIFF", exif)


def _unpremultiplied(samples: Pixels) -> Pixels:
    full = np.iinfo(samples.dtype).max
    alpha = samples[..., -1:].astype(np.float64)
    colours = np.rint(samples[..., :-1] * (full / np.maximum(alpha, 1))).clip(0, full)
    return np.concatenate([colours.astype(samples.dtype), samples[..., -1:]], axis=2)
