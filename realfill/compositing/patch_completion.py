"""Completion by patches of the photo itself or of its album (PatchMatch, Barnes et al., SIGGRAPH 2009).

The hole is filled coarse to fine with patches of the target's known part and of the references. The fill is
photographic and joins up at the rim, but nothing of it is known to belong there. Where a reference is aligned with
the target, if only approximately, the position of a patch guides the search softly.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import patchmatch

from realfill.imaging.ops import Pixels

_LIBRARY_LOCK = threading.Lock()  # the library keeps its seed for the whole process


@dataclass(frozen=True)
class PatchCompletionSettings:
    """How patches are searched.

    Attributes:
        radius: Radius of the patches, pixels. 3 and 5 were measured on 12 albums at 768 px: neither is always better.
        guide_weight: Weight of the position beside the colors of a patch, where there are references. Measured at
            640 px on kermit and basilica-front: .1 gives 13.2 and 17.5 dB, .25 gives 12.7 and 19.8; 0 and 1 gave
            less, 1 visible blocks. Without references it would draw what lies at the rim out into streaks: -.1 dB on
            27 views with parts that no reference shows.
        gap: Pixels between two photos on the library's canvas, more than a patch's radius.
        min_gain: Least gain of a reference's contrast; set by hand.
        max_gain: Largest gain of it; set by hand.
        seed: Of the random search; equal inputs give equal results.
    """

    radius: int = 3
    guide_weight: float = 0.25
    gap: int = 8
    min_gain: float = 0.6
    max_gain: float = 1.6
    seed: int = 0


@dataclass(frozen=True)
class PatchSource:
    """A reference that patches are taken from.

    Attributes:
        colors: [h, w, 3] uint8 sRGB, at about the picture's scale.
        columns: Where its pixels lie in the picture, float32 [h, w].
        rows: The same of the rows.
    """

    colors: Pixels
    columns: np.ndarray
    rows: np.ndarray


def complete_by_patches(
    picture: Pixels,
    hole: np.ndarray,
    sources: Sequence[PatchSource],
    settings: PatchCompletionSettings = PatchCompletionSettings(),
) -> Pixels:
    """Fill the hole of a picture with patches of its known part and of the sources.

    Args:
        picture: [H, W, 3] uint8 sRGB; what it shows in the hole is not used.
        hole: bool [H, W].
        sources: References; their contrast and colors are matched to the known part's.
        settings: How patches are searched.

    Returns:
        [H, W, 3] uint8 sRGB, identical to the picture outside the hole; the picture itself where nothing is known.
    """
    if hole.all() and not sources:
        return picture
    height, width = hole.shape
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    target = PatchSource(np.where(hole[..., None], np.uint8(0), picture), columns, rows)
    matched = [replace(s, colors=_match_tone(s.colors, picture[~hole], settings)) for s in sources]
    places, side = _lay_out([(height, width), *(s.columns.shape for s in matched)], settings.gap)
    canvas = np.zeros((side, side, 3), np.uint8)
    excluded = np.full((side, side), 255, np.uint8)
    positions = np.zeros((side, side, 3), np.float32)  # rows and columns in the picture
    for place, source in zip(places, [target, *matched], strict=True):
        canvas[place], excluded[place] = source.colors, 0
        positions[place][..., 0], positions[place][..., 1] = source.rows, source.columns
    wanted = np.zeros((side, side), np.uint8)
    wanted[places[0]] = hole * np.uint8(255)
    with _LIBRARY_LOCK:
        patchmatch.set_random_seed(settings.seed)
        filled: Pixels = patchmatch.inpaint_regularity(
            canvas,
            wanted,
            positions / np.float32(max(height, width)),
            global_mask=excluded,
            patch_size=settings.radius,
            guide_weight=settings.guide_weight if sources else 0,
        )
    return np.where(hole[..., None], filled[places[0]], picture)


def _lay_out(sizes: Sequence[tuple[int, ...]], gap: int) -> tuple[list[tuple[slice, slice]], int]:
    """Lay photos out in rows on a square: the library searches within half of its canvas's shorter side.

    Returns:
        The place of each photo, and the side of the square, pixels.
    """
    per_row = math.ceil(math.sqrt(len(sizes)))
    places, top = [], 0
    for first in range(0, len(sizes), per_row):
        left, row = 0, sizes[first : first + per_row]
        for height, width in row:
            places.append(np.s_[top : top + height, left : left + width])
            left += width + gap
        top += max(height for height, _ in row) + gap
    return places, max(part.stop for place in places for part in place)


def _match_tone(colors: Pixels, known: Pixels, settings: PatchCompletionSettings) -> Pixels:
    """Give a picture [h, w, 3] the mean and the deviation of each channel that known pixels [N, 3] have."""
    if not len(known):
        return colors
    gain = (known.std(axis=0) / np.maximum(colors.std(axis=(0, 1)), 1)).clip(settings.min_gain, settings.max_gain)
    matched = (colors - colors.mean(axis=(0, 1))) * gain + known.mean(axis=0)
    return np.rint(matched).clip(0, 255).astype(np.uint8)
