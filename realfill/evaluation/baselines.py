"""What a photo's hole can be filled with without this project: the fills that every result is compared with.

All of them look at the known part of a picture, [H, W, 3] uint8 sRGB, and never into its hole, [H, W] bool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.evaluation.metrics import keypoints
from realfill.imaging.ops import Pixels

_TELEA = 5  # pixels
_RIM = 17  # pixels, side of the square by which the hole is grown for keypoints
_FEWEST = 8  # matches
_TOLERANCE = 3.0  # pixels
_SHARED = 500  # pixels


@dataclass(frozen=True)
class Laid:
    """A picture whose hole is filled from one reference.

    Attributes:
        picture: [H, W, 3] uint8 sRGB.
        inliers: Matches of the reference that its homography explains; 0 where none could be laid.
    """

    picture: Pixels
    inliers: int


def mean_color(picture: Pixels, hole: Pixels) -> Pixels:
    """Fill the hole with the mean colour of the known part."""
    return np.where(hole[..., None], picture[~hole].mean(axis=0), picture).astype(np.uint8)


def telea(picture: Pixels, hole: Pixels) -> Pixels:
    """Fill the hole by OpenCV's inpainting after Telea (2004), radius 5 px."""
    filled: Pixels = cv2.inpaint(_blank(picture, hole), hole.astype(np.uint8) * 255, _TELEA, cv2.INPAINT_TELEA)
    return filled


def one_homography(picture: Pixels, hole: Pixels, references: Sequence[Pixels]) -> Laid:
    """Lay the reference over the picture that has most matches with its known part.

    XFeat's mutual nearest neighbours, MAGSAC++ within 3 px; the reference's colours are brought to the known part's
    by a gain and an offset a channel; where it does not reach, Telea.

    Args:
        picture: The picture.
        hole: Its hole.
        references: [h, w, 3] uint8 sRGB each, at about the picture's scale.

    Raises:
        ModelError: XFeat's weights are not installed.
    """
    filled = telea(picture, hole)
    reference, homography, inliers = _most_alike(picture, hole, references)
    if reference is None:
        return Laid(filled, 0)
    size = picture.shape[1::-1]
    laid = cv2.warpPerspective(reference, homography, size, flags=cv2.INTER_AREA)
    reaches = cv2.warpPerspective(np.full(reference.shape[:2], 255, np.uint8), homography, size) > 250
    matched = _matched(laid, picture, reaches & ~hole)
    return Laid(np.where((hole & reaches)[..., None], matched, filled), inliers)


def _most_alike(
    picture: Pixels, hole: Pixels, references: Sequence[Pixels]
) -> tuple[Pixels | None, Pixels | None, int]:
    """The reference with most inliers, its homography to the picture, and how many there are."""
    found = keypoints(_blank(picture, hole))
    known = ~found.lie_in(cv2.dilate(hole.astype(np.uint8), np.ones((_RIM, _RIM))) > 0)
    ours = type(found)(found.points[known], found.descriptors[known])
    best: tuple[Pixels | None, Pixels | None, int] = None, None, 0
    for reference in references:
        theirs = keypoints(reference)
        nearest, mutual = theirs.match(ours)
        if mutual.sum() < _FEWEST:
            continue
        ends = theirs.points[mutual].numpy(), ours.points[nearest[mutual]].numpy()
        homography, inliers = cv2.findHomography(
            *ends, cv2.USAC_MAGSAC, _TOLERANCE, maxIters=20_000, confidence=0.9999
        )
        if homography is not None and inliers.sum() > best[2]:
            best = reference, homography, int(inliers.sum())
    return best


def _matched(laid: Pixels, picture: Pixels, shared: Pixels) -> Pixels:
    """Bring colours to the picture's, by mean and deviation of each channel over the pixels both show."""
    if shared.sum() <= _SHARED:
        return laid
    theirs, ours = laid[shared].astype(np.float64), picture[shared].astype(np.float64)  # [N, 3]
    gain = np.clip(ours.std(axis=0) / (theirs.std(axis=0) + 1e-3), 0.6, 1.6)
    return ((laid - theirs.mean(axis=0)) * gain + ours.mean(axis=0)).clip(0, 255).astype(np.uint8)


def _blank(picture: Pixels, hole: Pixels) -> Pixels:
    return np.where(hole[..., None], np.uint8(255), picture)
