"""Errors of a completed view: at the rim of the hole, against what was placed, and against warped references.

All are in 8-bit levels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.ops import resize


@dataclass(frozen=True)
class ReferenceErrorSettings:
    """How completed views are compared with warped references, at one pixel per cell.

    A homography aligns only one plane of the scene, hence cells, and offsets between them.

    Attributes:
        cell: Side of a cell, pixels of the view. Set by hand.
        window: Side of the surroundings in which cells are compared, cells. Set by hand.
        max_offset: Largest offset of the reference along an axis, cells. Set by hand.
        offset_cost: Cost of an offset, 8-bit levels per cell. Set by hand.
        min_coverage: Share of a cell that the reference must show. Set by hand; less than 1 for interpolation.
        min_shared_cells: Fewest known cells that the reference must show for its colors to be matched. Set by hand.
        min_gain: Least gain of its colors. Set by hand.
        max_gain: Greatest gain of its colors. Set by hand.
        min_hole_share: Cells count that lie in the hole by more than this share. Set by hand.
    """

    cell: int = 8
    window: int = 5
    max_offset: int = 5
    offset_cost: float = 0.3
    min_coverage: float = 0.99
    min_shared_cells: int = 50
    min_gain: float = 0.5
    max_gain: float = 2.0
    min_hole_share: float = 0.5


def measure_rim_error(image: np.ndarray, hole: np.ndarray) -> float:
    """Mean absolute difference between neighboring pixels on both sides of the hole's rim.

    Args:
        image: Completed view, [h, w, 3] uint8 sRGB.
        hole: [h, w] bool.

    Returns:
        8-bit levels; 0 if the hole has no rim.
    """
    total, pairs = 0.0, 0
    for axis in (0, 1):
        crosses = np.diff(hole, axis=axis)
        total += float(np.abs(np.diff(image.astype(np.float32), axis=axis))[crosses].mean(axis=1).sum())
        pairs += int(crosses.sum())
    return total / max(pairs, 1)


def measure_placement_error(image: np.ndarray, hole: np.ndarray, placed: np.ndarray, confidence: np.ndarray) -> float:
    """Root mean square difference over the channels between the fill and what was placed, averaged by confidence.

    Args:
        image: Completed view, [h, w, 3] uint8 sRGB.
        hole: [h, w] bool.
        placed: [h, w, 3] uint8 sRGB.
        confidence: [h, w] uint8.

    Returns:
        8-bit levels; 0 if nothing was placed in the hole.
    """
    weight = np.where(hole, confidence, 0).astype(np.float64)
    distance = np.sqrt(((image.astype(np.float32) - placed) ** 2).mean(axis=2))
    return float((distance * weight).sum() / max(weight.sum(), 1.0))


def measure_reference_error(
    image: np.ndarray,
    hole: np.ndarray,
    warped: Sequence[np.ndarray],
    settings: ReferenceErrorSettings = ReferenceErrorSettings(),
) -> float:
    """Mean difference between the fill and the most similar warped reference at each cell, offsets allowed.

    Args:
        image: Completed view, [h, w, 3] uint8 sRGB.
        hole: [h, w] bool.
        warped: References as `warp_reference` returns them.
        settings: Cells and offsets.

    Returns:
        8-bit levels; 0 if no reference shows the hole.
    """
    if not warped:
        return 0.0
    fill = _to_cells(image, settings)  # [r, c, 3]
    lowest = np.full(fill.shape[:2], np.inf, np.float32)
    for reference in warped:
        lowest = np.minimum(lowest, _compare_cells(fill, reference, settings))
    counted = (_to_cells(hole.astype(np.float32), settings) > settings.min_hole_share) & np.isfinite(lowest)
    return float(lowest[counted].mean()) if counted.any() else 0.0


def _compare_cells(fill: np.ndarray, reference: np.ndarray, settings: ReferenceErrorSettings) -> np.ndarray:
    """Least difference over all offsets of a reference [r, c, 3] from the fill, [r, c]; infinite where not shown."""
    rows, columns = fill.shape[:2]
    reach, window = settings.max_offset, (settings.window, settings.window)
    shown = np.isfinite(reference[..., 0])  # [r, c]
    finite = np.where(shown[..., None], reference, 0)
    padded = cv2.copyMakeBorder(finite, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    lowest = np.full((rows, columns), np.inf, np.float32)
    for down, right in itertools.product(range(2 * reach + 1), repeat=2):
        squared = ((fill - padded[down : down + rows, right : right + columns]) ** 2).mean(axis=2)
        offset = math.hypot(down - reach, right - reach)
        mean = np.maximum(cv2.blur(squared, window), 0)  # rounding takes the blur of nothing below 0
        distance = np.sqrt(mean) + settings.offset_cost * offset
        lowest = np.where(shown, np.minimum(lowest, distance), lowest)
    return lowest


def warp_reference(
    reference: np.ndarray,
    homography: np.ndarray,
    known: np.ndarray,
    excluded: np.ndarray,
    settings: ReferenceErrorSettings = ReferenceErrorSettings(),
) -> np.ndarray | None:
    """Warp a reference into the view by a homography, and match its colors to the known part.

    Args:
        reference: [H, W, 3] uint8 sRGB.
        homography: From the view to the reference, [3, 3].
        known: The view, [h, w, 3] uint8 sRGB.
        excluded: Where the view is not known, [h, w] bool.
        settings: Cells.

    Returns:
        [r, c, 3] float32, 8-bit levels at one pixel per cell, infinite where the reference does not show the view;
        None if it shares too little with the known part.
    """
    size, flags = known.shape[1::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = _to_cells(cv2.warpPerspective(reference, homography, size, flags=flags), settings)
    inside = cv2.warpPerspective(np.ones(reference.shape[:2], np.float32), homography, size, flags=flags)
    shown = _to_cells(inside, settings) > settings.min_coverage  # [r, c]
    shared = shown & (_to_cells(excluded.astype(np.float32), settings) == 0)
    if shared.sum() < settings.min_shared_cells:
        return None
    theirs, ours = warped[shared], _to_cells(known, settings)[shared]  # [N, 3]
    gain = np.clip(ours.std(axis=0) / (theirs.std(axis=0) + 1e-3), settings.min_gain, settings.max_gain)
    matched = (warped - theirs.mean(axis=0)) * gain + ours.mean(axis=0)
    return np.where(shown[..., None], matched, np.inf).astype(np.float32)


def _to_cells(image: np.ndarray, settings: ReferenceErrorSettings) -> np.ndarray:
    """Resize [h, w, ...] to one pixel per cell, float32."""
    height, width = image.shape[:2]
    return resize(image.astype(np.float32), max(1, width // settings.cell), max(1, height // settings.cell))
