import numpy as np
import pytest

from realfill.imaging.ops import Pixels
from realfill.photo_io.cicp import CodePoints, make_profile
from realfill.photo_io.color_management import profile_name, to_srgb
from realfill.photo_io.icc_transform import profile_problem
from realfill.photo_io.photo import Photo

BT_709_TO_P3 = np.array([[0.8225, 0.1774, 0], [0.0332, 0.9669, 0], [0.0171, 0.0724, 0.9108]])
BT_709_TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encode_srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def encode_pq(luminance: np.ndarray) -> np.ndarray:
    power = (luminance / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def encode_hlg(light: np.ndarray) -> np.ndarray:
    """HLG of display light, candela per square meter, on a display of 1000."""
    luma = light @ (0.2627, 0.6780, 0.0593)
    scene = light / 1000 * (np.maximum(luma, 1e-9) / 1000)[..., None] ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12,
        np.sqrt(3 * scene),
        0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073,
    )


def quantize(values: np.ndarray, dtype: type[np.integer]) -> Pixels:
    return np.rint(np.clip(values, 0, 1) * np.iinfo(dtype).max).astype(dtype)


def shown(samples: Pixels, codes: CodePoints) -> tuple[Pixels, str]:
    """The sRGB pixels of samples with code points, and the warning."""
    pixels, icc, warning = codes.interpret(samples)
    return to_srgb(Photo(pixels, None, icc, "HEIF", 1)), warning


@pytest.mark.parametrize(("primaries", "matrix"), [(12, BT_709_TO_P3), (9, BT_709_TO_2020), (1, np.eye(3))])
@pytest.mark.parametrize("transfer", [1, 2, 8, 13])
def test_colors_become_srgb(picture: Pixels, primaries: int, matrix: np.ndarray, transfer: int) -> None:
    light = decode_srgb(picture / 255) @ matrix.T
    samples = quantize(light if transfer == 8 else encode_srgb(light), np.uint16)
    pixels, warning = shown(samples, CodePoints(primaries, transfer))
    assert np.abs(pixels.astype(int) - picture).max() <= 2 and warning == ""


@pytest.mark.parametrize("transfer", [16, 18])
def test_a_photo_without_highlights_looks_as_in_standard_range(picture: Pixels, transfer: int) -> None:
    light = 203 * decode_srgb(picture / 255) @ BT_709_TO_2020.T
    samples = quantize(encode_pq(light) if transfer == 16 else encode_hlg(light), np.uint16)
    pixels, warning = shown(samples, CodePoints(9, transfer))
    assert np.abs(pixels.astype(int) - picture).max() <= 3
    assert "approximate" in warning


@pytest.mark.parametrize("transfer", [16, 18])
def test_highlights_are_rolled_off_and_shadows_stay(transfer: int) -> None:
    light = np.repeat(np.linspace(0, 900, 600)[None, :, None], 3, axis=2)
    samples = quantize(encode_pq(light) if transfer == 16 else encode_hlg(light), np.uint16)
    gray = shown(samples, CodePoints(9, transfer))[0][0, :, 1].astype(int)
    assert (np.diff(gray) >= -1).all() and gray[-1] >= 254
    assert gray[200] < 253  # what is brighter than white keeps its details
    assert abs(gray[20] - 255 * encode_srgb(np.array(light[0, 20, 0] / 203))) < 2


def test_the_profile_is_the_same_each_time_and_has_a_name() -> None:
    photo = Photo(np.zeros((2, 2, 3), np.uint8), None, make_profile(12), "HEIF", 1)
    assert make_profile(12) == photo.icc and make_profile(1) is None
    assert (profile_name(photo), profile_problem(photo)) == ("Display P3", "")


def test_unknown_code_points_are_told(picture: Pixels) -> None:
    for codes in (CodePoints(200, 13), CodePoints(1, 99)):
        pixels, warning = shown(picture, codes)
        assert np.array_equal(pixels, picture) and "sRGB is assumed" in warning


def test_alpha_stays(picture: Pixels) -> None:
    for samples in (np.dstack([picture, picture[..., 0]]), picture[..., :2]):
        mapped, _, _ = CodePoints(9, 16).interpret(samples)
        assert mapped.shape == samples.shape
        assert np.array_equal(mapped[..., -1], samples[..., -1].astype(np.uint16) * 257)


@pytest.mark.parametrize("transfer", [8, 16, 18])
def test_gray_is_shown_as_the_same_gray_in_color(picture: Pixels, transfer: int) -> None:
    gray = picture[..., :1]
    shown_gray, warning = shown(gray, CodePoints(9, transfer))
    shown_color, same_warning = shown(np.repeat(gray, 3, axis=2), CodePoints(9, transfer))
    assert warning == same_warning
    assert np.abs(shown_gray.astype(int) - shown_color).mean() < 0.5
    assert np.abs(shown_gray.astype(int) - gray).max() > 20
