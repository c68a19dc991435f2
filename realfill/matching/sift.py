"""SIFT keypoints, matched by mutual nearest neighbors and the ratio test (Lowe, IJCV 2004)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from realfill.matching.base_matcher import Keypoints, Matcher, to_matches
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


class SiftMatcher(Matcher[Keypoints]):
    """SIFT in OpenCV's implementation; the confidence of a match is 1 - ratio. It needs no weights."""

    name = "sift"

    def __init__(self, settings: SiftSettings = SiftSettings()) -> None:
        self._settings = settings
        self._sift = cv2.SIFT.create(nfeatures=settings.max_keypoints, contrastThreshold=settings.contrast_threshold)

    def extract_features(self, image: np.ndarray) -> Keypoints:
        """See `Matcher.extract_features`."""
        height, width = image.shape[:2]
        keypoints, descriptors = self._sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
        points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
        values = np.zeros((0, 128), np.float32) if descriptors is None else descriptors
        return Keypoints(torch.from_numpy(points), torch.from_numpy(values), (width, height))

    def match(self, features0: Keypoints, features1: Keypoints) -> Matches:
        """See `Matcher.match`."""
        if min(len(features0.points), len(features1.points)) < 2:
            return Matches.empty()
        nearest, distances, least = _find_nearest(features0.descriptors, features1.descriptors)
        ratio = np.sqrt(distances[:, 0] / distances[:, 1].clip(1e-12))
        kept = np.flatnonzero((distances[:, 0] == least[nearest]) & (ratio < self._settings.max_ratio))
        _, first = np.unique(nearest[kept], return_index=True)  # one of several at the same distance
        kept = np.sort(kept[first])
        return to_matches(features0.points[kept], features1.points[nearest[kept]], torch.from_numpy(1 - ratio[kept]))


def _find_nearest(
    descriptors0: torch.Tensor, descriptors1: torch.Tensor, block: int = 256
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the nearest descriptors of two photos by products of matrices.

    OpenCV's descriptors are whole numbers up to 255, so that their squared distances are exact.

    Args:
        descriptors0: float32 [N0, 128].
        descriptors1: float32 [N1, 128] with N1 >= 2.
        block: How many of the first photo are compared at once; this bounds the memory.

    Returns:
        The nearest of the second photo for each of the first, [N0]; the squared distances of the nearest two, float32
        [N0, 2]; and the least squared distance of each of the second photo, float32 [N1].
    """
    squares0, squares1 = ((values**2).sum(dim=1, keepdim=True) for values in (descriptors0, descriptors1))
    left = torch.cat([descriptors0, squares0, torch.ones_like(squares0)], dim=1)  # [N0, 130]
    right = torch.cat([-2 * descriptors1, torch.ones_like(squares1), squares1], dim=1).T  # [130, N1]
    nearest, distances, least = [], [], np.full(len(descriptors1), np.inf, np.float32)
    for rows in left.split(block):
        table = (rows @ right).numpy()  # [block, N1]; numpy's minima are faster than torch's
        least = np.minimum(least, table.min(axis=0))
        closest = table.argmin(axis=1)
        order = np.arange(len(table))
        values = table[order, closest]
        table[order, closest] = np.inf
        nearest.append(closest)
        distances.append(np.stack([values, table.min(axis=1)], axis=1))
    return np.concatenate(nearest), np.concatenate(distances), least
