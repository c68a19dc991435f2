from pathlib import Path

import numpy as np
import pytest

from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import convert_rgb, from_rgb, read_srgb, to_rgb
from realfill.photo_io.photo import Photo
from realfill.photo_io.working_files import write_png
from realfill.photo_io.working_space import choose_working_profile
from support.camera_photos import ADOBE_RGB, SRGB, make_photo
from support.color_spaces import D50, D65, DISPLAY_P3, PROPHOTO, PROPHOTO_PRIMARIES, WIDE_SPACES, rgb_profile

NEARLY_SRGB = rgb_profile(D65, ((0.6405, 0.3298), (0.2998, 0.6005), (0.1502, 0.0598)), 2.2)
BEYOND_ALL = rgb_profile(D50, ((0.9, 0.2), (-0.1, 1.1), (0.0, -0.1)), 1.8)
CUBE = np.stack(np.meshgrid(*[np.arange(0, 256, 15, dtype=np.uint8)] * 3), axis=-1).reshape(18, -1, 3)


def working_profile(icc: bytes) -> bytes:
    profile = choose_working_profile(make_photo(CUBE, icc=icc))
    assert profile is not None
    return profile


@pytest.mark.parametrize("icc", [None, SRGB, NEARLY_SRGB, b"no profile at all" * 20])
def test_a_target_within_srgb_is_computed_in_srgb(icc: bytes | None) -> None:
    assert choose_working_profile(make_photo(CUBE, icc=icc)) is None


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_and_ink_are_computed_in_srgb(channels: int) -> None:
    assert choose_working_profile(make_photo(np.zeros((8, 8, channels), np.uint8), icc=ADOBE_RGB)) is None


def test_the_smallest_space_that_holds_the_target_is_chosen() -> None:
    profiles = [working_profile(icc) for icc in WIDE_SPACES.values()]
    assert len(set(profiles)) == len(profiles)
    for icc, profile in zip(WIDE_SPACES.values(), profiles, strict=True):
        assert np.abs(convert_rgb(CUBE, icc, profile).astype(int) - CUBE).max() <= 1, "its primaries and its gamma"
    assert np.abs(convert_rgb(CUBE, working_profile(BEYOND_ALL), PROPHOTO).astype(int) - CUBE).max() <= 1


@pytest.mark.parametrize("icc", WIDE_SPACES.values(), ids=WIDE_SPACES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_colors_of_a_wide_target_come_back(icc: bytes, dtype: type) -> None:
    photo = make_photo(CUBE.astype(dtype) * (np.iinfo(dtype).max // 255), icc=icc)
    profile = working_profile(icc)
    deep = to_rgb(photo, profile, np.uint16)
    back = from_rgb(deep.astype(np.float32) / 65535, profile, photo)
    assert np.abs(back.astype(float) - photo.pixels).max() <= 2 * np.iinfo(dtype).max / 255  # nearest to black
    coarse = from_rgb(to_rgb(photo, profile).astype(np.float32) / 255, profile, photo)
    assert np.abs(coarse.astype(float) - photo.pixels).max() <= 2 * np.iinfo(dtype).max / 255


def test_a_linear_target_is_computed_with_the_curve_of_srgb() -> None:
    grays = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    profile = working_profile(rgb_profile(D50, PROPHOTO_PRIMARIES, 1.0))
    assert np.array_equal(convert_rgb(grays, None, profile), grays)
    assert np.array_equal(convert_rgb(grays, profile, None), grays)


def test_working_profiles_do_not_tell_when_they_were_made() -> None:
    assert working_profile(DISPLAY_P3)[24:36] == bytes(12)  # the date in an ICC header


@pytest.mark.parametrize("icc", [None, *WIDE_SPACES.values()], ids=["sRGB", *WIDE_SPACES])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_working_files_show_the_same_colors_in_every_program(
    tmp_path: Path, picture: Pixels, icc: bytes | None, dtype: type
) -> None:
    profile = None if icc is None else working_profile(icc)
    pixels = convert_rgb(picture, None, profile, dtype if profile else np.uint8)
    write_png(tmp_path / "a.png", pixels, profile)
    assert np.abs(read_srgb(tmp_path / "a.png").astype(int) - picture).mean() < 1


def test_a_photo_without_a_profile_is_converted_from_srgb(picture: Pixels) -> None:
    profile = working_profile(PROPHOTO)
    for pixels in (picture, picture[..., :1], np.dstack([255 - picture, picture[..., :1] * 0])):
        photo = Photo(np.ascontiguousarray(pixels), None, None, "TIFF", 1)
        converted = to_rgb(photo, profile)
        assert np.abs(convert_rgb(converted, profile, None).astype(int) - to_rgb(photo, None)).mean() < 1
