"""A drawing of the verified matches between a completed view and a reference."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.ops import resize
from realfill.matching.correspondences import Matches
from realfill.selection.candidate_scores import Judgment, PreparedReference

_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at, for lines between pixels
_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class MatchDrawingSettings:
    """Look of the drawing; all set by hand.

    Attributes:
        gap: Between view and reference, pixels.
        max_width: Of the drawing, pixels.
        point_radius: Of the circles at the points, pixels of the view.
        opacity: Of lines and circles, 0 to 1.
        last_hue: Hue of the lowest match, of 1 for the full circle; the highest match is red, hue 0.
        saturation: Of the colors, 0 to 1.
    """

    gap: int = 8
    max_width: int = 1600
    point_radius: int = 3
    opacity: float = 0.8
    last_hue: float = 2 / 3
    saturation: float = 0.8


def draw_matches(
    image: np.ndarray,
    hole: np.ndarray,
    references: Sequence[PreparedReference],
    judgment: Judgment,
    max_matches: int,
    settings: MatchDrawingSettings = MatchDrawingSettings(),
) -> np.ndarray:
    """Draw the verified matches of a completed view with the reference that has most of them.

    Args:
        image: Completed view, [h, w, 3] uint8 sRGB, drawn at the left.
        hole: [h, w] bool, outlined in white.
        references: The references that the candidate was judged by.
        judgment: The candidate's matches.
        max_matches: How many matches are drawn at most, spread evenly from top to bottom.
        settings: Look of the drawing.

    Returns:
        [H, W, 3] uint8 sRGB.
    """
    best = judgment.best_reference
    reference, evidence = references[best].image, judgment.evidence[best]
    height, width = image.shape[:2]
    scale = height / len(reference)
    right = resize(reference, max(1, round(reference.shape[1] * scale)), height)
    gap = np.full((height, settings.gap, 3), 255, np.uint8)
    drawing = np.ascontiguousarray(np.concatenate([image, gap, right], axis=1))
    contours, _ = cv2.findContours(hole.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawing, contours, -1, _WHITE, 1, cv2.LINE_AA)
    matches = _thin_out(evidence.matches[evidence.verified], max_matches)
    ends = (matches.points1 + 0.5) * scale - 0.5 + [width + settings.gap, 0]
    _draw_lines(drawing, matches.points0, ends, settings)
    shrink = min(1.0, settings.max_width / drawing.shape[1])
    return resize(drawing, round(drawing.shape[1] * shrink), round(height * shrink))


def _thin_out(matches: Matches, most: int) -> Matches:
    """Keep at most that many matches, sorted and spread evenly from top to bottom."""
    order = np.argsort(matches.points0[:, 1], kind="stable")
    return matches[order[np.linspace(0, len(matches) - 1, min(most, len(matches))).astype(int)]]


def _draw_lines(image: np.ndarray, starts: np.ndarray, ends: np.ndarray, settings: MatchDrawingSettings) -> None:
    """Draw lines between points [N, 2] and [N, 2] into an image, in rainbow colors."""
    overlay, radius = image.copy(), settings.point_radius << _SHIFT
    for start, end, color in zip(starts, ends, _rainbow(len(starts), settings), strict=True):
        (x0, y0), (x1, y1) = (np.rint(point * (1 << _SHIFT)).astype(int).tolist() for point in (start, end))
        cv2.line(overlay, (x0, y0), (x1, y1), color, 1, cv2.LINE_AA, shift=_SHIFT)
        cv2.circle(overlay, (x0, y0), radius, color, -1, cv2.LINE_AA, shift=_SHIFT)
        cv2.circle(overlay, (x1, y1), radius, color, -1, cv2.LINE_AA, shift=_SHIFT)
    cv2.addWeighted(overlay, settings.opacity, image, 1 - settings.opacity, 0, dst=image)


def _rainbow(count: int, settings: MatchDrawingSettings) -> list[tuple[int, int, int]]:
    """Colors from red to the last hue, 8-bit RGB."""
    colors = [colorsys.hsv_to_rgb(hue, settings.saturation, 1) for hue in np.linspace(0, settings.last_hue, count)]
    return [(int(r * 255), int(g * 255), int(b * 255)) for r, g, b in colors]
