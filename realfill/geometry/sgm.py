"""Semi-global matching (Hirschmüller, PAMI 2008): smooth labels of least cost."""

from __future__ import annotations

import numpy as np


def sgm_labels(cost: np.ndarray, p1: float, p2: float) -> np.ndarray:
    """Label every pixel by semi-global matching along 8 directions.

    Args:
        cost: Cost of each label, [H, W, L] float32 with L >= 3.
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
        cost: Cost of each label, [H, W, L] float32.
        p1: Penalty of neighbors whose labels differ by one. With p1 = p2 the labels need no order (Potts' model).
        p2: Penalty of neighbors whose labels differ by more.

    Returns:
        [H, W, L] float32.
    """
    total = np.zeros_like(cost)
    for reverse in (False, True):
        volume, summed = (cost[::-1, ::-1], total[::-1, ::-1]) if reverse else (cost, total)
        for slant in (-1, 0, 1):
            _add_path_costs(volume, summed, slant, p1, p2)
        _add_path_costs(volume.transpose(1, 0, 2), summed.transpose(1, 0, 2), 0, p1, p2)
    return total


def _add_path_costs(cost: np.ndarray, total: np.ndarray, slant: int, p1: float, p2: float) -> None:
    """Add the costs of the best paths from the row above, `slant` columns aside, to a total (equation 13)."""
    path = cost[0]  # [W, L]
    total[0] += path
    for row in range(1, len(cost)):
        previous = path if slant == 0 else np.roll(path, slant, axis=0)
        if slant:
            edge = 0 if slant > 0 else -1
            previous[edge] = path[edge]
        least = previous.min(axis=1, keepdims=True)  # [W, 1]
        best = np.minimum(previous, least + np.float32(p2))
        np.minimum(best[:, 1:], previous[:, :-1] + np.float32(p1), out=best[:, 1:])
        np.minimum(best[:, :-1], previous[:, 1:] + np.float32(p1), out=best[:, :-1])
        path = cost[row] + best - least
        total[row] += path


def _subpixel_argmin(cost: np.ndarray) -> np.ndarray:
    """Return the label of least cost with a fraction, [H, W] float32, from costs [H, W, L]."""
    label = cost.argmin(axis=-1)
    middle = label.clip(1, cost.shape[-1] - 2)
    below, here, above = (
        np.take_along_axis(cost, (middle + offset)[..., None], axis=-1)[..., 0] for offset in (-1, 0, 1)
    )
    curvature = below - 2 * here + above
    has_minimum = (curvature > 1e-6) & (label == middle)
    fraction = np.where(has_minimum, (below - above) / np.where(has_minimum, 2 * curvature, 1), 0)
    return (label + np.nan_to_num(fraction).clip(-0.5, 0.5)).astype(np.float32)
