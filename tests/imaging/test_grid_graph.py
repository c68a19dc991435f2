import numpy as np

from realfill.imaging.grid_graph import grid_edges, grid_gradient


def test_every_pair_of_neighbors_is_an_edge_once() -> None:
    first, second = grid_edges((2, 3))
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    assert pairs == [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)]


def test_the_gradient_takes_differences_along_the_edges() -> None:
    values = np.array([1.0, 4.0, 9.0, 16.0, 25.0, 36.0])
    gradient = grid_gradient(*grid_edges((2, 3)), 6)
    np.testing.assert_array_equal(gradient @ values, [-3, -5, -9, -11, -15, -21, -27])
