from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pytest
from skimage import data

from realfill.album.schemas import Window
from realfill.compositing.blended_patch import BlendedPatch, complete_photo
from realfill.compositing.multiband_blend import Fill, blend_fill, compute_feather_width
from realfill.core.params import BlendParams
from realfill.photo_io.color_management import from_srgb, to_srgb
from realfill.photo_io.photo import Photo
from support.holes import beyond_feather, perfect_candidate, window_at
from support.scenes import rectangle_mask

R = 128
AREA = slice(10, 30), slice(20, 60)


def ramp_patch() -> BlendedPatch:
    """White, from transparent at the left to opaque at the right."""
    weight = np.broadcast_to(np.linspace(0, 1, 40, dtype=np.float32), (20, 40))
    return BlendedPatch(AREA, np.ones((20, 40, 3), np.float32), weight)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_patch_is_composited_by_its_opacity(dtype: Any) -> None:
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    background = np.random.default_rng(0).integers(0, 2, (20, 40, 2)).astype(dtype) * dtype(top)
    patch = ramp_patch()
    result = patch.composite(np.full((20, 40, 2), top, dtype), background)
    assert result.dtype == dtype
    assert np.array_equal(result[:, 0], background[:, 0]) and (result[:, -1] == top).all()
    expected = background + patch.weight[..., None] * (top - background.astype(float))
    assert np.abs(result - expected).max() <= (1e-6 if dtype is np.float32 else 0.5 + 1e-2)


def test_the_box_holds_all_pixels_that_change() -> None:
    assert ramp_patch().box == (21, 10, 60, 30)


def perfect(photo: np.ndarray, window: Window) -> Fill:
    return Fill(perfect_candidate(photo, window, R))


def photo_like(kind: str) -> Photo:
    colors = data.coffee()
    deep = (colors.astype(np.uint16) * 257) ^ 37
    alpha = np.full(colors.shape[:2], 255, np.uint8)
    alpha[120:200, 200:300] = 0
    icc = imagecodecs.cms_profile("adobergb") if kind.startswith("adobe") else None
    return Photo(deep if kind.endswith("16") else colors, alpha if kind == "rgba 8" else None, icc, "TIFF", 1)


MASK = rectangle_mask((400, 600), slice(120, 200), slice(200, 300))
WINDOW = window_at(MASK, 122, 32, 256)


def complete(photo: Photo, fill: Fill | None = None, **params: Any) -> tuple[Photo, BlendedPatch]:
    canvas = np.where(MASK[..., None] > 0, np.uint8(128), to_srgb(photo))
    patch = blend_fill(canvas, MASK, WINDOW, fill or perfect(to_srgb(photo), WINDOW), BlendParams(**params))
    return complete_photo(photo, WINDOW, patch), patch


def test_sixteen_bits_are_used_in_the_fill() -> None:
    completed, _ = complete(photo_like("rgb 16"))
    assert completed.pixels.dtype == np.uint16
    assert len(np.unique(completed.pixels[MASK > 0])) > 1000


def test_a_fill_is_brought_into_the_color_space_of_the_photo() -> None:
    photo = photo_like("adobe rgb 16")
    black = Fill(np.zeros((R, R, 3), np.uint8))
    completed, _ = complete(photo, black, match_color=False, feather=0)
    wanted = from_srgb(np.zeros((1, 1, 3), np.float32), photo)
    assert (completed.pixels[MASK > 0] == wanted[0, 0]).all()


def test_the_fill_is_opaque_and_the_given_photo_is_not_changed() -> None:
    photo = photo_like("rgba 8")
    assert photo.alpha is not None
    pixels, alpha = photo.pixels.copy(), photo.alpha.copy()
    completed, patch = complete(photo)
    assert completed.alpha is not None
    assert (completed.alpha[patch.area][patch.weight > 0] == 255).all()
    assert np.array_equal(photo.pixels, pixels) and np.array_equal(photo.alpha, alpha)


def test_an_extended_photo_lies_where_the_window_says() -> None:
    photo = photo_like("rgb 16")
    mask = rectangle_mask((400, 700), slice(0, 400), slice(600, 700))
    window = replace(window_at(mask, 300, 0, 400), photo_width=600)
    shown = np.pad(to_srgb(photo), ((0, 0), (0, 100), (0, 0)), mode="edge")
    canvas = np.where(mask[..., None] > 0, np.uint8(128), shown)
    patch = blend_fill(canvas, mask, window, perfect(shown, window), BlendParams())
    completed = complete_photo(photo, window, patch)
    feather = compute_feather_width(window, BlendParams())
    far = beyond_feather(mask, feather)
    assert (completed.width, completed.height) == (700, 400)
    assert np.array_equal(completed.pixels[:, :600][far[:, :600]], photo.pixels[far[:, :600]])
    assert patch.box == (600 - feather, 0, 700, 400)
