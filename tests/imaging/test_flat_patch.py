import numpy as np
import pytest

from realfill.imaging.flat_patch import is_flat_patch

PLACE = np.zeros((40, 60), np.uint8)
PLACE[10:30, 20:40] = 255
AROUND = 255 - PLACE


def painted(color: int, noise: float) -> np.ndarray:
    """A gray picture with another color in the place."""
    picture = np.where(PLACE[..., None] > 0, color, 120) + np.random.default_rng(0).normal(0, noise, (40, 60, 3))
    return np.rint(picture).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("color", "noise", "expected"),
    [(200, 0.0, True), (200, 20.0, False), (125, 0.0, False)],
    ids=["painted over", "textured", "like its surroundings"],
)
def test_a_flat_patch_has_one_color_other_than_around_it(color: int, noise: float, expected: bool) -> None:
    assert is_flat_patch(painted(color, noise), PLACE, AROUND, 4.0, 16.0) == expected


def test_nothing_inside_is_no_patch() -> None:
    assert not is_flat_patch(painted(200, 0.0), np.zeros_like(PLACE), AROUND, 4.0, 16.0)
