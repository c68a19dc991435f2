"""Black and white, toned and color pictures."""

import cv2
import numpy as np
import pytest
from skimage import data

from realfill.imaging.monochrome import is_in_color, is_monochrome

GRAY = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)[..., None].astype(float) / 255


@pytest.mark.parametrize("tint", [(1, 1, 1), (1.07, 0.95, 0.72), (0.9, 1, 1.05)])
@pytest.mark.parametrize("noise", [0, 5])
def test_black_and_white_and_toned_pictures_are_monochrome(tint: tuple[float, ...], noise: float) -> None:
    picture = GRAY * tint * 255 + np.random.default_rng(0).normal(0, noise, (512, 512, 3))
    assert is_monochrome(picture.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("picture", [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()])
def test_pictures_in_color_are_not(picture: np.ndarray) -> None:
    assert not is_monochrome(picture)
    assert is_in_color(picture)


def test_a_blank_picture_is_monochrome() -> None:
    assert is_monochrome(np.full((64, 64, 3), 200, np.uint8))
