"""Photos in and out: decoding, orientation, colour management, and the plain pictures of the work folders.

Colour is computed in sRGB. A `Photo` keeps the pixels in its own colour space and depth, so that what is not
filled can be delivered untouched; `to_srgb` and `from_srgb` go there and back through its ICC profile.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pillow_heif
import tifffile
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError
from scipy.ndimage import distance_transform_edt

from realfill.errors import PhotoError

if TYPE_CHECKING:
    from realfill.artifacts import Window

Pixels = npt.NDArray[Any]

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")
_MODES = {1: "gray", 3: "rgb", 4: "cmyk"}
_INTENT = int(ImageCms.Intent.RELATIVE_COLORIMETRIC)
_BLACK_POINT = int(ImageCms.Flags.BLACKPOINTCOMPENSATION)
_EXACT = int(ImageCms.Flags.NOOPTIMIZE)
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
        return _MODES[self.pixels.shape[2]] + ("" if self.alpha is None else "a")


def read(path: Path, *, max_megapixels: float = 150.0) -> Photo:
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


def to_srgb(photo: Photo) -> Pixels:
    """The photo's colours as [H, W, 3] uint8 sRGB (relative colorimetric, black point compensated).

    Without a usable profile grey and RGB are taken for sRGB, and CMYK for its plain complement. Alpha is ignored.
    The result may share the photo's memory: copy it before writing into it.
    """
    icc = None if profile_problem(photo) else photo.icc
    if icc is not None:
        exact = _EXACT if photo.bits == 16 else 0
        return _transform(photo.pixels, icc, _srgb(), _MODES[photo.pixels.shape[2]], "rgb", "uint8", exact)
    samples = photo.pixels if photo.bits == 8 else ((photo.pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if samples.shape[2] == 1:
        return np.repeat(samples, 3, axis=2)
    if samples.shape[2] == 3:
        return samples
    light = 255 - samples.astype(np.uint16)  # [H, W, 4]
    return ((light[..., :3] * light[..., 3:] + 127) // 255).astype(np.uint8)


def from_srgb(rgb: Pixels, like: Photo) -> Pixels:
    """Bring sRGB colours into another photo's colour space and depth.

    Args:
        rgb: [h, w, 3] float32 sRGB in 0..1; values beyond are clipped.
        like: The photo to match; its size does not matter.

    Returns:
        [h, w, C] of `like`'s channels and dtype.
    """
    channels = like.pixels.shape[2]
    icc = None if profile_problem(like) else like.icc
    if icc is not None:
        deep = _quantised(rgb, np.uint16)
        return _transform(deep, _srgb(), icc, "rgb", _MODES[channels], like.pixels.dtype.name, _EXACT)
    if channels == 1:
        rgb = rgb @ np.array([[0.2126], [0.7152], [0.0722]], np.float32)  # Rec. 709 luma
    if channels == 4:
        black = 1 - rgb.max(axis=2, keepdims=True)  # [h, w, 1]
        ink = (1 - rgb - black) / np.maximum(1 - black, 1e-6)
        rgb = np.concatenate([ink, black], axis=2)
    return _quantised(rgb, like.pixels.dtype)


def read_srgb(path: Path) -> Pixels:
    """Read a photo as [H, W, 3] uint8 sRGB, upright.

    Raises:
        PhotoError: As `read`.
    """
    return to_srgb(read(path))


def lens_of(path: Path) -> tuple[float | None, str | None]:
    """Focal length as on a 35 mm film, in millimetres, and a name that photos of one camera at one setting share.

    Each is None where the photo does not say so, or its metadata cannot be read.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            main = image.getexif()
            details = main.get_ifd(ExifTags.IFD.Exif)
            size = sorted(image.size)
    except Exception:  # Pillow raises anything at all on damaged metadata; nothing here is needed
        return None, None
    film, focal = details.get(ExifTags.Base.FocalLengthIn35mmFilm), details.get(ExifTags.Base.FocalLength)
    maker, model = main.get(ExifTags.Base.Make), main.get(ExifTags.Base.Model)
    on_film = float(film) if isinstance(film, int | float) and 5 <= film <= 2000 else None
    named = all(isinstance(text, str) and text.strip() for text in (maker, model)) and focal
    return on_film, f"{maker} {model} {focal} {size}" if named else None


def profile_name(photo: Photo) -> str:
    """Description of the embedded ICC profile; empty where there is none or it cannot be read."""
    if photo.icc is None or profile_problem(photo):
        return ""
    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(photo.icc))).strip()


def profile_problem(photo: Photo) -> str:
    """Why the embedded ICC profile is not used, as a sentence; empty where all is well."""
    return "" if photo.icc is None else _profile_problem(photo.icc, photo.pixels.shape[2])


@lru_cache(maxsize=64)
def _profile_problem(icc: bytes, channels: int) -> str:
    mode = _MODES[channels]
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip().lower()
        if space != mode:
            return f"The embedded colour profile is for {space}, not {mode}; sRGB is assumed."
        pixel = np.zeros((1, 1, channels), np.uint8)
        _transform(pixel, icc, _srgb(), mode, "rgb", "uint8", 0)
        _transform(np.zeros((1, 1, 3), np.uint16), _srgb(), icc, "rgb", mode, "uint8", 0)
    except (OSError, ValueError, RuntimeError, ImageCms.PyCMSError) as error:
        return f"The embedded colour profile is broken ({str(error)[:100]}); sRGB is assumed."
    return ""


@lru_cache(maxsize=1)
def _srgb() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def _transform(
    samples: Pixels, source: bytes, sink: bytes, mode: str, out_mode: str, dtype: str, flags: int
) -> Pixels:
    out: Pixels = imagecodecs.cms_transform(
        samples,
        source,
        sink,
        colorspace=mode,
        outcolorspace=out_mode,
        outdtype=dtype,
        intent=_INTENT,
        flags=_BLACK_POINT | flags,
    )
    return out.reshape(*samples.shape[:2], -1)


def _quantised(values: Pixels, dtype: npt.DTypeLike) -> Pixels:
    full = np.iinfo(dtype).max
    scaled = values * np.float32(full)
    return np.rint(scaled, out=scaled).clip(0, full, out=scaled).astype(dtype)


def write_lossless(path: Path, photo: Photo) -> None:
    """Write a photo as a deflate-compressed TIFF that `read` turns into the same pixels, alpha and profile."""
    samples = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    tifffile.imwrite(
        path,
        samples if samples.shape[2] > 1 else samples[..., 0],
        photometric={1: "minisblack", 3: "rgb", 4: "separated"}[photo.pixels.shape[2]],
        planarconfig="contig" if samples.shape[2] > 1 else None,
        extrasamples=None if photo.alpha is None else ["unassalpha"],
        iccprofile=photo.icc,
        compression="zlib",
        compressionargs={"level": 1},
        predictor=True,
        rowsperstrip=256,
        metadata=None,
        software=False,
    )


def write_png(path: Path, picture: Pixels) -> None:
    """Write [H, W, 3] RGB or [H, W] uint8 as a PNG, quickly rather than small; same pixels, same bytes."""
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(picture), level=1))


def read_png(path: Path) -> Pixels:
    """Read what `write_png` wrote, as [H, W, 3] RGB or [H, W] uint8."""
    picture: Pixels = imagecodecs.png_decode(path.read_bytes())
    return picture


def resize(image: Pixels, width: int, height: int) -> Pixels:
    """Scale [H, W] or [H, W, C], uint8, uint16 or float32: averages areas where it shrinks, cubic where it grows.

    Cubic interpolation may overshoot the range of float values slightly.
    """
    if (width, height) == (image.shape[1], image.shape[0]):
        return image
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    scaled: Pixels = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return scaled.reshape(height, width, *image.shape[2:])


def gray(picture: Pixels) -> np.ndarray:
    """Luma of a picture [H, W, 3] uint8 sRGB, [H, W] float32 in 0..1."""
    luma: np.ndarray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return luma


def distance_to(region: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one of a region [H, W] bool, pixels, float32; 0 inside.

    Unlike OpenCV's exact transform it does not depend, in its last bits, on where the picture lies in memory.
    """
    return np.asarray(distance_transform_edt(~region), np.float32)


def nearest_known(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values [H, W, ...]; elsewhere than known [H, W] those of the nearest known place, zeros if there is none."""
    if not known.any():
        return np.zeros_like(values)
    _, (rows, columns) = distance_transform_edt(~known, return_indices=True)
    return np.asarray(values[rows, columns])


def square(image: Pixels, window: Window, fill: int | None = None) -> Pixels:
    """Cut the window out of a canvas.

    Args:
        image: [H, W] or [H, W, C], of the canvas's size.
        window: Where to cut.
        fill: Value beyond the canvas; the canvas's edge is repeated where it is None.

    Returns:
        [side, side] or [side, side, C].
    """
    height, width = image.shape[:2]
    right, bottom = window.left + window.side, window.top + window.side
    before = (max(-window.top, 0), max(-window.left, 0))
    after = (max(bottom - height, 0), max(right - width, 0))
    inside = image[max(window.top, 0) : min(bottom, height), max(window.left, 0) : min(right, width)]
    pads = [(before[0], after[0]), (before[1], after[1])] + [(0, 0)] * (image.ndim - 2)
    if fill is None:
        return np.pad(inside, pads, mode="edge")
    return np.pad(inside, pads, constant_values=fill)
