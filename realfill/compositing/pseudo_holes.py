"""Pseudo-holes: pieces of the known part that are taken out, to measure how well a way of filling restores them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from realfill.core.failures import skip_failing
from realfill.core.parallel import map_parallel
from realfill.imaging.ops import Pixels

if TYPE_CHECKING:
    from realfill.compositing.scene import Scene


@dataclass(frozen=True)
class PseudoHoleSettings:
    """Where pseudo-holes lie, and how large they are.

    Attributes:
        scale: Size / size of the hole, along each axis. Half the size was measured on 12 albums: whether placing the
            references beat Telea's inpainting there agreed with the hole in 18 of 21 pseudo-holes.
        min_share: Least share of a pseudo-hole that has to be known and apart from the others; set by hand.
        gap: Least distance of two pseudo-holes, as a share of the hole's longer side; set by hand.
        max_count: The most pseudo-holes; set by hand.
        side: Longer side of the target that they are measured on, pixels; set by hand.
        match_margin: Matches this near to a pseudo-hole are hidden too, pixels of that target; set by hand.
    """

    scale: float = 0.5
    min_share: float = 0.5
    gap: float = 0.06
    max_count: int = 6
    side: int = 400
    match_margin: int = 2


def make_pseudo_holes(mask: Pixels, settings: PseudoHoleSettings = PseudoHoleSettings()) -> list[np.ndarray]:
    """Take smaller copies of the hole and lay them around it, where they touch the sides and corners of its box.

    Args:
        mask: [H, W] uint8, 255 = fill; not empty.
        settings: Size and places.

    Returns:
        Pseudo-holes, bool [H, W] each: disjoint, none of them in the hole; none at all where the hole leaves no room.
    """
    left, top, width, height = cv2.boundingRect(mask)
    small_size = (max(1, round(width * settings.scale)), max(1, round(height * settings.scale)))
    hole = mask[top : top + height, left : left + width]
    shape = cv2.resize(hole, small_size, interpolation=cv2.INTER_NEAREST) > 0  # [h, w]
    free = mask == 0
    reach = 2 * round(settings.gap * max(width, height)) + 1
    pseudo_holes: list[np.ndarray] = []
    for x, y in _corners((left, top, width, height), small_size):
        if len(pseudo_holes) == settings.max_count:
            break
        piece = _paste(shape, x, y, mask.shape) & free
        if piece.sum() < max(1, settings.min_share * shape.sum()):
            continue
        pseudo_holes.append(piece)
        free = free & (cv2.dilate(piece.astype(np.uint8), np.ones((reach, reach))) == 0)
    return pseudo_holes


def _corners(box: tuple[int, int, int, int], size: tuple[int, int]) -> list[tuple[int, int]]:
    """Left upper corners of copies of a size beside the middle of each side of a box, then at its corners."""
    left, top, width, height = box
    columns = (left - size[0], left + (width - size[0]) // 2, left + width)
    rows = (top - size[1], top + (height - size[1]) // 2, top + height)
    places = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return [(columns[i], rows[j]) for i, j in sorted(places, key=lambda place: 1 not in place)]


def _paste(shape: np.ndarray, left: int, top: int, size: tuple[int, ...]) -> np.ndarray:
    """Put a shape [h, w] bool into an empty picture, as far as it lies inside, bool [H, W]."""
    pasted = np.zeros(size, bool)
    rows = slice(max(0, top), max(0, min(size[0], top + shape.shape[0])))
    columns = slice(max(0, left), max(0, min(size[1], left + shape.shape[1])))
    part = shape[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    pasted[rows, columns] = part
    return pasted


def measure_errors(
    scene: Scene,
    ways: Mapping[str, Callable[[Scene], Pixels | None]],
    settings: PseudoHoleSettings = PseudoHoleSettings(),
) -> dict[str, float]:
    """Measure how well ways of filling restore pseudo-holes.

    The target is shrunk first. What it shows in the pseudo-holes is hidden, and so are its matches there; the cameras
    stay as they are.

    Args:
        scene: The scene with its hole.
        ways: By name, functions that fill the hole of a scene: from the scene to its region at full size, [h, w, 3]
            uint8 RGB, or None where they cannot.
        settings: Pseudo-holes, and the size of the target.

    Returns:
        Root mean square error of every way that can fill, over all pseudo-holes and channels, 8-bit levels; empty
        where there is no room for pseudo-holes.
    """
    small = scene.shrink_target(settings.side)
    pseudo_holes = make_pseudo_holes(small.region.mask, settings)
    if not pseudo_holes:
        return {}
    judged = np.logical_or.reduce(pseudo_holes)
    hidden = small.enlarge_hole(judged, settings.match_margin)
    truth, wanted = hidden.region.crop(small.region.canvas), hidden.region.crop(judged)

    def measure(name: str) -> float | None:
        with skip_failing(f"The trial of {name}"):
            filled = ways[name](hidden)
            if filled is not None:
                difference = filled[wanted].astype(np.float32) - truth[wanted]
                return float(np.sqrt((difference**2).mean()))
        return None

    measured = dict(zip(ways, map_parallel(measure, ways), strict=True))
    return {name: error for name, error in measured.items() if error is not None}
