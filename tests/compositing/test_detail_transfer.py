from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from realfill.album.canvas import crop_window
from realfill.album.placement import Proposal
from realfill.album.schemas import Window
from realfill.compositing.detail_sources import DetailSources
from realfill.compositing.detail_transfer import transfer_detail
from realfill.compositing.multiband_blend import Fill, complete_canvas, compute_feather_width
from realfill.core.params import BlendParams
from realfill.imaging.ops import resize
from realfill.photo_io.working_files import write_png
from support.holes import beyond_feather, blank_out, fine_energy, perfect_candidate, psnr, window_at
from support.scenes import rectangle_mask

PARAMS = BlendParams()
SIDE = 288
PHOTOS = {"coffee": (data.coffee, 180, 60), "astronaut": (data.astronaut, 60, 20), "chelsea": (data.chelsea, 110, 0)}


def scene(name: str, seen_at: int = SIDE // 4) -> tuple[np.ndarray, np.ndarray, np.ndarray, Window, np.ndarray]:
    """A photo, the same with a hole as a canvas, its mask, its window, and the truth as seen by a model."""
    load, left, top = PHOTOS[name]
    photo = load()
    mask = rectangle_mask(photo.shape, slice(top + 56, top + 216), slice(left + 64, left + 224))
    window = window_at(mask, left, top, SIDE)
    return photo, blank_out(photo, mask), mask, window, perfect_candidate(photo, window, seen_at)


def saved(folder: Path, *photos: np.ndarray) -> list[Path]:
    for number, photo in enumerate(photos):
        write_png(folder / f"{number}.png", photo)
    return sorted(folder.glob("*.png"))


@pytest.mark.parametrize("name", PHOTOS)
def test_what_a_reference_shows_gets_its_detail(tmp_path: Path, name: str) -> None:
    photo, canvas, mask, window, candidate = scene(name)
    hole = mask > 0
    shifted = np.ascontiguousarray(photo[5:, 9:])
    plain = complete_canvas(canvas, mask, window, Fill(candidate), PARAMS)
    fill = Fill(candidate, references=saved(tmp_path, shifted))
    detailed = complete_canvas(canvas, mask, window, fill, PARAMS)
    true = fine_energy(photo / 255, hole)
    assert fine_energy(plain, hole) < 0.55 * true
    assert 0.7 < fine_energy(detailed, hole) / true < 1.3
    assert psnr(detailed, photo, hole) > psnr(plain, photo, hole) - 2  # detail from elsewhere would cost 3 dB


@pytest.mark.parametrize("name", PHOTOS)
def test_the_very_same_patch_is_recognized(tmp_path: Path, name: str) -> None:
    photo, canvas, mask, window, candidate = scene(name)
    hole = mask > 0
    same_cells = np.ascontiguousarray(photo[window.top % 4 :, window.left % 4 :])
    plain = complete_canvas(canvas, mask, window, Fill(candidate), PARAMS)
    fill = Fill(candidate, references=saved(tmp_path, same_cells))
    detailed = complete_canvas(canvas, mask, window, fill, PARAMS)
    assert psnr(detailed, photo, hole) > psnr(plain, photo, hole) + 1


def test_a_photo_of_something_else_adds_next_to_no_structure(tmp_path: Path) -> None:
    photo, canvas, mask, window, candidate = scene("astronaut")
    hole = mask > 0
    plain = complete_canvas(canvas, mask, window, Fill(candidate), PARAMS)
    fill = Fill(candidate, references=saved(tmp_path, data.coffee()))
    detailed = complete_canvas(canvas, mask, window, fill, PARAMS)
    assert psnr(detailed, photo, hole) > psnr(plain, photo, hole) - 0.3


def test_only_the_hole_and_its_feather_change_and_the_hole_does_not_leak(tmp_path: Path) -> None:
    photo, canvas, mask, window, candidate = scene("coffee")
    fill = Fill(candidate, references=saved(tmp_path, photo))
    first = complete_canvas(canvas, mask, window, fill, PARAMS)
    painted = np.where(mask[..., None] > 0, np.float32(1), canvas)
    assert np.array_equal(complete_canvas(painted, mask, window, fill, PARAMS), first)
    far = beyond_feather(mask, compute_feather_width(window, PARAMS))
    assert np.array_equal(first[far], canvas[far])
    again = complete_canvas(canvas, mask, window, fill, PARAMS)
    assert again.tobytes() == first.tobytes()


def test_a_flat_fill_gets_the_grain_of_the_photo() -> None:
    _, _, mask, window, _ = scene("coffee")
    generator = np.random.default_rng(0)
    noise = cv2.GaussianBlur(generator.normal(0, 9, (*mask.shape, 3)), (0, 0), 0.7)
    across = np.linspace(70, 190, mask.shape[1])[:, None]
    photo = np.rint(across + noise * across / 100).clip(0, 255).astype(np.uint8)
    canvas = blank_out(photo, mask)
    smooth = np.broadcast_to(np.rint(across), photo.shape).astype(np.uint8)
    candidate = resize(crop_window(smooth, window), SIDE // 4, SIDE // 4)
    detailed = complete_canvas(canvas, mask, window, Fill(candidate, references=[]), PARAMS)
    plain = complete_canvas(canvas, mask, window, Fill(candidate), PARAMS)
    left, right = (np.zeros(mask.shape, bool) for _ in range(2))
    left[130:260, 260:300], right[130:260, 350:390] = True, True
    for part in (left, right):
        assert fine_energy(plain, part) < 0.1 * fine_energy(photo / 255, part)
        assert 0.7 < np.sqrt(fine_energy(detailed, part) / fine_energy(photo / 255, part)) < 1.3


def test_what_was_placed_stays_as_it_is(tmp_path: Path) -> None:
    photo, canvas, mask, window, candidate = scene("chelsea")
    confidence = np.full(mask.shape, 255, np.uint8)
    confidence[:, : window.left + 140] = 0
    proposal = Proposal(0, 0, photo, confidence)
    shown = proposal.weight("placed")
    plain = complete_canvas(canvas, mask, window, Fill(candidate, "placed", proposal), PARAMS)
    fill = Fill(candidate, "placed", proposal, saved(tmp_path, photo))
    detailed = complete_canvas(canvas, mask, window, fill, PARAMS)
    middle = cv2.erode(mask, np.ones((9, 9))) > 0
    # the rim's bands reach a feather's width into the hole
    assert np.abs(detailed - plain)[middle & (shown == 1)].max() < 1e-3
    assert np.abs(detailed - plain)[middle & (shown == 0)].mean() > 2e-3


def test_a_fill_that_is_not_enlarged_is_left_alone(tmp_path: Path) -> None:
    photo, canvas, mask, window, candidate = scene("coffee", seen_at=SIDE)
    plain = complete_canvas(canvas, mask, window, Fill(candidate), PARAMS)
    fill = Fill(candidate, references=saved(tmp_path, photo))
    assert np.array_equal(complete_canvas(canvas, mask, window, fill, PARAMS), plain)


def test_detail_lies_where_it_is_wanted_and_as_strong_as_wanted(tmp_path: Path) -> None:
    photo, canvas, mask, window, candidate = scene("coffee")
    sources = DetailSources.from_canvas(canvas, mask, window, saved(tmp_path, photo), len(candidate))
    area = slice(window.top + 40, window.top + 200), slice(window.left - 20, window.left + 240)
    amount = np.zeros((160, 260), np.float32)
    amount[30:130, 100:220] = 1
    fill = candidate.astype(np.float32) / 255
    full, half = (transfer_detail(fill, sources, area, share * amount) for share in (1, 0.5))
    assert full.shape == (160, 260, 3)
    assert not full[amount == 0].any()
    assert full[amount > 0].std() > 0.01
    assert np.allclose(half, full / 2, atol=1e-6)


@pytest.mark.parametrize("edges", [(0, 0, 400, 600), (100, 100, 101, 101), (390, 0, 400, 600), (0, 560, 400, 600)])
def test_any_hole_and_any_reference_will_do(tmp_path: Path, edges: tuple[int, int, int, int]) -> None:
    top, left, bottom, right = edges
    photo = data.coffee()
    mask = rectangle_mask(photo.shape, slice(top, bottom), slice(left, right))
    window = Window("outpaint", 600, 400, 0, 0, 600, 400, 0, -100, 600, 0.5)
    references = saved(tmp_path, photo[:3, :600], photo[::4, ::4], np.repeat(photo, 2, axis=1))
    fill = Fill(perfect_candidate(photo, window, 128), references=references)
    completed = complete_canvas(photo.astype(np.float32) / 255, mask, window, fill, PARAMS)
    assert np.isfinite(completed).all()
    assert psnr(completed, photo, mask) > 17
