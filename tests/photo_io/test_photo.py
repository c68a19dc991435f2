import numpy as np
import pytest

from realfill.photo_io.photo import Photo, to_8_bits, valid_orientation

CORNERS = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)  # as stored


def turned(orientation: int) -> list[list[int]]:
    photo = Photo.from_samples(CORNERS, 1, icc=b"", file_format="JPEG", orientation=orientation, exif=False)
    assert photo.icc is None
    assert photo.orientation == orientation
    return photo.pixels[..., 0].tolist()


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
def test_samples_are_turned_as_the_orientation_says(orientation: int, upright: list[list[int]]) -> None:
    assert turned(orientation) == upright


@pytest.mark.parametrize(("value", "orientation"), [(6, 6), (0, 1), (9, 1), ("6", 1), (None, 1)])
def test_what_is_no_orientation_counts_as_upright(value: object, orientation: int) -> None:
    assert valid_orientation(value) == orientation


@pytest.mark.parametrize(("channels", "mode"), [(1, "gray"), (3, "rgb"), (4, "cmyk")])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_the_last_channel_is_alpha(channels: int, mode: str, has_alpha: bool) -> None:
    samples = np.random.default_rng(0).integers(0, 65_536, (20, 30, channels + has_alpha), np.uint16)
    photo = Photo.from_samples(samples, channels, icc=None, file_format="TIFF", orientation=1, exif=True)
    assert (photo.width, photo.height, photo.bits) == (30, 20, 16)
    assert photo.mode == mode + "a" * has_alpha
    assert np.array_equal(photo.samples, samples)


def test_sixteen_bits_are_rounded_to_eight() -> None:
    deep = np.array([0, 128, 129, 257 * 100, 257 * 100 + 129, 65_535], np.uint16)
    assert to_8_bits(deep).tolist() == [0, 0, 1, 100, 101, 255]
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_8_bits(every.astype(np.uint16) * 257), every)
    assert to_8_bits(every) is every
