import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels
from realfill.photo_io.cicp import make_profile
from realfill.photo_io.color_management import (
    from_srgb,
    is_srgb_profile,
    profile_name,
    read_srgb,
    to_srgb,
)
from realfill.photo_io.decode import read_photo
from realfill.photo_io.icc_transform import profile_problem
from realfill.photo_io.photo import Photo
from support.camera_photos import ADOBE_RGB, SRGB, save_image


def test_converts_through_the_embedded_profile(tmp_path: Path) -> None:
    red_in_adobe_rgb = np.full((16, 16, 3), (219, 0, 0), np.uint8)  # sRGB's own red, by the standards' primaries
    photo = read_photo(save_image(tmp_path / "a.png", red_in_adobe_rgb, icc_profile=ADOBE_RGB))
    assert np.abs(to_srgb(photo)[0, 0].astype(int) - (255, 0, 0)).max() <= 1
    back = from_srgb(np.full((4, 5, 3), (1, 0, 0), np.float32), photo)
    assert back.shape == (4, 5, 3)
    assert np.abs(back[0, 0].astype(int) - (219, 0, 0)).max() <= 2


@pytest.mark.parametrize("icc", [None, ADOBE_RGB])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_there_and_back_changes_nothing_visible(picture: Pixels, dtype: Any, icc: bytes | None) -> None:
    muted = (picture // 2 + 64).astype(dtype) * (np.iinfo(dtype).max // 255)  # inside both gamuts
    photo = Photo(muted.astype(dtype), None, icc, "TIFF", 1)
    back = from_srgb(to_srgb(photo).astype(np.float32) / 255, photo)
    assert back.dtype == dtype
    assert np.abs(back.astype(float) - muted).max() <= 2 * np.iinfo(dtype).max / 255


def test_gray_and_ink_there_and_back(picture: Pixels) -> None:
    gray = Photo(picture[..., :1], None, None, "PNG", 1)
    ink = Photo(np.dstack([255 - picture, np.zeros_like(picture[..., :1])]), None, None, "TIFF", 1)
    for photo in (gray, ink):
        shown = to_srgb(photo)
        back = Photo(from_srgb(shown.astype(np.float32) / 255, photo), None, None, "TIFF", 1)
        assert back.pixels.shape == photo.pixels.shape
        assert np.abs(to_srgb(back).astype(int) - shown).max() <= 2


def test_the_size_of_a_photo_is_limited_by_validate_alone(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 20_000, 10_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(PhotoError, match="damaged"):  # nothing but that its pixels end early
        read_srgb(path)


def test_ink_is_not_inverted(tmp_path: Path) -> None:
    inks = np.full((32, 32, 4), (255, 0, 0, 0), np.uint8)
    for name in ("a.jpg", "a.tif"):
        Image.fromarray(inks, "CMYK").save(tmp_path / name)
        assert np.abs(read_srgb(tmp_path / name)[16, 16].astype(int) - (0, 255, 255)).max() <= 3


def test_sixteen_bits_are_not_banded() -> None:
    ramp = np.repeat(np.linspace(0.1, 0.9, 4096, dtype=np.float32)[None, :, None], 3, axis=2)
    for icc in (None, ADOBE_RGB):
        like = Photo(np.zeros((1, 1, 3), np.uint16), None, icc, "TIFF", 1)
        assert len(np.unique(from_srgb(ramp, like)[..., 1])) > 4000


def test_a_usable_profile_has_a_name(picture: Pixels) -> None:
    photo = Photo(picture, None, ADOBE_RGB, "JPEG", 1)
    assert "Adobe" in profile_name(photo)
    assert profile_problem(photo) == ""
    assert profile_name(Photo(picture, None, None, "JPEG", 1)) == ""


def test_a_broken_profile_is_named_and_not_used(tmp_path: Path, picture: Pixels) -> None:
    for pixels, icc in ((picture, b"no profile at all" * 20), (picture[..., 0], ADOBE_RGB)):
        photo = read_photo(save_image(tmp_path / "a.png", pixels, icc_profile=icc))
        assert "sRGB is assumed" in profile_problem(photo)
        assert profile_name(photo) == ""
        assert np.array_equal(to_srgb(photo)[..., 0], pixels.reshape(120, 160, -1)[..., 0])


@pytest.mark.parametrize(("icc", "expected"), [(SRGB, True), (ADOBE_RGB, False), (make_profile(12), False)])
def test_profiles_of_srgb_are_recognized(icc: bytes, expected: bool) -> None:
    assert is_srgb_profile(icc) == expected
