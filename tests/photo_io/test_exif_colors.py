from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import profile_name, to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from support.camera_photos import ADOBE_RGB


def camera_exif(color_space: int, index: str) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ColorSpace] = color_space
    details[ExifTags.IFD.Interop] = {int(ExifTags.Interop.InteropIndex): index}
    return exif


@pytest.mark.parametrize(("color_space", "index"), [(0xFFFF, "R03"), (2, "R98")])
def test_adobe_rgb_is_told_by_exif_alone(tmp_path: Path, picture: Pixels, color_space: int, index: str) -> None:
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=camera_exif(color_space, index), quality=95)
    photo = read_photo(tmp_path / "a.jpg")
    assert profile_name(photo).startswith("Adobe RGB")
    meant = to_srgb(Photo(photo.pixels, None, ADOBE_RGB, "JPEG", 1))
    assert np.abs(to_srgb(photo).astype(int) - meant).max() <= 1


@pytest.mark.parametrize(("color_space", "index"), [(1, "R98"), (1, "R03"), (0xFFFF, "R98"), (0xFFFF, "")])
def test_other_photos_are_srgb(tmp_path: Path, picture: Pixels, color_space: int, index: str) -> None:
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=camera_exif(color_space, index))
    assert read_photo(tmp_path / "a.jpg").icc is None
