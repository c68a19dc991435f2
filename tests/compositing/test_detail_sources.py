from pathlib import Path

import numpy as np
import pytest
from skimage import data

from realfill.album.schemas import Window
from realfill.compositing.detail_sources import (
    DetailSources,
    DetailSourceSettings,
    crop_area_to_window,
    to_smooth_ycrcb,
)
from realfill.imaging.ops import resize
from realfill.photo_io.working_files import write_png
from support.scenes import rectangle_mask

PHOTO = data.coffee()  # 600 x 400
WINDOW = Window("file", 600, 400, 0, 0, 600, 400, 180, 60, 288, 0.1)
MASK = rectangle_mask(PHOTO.shape, slice(100, 260), slice(240, 400))


def sources(folder: Path, *references: np.ndarray) -> DetailSources:
    for number, reference in enumerate(references):
        write_png(folder / f"{number}.png", np.ascontiguousarray(reference))
    return DetailSources.from_canvas(PHOTO, MASK, WINDOW, sorted(folder.glob("*.png")), 72)


def test_photo_zero_is_the_canvas_in_the_window(tmp_path: Path) -> None:
    album = sources(tmp_path, PHOTO)
    assert (album.count, album.scale) == (2, 4.0)
    assert np.array_equal(album.read(0), PHOTO[60:348, 180:468])
    assert np.array_equal(album.unknown, MASK[60:348, 180:468] > 0)


def test_eight_bit_and_float_canvases_are_the_same() -> None:
    canvas = PHOTO.astype(np.float32) / 255
    assert np.array_equal(DetailSources.from_canvas(canvas, MASK, WINDOW, [], 72).canvas, PHOTO[60:348, 180:468])


def test_all_beyond_the_canvas_is_unknown() -> None:
    window = Window("outpaint", 600, 400, 0, 0, 600, 400, 0, -100, 600, 0.5)
    unknown = DetailSources.from_canvas(PHOTO, np.zeros_like(MASK), window, [], 100).unknown
    assert unknown[:100].all() and unknown[500:].all() and not unknown[100:500].any()


@pytest.mark.parametrize(
    ("scale", "size"),
    [(2, (600, 400)), (1, (600, 400)), (0.75, (450, 300)), (0.65, None)],  # None: too small
)
def test_references_are_read_at_the_size_of_the_target(
    tmp_path: Path, scale: float, size: tuple[int, int] | None
) -> None:
    album = sources(tmp_path, resize(PHOTO, round(600 * scale), round(400 * scale)))
    photo = album.read(1)
    assert photo.size == 0 if size is None else photo.shape[1::-1] == size
    assert album.downsample(photo).size == 0 if size is None else len(album.downsample(photo)) == round(size[1] / 4)


def test_detail_is_what_is_finer_than_a_cell(tmp_path: Path) -> None:
    album = sources(tmp_path, PHOTO)
    detail = album.extract_detail(PHOTO)
    coarse = PHOTO / 255 - detail
    assert np.abs(coarse - resize(album.downsample(PHOTO).astype(np.float32), 600, 400) / 255).max() < 1e-6
    assert np.abs(resize(detail, 150, 100)).mean() < 0.3 * np.abs(detail).mean()
    assert not album.extract_detail(np.full_like(PHOTO, 90)).any()


def test_luma_and_chroma_are_smoothed() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    smooth = to_smooth_ycrcb(noise).astype(float)
    smoother = to_smooth_ycrcb(noise, DetailSourceSettings(luma_sigma=2, chroma_window=9)).astype(float)
    assert (smoother.std(axis=(0, 1)) < smooth.std(axis=(0, 1))).all()
    assert np.array_equal(to_smooth_ycrcb(np.full((9, 9, 3), 77, np.uint8)), np.full((9, 9, 3), (77, 128, 128)))


@pytest.mark.parametrize("area", [(slice(80, 200), slice(200, 300)), (slice(0, 90), slice(100, 600))])
def test_an_area_of_the_canvas_is_moved_into_the_window(area: tuple[slice, slice]) -> None:
    whole = np.random.default_rng(0).random(PHOTO.shape[:2]) > 0.5
    wanted = np.zeros_like(whole)
    wanted[area] = whole[area]
    assert np.array_equal(crop_area_to_window(whole[area], area, WINDOW), wanted[60:348, 180:468])
