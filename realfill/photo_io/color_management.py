"""Conversion between a photo's own color space and sRGB, through its ICC profile.

All pixels are computed in sRGB. A `Photo` keeps its own color space and bit depth, so that what is not filled can be
delivered unchanged.
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
    """Convert a photo to sRGB, relative colorimetric with black point compensation. Alpha is ignored.

    Without a usable profile, gray and RGB are taken for sRGB, and CMYK for the complement of RGB.

    Args:
        photo: A photo of any color space and bit depth.

    Returns:
        [H, W, 3] uint8 sRGB. It may share the photo's memory: copy it before you write into it.
    """
    icc = None if profile_problem(photo) else photo.icc
    if icc is not None:
        flags = _NO_OPTIMIZATION if photo.bits == 16 else 0
        return _transform(
            photo.pixels, icc, _srgb_profile(), COLOR_MODES[photo.pixels.shape[2]], "rgb", "uint8", flags
        )
    samples = to_8_bits(photo.pixels)  # [H, W, C] uint8
    if samples.shape[2] == 1:
        return np.repeat(samples, 3, axis=2)
    if samples.shape[2] == 3:
        return samples
    light = 255 - samples.astype(np.uint16)  # [H, W, 4]
    return ((light[..., :3] * light[..., 3:] + 127) // 255).astype(np.uint8)


def from_srgb(rgb: Pixels, like: Photo) -> Pixels:
    """Convert sRGB pixels to the color space and bit depth of a photo; the inverse of `to_srgb`.

    Args:
        rgb: [h, w, 3] float32 sRGB in 0..1; values outside are clipped.
        like: The photo to match; its size does not matter.

    Returns:
        [h, w, C] of the photo's channels and dtype.
    """
    channels = like.pixels.shape[2]
    icc = None if profile_problem(like) else like.icc
    if icc is not None:
        deep = _quantize(rgb, np.uint16)
        dtype = like.pixels.dtype.name
        return _transform(deep, _srgb_profile(), icc, "rgb", COLOR_MODES[channels], dtype, _NO_OPTIMIZATION)
    if channels == 1:
        rgb = rgb @ _REC_709_LUMA  # [h, w, 1]
    if channels == 4:
        black = 1 - rgb.max(axis=2, keepdims=True)  # [h, w, 1]
        ink = (1 - rgb - black) / np.maximum(1 - black, 1e-6)  # [h, w, 3]; pure black has no other ink
        rgb = np.concatenate([ink, black], axis=2)
    return _quantize(rgb, like.pixels.dtype)


def read_srgb(path: Path) -> Pixels:
    """Read a photo of any size as [H, W, 3] uint8 sRGB, upright.

    Raises:
        PhotoError: As for `read_photo`.
    """
    return to_srgb(read_photo(path))


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
    samples: Pixels, source: bytes, destination: bytes, mode: str, out_mode: str, dtype: str, flags: int
) -> Pixels:
    """Transform samples [H, W, C] of the profile `source` to the profile `destination`, by Little CMS."""
    transformed: Pixels = imagecodecs.cms_transform(
        samples,
        source,
        destination,
        colorspace=mode,
        outcolorspace=out_mode,
        outdtype=dtype,
        intent=_INTENT,
        flags=_BLACK_POINT_COMPENSATION | flags,
    )
    return transformed.reshape(*samples.shape[:2], -1)


def _quantize(values: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """Scale float32 values in 0..1 to the whole range of an integer dtype, with rounding and clipping."""
    full = np.iinfo(dtype).max
    scaled = values * np.float32(full)
    return np.rint(scaled, out=scaled).clip(0, full, out=scaled).astype(dtype)
