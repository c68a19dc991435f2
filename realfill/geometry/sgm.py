"""Semi-global matching (Hirschmüller, PAMI 2008): smooth labels of least cost."""

from __future__ import annotations

import numpy as np


def sgm_labels(cost: np.ndarray, p1: float, p2: float) -> np.ndarray:
    """Label every pixel by semi-global matching along 8 directions.

    Args:
        cost: Cost of each label, [L, H, W] float32 with L >= 3.
        p1: Penalty of neighbors whose labels differ by one.
        p2: Penalty of neighbors whose labels differ by more.

    Returns:
        Labels of least cost, [H, W] float32, 0 to L - 1, refined to fractions by the parabola through the costs of
        the label and its two neighbors.
    """
    return _subpixel_argmin(aggregate_costs(cost, p1, p2))


def aggregate_costs(cost: np.ndarray, p1: float, p2: float) -> np.ndarray:
    """Sum the costs of the best paths from 8 directions to each pixel and label.

    This is S(p, d) in equation 14 of the paper.

    Args:
        cost: Cost of each label, [L, H, W] float32.
        p1: Penalty of neighbors whose labels differ by one. With p1 = p2 the labels need no order (Potts' model).
        p2: Penalty of neighbors whose labels differ by more.

    Returns:
        [L, H, W] float32.
    """
    total = np.zeros_like(cost)
    across = np.ascontiguousarray(cost.transpose(0, 2, 1))  # rows in memory are much faster than columns
    total_across = np.zeros_like(across)
    for volume, summed, slants in ((cost, total, (-1, 0, 1)), (across, total_across, (0,))):
        for slant in slants:
            _add_path_costs(volume, summed, slant, p1, p2)
            _add_path_costs(volume[:, ::-1], summed[:, ::-1], slant, p1, p2)
    total += total_across.transpose(0, 2, 1)
    return total


def _add_path_costs(cost: np.ndarray, total: np.ndarray, slant: int, p1: float, p2: float) -> None:
    """Add the costs of the best paths from the row above, `slant` columns aside, to a total (equation 13)."""
    labels, rows, width = cost.shape
    padded = np.empty((labels, width + 2), np.float32)  # the path with its first and last column repeated
    path, previous = padded[:, 1:-1], padded[:, 1 - slant : width + 1 - slant]
    best, near = np.empty((labels, width), np.float32), np.empty((labels, width), np.float32)
    path[:] = cost[:, 0]
    total[:, 0] += path
    for row in range(1, rows):
        padded[:, 0], padded[:, -1] = path[:, 0], path[:, -1]
        least = previous.min(axis=0)  # [W]
        np.minimum(previous, least + np.float32(p2), out=best)
        np.add(previous, np.float32(p1), out=near)
        np.minimum(best[1:], near[:-1], out=best[1:])
        np.minimum(best[:-1], near[1:], out=best[:-1])
        np.add(cost[:, row], best, out=best)
        np.subtract(best, least, out=path)
        total[:, row] += path


def _subpixel_argmin(cost: np.ndarray) -> np.ndarray:
    """Return the label of least cost with a fraction, [H, W] float32, from costs [L, H, W]."""
    label = cost.argmin(axis=0)
    middle = label.clip(1, len(cost) - 2)
    below, here, above = (np.take_along_axis(cost, (middle + offset)[None], axis=0)[0] for offset in (-1, 0, 1))
    curvature = below - 2 * here + above
    has_minimum = (curvature > 1e-6) & (label == middle)
    fraction = np.where(has_minimum, (below - above) / np.where(has_minimum, 2 * curvature, 1), 0)
    return (label + np.nan_to_num(fraction).clip(-0.5, 0.5)).astype(np.float32)
