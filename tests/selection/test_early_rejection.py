from pathlib import Path

import cv2
import numpy as np
import pytest

from realfill.album.canvas import crop_window, read_model_window
from realfill.album.layout import Album
from realfill.album.store import canvas_path, read_window
from realfill.imaging.ops import resize
from realfill.photo_io.color_management import read_srgb
from realfill.selection.early_rejection import make_preview_judge
from support.finished_album import finish

SIDE = 256


@pytest.fixture
def album(album_folder: Path) -> Album:
    return finish(album_folder)


def test_a_preview_that_shows_the_scene_is_judged_better_than_others(album: Album) -> None:
    """Also where both are as smooth as previews are."""
    assert album.ground_truth is not None
    window = read_window(album)
    height, width = read_srgb(canvas_path(album)).shape[:2]
    canvas = resize(read_srgb(album.ground_truth), width, height)
    truth = resize(crop_window(canvas, window), SIDE, SIDE)
    _, mask = read_model_window(album, SIDE)
    noise = np.random.default_rng(0).integers(0, 256, truth.shape, dtype=np.uint8)
    strange = np.where(mask[..., None], cv2.GaussianBlur(noise, (0, 0), 3), truth)
    judge = make_preview_judge(album)
    scores = judge([cv2.GaussianBlur(picture, (0, 0), 1.5) for picture in (strange, truth)])
    assert scores[1] > scores[0]
    assert judge([]) == []
