"""Small operations on pictures: sizes, gray values, distances, and filling from the nearest pixel."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]

UNKNOWN_LEVEL = (
    128  # of pixels that are not known: middle gray, about 0 in an autoencoder's range of -1 to 1, as in diffusers
)


def resize(image: Pixels, width: int, height: int) -> Pixels:
    """Scale a picture: by area averaging where both sides shrink, else by cubic interpolation.

    Args:
        image: [H, W] or [H, W, C], uint8, uint16 or float32.
        width: Pixels.
        height: Pixels.

    Returns:
        [height, width] or [height, width, C] of the same dtype; the picture itself if it has this size already.
        Cubic interpolation may exceed the range of float values slightly.
    """
    if (width, height) == (image.shape[1], image.shape[0]):
        return image
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    scaled: Pixels = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return scaled.reshape(height, width, *image.shape[2:])


def resize_mask(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale a mask down; a pixel belongs to it where any of what it covers does.

    Args:
        mask: [H, W] bool.
        width: Pixels, at most the mask's own.
        height: Pixels, at most the mask's own.

    Returns:
        [height, width] bool.
    """
    return np.asarray(resize(mask.astype(np.float32), width, height) > 0)


def shrink_to(image: Pixels, side: int) -> Pixels:
    """Scale a picture down so that its longer side has at most `side` pixels; smaller ones stay as they are."""
    scale = min(1.0, side / max(image.shape[:2]))
    return resize(image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))


def to_uint8(image: np.ndarray) -> Pixels:
    """Round uint16, or values in 0..1, to 8 bits, clipping those outside; uint8 is returned unchanged."""
    return image if image.dtype == np.uint8 else np.rint(to_float(image).clip(0, 1) * 255).astype(np.uint8)


def to_uint16(image: np.ndarray) -> Pixels:
    """Round values in 0..1 to 16 bits, clipping those outside."""
    return np.rint(image.clip(0, 1) * 65535).astype(np.uint16)


def to_float(image: np.ndarray) -> np.ndarray:
    """Convert uint8 or uint16 to float32 in 0..1; other dtypes are returned unchanged."""
    return image.astype(np.float32) / np.iinfo(image.dtype).max if image.dtype in (np.uint8, np.uint16) else image


def to_gray(image: Pixels) -> np.ndarray:
    """Compute luma (Rec. 601) in 0..1.

    Args:
        image: [H, W, 3] sRGB, uint8, or float32 in 0..1.

    Returns:
        [H, W] float32; the luma of a uint8 picture is rounded to 8 bits.
    """
    return to_float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def local_variance(gray: np.ndarray, window: int = 9) -> np.ndarray:
    """Compute the variance of the values around every pixel.

    Args:
        gray: [H, W] float32.
        window: Side of the square around a pixel; the default was set by hand.

    Returns:
        [H, W] float32.
    """
    mean = cv2.blur(gray, (window, window))
    return np.asarray(np.maximum(cv2.blur(gray * gray, (window, window)) - mean * mean, 0))


def distance_transform(region: np.ndarray) -> np.ndarray:
    """Compute the Euclidean distance of every pixel to the nearest pixel of a region.

    Equal inputs give equal bytes. OpenCV's exact transform does not: its last bits depend on the memory address.

    Args:
        region: [H, W] bool.

    Returns:
        Pixels, [H, W] float32; 0 inside the region.
    """
    from scipy.ndimage import distance_transform_edt  # a third of the start of every command

    return np.asarray(distance_transform_edt(~region), np.float32)


def fill_from_nearest(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Replace unknown values by those of the nearest known pixel.

    Args:
        values: [H, W, ...] of any dtype.
        known: [H, W] bool.

    Returns:
        A new array like `values`; zeros if nothing is known.
    """
    from scipy.ndimage import distance_transform_edt

    if not known.any():
        return np.zeros_like(values)
    _, (rows, columns) = distance_transform_edt(~known, return_indices=True)
    return np.asarray(values[rows, columns])


def masked_blur(image: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Blur an image [H, W, 3] float32 with a Gaussian that ignores the pixels outside a mask [H, W] bool."""
    weight = mask.astype(np.float32)
    total = cv2.GaussianBlur(image * weight[..., None], (0, 0), sigma)
    blurred: np.ndarray = total / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)[..., None]
    return blurred
