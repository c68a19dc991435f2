from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from realfill.imaging.ops import Pixels
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from realfill.photo_io.working_files import read_png, read_png_profile, write_lossless_tiff, write_png
from support.camera_photos import ADOBE_RGB


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([np.uint8, np.uint16]),
    st.sampled_from([1, 3, 4]),
    st.booleans(),
    st.sampled_from([None, ADOBE_RGB]),
    st.tuples(st.integers(1, 300), st.integers(1, 40)),
)
def test_lossless_tiffs_hold_everything(
    tmp_path: Path, dtype: Any, channels: int, has_alpha: bool, icc: bytes | None, size: tuple[int, int]
) -> None:
    samples = np.random.default_rng(channels).integers(0, np.iinfo(dtype).max, (*size, channels + 1), dtype)
    photo = Photo(samples[..., :channels], samples[..., channels] if has_alpha else None, icc, "PNG", 6)
    write_lossless_tiff(tmp_path / "a.tif", photo)
    read = read_photo(tmp_path / "a.tif")
    assert np.array_equal(read.pixels, photo.pixels) and read.pixels.dtype == dtype
    assert (read.alpha is None) == (photo.alpha is None)
    if photo.alpha is not None and read.alpha is not None:
        assert np.array_equal(read.alpha, photo.alpha)
    assert (read.icc, read.orientation) == (icc, 1)


def test_pngs_come_back_and_have_the_same_bytes(tmp_path: Path, picture: Pixels) -> None:
    for pixels in (picture, picture[..., 0]):
        write_png(tmp_path / "a.png", pixels)
        write_png(tmp_path / "b.png", pixels)
        assert np.array_equal(read_png(tmp_path / "a.png"), pixels)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
        assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_has_the_profile_of_its_color_space(tmp_path: Path, picture: Pixels, dtype: Any) -> None:
    pixels = picture.astype(dtype) * (np.iinfo(dtype).max // 255)
    write_png(tmp_path / "a.png", pixels, ADOBE_RGB)
    assert np.array_equal(read_png(tmp_path / "a.png"), pixels)
    assert read_png_profile(tmp_path / "a.png") == ADOBE_RGB
    with Image.open(tmp_path / "a.png") as image:
        image.load()
    write_png(tmp_path / "a.png", pixels)
    assert read_png_profile(tmp_path / "a.png") is None
