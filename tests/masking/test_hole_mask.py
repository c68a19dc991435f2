from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from realfill.album.settings import AlbumSettings
from realfill.core.errors import MaskError
from realfill.imaging.ops import Pixels
from realfill.masking.hole_mask import (
    check_hole_share,
    grow_mask,
    mask_from_alpha,
    mask_from_drawing,
    mask_from_shapes,
)
from realfill.photo_io.photo import Photo

HEIGHT, WIDTH = 120, 160
PICTURE = np.ascontiguousarray(data.astronaut()[:HEIGHT, 180 : 180 + WIDTH])


def drawn(value: int = 255, dtype: Any = np.uint8) -> Pixels:
    mask = np.zeros((HEIGHT, WIDTH), dtype)
    mask[30:70, 40:100] = value
    return mask


def as_photo(image: Pixels, alpha: Pixels | None = None, orientation: int = 1) -> Photo:
    return Photo(image if image.ndim == 3 else image[..., None], alpha, None, "PNG", orientation)


def read(drawing: Pixels, alpha: Pixels | None = None, picture: Pixels = PICTURE) -> Pixels:
    return mask_from_drawing(as_photo(drawing, alpha), as_photo(picture), picture).mask


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("value", "dtype"), [(255, np.uint8), (65535, np.uint16)])
def test_a_black_and_white_drawing_is_a_mask(channels: int, value: int, dtype: Any) -> None:
    assert np.array_equal(read(np.repeat(drawn(value, dtype)[..., None], channels, axis=2)), drawn())


def test_a_soft_rim_and_noise_are_understood() -> None:
    soft = cv2.GaussianBlur(drawn(), (0, 0), 0.5).astype(int)
    noisy = (soft + np.random.default_rng(0).integers(-6, 7, soft.shape)).clip(0, 255).astype(np.uint8)
    assert np.array_equal(read(noisy), drawn())


def test_transparency_around_a_white_drawing_is_understood() -> None:
    opaque = np.full_like(drawn(), 255)
    assert np.array_equal(read(drawn(), opaque), drawn())
    assert np.array_equal(read(drawn(), drawn()), drawn())


def red() -> Pixels:
    return np.dstack([drawn(), np.zeros((HEIGHT, WIDTH, 2), np.uint8)])


@pytest.mark.parametrize(
    ("drawing", "alpha", "problem"),
    [
        (drawn()[:, :100], None, "100 x 120 pixels, the photo 160 x 120"),
        (drawn(1), None, "brightest value is 1, which is black"),
        (drawn(3), None, "brightest value is 3, which is black"),
        (drawn(255, np.uint16), None, "brightest value is 255, which is black; white is 65535"),
        (drawn(100), None, "gray, neither black nor white"),
        (drawn(200), None, "gray, neither black nor white"),
        (drawn(0), None, "marks nothing"),
        (np.full((HEIGHT, WIDTH), 255, np.uint8), drawn(), "transparency"),
        (255 - drawn(), drawn(), "transparency"),
        (red(), None, "colored"),
    ],
)
def test_a_mistaken_drawing_is_explained(drawing: Pixels, alpha: Pixels | None, problem: str) -> None:
    with pytest.raises(MaskError, match=problem):
        read(drawing, alpha)


def test_an_inverted_drawing_is_noticed() -> None:
    painted = np.where(drawn()[..., None] > 0, np.uint8(255), PICTURE)
    assert np.array_equal(read(drawn(), picture=painted), drawn())
    with pytest.raises(MaskError, match="inverted"):
        read(255 - drawn(), picture=painted)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_over_the_stored_photo_is_told_from_a_wrong_size(orientation: int) -> None:
    rotated = as_photo(np.rot90(PICTURE), orientation=orientation)
    with pytest.raises(MaskError, match=f"EXIF orientation {orientation}"):
        mask_from_drawing(as_photo(drawn()), rotated, rotated.pixels)
    upright = as_photo(np.rot90(PICTURE))
    with pytest.raises(MaskError, match="160 x 120 pixels, the photo 120 x 160"):
        mask_from_drawing(as_photo(drawn()), upright, upright.pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparent_pixels_are_a_hole(dtype: Any) -> None:
    opaque = np.iinfo(dtype).max
    alpha = (opaque - drawn(opaque, dtype)).astype(dtype)
    hole = mask_from_alpha(as_photo(PICTURE, alpha))
    assert hole is not None and np.array_equal(hole.mask, drawn())


@pytest.mark.parametrize("alpha", [None, np.full((HEIGHT, WIDTH), 250, np.uint8)])
def test_an_opaque_photo_has_no_hole(alpha: Pixels | None) -> None:
    assert mask_from_alpha(as_photo(PICTURE, alpha)) is None


def test_a_translucent_photo_is_explained() -> None:
    with pytest.raises(MaskError, match="transparency is gray"):
        mask_from_alpha(as_photo(PICTURE, 255 - drawn(150)))


def scratch() -> Pixels:
    line = np.zeros((HEIGHT, WIDTH), np.uint8)
    return cv2.line(line, (10, 10), (150, 90), 255, 1, cv2.LINE_AA)


def brushed() -> Pixels:
    return cv2.GaussianBlur(drawn(), (0, 0), 4)


@pytest.mark.parametrize("drawing", [scratch(), brushed()])
def test_a_soft_drawing_is_thresholded_and_the_user_is_told(drawing: Pixels) -> None:
    hole = mask_from_drawing(as_photo(drawing), as_photo(PICTURE), PICTURE)
    assert hole.mask[drawing >= 64].all() and not hole.mask[drawing < 64].any()
    assert len(hole.warnings) == 1 and "soft edges" in hole.warnings[0]


def test_a_mask_that_fills_most_of_the_photo_is_doubted() -> None:
    hole = mask_from_drawing(as_photo(255 - drawn()), as_photo(PICTURE), PICTURE)
    assert len(hole.warnings) == 1 and "fills 88% of the photo. If the rest was meant, invert it" in hole.warnings[0]


def shapes(**values: Any) -> Pixels:
    return mask_from_shapes(AlbumSettings.model_validate(values), WIDTH, HEIGHT)


def test_boxes_and_polygons_are_a_hole() -> None:
    box = {"left": 40, "top": 30, "right": 100, "bottom": 70}
    mask = shapes(boxes=[box], polygons=[[[10, 80], [30, 80], [30, 100], [10, 100]]])
    assert np.array_equal(mask[:75], drawn()[:75])
    assert mask[81:99, 11:29].all() and not mask[:, 32:40].any() and not mask[102:].any()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"boxes": [{"left": 0, "top": 0, "right": 161, "bottom": 20}]}, "outside the photo of 160 x 120"),
        ({"polygons": [[[0, 0], [float("nan"), 5], [9, 9]]]}, "outside the photo"),
        ({"polygons": [[[0, 0], [5, -1], [9, 9]]]}, "outside the photo"),
    ],
)
def test_shapes_beyond_the_photo_are_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(MaskError, match=problem):
        shapes(**values)


def test_growing_adds_a_rim_by_a_disc() -> None:
    mask = grow_mask(drawn(), 5)
    assert cv2.boundingRect(mask) == (35, 25, 70, 50)
    assert mask[25, 35] == 0  # a disc, not a square
    assert np.array_equal(grow_mask(drawn(), 0), drawn())
    assert not grow_mask(drawn(0), 5).any()


def test_too_small_and_too_large_holes_are_refused() -> None:
    check_hole_share(0.5, 0.95)
    with pytest.raises(MaskError, match="Nothing is marked"):
        check_hole_share(0, 0.95)
    with pytest.raises(MaskError, match=r"100.0% of the picture is to be filled; at most 95%"):
        check_hole_share(1, 0.95)
