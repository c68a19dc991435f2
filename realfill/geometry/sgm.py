"""FIXME DOCSTRING."""

from __future__ import annotations

import numpy as np


def sgm_labels(cost: np.ndarray, bend: float, jump: float) -> np.ndarray:
    """Semi-global matching along 8 directions.

    Args:
        cost: [H, W, L] float32.
        bend: Cost of neighbours one label apart.
        jump: Cost of neighbours farther apart.

    Returns:
        The best label of each pixel, [H, W] float32, with a fraction by a parabola through its neighbours.
    """
    return _lowest(aggregate_costs(cost, bend, jump))


def aggregate_costs(cost: np.ndarray, bend: float, jump: float) -> np.ndarray:
    """The sum of the costs of the best paths to each pixel and label, [H, W, L] float32; see `regularised`."""
    total = np.zeros_like(cost)
    for backwards in (False, True):
        volume, summed = (cost[::-1, ::-1], total[::-1, ::-1]) if backwards else (cost, total)
        for slant in (-1, 0, 1):
            _add_paths(volume, summed, slant, bend, jump)
        _add_paths(volume.transpose(1, 0, 2), summed.transpose(1, 0, 2), 0, bend, jump)
    return total


def _add_paths(cost: np.ndarray, total: np.ndarray, slant: int, bend: float, jump: float) -> None:
    """Add the costs of the best paths that come from the row above, `slant` columns aside."""
    path = cost[0]
    total[0] += path
    for row in range(1, len(cost)):
        before = path if slant == 0 else np.roll(path, slant, axis=0)
        if slant:
            edge = 0 if slant > 0 else -1
            before[edge] = path[edge]
        least = before.min(axis=1, keepdims=True)
        best = np.minimum(before, least + np.float32(jump))
        np.minimum(best[:, 1:], before[:, :-1] + np.float32(bend), out=best[:, 1:])
        np.minimum(best[:, :-1], before[:, 1:] + np.float32(bend), out=best[:, :-1])
        path = cost[row] + best - least
        total[row] += path


def _lowest(total: np.ndarray) -> np.ndarray:
    label = total.argmin(axis=-1)
    middle = label.clip(1, total.shape[-1] - 2)
    below, here, above = (
        np.take_along_axis(total, (middle + offset)[..., None], axis=-1)[..., 0] for offset in (-1, 0, 1)
    )
    curvature = below - 2 * here + above
    inside = (curvature > 1e-6) & (label == middle)
    fraction = np.where(inside, (below - above) / np.where(inside, 2 * curvature, 1), 0).clip(-0.5, 0.5)
    return (label + fraction).astype(np.float32)
