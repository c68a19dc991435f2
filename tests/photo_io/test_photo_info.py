from pathlib import Path

import numpy as np
import pytest
from skimage import data

from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io.photo import Photo
from realfill.photo_io.photo_info import InspectionSettings, inspect_photo, measure_sharpness
from support.camera_photos import ADOBE_RGB, save_image


def test_a_photo_is_described(tmp_path: Path, picture: Pixels) -> None:
    info = inspect_photo(save_image(tmp_path / "a.jpg", picture, icc_profile=ADOBE_RGB), 1.0)
    assert (info.format, info.width, info.height, info.mode, info.bits) == ("JPEG", 160, 120, "rgb", 8)
    assert (info.orientation, info.exif, info.warning) == (1, False, "")
    assert "Adobe" in info.icc


def test_the_content_follows_the_pixels_not_the_file(tmp_path: Path, picture: Pixels) -> None:
    png, tiff = (inspect_photo(save_image(tmp_path / name, picture), 1.0) for name in ("a.png", "a.tif"))
    reshaped = inspect_photo(save_image(tmp_path / "b.png", picture.reshape(160, 120, 3)), 1.0)
    changed = picture.copy()
    changed[60, 80, 1] ^= 1
    other = inspect_photo(save_image(tmp_path / "c.png", changed), 1.0)
    assert png.content == tiff.content
    assert len({png.content, reshaped.content, other.content}) == 3


def test_a_photo_that_is_too_large_is_refused(tmp_path: Path, picture: Pixels) -> None:
    with pytest.raises(PhotoError, match="160 x 120 pixels, more than"):
        inspect_photo(save_image(tmp_path / "a.png", picture), 0.01)


def test_a_blurred_photo_is_less_sharp() -> None:
    sharp = Photo(data.coffee(), None, None, "JPEG", 1)
    blurred = Photo(resize(resize(sharp.pixels, 60, 40), 600, 400), None, None, "JPEG", 1)
    assert measure_sharpness(blurred) < measure_sharpness(sharp) / 4


def test_photos_of_different_resolutions_are_about_equally_sharp() -> None:
    pixels = data.coffee()
    large = Photo(resize(pixels, 1800, 1200), None, None, "JPEG", 1)
    settings = InspectionSettings(thumbnail_side=300)
    ratio = measure_sharpness(large, settings) / measure_sharpness(Photo(pixels, None, None, "JPEG", 1), settings)
    assert 0.8 < ratio < 1.25


def test_a_photo_of_a_single_pixel_can_be_measured() -> None:
    assert measure_sharpness(Photo(np.zeros((1, 1, 3), np.uint8), None, None, "PNG", 1)) == 0
