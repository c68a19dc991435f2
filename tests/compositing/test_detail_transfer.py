from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from realfill.album.canvas import crop_window
from realfill.album.placement import Proposal
from realfill.album.schemas import Window
from realfill.compositing.multiband_blend import compose, feather_width
from realfill.core.params import BlendParams
from realfill.imaging.ops import resize
from realfill.photo_io.working_files import write_png

PARAMS = BlendParams()
SIDE = 288
PHOTOS = {"coffee": (data.coffee, 180, 60), "astronaut": (data.astronaut, 60, 20), "chelsea": (data.chelsea, 110, 0)}


def scene(name: str, seen_at: int = SIDE // 4) -> tuple[np.ndarray, np.ndarray, np.ndarray, Window, np.ndarray]:
    """A photo, the same with a hole as a canvas, its mask, its window, and the truth as seen by a model."""
    load, left, top = PHOTOS[name]
    photo = load()
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[top + 56 : top + 216, left + 64 : left + 224] = 255
    height, width = mask.shape
    window = Window("file", width, height, 0, 0, width, height, left, top, SIDE, float((mask > 0).mean()))
    canvas = np.where(mask[..., None] > 0, np.uint8(128), photo).astype(np.float32) / 255
    return photo, canvas, mask, window, resize(crop_window(photo, window), seen_at, seen_at)


def saved(folder: Path, *photos: np.ndarray) -> list[Path]:
    for number, photo in enumerate(photos):
        write_png(folder / f"{number}.png", photo)
    return sorted(folder.glob("*.png"))


def fine(image: np.ndarray, region: np.ndarray) -> float:
    """Energy of what is finer than about four pixels."""
    luma = image @ np.array([0.299, 0.587, 0.114])
    return float(((luma - cv2.GaussianBlur(luma, (0, 0), 2)) ** 2)[region].mean())


def psnr(image: np.ndarray, photo: np.ndarray, region: np.ndarray) -> float:
    return float(-10 * np.log10(((image - photo / 255)[region] ** 2).mean()))


@pytest.mark.parametrize("name", PHOTOS)
def test_what_a_reference_shows_gets_its_detail(tmp_path: Path, name: str) -> None:
    photo, canvas, mask, window, candidate = scene(name)
    hole = mask > 0
    shifted = np.ascontiguousarray(photo[5:, 9:])
    plain = compose(canvas, mask, window, candidate, PARAMS)
    detailed = compose(canvas, mask, window, candidate, PARAMS, references=saved(tmp_path, shifted))
    true = fine(photo / 255, hole)
    assert fine(plain, hole) < 0.55 * true
    assert 0.7 < fine(detailed, hole) / true < 1.3
    assert psnr(detailed, photo, hole) > psnr(plain, photo, hole) - 2  # detail from elsewhere would cost 3 dB


@pytest.mark.parametrize("name", PHOTOS)
def test_the_very_same_patch_is_found(tmp_path: Path, name: str) -> None:
    photo, canvas, mask, window, candidate = scene(name)
    hole = mask > 0
    same_cells = np.ascontiguousarray(photo[window.top % 4 :, window.left % 4 :])
    plain = compose(canvas, mask, window, candidate, PARAMS)
    detailed = compose(canvas, mask, window, candidate, PARAMS, references=saved(tmp_path, same_cells))
    assert psnr(detailed, photo, hole) > psnr(plain, photo, hole) + 1


def test_a_photo_of_something_else_adds_next_to_no_structure(tmp_path: Path) -> None:
    photo, canvas, mask, window, candidate = scene("astronaut")
    hole = mask > 0
    plain = compose(canvas, mask, window, candidate, PARAMS)
    detailed = compose(canvas, mask, window, candidate, PARAMS, references=saved(tmp_path, data.coffee()))
    assert psnr(detailed, photo, hole) > psnr(plain, photo, hole) - 0.3


def test_only_the_hole_and_its_feather_change_and_the_hole_does_not_leak(tmp_path: Path) -> None:
    photo, canvas, mask, window, candidate = scene("coffee")
    references = saved(tmp_path, photo)
    first = compose(canvas, mask, window, candidate, PARAMS, references=references)
    painted = np.where(mask[..., None] > 0, np.float32(1), canvas)
    assert np.array_equal(compose(painted, mask, window, candidate, PARAMS, references=references), first)
    away = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    far = away > feather_width(window, PARAMS)
    assert np.array_equal(first[far], canvas[far])
    again = compose(canvas, mask, window, candidate, PARAMS, references=references)
    assert again.tobytes() == first.tobytes()


def test_a_flat_fill_gets_the_grain_of_the_photo() -> None:
    _, _, mask, window, _ = scene("coffee")
    generator = np.random.default_rng(0)
    noise = cv2.GaussianBlur(generator.normal(0, 9, (*mask.shape, 3)), (0, 0), 0.7)
    across = np.linspace(70, 190, mask.shape[1])[:, None]
    photo = np.rint(across + noise * across / 100).clip(0, 255).astype(np.uint8)
    canvas = np.where(mask[..., None] > 0, np.uint8(128), photo).astype(np.float32) / 255
    smooth = np.broadcast_to(np.rint(across), photo.shape).astype(np.uint8)
    candidate = resize(crop_window(smooth, window), SIDE // 4, SIDE // 4)
    detailed = compose(canvas, mask, window, candidate, PARAMS, references=[])
    left, right = (np.zeros(mask.shape, bool) for _ in range(2))
    left[130:260, 260:300], right[130:260, 350:390] = True, True
    for part in (left, right):
        assert fine(compose(canvas, mask, window, candidate, PARAMS), part) < 0.1 * fine(photo / 255, part)
        assert 0.7 < np.sqrt(fine(detailed, part) / fine(photo / 255, part)) < 1.3


def test_what_was_placed_stays_as_it_is(tmp_path: Path) -> None:
    photo, canvas, mask, window, candidate = scene("chelsea")
    confidence = np.full(mask.shape, 255, np.uint8)
    confidence[:, : window.left + 140] = 0
    proposal = Proposal(0, 0, photo, confidence)
    shown = proposal.weight("placed")
    plain = compose(canvas, mask, window, candidate, PARAMS, proposal, "placed")
    detailed = compose(canvas, mask, window, candidate, PARAMS, proposal, "placed", saved(tmp_path, photo))
    middle = cv2.erode(mask, np.ones((9, 9))) > 0
    # the rim's bands reach a feather's width into the hole
    assert np.abs(detailed - plain)[middle & (shown == 1)].max() < 1e-3
    assert np.abs(detailed - plain)[middle & (shown == 0)].mean() > 2e-3


def test_a_fill_that_is_not_enlarged_is_left_alone(tmp_path: Path) -> None:
    photo, canvas, mask, window, candidate = scene("coffee", seen_at=SIDE)
    plain = compose(canvas, mask, window, candidate, PARAMS)
    references = saved(tmp_path, photo)
    assert np.array_equal(compose(canvas, mask, window, candidate, PARAMS, references=references), plain)


@pytest.mark.parametrize("edges", [(0, 0, 400, 600), (100, 100, 101, 101), (390, 0, 400, 600), (0, 560, 400, 600)])
def test_any_hole_and_any_reference_will_do(tmp_path: Path, edges: tuple[int, int, int, int]) -> None:
    top, left, bottom, right = edges
    photo = data.coffee()
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[top:bottom, left:right] = 255
    window = Window("outpaint", 600, 400, 0, 0, 600, 400, 0, -100, 600, 0.5)
    candidate = resize(crop_window(photo, window), 128, 128)
    references = saved(tmp_path, photo[:3, :600], photo[::4, ::4], np.repeat(photo, 2, axis=1))
    canvas = photo.astype(np.float32) / 255
    completed = compose(canvas, mask, window, candidate, PARAMS, references=references)
    assert np.isfinite(completed).all()
    assert psnr(completed, photo, mask > 0) > 17
