"""Conversion between a photo's own color space and the one that it is computed in, through its ICC profile.

All pixels are computed in an RGB space: the album's working space (see `working_space`), or sRGB, for which None
stands in the place of an ICC profile. A `Photo` keeps its own color space and bit depth, so that what is not filled
can be delivered unchanged.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import ImageCms

from realfill.imaging.ops import Pixels
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import COLOR_MODES, Photo, to_8_bits

_INTENT = int(ImageCms.Intent.RELATIVE_COLORIMETRIC)
_BLACK_POINT_COMPENSATION = int(ImageCms.Flags.BLACKPOINTCOMPENSATION)
_NO_OPTIMIZATION = int(ImageCms.Flags.NOOPTIMIZE)  # full precision, for 16 bits
_REC_709_LUMA = np.array([[0.2126], [0.7152], [0.0722]], np.float32)  # ITU-R BT.709


def to_srgb(photo: Photo) -> Pixels:
    """Convert a photo to sRGB, [H, W, 3] uint8; see `to_rgb`."""
    return to_rgb(photo, None)


def to_rgb(photo: Photo, profile: bytes | None, dtype: npt.DTypeLike = np.uint8) -> Pixels:
    """Convert a photo to an RGB space, relative colorimetric with black point compensation. Alpha is ignored.

    Without a usable profile, gray and RGB are taken for sRGB, and CMYK for the complement of RGB.

    Args:
        photo: A photo of any color space and bit depth.
        profile: ICC profile of the RGB space; None for sRGB.
        dtype: uint8, or uint16 with a profile.

    Returns:
        [H, W, 3] of the dtype. It may share the photo's memory: copy it before you write into it.
    """
    icc = None if profile_problem(photo) else photo.icc
    if icc is not None:
        flags = _NO_OPTIMIZATION if photo.bits == 16 or dtype == np.uint16 else 0
        mode = COLOR_MODES[photo.pixels.shape[2]]
        return _transform(photo.pixels, icc, profile or _srgb_profile(), mode, "rgb", dtype, flags)
    return convert_rgb(_assume_srgb(to_8_bits(photo.pixels)), None, profile, dtype)


def _assume_srgb(samples: Pixels) -> Pixels:
    """Convert samples [H, W, C] uint8 of a photo without a usable profile to sRGB, [H, W, 3] uint8."""
    if samples.shape[2] == 1:
        return np.repeat(samples, 3, axis=2)
    if samples.shape[2] == 3:
        return samples
    light = 255 - samples.astype(np.uint16)  # [H, W, 4]
    return ((light[..., :3] * light[..., 3:] + 127) // 255).astype(np.uint8)


def convert_rgb(
    pixels: Pixels, source: bytes | None, destination: bytes | None, dtype: npt.DTypeLike = np.uint8
) -> Pixels:
    """Convert pixels from one RGB space to another.

    Args:
        pixels: [..., W, 3] uint8.
        source: ICC profile of their space; None for sRGB.
        destination: ICC profile of the other space; None for sRGB.
        dtype: uint8, or uint16 between different spaces.

    Returns:
        Pixels of the same shape and of the dtype; themselves where the spaces are one.
    """
    if source == destination or not pixels.size:
        return pixels
    rows = pixels.reshape(-1, *pixels.shape[-2:])
    source, destination = source or _srgb_profile(), destination or _srgb_profile()
    flags = _NO_OPTIMIZATION if dtype == np.uint16 else 0
    return _transform(rows, source, destination, "rgb", "rgb", dtype, flags).reshape(pixels.shape)


def from_srgb(rgb: Pixels, like: Photo) -> Pixels:
    """Convert sRGB pixels to the color space and bit depth of a photo; the inverse of `to_srgb`."""
    return from_rgb(rgb, None, like)


def from_rgb(rgb: Pixels, profile: bytes | None, like: Photo) -> Pixels:
    """Convert RGB pixels to the color space and bit depth of a photo; the inverse of `to_rgb`.

    Args:
        rgb: [h, w, 3] float32 in 0..1; values outside are clipped.
        profile: ICC profile of their space; None for sRGB, the only one for photos without a usable profile.
        like: The photo to match; its size does not matter.

    Returns:
        [h, w, C] of the photo's channels and dtype.
    """
    channels = like.pixels.shape[2]
    icc = None if profile_problem(like) else like.icc
    if icc is not None:
        deep = _quantize(rgb, np.uint16)
        dtype, source = like.pixels.dtype, profile or _srgb_profile()
        return _transform(deep, source, icc, "rgb", COLOR_MODES[channels], dtype, _NO_OPTIMIZATION)
    if channels == 1:
        rgb = rgb @ _REC_709_LUMA  # [h, w, 1]
    if channels == 4:
        black = 1 - rgb.max(axis=2, keepdims=True)  # [h, w, 1]
        ink = (1 - rgb - black) / np.maximum(1 - black, 1e-6)  # [h, w, 3]; pure black has no other ink
        rgb = np.concatenate([ink, black], axis=2)
    return _quantize(rgb, like.pixels.dtype)


def read_srgb(path: Path, reduction: int = 1) -> Pixels:
    """Read a photo, or a working file of any color space, as [H, W, 3] uint8 sRGB, upright.

    Args:
        path: The file.
        reduction: As for `read_photo`.

    Raises:
        PhotoError: As for `read_photo`.
    """
    return to_rgb(read_photo(path, reduction=reduction), None)


def read_rgb(path: Path, profile: bytes | None, dtype: npt.DTypeLike = np.uint8) -> Pixels:
    """Read a photo of any size in an RGB space, upright; see `to_rgb`.

    Raises:
        PhotoError: As for `read_photo`.
    """
    return to_rgb(read_photo(path), profile, dtype)


def profile_name(photo: Photo) -> str:
    """Description of the embedded ICC profile; empty if there is none or it cannot be used."""
    if photo.icc is None or profile_problem(photo):
        return ""
    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(photo.icc))).strip()


def profile_problem(photo: Photo) -> str:
    """Why the embedded ICC profile cannot be used, a sentence; empty if it can, or if there is none."""
    return "" if photo.icc is None else _profile_problem(photo.icc, photo.pixels.shape[2])


@lru_cache(maxsize=64)
def _profile_problem(icc: bytes, channels: int) -> str:
    mode = COLOR_MODES[channels]
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip().lower()
        if space != mode:
            return f"The embedded color profile is for {space}, not {mode}; sRGB is assumed."
        pixel = np.zeros((1, 1, channels), np.uint8)
        _transform(pixel, icc, _srgb_profile(), mode, "rgb", "uint8", 0)
        _transform(np.zeros((1, 1, 3), np.uint16), _srgb_profile(), icc, "rgb", mode, "uint8", 0)
    except (OSError, ValueError, RuntimeError, ImageCms.PyCMSError) as error:
        return f"The embedded color profile is broken ({str(error)[:100]}); sRGB is assumed."
    return ""


@lru_cache(maxsize=1)
def _srgb_profile() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def _transform(
    samples: Pixels, source: bytes, destination: bytes, mode: str, out_mode: str, dtype: npt.DTypeLike, flags: int
) -> Pixels:
    """Transform samples [H, W, C] of the profile `source` to the profile `destination`, by Little CMS."""
    transformed: Pixels = imagecodecs.cms_transform(
        samples,
        source,
        destination,
        colorspace=mode,
        outcolorspace=out_mode,
        outdtype=np.dtype(dtype).name,
        intent=_INTENT,
        flags=_BLACK_POINT_COMPENSATION | flags,
    )
    return transformed.reshape(*samples.shape[:2], -1)


def _quantize(values: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """Scale float32 values in 0..1 to the whole range of an integer dtype, with rounding and clipping."""
    full = np.iinfo(dtype).max
    scaled = values * np.float32(full)
    return np.rint(scaled, out=scaled).clip(0, full, out=scaled).astype(dtype)
