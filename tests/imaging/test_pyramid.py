from collections.abc import Iterator

import numpy as np
import pytest
from skimage import data

from realfill.imaging.pyramid import blend_pyramids

PHOTO = (data.coffee()[:200, :301] / 255).astype(np.float32)
LEFT = np.zeros((200, 301), np.float32)
LEFT[:, :150] = 1


@pytest.mark.parametrize("levels", [0, 1, 4])
@pytest.mark.parametrize("image", [PHOTO, PHOTO[..., 0]], ids=["color", "plane"])
def test_a_weight_of_one_gives_the_image_back(image: np.ndarray, levels: int) -> None:
    blended = blend_pyramids([(image, np.ones(image.shape[:2], np.float32))], levels)
    assert blended.dtype == np.float32
    np.testing.assert_allclose(blended, image, atol=1e-5)


def test_without_levels_images_are_weighted_as_they_are() -> None:
    blended = blend_pyramids([(PHOTO, LEFT), (PHOTO[::-1], 1 - LEFT)], 0)
    assert np.array_equal(blended, np.where(LEFT[..., None] > 0, PHOTO, PHOTO[::-1]))


def test_an_image_that_is_cut_and_joined_again_does_not_change() -> None:
    np.testing.assert_allclose(blend_pyramids([(PHOTO, LEFT), (PHOTO, 1 - LEFT)], 5), PHOTO, atol=1e-5)


def test_a_step_of_light_is_spread_while_detail_stays_sharp() -> None:
    detail = np.indices((200, 301)).sum(axis=0) % 2 * np.float32(0.1)
    blended = blend_pyramids([(detail, LEFT), (np.zeros_like(detail) + np.float32(0.5), 1 - LEFT)], 5)
    coarse = blended.reshape(100, 2, 301).mean(axis=1)[50]
    assert np.abs(np.diff(coarse)).max() < 0.1  # the step is 0.45
    contrast = np.abs(np.diff(blended[100]))
    assert contrast[120:140].min() > 0.05
    assert contrast[165:].max() < 0.03


def test_layers_may_come_from_a_generator() -> None:
    def layers() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for weight in (LEFT, 1 - LEFT):
            yield PHOTO, weight

    np.testing.assert_allclose(blend_pyramids(layers(), 3), PHOTO, atol=1e-5)
