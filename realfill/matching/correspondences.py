"""Point correspondences of two photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Matches:
    """Corresponding points of two photos.

    Points are (x, y) in pixels; the center of the first pixel is at (0, 0).

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

    def __getitem__(self, selection: np.ndarray) -> Matches:
        """Select matches by a mask, bool [N], or by indices."""
        return Matches(self.points0[selection], self.points1[selection], self.confidence[selection])

    @classmethod
    def empty(cls) -> Matches:
        """Return no matches."""
        return cls(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.float32))

    @classmethod
    def concatenate(cls, parts: Sequence[Matches]) -> Matches:
        """Join matches of the same two photos."""
        return cls(
            np.concatenate([part.points0 for part in parts]),
            np.concatenate([part.points1 for part in parts]),
            np.concatenate([part.confidence for part in parts]),
        )

    def start_in(self, region: np.ndarray) -> np.ndarray:
        """Whether the first photo's points lie in a region of it.

        Args:
            region: bool [H, W]; points beyond its edges count as on them.

        Returns:
            bool [N].
        """
        columns, rows = np.rint(self.points0).astype(int).T
        return np.asarray(region[rows.clip(0, region.shape[0] - 1), columns.clip(0, region.shape[1] - 1)])

    def swap(self) -> Matches:
        """Exchange the first and the second photo."""
        return Matches(self.points1, self.points0, self.confidence)

    def rescale(self, scale0: float, scale1: float) -> Matches:
        """Multiply the points of the first and the second photo by a factor each; the origin stays at (0, 0)."""
        return Matches(self.points0 * scale0, self.points1 * scale1, self.confidence)
