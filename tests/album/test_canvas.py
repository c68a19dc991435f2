from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from realfill.album.canvas import crop_window, read_model_window
from realfill.album.discovery import open_album
from realfill.album.schemas import Window
from realfill.core.atomic_io import write_json
from realfill.core.errors import StageError
from realfill.imaging.ops import Pixels
from realfill.photo_io.working_files import write_png


@pytest.fixture(scope="module")
def picture() -> Pixels:
    return np.ascontiguousarray(data.astronaut()[:120, 180:340])


def make_window(left: int, top: int, side: int) -> Window:
    return Window("file", 160, 120, 0, 0, 160, 120, left, top, side, 0.1)


def test_a_window_inside_the_canvas_is_a_crop(picture: Pixels) -> None:
    assert np.array_equal(crop_window(picture, make_window(20, 10, 64)), picture[10:74, 20:84])


def test_a_window_beyond_the_canvas_repeats_its_edge_or_is_filled(picture: Pixels) -> None:
    cropped = crop_window(picture, make_window(0, -20, 160))
    assert cropped.shape == (160, 160, 3)
    assert np.array_equal(cropped[20:140], picture)
    assert np.array_equal(cropped[0], picture[0]) and np.array_equal(cropped[159], picture[119])
    mask = crop_window(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), make_window(0, -20, 160), fill=0)
    assert mask[:20].max() == 0 and mask[140:].max() == 0


def test_the_model_sees_the_window_at_its_own_resolution(album_folder: Path, picture: Pixels) -> None:
    album = open_album(album_folder)
    folder = album.work("masks")
    folder.mkdir(parents=True)
    mask = np.zeros((120, 160), np.uint8)
    mask[40:80, 60:100] = 255
    write_png(folder / "canvas.png", picture)
    write_png(folder / "mask.png", mask)
    write_json(folder / "window.json", vars(make_window(0, -20, 160)))
    image, hole = read_model_window(album, 80)
    assert image.shape == (80, 80, 3)
    assert hole.shape == (80, 80)
    assert hole[30:50, 30:50].all()
    assert hole[:10].all() and hole[70:].all(), "beyond the canvas there is nothing known"
    assert hole.sum() == 20 * 20 + 2 * 10 * 80
    assert np.abs(image[10:70].astype(int) - cv2.resize(picture, (80, 60), interpolation=cv2.INTER_AREA)).max() <= 1


def test_an_album_without_a_mask_yet_is_told_so(album_folder: Path) -> None:
    with pytest.raises(StageError, match="realfill masks"):
        read_model_window(open_album(album_folder), 64)
