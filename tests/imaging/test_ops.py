import cv2
import numpy as np
import pytest
from skimage import data

from realfill.imaging.ops import (
    Pixels,
    distance_transform,
    fill_from_nearest,
    local_variance,
    resize,
    shrink_to,
    to_float,
    to_gray,
    to_uint8,
)


@pytest.fixture(scope="module")
def picture() -> Pixels:
    return np.ascontiguousarray(data.astronaut()[:120, 180:340])


def test_shrinking_averages(picture: Pixels) -> None:
    small = resize(picture, 80, 60)
    blocks = picture.reshape(60, 2, 80, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - blocks).max() <= 1
    assert resize(picture[..., :1], 320, 240).shape == (240, 320, 1)
    assert resize(picture.astype(np.float32), 30, 50).dtype == np.float32


def test_a_picture_of_the_right_size_is_not_copied(picture: Pixels) -> None:
    assert resize(picture, 160, 120) is picture


@pytest.mark.parametrize(("side", "shape"), [(80, (60, 80, 3)), (160, (120, 160, 3)), (500, (120, 160, 3))])
def test_shrinking_to_a_side_never_enlarges(picture: Pixels, side: int, shape: tuple[int, ...]) -> None:
    assert shrink_to(picture, side).shape == shape


def test_a_thin_picture_keeps_a_pixel() -> None:
    assert shrink_to(np.zeros((2, 900, 3), np.uint8), 100).shape == (1, 100, 3)


def test_eight_bits_survive_floats() -> None:
    values = np.arange(256, dtype=np.uint8)
    assert to_float(values).dtype == np.float32
    assert np.array_equal(to_uint8(to_float(values)), values)
    assert to_uint8(np.array([-0.5, 0.25, 1.5], np.float32)).tolist() == [0, 64, 255]


def test_gray_values_of_bytes_and_floats_agree_within_a_level(picture: Pixels) -> None:
    from_bytes, from_floats = to_gray(picture), to_gray(to_float(picture))
    assert from_bytes.dtype == from_floats.dtype == np.float32
    assert np.abs(from_bytes - from_floats).max() < 1 / 255
    assert np.abs(from_bytes - picture @ [0.299, 0.587, 0.114] / 255).max() < 1 / 255


def test_the_variance_is_that_of_the_window() -> None:
    gray = np.random.default_rng(0).uniform(0, 1, (40, 50)).astype(np.float32)
    assert local_variance(gray)[20, 30] == pytest.approx(gray[16:25, 26:35].var(), rel=1e-4)
    assert local_variance(gray, 5)[20, 30] == pytest.approx(gray[18:23, 28:33].var(), rel=1e-4)
    assert local_variance(np.full((20, 20), 0.7, np.float32)).max() < 1e-6


def test_distances_are_exact_and_do_not_depend_on_where_the_picture_lies_in_memory() -> None:
    region = np.zeros((96, 96), bool)
    region[20:60, 30:70] = True
    rows, columns = np.mgrid[:96, :96]
    aside = np.hypot(rows - rows.clip(20, 59), columns - columns.clip(30, 69))
    sizes = np.random.default_rng(0).integers(1, 5000, (40, 50))
    drawn = []
    for round_ in sizes:
        moved = [np.empty(size, np.uint8) for size in round_]
        drawn.append(distance_transform(region.copy()).tobytes())
        del moved
    assert len(set(drawn)) == 1
    np.testing.assert_allclose(distance_transform(region), aside, atol=1e-5)


def test_unknown_pixels_get_the_nearest_known_value() -> None:
    values = np.zeros((9, 20, 3), np.float32)
    values[:, :5], values[:, 15:] = 1, 2
    known = np.zeros((9, 20), bool)
    known[:, :5] = known[:, 15:] = True
    filled = fill_from_nearest(values, known)
    assert (filled[:, :10] == 1).all()
    assert (filled[:, 10:] == 2).all()
    assert not fill_from_nearest(values, np.zeros_like(known)).any()


def test_filling_leaves_its_input_as_it_is(picture: Pixels) -> None:
    before = picture.copy()
    known = cv2.circle(np.zeros((120, 160), np.uint8), (80, 60), 20, 1, -1) > 0
    assert np.array_equal(fill_from_nearest(picture, known)[known], picture[known])
    assert np.array_equal(picture, before)


def test_shrinking_float_pictures_keeps_the_shape_and_never_enlarges() -> None:
    picture = np.zeros((160, 200, 3), np.float32)
    assert shrink_to(picture, 50).shape == (40, 50, 3)
    assert shrink_to(picture[..., 0], 400).shape == (160, 200)
