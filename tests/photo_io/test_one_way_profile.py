from pathlib import Path

import numpy as np
import pytest

from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from realfill.photo_io.working_files import write_lossless_tiff
from support.color_spaces import table_profile


@pytest.mark.parametrize("ink", [False, True])
def test_a_scan_with_the_scanners_profile_has_the_colors_that_it_tells(
    tmp_path: Path, picture: Pixels, ink: bool
) -> None:
    pixels = np.dstack([255 - picture, np.zeros_like(picture[..., :1])]) if ink else picture
    icc = table_profile(b"scnr", ink=ink, has_way_back=False, side=9 if ink else 33)
    write_lossless_tiff(tmp_path / "a.tif", Photo(pixels, picture[..., 0], icc, "TIFF", 1))
    photo = read_photo(tmp_path / "a.tif")
    assert (photo.mode, photo.bits, photo.icc) == ("rgba", 16, None)  # within sRGB
    assert "converted" in photo.warning
    assert np.abs(read_srgb(tmp_path / "a.tif").astype(int) - picture).mean() < 2
    assert photo.alpha is not None and np.array_equal(photo.alpha // 257, picture[..., 0])
