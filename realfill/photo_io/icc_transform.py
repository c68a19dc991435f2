"""Transforms between ICC profiles, by Little CMS."""

from __future__ import annotations

import io
from functools import lru_cache

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import ImageCms

from realfill.imaging.ops import Pixels
from realfill.photo_io.photo import COLOR_MODES, Photo

NO_OPTIMIZATION = int(ImageCms.Flags.NOOPTIMIZE)  # full precision, for 16 bits
_INTENT = int(ImageCms.Intent.RELATIVE_COLORIMETRIC)
_BLACK_POINT_COMPENSATION = int(ImageCms.Flags.BLACKPOINTCOMPENSATION)


def transform(
    samples: Pixels,
    source: bytes,
    destination: bytes,
    mode: str,
    out_mode: str,
    dtype: npt.DTypeLike,
    flags: int = 0,
) -> Pixels:
    """Transform samples of one profile to another, relative colorimetric with black point compensation.

    Args:
        samples: [H, W, C] uint8 or uint16.
        source: Their ICC profile.
        destination: The other ICC profile.
        mode: Color mode of the samples, of `COLOR_MODES`.
        out_mode: Color mode of the other profile.
        dtype: uint8 or uint16.
        flags: Of Little CMS.

    Returns:
        [H, W, C'] of the dtype.

    Raises:
        RuntimeError: Little CMS does not transform so.
    """
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


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """The ICC profile of sRGB."""
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def profile_problem(photo: Photo) -> str:
    """Why the embedded ICC profile cannot be used, a sentence; empty if it can, or if there is none."""
    return "" if photo.icc is None else _profile_problem(photo.icc, photo.pixels.shape[2])


def is_one_way(photo: Photo) -> bool:
    """Whether the embedded ICC profile tells how its values look, but not which values another color has.

    Such are those of scanners and cameras by tables (A2B0 without B2A0).
    """
    if photo.icc is None or profile_problem(photo):
        return False
    return not _has_way_back(photo.icc, photo.pixels.shape[2])


@lru_cache(maxsize=64)
def _profile_problem(icc: bytes, channels: int) -> str:
    mode = COLOR_MODES[channels]
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip().lower()
        if space != mode:
            return f"The embedded color profile is for {space}, not {mode}; sRGB is assumed."
        transform(np.zeros((1, 1, channels), np.uint8), icc, srgb_profile(), mode, "rgb", np.uint8)
    except (OSError, ValueError, RuntimeError, ImageCms.PyCMSError) as error:
        return f"The embedded color profile is broken ({str(error)[:100]}); sRGB is assumed."
    return ""


@lru_cache(maxsize=64)
def _has_way_back(icc: bytes, channels: int) -> bool:
    try:
        transform(np.zeros((1, 1, 3), np.uint16), srgb_profile(), icc, "rgb", COLOR_MODES[channels], np.uint8)
    except RuntimeError:
        return False
    return True
