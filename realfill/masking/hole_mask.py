"""FIXME DOCSTRING."""

from __future__ import annotations

import cv2
import numpy as np

from realfill.album.settings import AlbumSettings
from realfill.core.errors import MaskError
from realfill.imaging.ops import Pixels, distance_transform
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import Photo

GREYS = 0.03  # share of pixels that may be neither black nor white: the soft rim of what was drawn
NOISE = 8  # distance from black or white that lossy compression makes of them
FLAT = 2.0  # standard deviation below which a region shows nothing
_WAYS = (
    "Describe it in one of four ways: a black and white picture target/mask.png of the photo's size (white = fill); "
    "transparent pixels in the target; boxes or polygons in album.yaml; outpaint or aspect in album.yaml."
)


def mask_from_file(drawing: Photo, photo: Photo, picture: Pixels) -> Pixels:
    """Read a mask that was drawn as a picture of its own.

    Args:
        drawing: The mask file, white = fill.
        photo: The target.
        picture: The target in sRGB, [H, W, 3] uint8.

    Returns:
        [H, W] uint8, 255 = fill.

    Raises:
        MaskError: Its size, its values or its polarity cannot be meant.
    """
    _check_size(drawing, photo)
    peak = int(drawing.pixels.max())
    if 0 < peak <= np.iinfo(drawing.pixels.dtype).max // 255:
        full = np.iinfo(drawing.pixels.dtype).max
        problem = f"The mask's brightest value is {peak}, which is black: white is {full}."
        raise MaskError(problem, f"Multiply its values so that what is to be filled is {full}.")
    shade = to_srgb(drawing)  # [H, W, 3]
    _check_alpha(drawing, shade)
    if drawing.pixels.shape[2] > 1 and _coloured(shade) > GREYS:
        raise MaskError("The mask is coloured.", "Draw it in black and white; white = fill.")
    mask = _binary(shade[..., 1], "The mask")
    kept = cv2.erode(255 - mask, np.ones((17, 17), np.uint8))  # away from the rim, where JPEG rings
    if kept.any() and _spread(picture, kept) < FLAT and _spread(picture, mask) > 5 * FLAT:
        raise MaskError(
            "The mask seems inverted: what it keeps is one flat colour, what it fills is a picture.",
            "Invert it; white = fill, black = keep.",
        )
    return mask


def mask_from_alpha(photo: Photo) -> Pixels:
    """Take the target's transparent pixels as the hole, [H, W] uint8, 255 = fill.

    Raises:
        MaskError: There are none, or it is neither transparent nor opaque.
    """
    clear = None if photo.alpha is None else 255 - _eight_bits(photo.alpha)
    if clear is None or clear.max() <= NOISE:
        raise MaskError("Nothing describes what is to be filled.", _WAYS)
    return _binary(clear, "The target's transparency")


def mask_from_shapes(settings: AlbumSettings, width: int, height: int) -> Pixels:
    """Draw boxes and polygons, [H, W] uint8, 255 = fill; a polygon fills every pixel that it touches.

    Raises:
        MaskError: One of them reaches beyond the photo.
    """
    corners = [(x, y) for box in settings.boxes for x, y in ((box.left, box.top), (box.right, box.bottom))]
    points = [point for polygon in settings.polygons for point in polygon]
    for x, y in [*corners, *points]:
        if not (0 <= x <= width and 0 <= y <= height):
            problem = f"The point ({x:g}, {y:g}) lies outside the photo of {width} x {height} pixels."
            raise MaskError(problem, "Give boxes and polygons in pixels of the photo as it is shown upright.")
    mask = np.zeros((height, width), np.uint8)
    for box in settings.boxes:
        mask[box.top : box.bottom, box.left : box.right] = 255
    for polygon in settings.polygons:
        cv2.fillPoly(mask, [np.floor(np.array(polygon)).astype(np.int32)], 255)
    return mask


def grow_mask(mask: Pixels, pixels: int) -> Pixels:
    """Dilate a mask, [H, W] uint8 0 or 255, by a disc of this radius."""
    if pixels == 0 or not mask.any():
        return mask
    inside: Pixels = distance_transform(mask > 0) <= pixels
    return inside.astype(np.uint8) * np.uint8(255)


def _coloured(shade: Pixels) -> float:
    """Share of pixels whose channels differ."""
    red, green, blue = cv2.split(shade)
    differ = cv2.max(cv2.absdiff(red, green), cv2.absdiff(blue, green)) > 2 * NOISE
    return float(np.count_nonzero(differ) / differ.size)


def _check_size(drawing: Photo, photo: Photo) -> None:
    size, wanted = (drawing.width, drawing.height), (photo.width, photo.height)
    if size == wanted:
        return
    if size == wanted[::-1] and photo.orientation >= 5:
        raise MaskError(
            f"The mask has {size[0]} x {size[1]} pixels and fits the photo as it is stored, but the photo is shown "
            f"turned to {wanted[0]} x {wanted[1]} (EXIF orientation {photo.orientation}).",
            "Turn the mask the same way, so that it lies over the photo as it is shown.",
        )
    raise MaskError(
        f"The mask has {size[0]} x {size[1]} pixels, the photo {wanted[0]} x {wanted[1]}.",
        "Draw the mask over the photo at its full size; it is not scaled, for that would move its edges.",
    )


def _check_alpha(drawing: Photo, shade: Pixels) -> None:
    if drawing.alpha is None or np.ptp(drawing.alpha) == 0:
        return
    clear = _eight_bits(drawing.alpha) < 128
    if np.ptp(shade) == 0 or (shade[clear] >= 128).any():
        raise MaskError(
            "The mask is drawn in its transparency, so that it cannot be told what is meant by white.",
            "Save it without transparency: white where it is to be filled, black elsewhere.",
        )


def _binary(shade: Pixels, what: str) -> Pixels:
    mask: Pixels = cv2.threshold(shade, 127, 255, cv2.THRESH_BINARY)[1]
    fill = np.count_nonzero(mask)
    if fill == 0 and shade.max() <= NOISE:
        raise MaskError(f"{what} marks nothing to fill.", "Paint white what is to be filled.")
    greys = np.count_nonzero((shade > NOISE) & (shade < 255 - NOISE))
    if greys > GREYS * shade.size or greys > fill / 2:
        raise MaskError(
            f"{what} is grey, neither black nor white, in {greys / shade.size:.1%} of the pixels.",
            "Draw it with a hard brush: white where it is to be filled, black elsewhere.",
        )
    return mask


def check_hole_share(hole: float, limit: float) -> None:
    if hole == 0:
        raise MaskError("Nothing is marked to be filled.", _WAYS)
    if hole > limit:
        raise MaskError(
            f"{hole:.1%} of the picture is to be filled; {limit:.0%} is the most.",
            "Leave more of the photo, check that white = fill, or raise masks.max_hole.",
        )


def _spread(picture: Pixels, mask: Pixels) -> float:
    return float(cv2.meanStdDev(picture, mask=mask)[1].max())


def _eight_bits(values: Pixels) -> Pixels:
    return (values // (np.iinfo(values.dtype).max // 255)).astype(np.uint8)
