"""FIXME DOCSTRING."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from realfill.imaging.ops import resize
from realfill.selection.candidate_scores import Judgement, RankedReference, best_reference

_GAP = 8  # pixels
_WIDEST = 1600  # pixels


def draw_matches(
    picture: np.ndarray, hole: np.ndarray, references: Sequence[RankedReference], judged: Judgement, most: int
) -> np.ndarray:
    """Picture the verified matches of a completed view with the reference that has most of them.

    Args:
        picture: Completed view [h, w, 3] uint8 sRGB, drawn left.
        hole: [h, w] bool, outlined.
        references: The one with most verified matches is drawn right.
        judged: What was found.
        most: How many matches are drawn, spread evenly from top to bottom.

    Returns:
        [H, W, 3] uint8 sRGB, at most 1600 pixels wide.
    """
    best = best_reference(judged)
    image, evidence = references[best].image, judged.evidence[best]
    height = len(picture)
    scale = height / len(image)
    right = resize(image, max(1, round(image.shape[1] * scale)), height)
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    sheet = np.ascontiguousarray(np.concatenate([picture, gap, right], axis=1))
    outline, _ = cv2.findContours(hole.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(sheet, outline, -1, (255, 255, 255), 1, cv2.LINE_AA)
    found = evidence.matches[evidence.verified]
    downwards = np.argsort(found.points0[:, 1], kind="stable")
    found = found[downwards[np.linspace(0, len(found) - 1, min(most, len(found))).astype(int)]]
    starts = found.points0
    ends = (found.points1 + 0.5) * scale - 0.5 + [picture.shape[1] + _GAP, 0]
    overlay = sheet.copy()
    for start, end, colour in zip(starts, ends, _rainbow(len(found)), strict=True):
        (x0, y0), (x1, y1) = (np.rint(point * 16).astype(int).tolist() for point in (start, end))
        cv2.line(overlay, (x0, y0), (x1, y1), colour, 1, cv2.LINE_AA, shift=4)
        cv2.circle(overlay, (x0, y0), 3 * 16, colour, -1, cv2.LINE_AA, shift=4)
        cv2.circle(overlay, (x1, y1), 3 * 16, colour, -1, cv2.LINE_AA, shift=4)
    sheet = cv2.addWeighted(overlay, 0.8, sheet, 0.2, 0)
    fits = min(1.0, _WIDEST / sheet.shape[1])
    return resize(sheet, round(sheet.shape[1] * fits), round(height * fits))


def _rainbow(count: int) -> list[tuple[int, int, int]]:
    """Colours from red to blue."""
    hues = np.linspace(0, 2 / 3, count)
    return [(int(r * 255), int(g * 255), int(b * 255)) for r, g, b in (colorsys.hsv_to_rgb(h, 0.8, 1) for h in hues)]
