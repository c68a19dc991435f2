import cv2
import numpy as np
import pytest

from realfill.album.schemas import Window
from realfill.compositing.detail_sources import DetailSources
from realfill.compositing.film_grain import FilmGrainSettings, synthesize_film_grain
from support.scenes import rectangle_mask

SIDE, R = 256, 64
WINDOW = Window("file", SIDE, SIDE, 0, 0, SIDE, SIDE, 0, 0, SIDE, 0.25)
MASK = rectangle_mask((SIDE, SIDE), slice(64, 192), slice(64, 192))
BOX = slice(64, 192), slice(64, 192)
RAMP = np.linspace(60, 200, SIDE)[None, :, None] * np.ones((SIDE, 1, 3))  # brighter to the right


def noise(channels: int = 3, sigma: float = 0.7) -> np.ndarray:
    """Noise of standard deviation 1, [side, side, 3]; one channel makes it gray."""
    white = np.random.default_rng(0).normal(0, 1, (SIDE, SIDE, channels))
    filtered = cv2.GaussianBlur(white, (0, 0), sigma).reshape(SIDE, SIDE, channels)
    return np.broadcast_to(filtered / filtered.std(), (SIDE, SIDE, 3))


def grain_of(
    photo: np.ndarray, mask: np.ndarray = MASK, settings: FilmGrainSettings = FilmGrainSettings()
) -> np.ndarray:
    fill = np.broadcast_to(RAMP[:: SIDE // R, :: SIDE // R] / 255, (R, R, 3)).astype(np.float32)
    photo = np.rint(photo).clip(0, 255).astype(np.uint8)
    return synthesize_film_grain(fill, BOX, DetailSources.from_canvas(photo, mask, WINDOW, [], R), settings)


def autocorrelation(values: np.ndarray) -> float:
    return float((values[:, 1:] * values[:, :-1]).mean() / (values**2).mean())


def test_the_grain_has_the_strength_of_the_photo_and_follows_the_brightness() -> None:
    grain = grain_of(RAMP + noise() * RAMP / 40) * 255
    for columns in (slice(0, 40), slice(88, 128)):
        true = (RAMP / 40)[BOX][:, columns].mean()
        assert 0.7 < grain[:, columns].std() / true < 1.2


@pytest.mark.parametrize(("channels", "least", "most"), [(1, 0.95, 1), (3, -0.2, 0.2)])
def test_the_channels_are_correlated_as_in_the_photo(channels: int, least: float, most: float) -> None:
    grain = grain_of(RAMP + 3 * noise(channels))
    assert least <= np.corrcoef(grain.reshape(-1, 3).T)[0, 1] <= most


def test_coarse_grain_stays_coarse() -> None:
    fine, coarse = (autocorrelation(grain_of(RAMP + 3 * noise(sigma=sigma))[..., 0]) for sigma in (0.3, 1))
    assert fine < 0.15
    assert coarse > 0.4


def test_a_photo_without_grain_gives_next_to_none() -> None:
    assert grain_of(RAMP).std() < 0.5 / 255


def test_texture_is_not_taken_for_strong_grain() -> None:
    settings = FilmGrainSettings(max_strength=0.01)
    assert grain_of(RAMP + 30 * noise(), settings=settings).std() < 0.011


def test_where_nothing_is_known_there_is_no_grain() -> None:
    grain = grain_of(RAMP + 3 * noise(), np.full_like(MASK, 255))
    assert grain.shape == (128, 128, 3) and grain.dtype == np.float32
    assert not grain.any()


def test_the_same_photo_gives_the_same_bytes() -> None:
    first, second = (grain_of(RAMP + 3 * noise()) for _ in range(2))
    assert first.tobytes() == second.tobytes()
