"""FIXME DOCSTRING."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Matches:
    """Correspondences of two photos.

    Attributes:
        points0: Points in the first photo, float32 [N, 2].
        points1: Their counterparts in the second photo, float32 [N, 2].
        confidence: 0 to 1, float32 [N].
    """

    points0: np.ndarray
    points1: np.ndarray
    confidence: np.ndarray

    def __len__(self) -> int:
        return len(self.points0)

    def __getitem__(self, chosen: np.ndarray) -> Matches:
        """Some of the matches, by bool [N] or indices."""
        return Matches(self.points0[chosen], self.points1[chosen], self.confidence[chosen])
