import numpy as np
import pytest
from skimage import data

from realfill.diffusion.composite_corruption import corrupt_composite


@pytest.fixture(scope="module")
def colors() -> np.ndarray:
    photo: np.ndarray = data.astronaut()[:128, 150:278]
    return photo


def test_most_of_a_composite_is_right_and_each_has_other_errors(colors: np.ndarray) -> None:
    known = np.ones(colors.shape[:2], bool)
    known[:, :20] = False
    similarities, shares, has_white = [], [], []
    for seed in range(40):
        shown, placed = corrupt_composite(colors, known, np.random.default_rng(seed))
        assert shown.dtype == np.uint8
        assert placed.dtype == np.bool_
        similarities.append(np.corrcoef(shown[placed].ravel(), colors[placed].ravel())[0, 1])
        shares.append(placed.mean())
        has_white.append((shown[placed] == 255).all(axis=-1).mean() > 0.002)
    assert np.median(similarities) > 0.8
    assert min(similarities) < 0.75
    assert 0.55 < min(shares) < 0.75
    assert max(shares) > 0.8
    assert 0.3 < np.mean(has_white) < 1


def test_a_corruption_follows_from_its_generator(colors: np.ndarray) -> None:
    known = np.ones(colors.shape[:2], bool)
    first, again, other = (corrupt_composite(colors, known, np.random.default_rng(seed))[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
