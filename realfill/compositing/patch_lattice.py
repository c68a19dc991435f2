"""The grid of overlapping patches that covers the wanted part of the fill."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.ops import Pixels, resize

NEIGHBOR_STEPS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])  # rows and columns, in steps of the lattice


@dataclass(frozen=True)
class PatchLattice:
    """Cells of the fill at which patches are centered, up to one stride beyond the window.

    Attributes:
        cells: Rows and columns of the fill, [N, 2].
        positions: Rows and columns of the lattice, [N, 2].
        neighbors: Indices of the neighbors in the order of `NEIGHBOR_STEPS`, [N, 4]; -1 where there is none.
        stride: From one patch to the next, cells.
    """

    cells: np.ndarray
    positions: np.ndarray
    neighbors: np.ndarray
    stride: int

    @classmethod
    def covering(cls, wanted: Pixels, box: tuple[slice, slice], scale: float, stride: int) -> PatchLattice:
        """Lay patches over all wanted pixels.

        Args:
            wanted: [side, side] bool, over the window.
            box: Rows and columns of the window that hold the wanted pixels.
            scale: Side of a cell, pixels.
            stride: From one patch to the next, cells.
        """
        side = round(len(wanted) / scale)
        reach = np.ones((2 * stride + 1, 2 * stride + 1), np.uint8)
        near = cv2.dilate(resize(wanted.astype(np.float32), side, side), reach) > 0  # [R, R]
        first = np.array([int(span.start / scale) - stride for span in box])
        last = [min(int(span.stop / scale), side) + stride for span in box]
        rows, columns = (np.arange(start, stop, stride) for start, stop in zip(first, last, strict=True))
        grid = near[np.ix_(rows.clip(0, side - 1), columns.clip(0, side - 1))]
        positions = np.argwhere(grid)  # [N, 2]
        indices = np.full((grid.shape[0] + 2, grid.shape[1] + 2), -1)
        indices[tuple(positions.T + 1)] = np.arange(len(positions))
        neighbors = np.stack([indices[tuple((positions + step).T + 1)] for step in NEIGHBOR_STEPS], axis=1)
        return cls(first + stride * positions, positions, neighbors, stride)

    def extrapolate_matches(self, matches: np.ndarray, patches: np.ndarray) -> np.ndarray:
        """Tell where patches would match if they continued their neighbors' matches.

        Args:
            matches: Rows and columns of every patch's match, [N, 2].
            patches: Indices of the patches, [n].

        Returns:
            [n, 4, 2] in the order of `NEIGHBOR_STEPS`; meaningless where there is no neighbor.
        """
        return np.asarray(matches[self.neighbors[patches]] - self.stride * NEIGHBOR_STEPS)

    def are_coherent(self, matches: np.ndarray) -> np.ndarray:
        """Whether the matches [N, 2] of a patch and of each neighbor lie as the patches do, [N, 4] bool."""
        continued = self.extrapolate_matches(matches, np.arange(len(matches)))
        return np.asarray((continued == matches[:, None]).all(axis=2) & (self.neighbors >= 0))

    def measure_coherence(self, matches: np.ndarray, window: int) -> np.ndarray:
        """Count the pairs of neighbors around each patch whose matches are coherent, as a share of all pairs.

        Args:
            matches: [N, 2].
            window: Side of the surroundings, patches.

        Returns:
            [N] float32, 0 to 1.
        """
        coherent = self.are_coherent(matches)
        counts = np.zeros((*(self.positions.max(axis=0) + 1), 2), np.float32)  # coherent pairs, pairs
        counts[tuple(self.positions.T)] = np.stack([coherent.sum(axis=1), (self.neighbors >= 0).sum(axis=1)], axis=1)
        around = cv2.blur(counts, (window, window), borderType=cv2.BORDER_CONSTANT)[tuple(self.positions.T)]
        return np.asarray(around[:, 0] / np.maximum(around[:, 1], 1e-6))
