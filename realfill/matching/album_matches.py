"""FIXME DOCSTRING."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from realfill.geometry.camera import IntrinsicsPrior
from realfill.imaging.ops import Pixels, resize
from realfill.matching.correspondences import Matches
from realfill.matching.matchers import AlikedMatcher, Matcher, SiftMatcher

LEARNED_SIDE, _SIFT_SIDE = 1024, 2048  # pixels along the longer side that is matched
_SIFT_KEYPOINTS = 8000


def match_album(
    photos: Sequence[Pixels], lenses: Sequence[IntrinsicsPrior], mask: Pixels, most: int
) -> dict[tuple[int, int], Matches]:
    """Matches of the target with each reference, and among the `most` references that share most with it.

    In pixels of the full-size photos. Learned matches find what changed its light or size, SIFT's are more exact.
    """
    hole = cv2.dilate(mask, np.ones((17, 17), np.uint8))
    matchers: list[tuple[Matcher[Any], int]] = [
        (AlikedMatcher(), LEARNED_SIDE),
        (SiftMatcher(_SIFT_KEYPOINTS, contrast=0.01), _SIFT_SIDE),
    ]
    features = [
        [matcher.detect(shrink_to(photo, side)) for photo in photos]  # one list a matcher
        for matcher, side in matchers
    ]

    def match(i: int, j: int) -> Matches:
        parts = []
        for (matcher, side), found in zip(matchers, features, strict=True):
            pairs = matcher.pair(found[i], found[j])
            ends = [
                (points + 0.5) * _enlargement(lenses[n], side) - 0.5
                for n, points in ((i, pairs.points0), (j, pairs.points1))
            ]
            parts.append(Matches(ends[0], ends[1], pairs.confidence))
        together = Matches(
            *(np.concatenate([getattr(p, name) for p in parts]) for name in ("points0", "points1", "confidence"))
        )
        return together[_outside(hole, together.points0)] if i == 0 else together

    numbers = range(1, len(photos))
    matches = {(0, number): match(0, number) for number in numbers}
    near = sorted(sorted(numbers, key=lambda number: -len(matches[0, number]))[:most])
    matches |= {(i, j): match(i, j) for i, j in itertools.combinations(near, 2)}
    return {pair: found for pair, found in matches.items() if pair[1] in near}


def _outside(hole: Pixels, points: np.ndarray) -> np.ndarray:
    columns, rows = np.rint(points).astype(int).T
    inside: np.ndarray = hole[rows.clip(0, hole.shape[0] - 1), columns.clip(0, hole.shape[1] - 1)] == 0
    return inside


def _enlargement(lens: IntrinsicsPrior, side: int) -> float:
    return max(1.0, max(lens.width, lens.height) / side)


def shrink_to(photo: Pixels, side: int) -> Pixels:
    shrink = min(1.0, side / max(photo.shape[:2]))
    return resize(photo, max(1, round(photo.shape[1] * shrink)), max(1, round(photo.shape[0] * shrink)))


def shrink_for_matching(photo: Pixels) -> Pixels:
    return shrink_to(photo, _SIFT_SIDE)
