"""Near-duplicates: photos that are copies of another one, though resized, cropped, toned or compressed anew.

Two shots of a scene, however near in time and place, differ somewhere: by parallax, or by what moved. A copy differs
nowhere by more than what compression and tone curves do.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.flat_patch import is_flat_patch
from realfill.imaging.ops import Pixels, resize
from realfill.matching.thumbnails import Thumbnail, register


@dataclass(frozen=True)
class NearDuplicateSettings:
    """When a picture repeats another one.

    Differences are in units of the standard deviation of the picture's luma. Copies that were resized to 35 %,
    cropped by 10 %, toned, sharpened and compressed at JPEG quality 40 differed by up to .28 in their worst block;
    other photos of the same scene, in fifteen albums, by 1.16 or more.

    Attributes:
        blur: Standard deviation of the Gaussian that takes off what compression does, pixels; set by hand.
        block: Side of the squares over which differences are averaged, pixels; set by hand.
        max_difference: Largest difference of a copy in any block; chosen between the values above.
        degree: Degree of the polynomial that stands for the tone curve; set by hand.
        rim: Width of the rim of the overlap and of the hole that is not compared, pixels; set by hand.
        min_overlap: Least share of either picture that both show; set by hand: less is a detail of its own.
        min_compared: Least share of the target that is compared outside its hole; set by hand.
        max_damage_ratio: Largest difference in the hole of a copy of the damaged target, as a multiple of that
            outside; the copies had up to 2.7.
        min_damage: The difference in the hole up to which it is a copy whatever that ratio; set by hand.
        flat_deviation: Standard deviation up to which the hole's place is flat in a copy, 8-bit levels; set by hand.
        flat_difference: Least difference of a flat place to its surroundings, 8-bit levels; set by hand.
        max_news: Share of an outpainted part that a copy may show and be left out; set by hand.
    """

    blur: float = 2.0
    block: int = 25
    max_difference: float = 0.5
    degree: int = 3
    rim: int = 7
    min_overlap: float = 0.75
    min_compared: float = 0.05
    max_damage_ratio: float = 4.0
    min_damage: float = 0.05
    flat_deviation: float = 4.0
    flat_difference: float = 16.0
    max_news: float = 0.02


@dataclass(frozen=True)
class DamagedTarget:
    """The target and its hole, small.

    Attributes:
        thumbnail: The photo, [h, w, 3] uint8 sRGB.
        hole: Share of the hole in each pixel, [h, w] float32, 0 to 1.
        extension: Left, top, right and bottom, pixels that are added at each side of the thumbnail.
        is_hidden: Whether the hole is transparent: its pixels show nothing that could be compared.
    """

    thumbnail: Thumbnail
    hole: np.ndarray
    extension: tuple[float, float, float, float]
    is_hidden: bool


def is_near_duplicate(
    thumbnail0: Thumbnail, thumbnail1: Thumbnail, settings: NearDuplicateSettings = NearDuplicateSettings()
) -> bool:
    """Whether two photos show the same picture, in nearly the same frame."""
    affine = register(thumbnail0, thumbnail1)
    if affine is None:
        return False
    warped, valid = _warp(thumbnail1.pixels, affine, thumbnail0.pixels.shape, settings)
    own = np.linalg.det(affine[:, :2]) * thumbnail1.pixels[..., 0].size
    if valid.sum() < settings.min_overlap * max(valid.size, own):
        return False
    difference = _difference(thumbnail0.pixels, warped, valid, settings)
    return _worst_block(difference, valid, settings) <= settings.max_difference


def repeats_damage(
    target: DamagedTarget, reference: Thumbnail, settings: NearDuplicateSettings = NearDuplicateSettings()
) -> bool:
    """Whether a reference is a copy of the target that shows no more of the hole than the target does.

    A copy from before the damage, or of a larger frame, is not of this kind: it shows what is missing.
    """
    affine = register(target.thumbnail, reference)
    if affine is None or _shows_extension(target, reference, affine, settings):
        return False
    pixels = target.thumbnail.pixels
    warped, valid = _warp(reference.pixels, affine, pixels.shape, settings)
    near = cv2.dilate((target.hole > 0).astype(np.uint8), _square(settings.rim)) > 0
    outside = valid & ~near
    if outside.sum() < settings.min_compared * outside.size:
        return False
    difference = _difference(pixels, warped, outside, settings)
    if _worst_block(difference, outside, settings) > settings.max_difference:
        return False
    weight = target.hole * valid  # [h, w]
    if not weight.any():
        return True
    inside = (target.hole > 0.5) & valid
    if inside.any() and _is_painted_over(warped, inside, outside, settings):
        return True
    if target.is_hidden:
        return False
    level = np.sqrt((difference[outside] ** 2).mean())
    damage = np.sqrt((difference**2 * weight).sum() / weight.sum())
    return bool(damage <= max(settings.max_damage_ratio * level, settings.min_damage))


def _warp(
    pixels: Pixels, affine: np.ndarray, shape: tuple[int, ...], settings: NearDuplicateSettings
) -> tuple[Pixels, np.ndarray]:
    """Warp a picture into the frame of another one; [h, w, 3] uint8 and where it shows something, [h, w] bool."""
    size = shape[1], shape[0]
    warped = cv2.warpAffine(pixels, affine, size, flags=cv2.INTER_AREA)
    frame = cv2.warpAffine(np.full(pixels.shape[:2], 255, np.uint8), affine, size)
    kernel = _square(settings.rim)
    return warped, cv2.erode((frame == 255).astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT) > 0


def _difference(picture: Pixels, warped: Pixels, compared: np.ndarray, settings: NearDuplicateSettings) -> np.ndarray:
    """Difference of the blurred luma after the tone curve, float32 [h, w], in standard deviations of the luma."""
    luma0, luma1 = (
        cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), settings.blur)
        for image in (picture, warped)
    )
    deviation = luma0[compared].std()
    if deviation < 1 or luma1[compared].std() < 1:
        return np.full_like(luma0, np.inf)
    tone = np.polynomial.Polynomial.fit(luma1[compared], luma0[compared], settings.degree)
    return np.abs(luma0 - tone(luma1)).astype(np.float32) / deviation


def _worst_block(difference: np.ndarray, compared: np.ndarray, settings: NearDuplicateSettings) -> float:
    """Largest mean difference over a square, of the pixels [h, w] bool that are compared."""
    weight = compared.astype(np.float32)
    side = (settings.block, settings.block)
    total, count = cv2.blur(np.where(compared, difference, 0), side), cv2.blur(weight, side)
    return float((total / np.maximum(count, 0.25))[compared].max())


def _is_painted_over(
    warped: Pixels, inside: np.ndarray, outside: np.ndarray, settings: NearDuplicateSettings
) -> bool:
    """Whether the copy shows one flat color in the hole, other than around it."""
    core = cv2.erode(inside.astype(np.uint8), _square(3))
    ring = cv2.dilate(inside.astype(np.uint8), _square(4 * settings.rim)) & outside.astype(np.uint8)
    return is_flat_patch(warped, core, ring, settings.flat_deviation, settings.flat_difference)


def _shows_extension(
    target: DamagedTarget, reference: Thumbnail, affine: np.ndarray, settings: NearDuplicateSettings
) -> bool:
    """Whether a reference shows some of what lies beyond an outpainted target."""
    height, width = target.hole.shape
    left, top, right, bottom = (round(side) for side in target.extension)
    if not any((left, top, right, bottom)):
        return False
    size = width + left + right, height + top + bottom
    shifted = affine + np.array([[0, 0, left], [0, 0, top]])
    frame = cv2.warpAffine(np.full(reference.pixels.shape[:2], 255, np.uint8), shifted, size) > 0
    beyond = np.ones(frame.shape, bool)
    beyond[top : top + height, left : left + width] = False
    return bool(frame[beyond].mean() > settings.max_news)


def shrink_hole(mask: Pixels, width: int, height: int) -> np.ndarray:
    """Share of a hole [H, W] uint8, 255 = fill, in each pixel of a smaller picture, float32 [height, width]."""
    return resize(mask.astype(np.float32) / 255, width, height)


def _square(side: int) -> Pixels:
    return np.ones((side, side), np.uint8)
