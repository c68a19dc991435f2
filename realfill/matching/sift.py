"""SIFT keypoints, matched by mutual nearest neighbors and the ratio test (Lowe, IJCV 2004).

Without PyTorch: `validate` compares photos by them, and its import would take longer than that.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.matching.base_matcher import Matcher
from realfill.matching.correspondences import Matches


@dataclass(frozen=True)
class SiftSettings:
    """Which keypoints are matched, and which matches are kept.

    Attributes:
        max_keypoints: The most keypoints of a photo, the strongest first; set by hand.
        contrast_threshold: OpenCV's contrastThreshold; set by hand, half of OpenCV's default (0.04), so that parts
            with little contrast have keypoints too.
        max_ratio: Largest ratio of the distances to the nearest and the second nearest descriptor; Lowe's value.
    """

    max_keypoints: int = 2048
    contrast_threshold: float = 0.02
    max_ratio: float = 0.8


@dataclass(frozen=True)
class SiftKeypoints:
    """Keypoints of a photo and their descriptors.

    Attributes:
        points: (x, y) in pixels, float32 [N, 2]; the center of the first pixel is at (0, 0).
        descriptors: float32 [N, 128].
    """

    points: np.ndarray
    descriptors: np.ndarray


class SiftMatcher(Matcher[SiftKeypoints]):
    """SIFT in OpenCV's implementation; the confidence of a match is 1 - ratio. It needs no weights."""

    name = "sift"

    def __init__(self, settings: SiftSettings = SiftSettings()) -> None:
        self._settings = settings
        self._sift = cv2.SIFT.create(nfeatures=settings.max_keypoints, contrastThreshold=settings.contrast_threshold)

    def extract_features(self, image: np.ndarray) -> SiftKeypoints:
        """See `Matcher.extract_features`."""
        keypoints, descriptors = self._sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
        points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
        return SiftKeypoints(points, np.zeros((0, 128), np.float32) if descriptors is None else descriptors)

    def match(self, features0: SiftKeypoints, features1: SiftKeypoints) -> Matches:
        """See `Matcher.match`."""
        if min(len(features0.points), len(features1.points)) < 2:
            return Matches.empty()
        nearest, distances = _find_nearest(features0.descriptors, features1.descriptors)
        ratio = np.sqrt(distances[:, 0] / distances[:, 1].clip(1e-12))
        kept = np.flatnonzero(ratio < self._settings.max_ratio)
        _, distances_back = _find_nearest(features1.descriptors[nearest[kept]], features0.descriptors)
        kept = kept[distances[kept, 0] == distances_back[:, 0]]
        _, first = np.unique(nearest[kept], return_index=True)  # one of several at the same distance
        kept = np.sort(kept[first])
        return Matches(features0.points[kept], features1.points[nearest[kept]], 1 - ratio[kept])


def _find_nearest(
    descriptors0: np.ndarray, descriptors1: np.ndarray, block: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest descriptors of two photos by products of matrices.

    OpenCV's descriptors are whole numbers up to 255, so that their squared distances are exact.

    Args:
        descriptors0: float32 [N0, 128].
        descriptors1: float32 [N1, 128] with N1 >= 2.
        block: How many of the first photo are compared at once; this bounds the memory.

    Returns:
        The nearest of the second photo for each of the first, [N0], and the squared distances of the nearest two,
        float32 [N0, 2].
    """
    squares0, squares1 = ((values**2).sum(axis=1, keepdims=True) for values in (descriptors0, descriptors1))
    left = np.hstack([descriptors0, squares0, np.ones_like(squares0)])  # [N0, 130]
    right = np.hstack([-2 * descriptors1, np.ones_like(squares1), squares1]).T  # [130, N1]
    nearest, distances = [np.zeros(0, int)], [np.zeros((0, 2), np.float32)]
    for start in range(0, len(left), block):
        table = left[start : start + block] @ right  # [block, N1]
        closest = table.argmin(axis=1)
        order = np.arange(len(table))
        values = table[order, closest]
        table[order, closest] = np.inf
        nearest.append(closest)
        distances.append(np.stack([values, table.min(axis=1)], axis=1))
    return np.concatenate(nearest), np.concatenate(distances)
