"""Masks of the hole, from a drawing, from transparency, or from shapes, checked for mistakes.

A mask is [H, W] uint8: 255 = fill, 0 = keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from realfill.core.errors import MaskError
from realfill.imaging.ops import Pixels, distance_transform
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.photo import Photo

if TYPE_CHECKING:
    from realfill.album.settings import AlbumSettings

_WHITE = 128  # 8-bit levels from here on, the upper half, are white, or opaque
HOW_TO_DESCRIBE = (
    "Describe the hole in one or more of four ways: by a black and white image target/mask.png of the photo's size "
    "(white = fill); by transparent pixels of the target, unless album.yaml has transparency: keep; by boxes or "
    "polygons in album.yaml; by outpaint or aspect in album.yaml."
)


@dataclass(frozen=True)
class Hole:
    """A hole, and what is doubtful about its description.

    Attributes:
        mask: [H, W] uint8, 255 = fill.
        warnings: Sentences for the user.
    """

    mask: Pixels
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class HoleMaskSettings:
    """When a drawing is taken for a mistake; all set by hand.

    Attributes:
        noise: Distance from black or white that counts as such, 8-bit levels: lossy compression changes them.
        max_gray_share: Share of pixels that may be neither black nor white, such as an antialiased rim.
        max_gray_to_fill: Number of such pixels, as a multiple of the number of pixels to fill. A drawing with more of
            either is soft.
        soft_level: 8-bit level from which a soft drawing is white: thin lines stay whole.
        soft_rim: Width of the rim of a soft brush, as a share of the drawing's longer side. Gray farther from white
            is no rim.
        min_soft_rim: The least such width, pixels.
        min_white: Share of the upper half of a soft drawing that has to be nearly white: else it is gray altogether.
        nearly_white: 8-bit level from which on it is: thin antialiased lines hardly reach 255.
        doubtful_share: Share of the photo above which a hole may be the inverse of what was meant.
        max_color_difference: Largest difference between channels of a gray pixel, 8-bit levels.
        rim: Side of the square by which what is kept is eroded before its texture is measured, pixels: JPEG's ringing
            lies within it.
        flat_deviation: Standard deviation below which what is kept shows nothing, 8-bit levels.
        picture_deviation: Standard deviation above which what is filled shows something, 8-bit levels.
    """

    noise: int = 8
    max_gray_share: float = 0.03
    max_gray_to_fill: float = 0.5
    soft_level: int = 64
    soft_rim: float = 0.1
    min_soft_rim: float = 4.0
    min_white: float = 0.05
    nearly_white: int = 224
    doubtful_share: float = 0.5
    max_color_difference: int = 16
    rim: int = 17
    flat_deviation: float = 2.0
    picture_deviation: float = 10.0


def mask_from_drawing(
    drawing: Photo, photo: Photo, picture: Pixels, settings: HoleMaskSettings = HoleMaskSettings()
) -> Hole:
    """Read a mask that was drawn as an image of its own.

    Args:
        drawing: The mask file, white = fill.
        photo: The target.
        picture: The target, [H, W, 3] uint8 sRGB.
        settings: When it is taken for a mistake.

    Raises:
        MaskError: Its size, its values or its polarity are not plausible.
    """
    _check_size(drawing, photo)
    _check_range(drawing, settings)
    shade = to_srgb(drawing)  # [H, W, 3] uint8
    _check_alpha(drawing, shade)
    if drawing.pixels.shape[2] > 1 and _color_share(shade, settings) > settings.max_gray_share:
        raise MaskError("The mask is colored.", "Draw it in black and white; white = fill.")
    hole = _to_mask(shade[..., 1], "The mask", settings)
    kept = cv2.erode(255 - hole.mask, np.ones((settings.rim, settings.rim), np.uint8))
    is_flat = kept.any() and _deviation(picture, kept) < settings.flat_deviation
    if is_flat and _deviation(picture, hole.mask) > settings.picture_deviation:
        raise MaskError(
            "The mask seems inverted: what it keeps is one flat color, what it fills is a picture.",
            "Invert it; white = fill, black = keep.",
        )
    return hole


def mask_from_alpha(photo: Photo, settings: HoleMaskSettings = HoleMaskSettings()) -> Hole | None:
    """Take the target's transparent pixels as the hole; None if no pixel is transparent.

    Raises:
        MaskError: Too many are neither transparent nor opaque.
    """
    transparency = None if photo.alpha is None else 255 - _to_8_bits(photo.alpha)
    if transparency is None or transparency.max() <= settings.noise:
        return None
    return _to_mask(transparency, "The target's transparency", settings)


def mask_from_shapes(settings: AlbumSettings, width: int, height: int) -> Pixels:
    """Draw the boxes and polygons of album.yaml; a polygon fills every pixel that it touches.

    Args:
        settings: Content of album.yaml.
        width: Width of the photo, pixels.
        height: Height of the photo, pixels.

    Returns:
        [H, W] uint8, 255 = fill.

    Raises:
        MaskError: One of them reaches beyond the photo.
    """
    corners = [(x, y) for box in settings.boxes for x, y in ((box.left, box.top), (box.right, box.bottom))]
    vertices = [vertex for polygon in settings.polygons for vertex in polygon]
    for x, y in [*corners, *vertices]:
        if not (0 <= x <= width and 0 <= y <= height):
            problem = f"The point ({x:g}, {y:g}) lies outside the photo of {width} x {height} pixels."
            raise MaskError(problem, "Give boxes and polygons in pixels of the photo as it is shown upright.")
    mask = np.zeros((height, width), np.uint8)
    for box in settings.boxes:
        mask[box.top : box.bottom, box.left : box.right] = 255
    for polygon in settings.polygons:
        cv2.fillPoly(mask, [np.floor(np.array(polygon)).astype(np.int32)], 255)
    return mask


def grow_mask(mask: Pixels, radius: int) -> Pixels:
    """Dilate a mask by a disc; the radius is in pixels."""
    if radius == 0 or not mask.any():
        return mask
    inside: Pixels = distance_transform(mask > 0) <= radius
    return inside.astype(np.uint8) * np.uint8(255)


def check_hole_share(share: float, limit: float) -> None:
    """Check how much is to be filled.

    Raises:
        MaskError: Nothing is, or a greater share than `limit`.
    """
    if share == 0:
        raise MaskError("Nothing is marked to be filled.", HOW_TO_DESCRIBE)
    if share > limit:
        raise MaskError(
            f"{share:.1%} of the picture is to be filled; at most {limit:.0%} are allowed.",
            "Keep more of the photo, check that white = fill, or raise masks.max_hole (at most 0.99).",
        )


def _check_size(drawing: Photo, photo: Photo) -> None:
    size, wanted = (drawing.width, drawing.height), (photo.width, photo.height)
    if size == wanted:
        return
    if size == wanted[::-1] and photo.orientation >= 5:  # EXIF orientations 5 to 8 exchange width and height
        raise MaskError(
            f"The mask has {size[0]} x {size[1]} pixels and fits the photo as it is stored, but the photo is shown "
            f"rotated, with {wanted[0]} x {wanted[1]} pixels (EXIF orientation {photo.orientation}).",
            "Rotate the mask in the same way, so that it fits the photo as it is shown.",
        )
    raise MaskError(
        f"The mask has {size[0]} x {size[1]} pixels, the photo {wanted[0]} x {wanted[1]}.",
        "Draw the mask at the photo's full size. It is not scaled, because that would move its edges.",
    )


def _check_range(drawing: Photo, settings: HoleMaskSettings) -> None:
    """Reject masks of 0 and 1, of other small labels, and masks of 8 bits in a file of 16 bits."""
    peak, white = int(drawing.pixels.max()), np.iinfo(drawing.pixels.dtype).max
    if 0 < peak <= settings.noise * (white // 255):
        problem = f"The mask's brightest value is {peak}, which is black; white is {white}."
        raise MaskError(problem, f"Scale its values so that what is to be filled is {white}.")


def _check_alpha(drawing: Photo, shade: Pixels) -> None:
    """Reject drawings whose shape is in their transparency."""
    if drawing.alpha is None or np.ptp(drawing.alpha) == 0:
        return
    transparent = _to_8_bits(drawing.alpha) < _WHITE
    if np.ptp(shade) == 0 or (shade[transparent] >= _WHITE).any():
        raise MaskError(
            "The mask is drawn by its transparency, so it is not clear what its colors mean.",
            "Save it without transparency: white where it is to be filled, black elsewhere.",
        )


def _color_share(image: Pixels, settings: HoleMaskSettings) -> float:
    """Share of pixels whose channels differ."""
    red, green, blue = cv2.split(image)
    differ = cv2.max(cv2.absdiff(red, green), cv2.absdiff(blue, green)) > settings.max_color_difference
    return float(np.count_nonzero(differ) / differ.size)


def _to_mask(shade: Pixels, what: str, settings: HoleMaskSettings) -> Hole:
    """Threshold [H, W] uint8; `what` names it in errors and warnings."""
    mask: Pixels = cv2.threshold(shade, _WHITE - 1, 255, cv2.THRESH_BINARY)[1]
    fill = int(np.count_nonzero(mask))
    if fill == 0 and shade.max() <= settings.noise:
        raise MaskError(f"{what} marks nothing to fill.", "Paint white what is to be filled.")
    gray = (shade > settings.noise) & (shade < 255 - settings.noise)
    if not _is_soft(gray, fill, settings):
        return Hole(mask, _doubt_polarity(fill / mask.size, what, settings))
    rim = max(settings.soft_rim * max(shade.shape), settings.min_soft_rim)
    is_faint = np.count_nonzero(shade >= settings.nearly_white) <= settings.min_white * fill
    if is_faint or _is_soft(gray & (distance_transform(mask > 0) > rim), fill, settings):
        raise MaskError(
            f"{what} is gray, neither black nor white, in {np.count_nonzero(gray) / shade.size:.1%} of the pixels.",
            "Draw it white where it is to be filled, black elsewhere.",
        )
    mask = cv2.threshold(shade, settings.soft_level - 1, 255, cv2.THRESH_BINARY)[1]
    share = np.count_nonzero(mask) / mask.size
    warning = f"{what} has soft edges: what is at least a quarter white is filled, {share:.1%} of the photo."
    return Hole(mask, (warning, *_doubt_polarity(share, what, settings)))


def _is_soft(gray: np.ndarray, fill: int, settings: HoleMaskSettings) -> bool:
    """Whether gray pixels [H, W] bool are more than an antialiased rim of `fill` pixels."""
    count = np.count_nonzero(gray)
    return bool(count > settings.max_gray_share * gray.size or count > settings.max_gray_to_fill * fill)


def _doubt_polarity(share: float, what: str, settings: HoleMaskSettings) -> tuple[str, ...]:
    if share <= settings.doubtful_share:
        return ()
    return (f"{what} fills {share:.0%} of the photo. If the rest was meant, invert it: white = fill, black = keep.",)


def _deviation(picture: Pixels, mask: Pixels) -> float:
    """Largest standard deviation of a channel where the mask is not 0."""
    return float(cv2.meanStdDev(picture, mask=mask)[1].max())


def _to_8_bits(values: Pixels) -> Pixels:
    """Scale unsigned integers to 8 bits, rounding down."""
    return (values // (np.iinfo(values.dtype).max // 255)).astype(np.uint8)
