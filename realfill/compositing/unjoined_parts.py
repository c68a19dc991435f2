"""Parts of a mosaic that are mistakes: no other reference confirms them, and they do not join what surrounds them.

Where the depth is wrong, a reference shows some other place: gravel in a lawn, a piece of wall beside a toy. Where
several references show the place, the labeling avoids it; where only one does, what tells is the seam. Parts are
judged one after the other, the smallest first, by what is left around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.compositing.mosaic_confidence import ConfidenceSettings, choose, measure_support
from realfill.compositing.seam_leveling import SeamLevelingSettings
from realfill.compositing.warped_reference import WarpedReference
from realfill.imaging.ops import fill_from_nearest


@dataclass(frozen=True)
class UnjoinedPartSettings:
    """When a part of a mosaic is taken for a mistake.

    Attributes:
        max_difference: Mean distance of colors in 0..1 along the seams of a part beyond which it does not join: that
            at which a reference is an outlier; see `LabelingSettings`.
        max_light: Median difference of a color channel along the seams, in 0..1, up to which it is taken for light
            and does not count: as much as is leveled; see `SeamLevelingSettings`.
        min_support: Support by another reference, 0 to 1, beyond which a pixel is confirmed; see
            `mosaic_confidence`. Set by hand.
        min_confirmed: Share of confirmed pixels with which a part is not a mistake; set by hand.
        blur: Standard deviation of the Gaussian that takes the detail from colors, pixels: what lies off by a few
            pixels is not something else. Looked at on columns, lawns and toys.
        reach: How far from a seam colors are compared, pixels; set by hand.
    """

    max_difference: float = 0.15
    max_light: float = SeamLevelingSettings.max_difference
    min_support: float = 0.5
    min_confirmed: float = 0.2
    blur: float = 8.0
    reach: int = 3


def find_unjoined_parts(
    references: Sequence[WarpedReference],
    labels: np.ndarray,
    settings: UnjoinedPartSettings = UnjoinedPartSettings(),
    confidence: ConfidenceSettings = ConfidenceSettings(),
) -> np.ndarray:
    """Find the parts of one reference each that are mistakes; never the largest one.

    Args:
        references: K warped references of one region.
        labels: Number of the reference that each pixel shows, int [h, w].
        settings: When a part is a mistake.
        confidence: How support is measured.

    Returns:
        bool [h, w].
    """
    if len(np.unique(labels)) < 2:
        return np.zeros(labels.shape, bool)
    valid = np.stack([r.valid for r in references])
    visible = choose(np.stack([r.visible for r in references]), labels)
    coarse = np.stack([_blur(r, settings.blur) for r in references])
    confirmed = (measure_support(references, labels, confidence) > settings.min_support) & visible
    rejected = np.zeros(labels.shape, bool)
    for number, box, part in _find_parts(labels, settings)[:-1]:
        if confirmed[box][part].mean() >= settings.min_confirmed:
            continue
        left = np.where(rejected[box], -1, labels[box])
        difference = _seam_difference(coarse[:, *box], valid[:, *box], number, part, left, settings)
        if difference > settings.max_difference:
            rejected[box] |= part
    return rejected


Box = tuple[slice, slice]


def _find_parts(labels: np.ndarray, settings: UnjoinedPartSettings) -> list[tuple[int, Box, np.ndarray]]:
    """Connected parts of one label, the smallest first: label, box with a margin, bool [h, w] within the box."""
    margin = 2 * settings.reach + 1
    parts = []
    for number in np.unique(labels).tolist():
        _, numbers, stats, _ = cv2.connectedComponentsWithStats((labels == number).astype(np.uint8), connectivity=4)
        for index, (left, top, width, height, area) in list(enumerate(stats.tolist()))[1:]:
            rows = slice(max(0, top - margin), top + height + margin)
            columns = slice(max(0, left - margin), left + width + margin)
            parts.append((area, number, (rows, columns), numbers[rows, columns] == index))
    return [part[1:] for part in sorted(parts, key=lambda part: part[0])]


def _seam_difference(
    colors: np.ndarray,
    valid: np.ndarray,
    number: int,
    part: np.ndarray,
    labels: np.ndarray,
    settings: UnjoinedPartSettings,
) -> float:
    """Mean distance of a part's reference to those that surround it, along its seams; 0 where they share nothing.

    Args:
        colors: Of K references, [K, h, w, 3] float32.
        valid: Where they show anything, bool [K, h, w].
        number: Of the part's reference.
        part: bool [h, w].
        labels: int [h, w]; -1 where there is nothing any more.
        settings: How far from the seams.
    """
    outside = ~part & (labels >= 0)
    if not outside.any():
        return 0.0
    around = fill_from_nearest(labels, outside)  # beside the seams, on both sides: the reference beyond the part
    window = np.ones((2 * settings.reach + 1,) * 2, np.uint8)
    seam = np.logical_and(*(cv2.dilate(side.astype(np.uint8), window) > 0 for side in (part, outside)))
    shared = seam & (around != number) & valid[number] & choose(valid, around)
    if not shared.any():
        return 0.0
    differences = (choose(colors, around) - colors[number])[shared]  # [N, 3]
    light = np.median(differences, axis=0)
    if np.abs(light).max() <= settings.max_light:
        differences -= light
    return float(np.linalg.norm(differences, axis=-1).mean())


def _blur(reference: WarpedReference, sigma: float) -> np.ndarray:
    """Colors of a reference without their detail, [h, w, 3] float32; what it does not show does not count."""
    weight = reference.valid.astype(np.float32)[..., None]
    total = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)[..., None]
    return np.asarray(cv2.GaussianBlur(reference.colors * weight, (0, 0), sigma) / total)
