"""FIXME DOCSTRING."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

Pixels = npt.NDArray[Any]


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


def distance_transform(region: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one of a region [H, W] bool, pixels, float32; 0 inside.

    Unlike OpenCV's exact transform it does not depend, in its last bits, on where the picture lies in memory.
    """
    return np.asarray(distance_transform_edt(~region), np.float32)


def fill_from_nearest(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values [H, W, ...]; elsewhere than known [H, W] those of the nearest known place, zeros if there is none."""
    if not known.any():
        return np.zeros_like(values)
    _, (rows, columns) = distance_transform_edt(~known, return_indices=True)
    return np.asarray(values[rows, columns])


_LOCAL = 9  # pixels over which the variance of brightness is told


def local_variance(gray: np.ndarray) -> np.ndarray:
    """Variance of brightness around every pixel [H, W] float32."""
    mean = cv2.blur(gray, (_LOCAL, _LOCAL))
    return np.asarray(np.maximum(cv2.blur(gray * gray, (_LOCAL, _LOCAL)) - mean * mean, 0))


def float_gray(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def to_uint8(picture: np.ndarray) -> Pixels:
    return picture if picture.dtype == np.uint8 else np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


def to_float(plane: np.ndarray) -> np.ndarray:
    return plane.astype(np.float32) / 255 if plane.dtype == np.uint8 else plane
