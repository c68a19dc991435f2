"""Crops of the canvas: the window that the model sees."""

from __future__ import annotations

import numpy as np

from realfill.album.layout import Album
from realfill.album.schemas import Window
from realfill.album.store import canvas_path, mask_path, read_window
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png


def crop_window(image: Pixels, window: Window, fill: int | None = None) -> Pixels:
    """Crop the window out of an image of the canvas's size, padded where the window reaches beyond the canvas.

    Args:
        image: [H, W] or [H, W, C], any dtype.
        window: The window.
        fill: Value of the padding; None repeats the pixels at the canvas's edge.

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


def read_model_window(album: Album, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the window at the resolution of a base model.

    A pixel belongs to the hole if the resized mask is not 0 there. All beyond the canvas belongs to it as well.

    Args:
        album: An album whose stage `masks` has run.
        resolution: Side R of the result, pixels.

    Returns:
        The image, [R, R, 3] uint8 sRGB, and the hole, [R, R] bool.

    Raises:
        StageError: `masks` has not run.
    """
    window = read_window(album)
    image = resize(crop_window(read_srgb(canvas_path(album)), window), resolution, resolution)
    mask = resize(crop_window(read_png(mask_path(album)), window, fill=255), resolution, resolution)
    return image, mask > 0
