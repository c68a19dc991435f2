"""What patches complete, on pictures whose content is known."""

import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import patchmatch
import pytest
import skimage.data

from realfill.compositing.patch_completion import PatchCompletionSettings, PatchSource, complete_by_patches
from realfill.evaluation.metrics import psnr
from support.scenes import rectangle_mask

SHIFT = 20
PICTURE = cv2.resize(skimage.data.astronaut()[:256, 128:384], (128, 128), interpolation=cv2.INTER_AREA)
HOLE = rectangle_mask(PICTURE.shape, slice(44, 84), slice(44, 84)) > 0  # hides most of the face, which is there once


def pixel_grid(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The columns and rows of the pixels of a photo."""
    columns, rows = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    return columns, rows


def shifted_source(photo: np.ndarray, shift: int = SHIFT) -> PatchSource:
    """A photo that shows everything further to the right, whose positions tell so."""
    columns, rows = pixel_grid(photo.shape[:2])
    border = cv2.copyMakeBorder(photo, 0, 0, shift, 0, cv2.BORDER_REFLECT)[:, : photo.shape[1]]
    return PatchSource(border, columns - shift, rows)


def psnr_in_hole(filled: np.ndarray) -> float:
    return psnr(filled[HOLE], PICTURE[HOLE])


def test_equal_inputs_give_equal_bytes() -> None:
    sources = [shifted_source(PICTURE)]
    first = complete_by_patches(PICTURE, HOLE, sources)
    np.testing.assert_array_equal(complete_by_patches(PICTURE, HOLE, sources), first)


def test_the_seed_of_one_thread_is_not_that_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    set_seed, seeds = patchmatch.set_random_seed, range(4)

    def set_slowly(seed: int) -> None:
        set_seed(seed)
        time.sleep(0.02)

    monkeypatch.setattr(patchmatch, "set_random_seed", set_slowly)

    def complete(seed: int) -> bytes:
        return complete_by_patches(PICTURE, HOLE, [], PatchCompletionSettings(seed=seed)).tobytes()

    alone = [complete(seed) for seed in seeds]
    assert len(set(alone)) == len(alone)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(complete, [*seeds, *seeds])) == [*alone, *alone]


@pytest.mark.parametrize("sources", [[], [shifted_source(PICTURE)]], ids=["alone", "with a reference"])
def test_outside_the_hole_nothing_changes_and_what_is_inside_is_not_used(sources: list[PatchSource]) -> None:
    ragged = HOLE & (np.random.default_rng(0).random(HOLE.shape) < 0.7)
    before = PICTURE.copy()
    filled = complete_by_patches(PICTURE, ragged, sources)
    np.testing.assert_array_equal(filled[~ragged], PICTURE[~ragged])
    np.testing.assert_array_equal(PICTURE, before)
    assert (filled[ragged] != PICTURE[ragged]).any()
    scribbled = np.where(ragged[..., None], np.uint8(255), PICTURE)
    np.testing.assert_array_equal(complete_by_patches(scribbled, ragged, sources), filled)


def test_every_filled_pixel_looks_like_the_sources() -> None:
    red, green = np.array([200, 30, 30]), np.array([30, 200, 30])
    stripes = np.where((np.arange(96) // 6 % 2)[None, :, None] > 0, red, green)
    picture = np.broadcast_to(stripes, (96, 96, 3)).astype(np.uint8)
    hole = rectangle_mask(picture.shape, slice(33, 63), slice(33, 63)) > 0
    blue = np.where(hole[..., None], np.array([0, 0, 255], np.uint8), picture)
    inside = complete_by_patches(blue, hole, [])[hole].astype(int)
    assert np.abs(inside[:, 2] - 30).max() <= 2
    assert np.abs(inside.sum(axis=1) - 260).max() <= 4, "nothing but red, green and averages of them"
    far = np.minimum(*(np.abs(inside - color).max(axis=1) for color in (red, green)))
    assert (far <= 20).mean() > 0.95


def test_a_reference_puts_the_right_thing_in_its_place() -> None:
    alone = psnr_in_hole(complete_by_patches(PICTURE, HOLE, []))
    guided = psnr_in_hole(complete_by_patches(PICTURE, HOLE, [shifted_source(PICTURE)]))
    assert guided > alone + 10


def test_positions_guide_the_search() -> None:
    picture = np.random.default_rng(0).integers(90, 110, (96, 96, 3), dtype=np.uint8)
    hole = rectangle_mask(picture.shape, slice(36, 60), slice(36, 60)) > 0
    showing = [picture.copy(), picture.copy()]
    showing[0][40:56, 40:56], showing[1][40:56, 40:56] = (220, 40, 40), (40, 40, 220)
    columns, rows = pixel_grid(hole.shape)
    settings = PatchCompletionSettings(guide_weight=1.0)
    for here, there in ((0, 1), (1, 0)):
        sources = [
            PatchSource(showing[here], columns, rows),
            PatchSource(showing[there], columns + 200, rows),
        ]
        middle = complete_by_patches(picture, hole, sources, settings)[44:52, 44:52].mean(axis=(0, 1))
        assert middle[2 * here] > middle[2 * there]


def test_a_darker_reference_fills_in_the_tone_of_the_target() -> None:
    bright, dark = shifted_source(PICTURE), shifted_source((PICTURE * 0.75).astype(np.uint8))
    filled = complete_by_patches(PICTURE, HOLE, [dark])
    assert psnr_in_hole(filled) > psnr_in_hole(complete_by_patches(PICTURE, HOLE, [bright])) - 1


def test_without_references_patches_come_from_anywhere() -> None:
    near, anywhere = (PatchCompletionSettings(guide_weight=weight) for weight in (1.0, 0.0))
    np.testing.assert_array_equal(
        complete_by_patches(PICTURE, HOLE, [], near), complete_by_patches(PICTURE, HOLE, [], anywhere)
    )


def test_references_may_have_any_size() -> None:
    columns, rows = pixel_grid((200, 60))
    tall = PatchSource(cv2.resize(PICTURE, (60, 200)), columns, rows)
    tiny = PatchSource(PICTURE[:2, :3], columns[:2, :3], rows[:2, :3])
    filled = complete_by_patches(PICTURE, HOLE, [tall, tiny, shifted_source(PICTURE)])
    assert psnr_in_hole(filled) > psnr_in_hole(complete_by_patches(PICTURE, HOLE, [])) + 5


def test_where_nothing_is_known_the_picture_comes_back() -> None:
    np.testing.assert_array_equal(complete_by_patches(PICTURE, np.ones_like(HOLE), []), PICTURE)


def test_where_only_a_reference_is_known_it_is_shown() -> None:
    columns, rows = pixel_grid(HOLE.shape)
    filled = complete_by_patches(PICTURE, np.ones_like(HOLE), [PatchSource(PICTURE, columns, rows)])
    assert psnr(filled, PICTURE) > 20


@pytest.mark.parametrize("sources", [[], [shifted_source(PICTURE)]], ids=["alone", "with a reference"])
def test_where_everything_is_known_nothing_changes(sources: list[PatchSource]) -> None:
    np.testing.assert_array_equal(complete_by_patches(PICTURE, np.zeros_like(HOLE), sources), PICTURE)
