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
        distances = torch.cdist(features0.descriptors, features1.descriptors)  # [N0, N1]
        nearest, indices = distances.topk(2, dim=1, largest=False)  # [N0, 2]
        ratio = nearest[:, 0] / nearest[:, 1].clamp(min=1e-6)
        mutual = distances.argmin(dim=0)[indices[:, 0]] == torch.arange(len(indices))
        kept = mutual & (ratio < self._settings.max_ratio)
        return to_matches(features0.points[kept], features1.points[indices[kept, 0]], 1 - ratio[kept])
