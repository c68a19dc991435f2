"""The graph of a grid of cells, in which neighbors are joined: for functions that are to vary little between them."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array


def grid_edges(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """List the pairs of neighboring cells of a grid of h rows and w columns, those in a row first.

    Returns:
        First and second cell of each pair, int [E]; cells are numbered by rows.
    """
    cells = np.arange(shape[0] * shape[1]).reshape(shape)
    return np.r_[cells[:, :-1].ravel(), cells[:-1].ravel()], np.r_[cells[:, 1:].ravel(), cells[1:].ravel()]


def grid_gradient(first: np.ndarray, second: np.ndarray, cells: int) -> csc_array:
    """The matrix [E, cells] that takes values at the cells to their differences, first - second, along the edges."""
    edges, signs = np.arange(len(first)), np.ones(len(first))
    return csc_array((np.r_[signs, -signs], (np.r_[edges, edges], np.r_[first, second])), (len(first), cells))
