"""Conversion between a photo's own color space and the one that it is computed in, through its ICC profile.

All pixels are computed in an RGB space: the album's working space (see `working_space`), or sRGB, for which None
stands in the place of an ICC profile. A `Photo` keeps its own color space and bit depth, so that what is not filled
can be delivered unchanged.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ImageCms

from realfill.imaging.ops import Pixels
from realfill.photo_io.decode import read_photo
from realfill.photo_io.icc_transform import NO_OPTIMIZATION, profile_problem, srgb_profile, transform
from realfill.photo_io.photo import COLOR_MODES, Photo, to_8_bits

_REC_709_LUMA = np.array([[0.2126], [0.7152], [0.0722]], np.float32)  # ITU-R BT.709


@dataclass(frozen=True)
class SrgbSettings:
    """When a profile counts as that of sRGB.

    Attributes:
        grid: Values of each channel that are tried; set by hand.
        tolerance: How far they may be off, 8-bit levels; set by hand, above what versions
            of sRGB's profile differ by.
    """

    grid: int = 6
    tolerance: int = 4


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
        flags = NO_OPTIMIZATION if photo.bits == 16 or dtype == np.uint16 else 0
        mode = COLOR_MODES[photo.pixels.shape[2]]
        return transform(photo.pixels, icc, profile or srgb_profile(), mode, "rgb", dtype, flags)
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
    source, destination = source or srgb_profile(), destination or srgb_profile()
    flags = NO_OPTIMIZATION if dtype == np.uint16 else 0
    return transform(rows, source, destination, "rgb", "rgb", dtype, flags).reshape(pixels.shape)


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
        dtype, source = like.pixels.dtype, profile or srgb_profile()
        return transform(deep, source, icc, "rgb", COLOR_MODES[channels], dtype, NO_OPTIMIZATION)
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


def is_srgb_profile(icc: bytes, settings: SrgbSettings = SrgbSettings()) -> bool:
    """Whether a usable ICC profile means the colors of sRGB."""
    if ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip() != "RGB":
        return False
    steps = np.linspace(0, 255, settings.grid).round().astype(np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    shown = transform(colors, icc, srgb_profile(), "rgb", "rgb", "uint8", NO_OPTIMIZATION)
    return int(np.abs(shown.astype(int) - colors).max()) <= settings.tolerance


def _quantize(values: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """Scale float32 values in 0..1 to the whole range of an integer dtype, with rounding and clipping."""
    full = np.iinfo(dtype).max
    scaled = values * np.float32(full)
    return np.rint(scaled, out=scaled).clip(0, full, out=scaled).astype(dtype)
