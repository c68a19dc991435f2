"""Tiles have the picture's own pixels at full size, and fit together at every other one."""

import io
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from realfill.review.pyramid import LazyPyramid, PatchedPyramid, Pyramid, PyramidCache, TileSettings, cut_tile

SMALL = TileSettings(side=100, patch_levels=3)
PHOTO = data.coffee()


def read_level(pyramid: Pyramid, level: int, side: int = SMALL.side) -> np.ndarray:
    """A level put together from its tiles, as OpenSeadragon does."""
    width, height = pyramid.size(level)
    canvas = np.zeros((height, width, 3), np.uint8)
    for row in range(-(-height // side)):
        for column in range(-(-width // side)):
            tile = cut_tile(pyramid, level, column, row, SMALL)
            assert tile is not None
            pixels = np.asarray(Image.open(io.BytesIO(tile[0])))
            left, top = max(column * side - 1, 0), max(row * side - 1, 0)
            canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels[..., :3]
    return canvas


def test_the_tiles_of_the_full_size_are_the_picture() -> None:
    pyramid = Pyramid.build(PHOTO)
    assert (read_level(pyramid, pyramid.max_level) == PHOTO).all()


@given(st.integers(1, 70), st.integers(1, 70))
@settings(max_examples=40, deadline=None)
def test_levels_have_the_sizes_that_the_viewer_expects(width: int, height: int) -> None:
    pyramid = Pyramid.build(np.zeros((height, width, 3), np.uint8))
    assert pyramid.max_level == int(np.ceil(np.log2(max(width, height))))
    for level in range(pyramid.max_level + 1):
        scale = 2.0 ** (level - pyramid.max_level)
        assert pyramid.size(level) == (np.ceil(width * scale), np.ceil(height * scale))


@given(st.integers(0, 500), st.integers(0, 300), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=15, deadline=None)
def test_a_patched_picture_is_the_same_as_one_of_its_own(left: int, top: int, width: int, height: int) -> None:
    patch = np.full((height, width, 3), (255, 0, 200), np.uint8)
    whole = PHOTO.copy()
    whole[top : top + height, left : left + width] = patch
    pyramid, other = PatchedPyramid(Pyramid.build(PHOTO), patch, left, top, SMALL), Pyramid.build(whole)
    for step in range(SMALL.patch_levels + 1):
        level, size = pyramid.max_level - step, pyramid.size(pyramid.max_level - step)
        differs = (pyramid.crop(level, 0, 0, *size) != other.crop(level, 0, 0, *size)).any(axis=2)
        edge = np.zeros(differs.shape, bool)  # pixels that lie on both sides of the box's edge
        edge[top >> step : -(-(top + height) >> step), left >> step : -(-(left + width) >> step)] = step > 0
        edge[-(-top >> step) : (top + height) >> step, -(-left >> step) : (left + width) >> step] = False
        assert not (differs & ~edge).any()
    assert pyramid.nbytes < other.nbytes


def test_a_picture_is_read_at_full_size_only_when_that_is_looked_at() -> None:
    height, width = PHOTO.shape[:2]
    asked: list[int] = []

    def read(reduction: int) -> np.ndarray:
        asked.append(reduction)
        return np.ascontiguousarray(PHOTO[::reduction, ::reduction])

    lazy, whole = LazyPyramid(width, height, read), Pyramid.build(PHOTO)
    for level in (0, lazy.max_level - 2, lazy.max_level - 3):
        assert lazy.size(level) == whole.size(level)
        assert cut_tile(lazy, level, 0, 0) is not None
    assert asked == [4]
    assert lazy.nbytes < whole.nbytes / 10
    assert (read_level(lazy, lazy.max_level) == PHOTO).all()
    cut_tile(lazy, lazy.max_level - 1, 0, 0)
    assert asked == [4, 1]


@pytest.mark.parametrize("place", [(-1, 0, 0), (99, 0, 0), (9, 6, 0), (9, 0, 4), (9, -1, 0), (9, 0, 10**30)])
def test_there_is_no_tile_outside(place: tuple[int, int, int]) -> None:
    assert cut_tile(Pyramid.build(PHOTO), *place, SMALL) is None


def test_transparency_is_kept() -> None:
    pixels = np.dstack([PHOTO, np.arange(PHOTO.shape[1], dtype=np.uint8)[None].repeat(PHOTO.shape[0], 0)])
    tile = cut_tile(Pyramid.build(np.ascontiguousarray(pixels)), 10, 0, 0)
    assert tile is not None
    assert (np.asarray(Image.open(io.BytesIO(tile[0]))) == pixels[: SMALL.side * 5 + 13, :513]).all()


def test_a_pyramid_is_built_once_and_the_ones_used_last_are_kept() -> None:
    pyramids = [Pyramid.build(np.zeros((64, 64, 3), np.uint8)) for _ in range(4)]
    cache = PyramidCache(TileSettings(cache_bytes=3 * pyramids[0].nbytes))
    built: list[int] = []

    def get(number: int) -> Pyramid:
        def build() -> Pyramid:
            built.append(number)
            return pyramids[number]

        return cache.get(number, build)

    threads = [threading.Thread(target=get, args=(0,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [0]
    for number in (1, 2, 0, 3, 0, 2, 1):
        assert get(number) is pyramids[number]
    assert built == [0, 1, 2, 3, 1]


def test_what_fails_is_tried_again() -> None:
    cache = PyramidCache()
    with pytest.raises(OSError):
        cache.get(0, lambda: (_ for _ in ()).throw(OSError("gone")))
    assert cache.get(0, lambda: Pyramid.build(PHOTO)).width == PHOTO.shape[1]
