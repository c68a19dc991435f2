"""FIXME DOCSTRING."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import ImageCms

from realfill.imaging.ops import Pixels
from realfill.photo_io.decode import COLOR_MODES, Photo, read_photo

_INTENT = int(ImageCms.Intent.RELATIVE_COLORIMETRIC)
_BLACK_POINT = int(ImageCms.Flags.BLACKPOINTCOMPENSATION)
_EXACT = int(ImageCms.Flags.NOOPTIMIZE)


def to_srgb(photo: Photo) -> Pixels:
    """The photo's colours as [H, W, 3] uint8 sRGB (relative colorimetric, black point compensated).

    Without a usable profile grey and RGB are taken for sRGB, and CMYK for its plain complement. Alpha is ignored.
    The result may share the photo's memory: copy it before writing into it.
    """
    icc = None if profile_problem(photo) else photo.icc
    if icc is not None:
        exact = _EXACT if photo.bits == 16 else 0
        return _transform(photo.pixels, icc, _srgb(), COLOR_MODES[photo.pixels.shape[2]], "rgb", "uint8", exact)
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
        deep = _quantize(rgb, np.uint16)
        return _transform(deep, _srgb(), icc, "rgb", COLOR_MODES[channels], like.pixels.dtype.name, _EXACT)
    if channels == 1:
        rgb = rgb @ np.array([[0.2126], [0.7152], [0.0722]], np.float32)  # Rec. 709 luma
    if channels == 4:
        black = 1 - rgb.max(axis=2, keepdims=True)  # [h, w, 1]
        ink = (1 - rgb - black) / np.maximum(1 - black, 1e-6)
        rgb = np.concatenate([ink, black], axis=2)
    return _quantize(rgb, like.pixels.dtype)


def read_srgb(path: Path) -> Pixels:
    """Read a photo as [H, W, 3] uint8 sRGB, upright.

    Raises:
        PhotoError: As `read`.
    """
    return to_srgb(read_photo(path))


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
    mode = COLOR_MODES[channels]
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


def _quantize(values: Pixels, dtype: npt.DTypeLike) -> Pixels:
    full = np.iinfo(dtype).max
    scaled = values * np.float32(full)
    return np.rint(scaled, out=scaled).clip(0, full, out=scaled).astype(dtype)
