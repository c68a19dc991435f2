import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from realfill.album.placement import Proposal
from realfill.album.schemas import Window
from realfill.compositing import detail_transfer, multiband_blend
from realfill.compositing.multiband_blend import Fill, blend_fill, complete_canvas, compute_feather_width
from realfill.core.params import BlendParams
from realfill.masking.model_window import ModelWindowSettings, choose_window
from support.holes import beyond_feather, blank_out, perfect_candidate, psnr, window_at
from support.scenes import rectangle_mask

R = 128
PASTE = BlendParams(feather=0, match_color=False)
PHOTOS = {"coffee": data.coffee, "astronaut": data.astronaut, "chelsea": data.chelsea}


def seen(photo: np.ndarray, window: Window, cast: bool = True) -> Fill:
    return Fill(perfect_candidate(photo, window, R, cast))


def rim_step(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean step of the colors from outside the hole to inside, in 8-bit levels."""
    steps = []
    for axis in (0, 1):
        into = np.diff((mask > 0).astype(int), axis=axis)[..., None]
        steps.append((np.diff(image, axis=axis) * into)[into[..., 0] != 0])
    return float(np.abs(np.concatenate(steps).mean(axis=0)).mean() * 255)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_cast_is_taken_out_and_the_rim_does_not_show(name: str) -> None:
    photo = PHOTOS[name]()
    mask = rectangle_mask(photo.shape, slice(100, 210), slice(120, 260))
    window = window_at(mask, 80, 40, 240)
    canvas, fill = blank_out(photo, mask), seen(photo, window)
    pasted = complete_canvas(canvas, mask, window, fill, PASTE)
    blended = complete_canvas(canvas, mask, window, fill, BlendParams())
    assert psnr(blended, photo, mask) > psnr(pasted, photo, mask) + 3
    assert rim_step(blended, mask) < rim_step(pasted, mask) / 4


def test_colors_that_are_right_stay() -> None:
    photo = data.astronaut()
    mask = rectangle_mask(photo.shape, slice(80, 260), slice(150, 300))
    window = window_at(mask, 90, 40, 260)
    canvas, fill = blank_out(photo, mask), seen(photo, window, cast=False)
    plain = complete_canvas(canvas, mask, window, fill, BlendParams(match_color=False))
    matched = complete_canvas(canvas, mask, window, fill, BlendParams())
    assert np.abs(matched - plain).max() < 3 / 255


def test_a_wrong_object_at_the_rim_hardly_stains_the_fill() -> None:
    photo = np.full((400, 400, 3), 150, np.uint8)
    mask = rectangle_mask(photo.shape, slice(120, 280), slice(120, 280))
    window = window_at(mask, 50, 50, 300)
    candidate = np.full((R, R, 3), 150, np.uint8)
    candidate[10:40, 50:70] = [250, 20, 20]  # reaches over the upper rim of the hole, which lies at 30
    blended = complete_canvas(blank_out(photo, mask), mask, window, Fill(candidate), BlendParams())
    assert np.abs(blended[180:280, 120:280] * 255 - 150).max() < 6


@pytest.mark.parametrize("feather", [0, 0.5, 1, 3])
@pytest.mark.parametrize("match_color", [True, False])
def test_pixels_beyond_the_feather_are_identical(feather: float, match_color: bool) -> None:
    photo = data.coffee()
    mask = cv2.circle(np.zeros(photo.shape[:2], np.uint8), (300, 200), 90, 255, -1)
    window, params = window_at(mask, 165, 65, 270), BlendParams(feather=feather, match_color=match_color)
    canvas = blank_out(photo, mask)
    before = canvas.copy()
    blended = complete_canvas(canvas, mask, window, seen(photo, window), params)
    changed = (blended != canvas).any(axis=2)
    assert not changed[beyond_feather(mask, compute_feather_width(window, params))].any()
    assert changed[mask > 0].mean() > 0.99
    assert np.array_equal(canvas, before)


@pytest.mark.parametrize("paint", [0, 1])
def test_nothing_bleeds_from_inside_the_hole(paint: float) -> None:
    photo = data.coffee()
    mask = rectangle_mask(photo.shape, slice(120, 260), slice(200, 340))
    window = window_at(mask, 160, 80, 220)
    canvas, fill = blank_out(photo, mask), seen(photo, window)
    painted = np.where(mask[..., None] > 0, np.float32(paint), canvas)
    params = BlendParams(feather=2)
    gray, other = (complete_canvas(c, mask, window, fill, params) for c in (canvas, painted))
    assert np.array_equal(gray, other)


def test_eight_bit_and_float_canvases_give_the_same_patch() -> None:
    photo = data.coffee()
    mask = rectangle_mask(photo.shape, slice(120, 260), slice(200, 340))
    window, params = window_at(mask, 160, 80, 220), BlendParams()
    canvas = blank_out(photo, mask)
    whole = np.rint(canvas * 255).astype(np.uint8)
    first, second = (blend_fill(c, mask, window, seen(photo, window), params) for c in (canvas, whole))
    assert np.allclose(first.colors, second.colors, atol=1e-6)


@pytest.mark.parametrize(
    ("edges", "place"),
    [
        ((0, 0, 150, 600), (-225, 0, 600)),  # outpainted at the left, the window reaches beyond
        ((0, 250, 600, 400), (0, -100, 600)),  # at the bottom, over the whole width
        ((560, 360, 600, 400), (344, 144, 256)),  # in a corner
        ((100, 100, 200, 200), (100, 100, 100)),  # no context at all
        ((300, 200, 301, 201), (172, 72, 256)),  # a pixel
    ],
)
def test_holes_at_borders_and_of_any_size_are_filled(
    edges: tuple[int, int, int, int], place: tuple[int, int, int]
) -> None:
    photo = data.coffee()
    left, top, right, bottom = edges
    mask = rectangle_mask(photo.shape, slice(top, bottom), slice(left, right))
    window = window_at(mask, *place)
    canvas, fill = blank_out(photo, mask), seen(photo, window)
    blended = complete_canvas(canvas, mask, window, fill, BlendParams())
    far = beyond_feather(mask, compute_feather_width(window, BlendParams()))
    assert blended.shape == canvas.shape
    assert np.array_equal(blended[far], canvas[far])
    assert psnr(blended, photo, mask) > 17
    assert ((blended >= 0) & (blended <= 1)).all()


def test_a_window_that_is_all_hole_keeps_the_candidate() -> None:
    photo = np.ascontiguousarray(data.coffee()[:200, :200])
    mask = np.full(photo.shape[:2], 255, np.uint8)
    window = window_at(mask, 0, 0, 200)
    fill = seen(photo, window, cast=False)
    blended = complete_canvas(blank_out(photo, mask), mask, window, fill, BlendParams())
    assert psnr(blended, photo, mask) > 25


@settings(max_examples=20, deadline=None)
@given(
    left=st.integers(0, 119),
    top=st.integers(0, 79),
    width=st.integers(1, 120),
    height=st.integers(1, 80),
    context=st.floats(1, 3),
    feather=st.floats(0, 20),
)
def test_any_hole_is_filled_and_the_rest_kept(
    left: int, top: int, width: int, height: int, context: float, feather: float
) -> None:
    photo = np.ascontiguousarray(data.chelsea()[:80, 100:220])
    mask = rectangle_mask(photo.shape, slice(top, top + height), slice(left, left + width))
    window = window_at(mask, *choose_window(mask, context, ModelWindowSettings(min_side=16)))
    params = BlendParams(feather=feather)
    canvas = blank_out(photo, mask)
    blended = complete_canvas(canvas, mask, window, seen(photo, window), params)
    far = beyond_feather(mask, compute_feather_width(window, params))
    assert np.isfinite(blended).all()
    assert np.array_equal(blended[far], canvas[far])


@pytest.mark.parametrize(
    ("kind", "sharp"), [("noise", []), ("guided", ["certain"]), ("placed", ["certain", "doubtful"])]
)
def test_the_proposal_replaces_what_the_candidate_shows_of_it(kind: str, sharp: list[str]) -> None:
    photo = data.coffee()
    mask = rectangle_mask(photo.shape, slice(100, 240), slice(140, 340))
    window = window_at(mask, 120, 50, 240)
    confidence = np.full(mask.shape, 255, np.uint8)
    confidence[:, 240:] = 100
    fill = Fill(perfect_candidate(photo, window, 32), kind, Proposal(0, 0, photo, confidence))
    blended = complete_canvas(blank_out(photo, mask), mask, window, fill, BlendParams())
    parts = {"certain": np.s_[110:230, 150:230], "doubtful": np.s_[110:230, 250:330]}
    for name, part in parts.items():
        error = np.abs(blended[part] * 255 - photo[part]).mean()
        assert error < 2 if name in sharp else error > 4


PARTS = {
    "match_ring_colors": (multiband_blend, "The matching of the fill's colors"),
    "blend_pyramids": (multiband_blend, "The blending in frequency bands"),
    "build_patch_atlas": (detail_transfer, "The transfer of the photos' detail"),
    "synthesize_film_grain": (detail_transfer, "The film grain"),
}


@pytest.mark.parametrize("error", [np.linalg.LinAlgError("Singular matrix"), MemoryError("1 TiB")])
@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_fails_is_left_out_and_the_hole_is_filled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    photo = data.astronaut()
    mask = rectangle_mask(photo.shape, slice(100, 180), slice(150, 260))
    window = window_at(mask, 110, 60, 200)
    candidate = perfect_candidate(photo, window, R // 2)
    module, part = PARTS[name]
    monkeypatch.setattr(module, name, fail)
    completed = complete_canvas(blank_out(photo, mask), mask, window, Fill(candidate, references=[]), BlendParams())
    assert np.isfinite(completed).all()
    assert psnr(completed, photo, mask) > 15
    assert f"{part} failed and is left out ({type(error).__name__} {error})" in caplog.text
    assert caplog.text.count("left out") == 1
