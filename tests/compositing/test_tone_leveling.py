"""The tone of what was placed follows the photo's around the hole, along like colors."""

import numpy as np
import pytest

from realfill.compositing.tone_leveling import level_tone

SIZE = 120


@pytest.fixture
def hole() -> np.ndarray:
    hole = np.zeros((SIZE, SIZE), bool)
    hole[30:90, 30:90] = True
    return hole


def picture_of_sky_and_wall() -> np.ndarray:
    """Sky above a wall, both with a little texture, [120, 120, 3] float32."""
    texture = np.random.default_rng(0).normal(0, 0.01, (SIZE, SIZE, 1))
    colors = np.empty((SIZE, SIZE, 3))
    colors[:60], colors[60:] = (0.4, 0.5, 0.8), (0.5, 0.4, 0.3)
    return (colors + texture).astype(np.float32)


def test_sky_and_wall_each_get_the_tone_of_their_own_surroundings(hole: np.ndarray) -> None:
    photo = picture_of_sky_and_wall()
    placed = photo.copy()
    placed[:60] -= 0.1
    placed[60:] += 0.1

    leveled = level_tone(placed, photo, ~hole, hole)

    assert np.abs(placed - photo)[hole].max() == pytest.approx(0.1, abs=1e-3)
    assert np.abs(leveled - photo)[hole].mean() < 0.02
    assert np.abs(leveled - photo)[hole].max() < 0.1  # at the edge between them


def test_texture_keeps_its_contrast(hole: np.ndarray) -> None:
    photo = picture_of_sky_and_wall()

    leveled = level_tone(photo - np.float32(0.1), photo, ~hole, hole)

    assert leveled[35:55, 35:85].std() == pytest.approx(photo[35:55, 35:85].std(), rel=0.1)


def test_what_is_another_thing_around_the_hole_changes_little(hole: np.ndarray) -> None:
    photo = picture_of_sky_and_wall()
    placed = photo.copy()
    photo[34:38, 14:30] = 0  # a person stands at the rim of the photo alone

    leveled = level_tone(placed, photo, ~hole, hole)

    assert np.abs(leveled - placed)[hole].mean() < 0.01


def test_nothing_changes_where_nothing_is_known(hole: np.ndarray) -> None:
    placed = picture_of_sky_and_wall()

    leveled = level_tone(placed, np.zeros_like(placed), np.zeros_like(hole), hole)

    np.testing.assert_array_equal(leveled, placed)


def test_the_photo_inside_of_the_hole_has_no_influence(hole: np.ndarray) -> None:
    placed = picture_of_sky_and_wall()
    photo = placed + np.float32(0.05)
    hidden = np.where(hole[..., None], np.float32(1), photo)

    np.testing.assert_allclose(
        level_tone(placed, hidden, ~hole, hole), level_tone(placed, photo, ~hole, hole), atol=1e-5
    )
