"""Profiles of every kind that cameras, scanners and editors embed: their colors, and the way back."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import ImageCms

from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import from_srgb, to_srgb
from realfill.photo_io.icc_transform import is_one_way, profile_problem
from realfill.photo_io.photo import Photo, to_16_bits
from support.color_spaces import curve_profile, pack_profile, parametric, sampled, table_profile

RAMP = np.linspace(0, 1, 1024)
CURVES: dict[str, tuple[bytes, Callable[[np.ndarray], np.ndarray]]] = {
    "gamma": (parametric(0, 2.2), lambda x: x**2.2),
    "cut off below": (parametric(1, 2.0, 1.25, -0.25), lambda x: np.maximum(1.25 * x - 0.25, 0) ** 2),
    "with an offset of nothing": (parametric(2, 2.2, 1.0, 0.0, 0.0), lambda x: x**2.2),
    "BT.709": (
        parametric(3, 1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081),
        lambda x: np.where(x >= 0.081, ((x + 0.099) / 1.099) ** (1 / 0.45), x / 4.5),
    ),
    "sRGB": (
        parametric(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0, 0),
        lambda x: np.where(x >= 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92),
    ),
    "linear": (sampled(np.array([])), lambda x: x),
    "sampled": (sampled(RAMP**1.8), lambda x: x**1.8),
    "S": (sampled(RAMP**2 * (3 - 2 * RAMP)), lambda x: x**2 * (3 - 2 * x)),
    "negative": (sampled(np.array([1.0, 0.0])), lambda x: 1 - x),
}


def encode_srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def as_photo(pixels: Pixels, icc: bytes | None) -> Photo:
    return Photo(np.ascontiguousarray(pixels), None, icc, "TIFF", 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", CURVES)
def test_every_curve_is_followed_there_and_back(picture: Pixels, name: str, dtype: type) -> None:
    curve, formula = CURVES[name]
    pixels = picture if dtype == np.uint8 else to_16_bits(picture)
    photo = as_photo(pixels, curve_profile(curve))
    assert (profile_problem(photo), is_one_way(photo)) == ("", False)
    meant = 255 * encode_srgb(formula(pixels / np.iinfo(dtype).max))
    rgb = to_srgb(photo)
    assert np.abs(rgb - meant).max() <= 1
    again = to_srgb(as_photo(from_srgb((rgb / 255).astype(np.float32), photo), photo.icc))
    assert np.abs(again.astype(int) - rgb).mean() < 1


def test_tables_are_followed_there_and_back(picture: Pixels) -> None:
    photo = as_photo(picture, table_profile(b"mntr", side=33))
    assert (profile_problem(photo), is_one_way(photo)) == ("", False)
    rgb = to_srgb(photo)
    assert np.abs(rgb.astype(int) - picture).max() <= 3
    assert np.abs(from_srgb((rgb / 255).astype(np.float32), photo).astype(int) - picture).mean() < 4


def test_ink_is_followed_there_and_back(picture: Pixels) -> None:
    ink = np.dstack([255 - picture, np.zeros_like(picture[..., :1])])
    photo = as_photo(ink, table_profile(b"prtr", ink=True, side=9))
    assert (profile_problem(photo), is_one_way(photo)) == ("", False)
    rgb = to_srgb(photo)
    assert np.abs(rgb.astype(int) - picture).mean() < 2
    again = to_srgb(as_photo(from_srgb((rgb / 255).astype(np.float32), photo), photo.icc))
    assert np.abs(again.astype(int) - rgb).mean() < 6


@pytest.mark.parametrize("pcs", [b"XYZ ", b"Lab "])
def test_gray_is_followed_there_and_back(picture: Pixels, pcs: bytes) -> None:
    photo = as_photo(picture[..., :1], pack_profile(b"GRAY", {b"kTRC": sampled(RAMP**1.75)}, pcs=pcs))
    assert (profile_problem(photo), is_one_way(photo)) == ("", False)
    rgb = to_srgb(photo)
    assert (rgb.max(axis=2) - rgb.min(axis=2)).max() <= 1
    if pcs == b"XYZ ":
        assert np.abs(rgb[..., :1] - 255 * encode_srgb((picture[..., :1] / 255) ** 1.75)).max() <= 2
    assert np.abs(from_srgb((rgb / 255).astype(np.float32), photo).astype(int) - picture[..., :1]).mean() < 1


@pytest.mark.parametrize("kind", [b"link", b"abst", b"nmcl"])
def test_profiles_that_describe_no_colors_of_photos_are_told(picture: Pixels, kind: bytes) -> None:
    icc = bytearray(curve_profile(parametric(0, 2.2)))
    icc[12:16] = kind
    assert "sRGB is assumed" in profile_problem(as_photo(picture, bytes(icc)))


def test_profiles_of_another_kind_of_pixels_are_told(picture: Pixels) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert "for lab, not rgb" in profile_problem(as_photo(picture, lab))
    assert "for rgb, not gray" in profile_problem(as_photo(picture[..., :1], curve_profile(parametric(0, 2.2))))
