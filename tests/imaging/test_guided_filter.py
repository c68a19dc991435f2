"""Changes of colors follow the edges of a picture and leave its texture alone."""

import numpy as np
import pytest

from realfill.imaging.guided_filter import add_guided
from realfill.imaging.ops import shrink_to


@pytest.fixture
def picture() -> np.ndarray:
    """Dark and bright halves with an edge in the middle of a coarse pixel, and noise, [160, 200, 3] float32."""
    picture = np.full((160, 200, 3), 0.3, np.float32)
    picture[:, 103:] = 0.7
    return picture + np.random.default_rng(0).normal(0, 0.005, picture.shape).astype(np.float32)


def test_the_change_follows_the_edge_at_full_size(picture: np.ndarray) -> None:
    coarse = shrink_to(picture, 40)
    change = np.where(coarse > 0.5, np.float32(0.1), np.float32(-0.1))

    changed = add_guided(picture, coarse, change) - picture

    assert changed[:, :102].max() < 0
    assert changed[:, 104:].min() > 0
    assert changed[:, :102].mean() == pytest.approx(-0.1, abs=0.02)


def test_texture_keeps_its_contrast(picture: np.ndarray) -> None:
    coarse = shrink_to(picture, 200)  # no smaller

    changed = add_guided(picture, coarse, 4 * coarse)  # colors five times as far apart

    assert changed[:, :80].std() < 2 * picture[:, :80].std()
    assert changed[:, 150:].mean() - changed[:, :50].mean() == pytest.approx(2, rel=0.05)  # 5 * .4
