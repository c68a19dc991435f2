import numpy as np
import pytest
from skimage import data

from pairs import Pair, draw_pair


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    photo: np.ndarray = data.astronaut()[:256, 100:356]
    return photo


def draw(pixels: np.ndarray, repair_share: float, count: int = 30) -> list[Pair]:
    return [draw_pair(pixels, np.random.default_rng(seed), repair_share) for seed in range(count)]


def test_a_fill_has_an_empty_hole_and_the_photo_as_target(pixels: np.ndarray) -> None:
    image = pixels.astype(np.float32) / 127.5 - 1
    for pair in draw(pixels, repair_share=0):
        hole = pair.mask > 0
        assert (pair.masked_image[hole] == 0).all()
        np.testing.assert_array_equal(pair.masked_image[~hole], image[~hole])
        np.testing.assert_array_equal(pair.target, image)


def test_a_repair_shows_the_photo_around_the_hole_and_something_like_it_inside(pixels: np.ndarray) -> None:
    image = pixels.astype(np.float32) / 127.5 - 1
    similarities = []
    for pair in draw(pixels, repair_share=1):
        hole = pair.mask > 0
        np.testing.assert_array_equal(pair.masked_image[~hole], image[~hole])
        np.testing.assert_allclose(pair.target[~hole], image[~hole], atol=1e-5)
        shown = hole & (pair.masked_image != 0).any(axis=-1)
        similarities.append(np.corrcoef(pair.masked_image[shown].ravel(), pair.target[shown].ravel())[0, 1])
        assert shown.sum() > 0.5 * hole.sum()
    assert np.median(similarities) > 0.8


def test_values_stay_in_range(pixels: np.ndarray) -> None:
    for pair in draw(pixels, repair_share=0.7):
        assert set(np.unique(pair.mask)) <= {0.0, 1.0}
        assert pair.mask.any()
        for image in (pair.masked_image, pair.target):
            assert image.dtype == np.float32
            assert np.abs(image).max() <= 1


def test_a_pair_follows_from_its_generator(pixels: np.ndarray) -> None:
    first, again = (draw_pair(pixels, np.random.default_rng(5), 0.7) for _ in range(2))
    np.testing.assert_array_equal(first.masked_image, again.masked_image)
    assert not np.array_equal(first.mask, draw_pair(pixels, np.random.default_rng(6), 0.7).mask)
