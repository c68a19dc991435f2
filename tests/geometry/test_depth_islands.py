import numpy as np
import pytest
import skimage.data

from realfill.geometry.depth_islands import DepthIslandSettings, fill_islands

PIXEL = 0.01  # inverse depth that displaces a pixel by one
EVEN = np.full((100, 150), 0.5, np.float32)
SQUARE = np.s_[40:60, 70:90]


def island(square: tuple[slice, slice] = SQUARE) -> np.ndarray:
    """A surface with a square that is nearer by five pixels of displacement."""
    depth = np.full(EVEN.shape, 0.2, np.float32)
    depth[square] += 5 * PIXEL
    return depth


def test_an_island_of_which_nothing_is_seen_is_filled() -> None:
    np.testing.assert_array_equal(fill_islands(island(), EVEN, PIXEL), np.float32(0.2))


@pytest.mark.parametrize("square", [np.s_[:20, 130:], np.s_[80:, :20], np.s_[:, :7]])
def test_an_island_at_the_frame_is_filled(square: tuple[slice, slice]) -> None:
    np.testing.assert_array_equal(fill_islands(island(square), EVEN, PIXEL), np.float32(0.2))


def test_what_stands_out_in_the_picture_stays() -> None:
    picture = EVEN.copy()
    picture[SQUARE] = 0.8
    np.testing.assert_array_equal(fill_islands(island(), picture, PIXEL), island())


def test_an_island_in_a_busy_picture_stays() -> None:
    gravel = (skimage.data.gravel()[:100, :150] / np.float32(255)).astype(np.float32)
    np.testing.assert_array_equal(fill_islands(island(), gravel, PIXEL), island())


def test_noise_of_the_picture_is_no_edge() -> None:
    noisy = EVEN + np.random.default_rng(0).normal(0, 0.01, EVEN.shape).astype(np.float32)
    np.testing.assert_array_equal(fill_islands(island(), noisy, PIXEL), np.float32(0.2))


def test_a_large_part_of_the_picture_is_no_island() -> None:
    half = island(np.s_[:, :75])
    np.testing.assert_array_equal(fill_islands(half, EVEN, PIXEL, DepthIslandSettings(max_area=0.4)), half)


def test_a_slope_has_no_islands() -> None:
    slope = np.linspace(0.2, 0.8, EVEN.size, dtype=np.float32).reshape(EVEN.shape[::-1]).T.copy()
    np.testing.assert_array_equal(fill_islands(slope, EVEN, PIXEL), slope)
