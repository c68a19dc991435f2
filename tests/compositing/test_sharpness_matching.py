import cv2
import numpy as np
import pytest
import skimage.data

from realfill.compositing.sharpness_matching import BandGains, SharpnessSettings, estimate_band_gains

PHOTO = cv2.resize(skimage.data.coffee(), (300, 200)).astype(np.float32) / 255
EVERYWHERE = np.ones((200, 300), bool)


def test_a_blurred_reference_is_sharpened_towards_the_target() -> None:
    blurred = cv2.GaussianBlur(PHOTO, (0, 0), 0.7)
    gains = estimate_band_gains(blurred, PHOTO, EVERYWHERE)
    assert gains.gains[0] > gains.gains[1] > gains.gains[2] >= 1
    sharpened = gains.apply(blurred)
    assert np.abs(sharpened - PHOTO).mean() < 0.9 * np.abs(blurred - PHOTO).mean()


def test_a_reference_as_sharp_as_the_target_stays() -> None:
    gains = estimate_band_gains(PHOTO, PHOTO, EVERYWHERE)
    assert gains.gains == pytest.approx((1, 1, 1))
    np.testing.assert_allclose(gains.apply(PHOTO), PHOTO, atol=1e-5)


def test_gains_stay_within_their_limits() -> None:
    flat, settings = cv2.GaussianBlur(PHOTO, (0, 0), 2), SharpnessSettings(min_gain=0.9, max_gain=1.5)
    assert estimate_band_gains(flat, PHOTO, EVERYWHERE, settings).gains[0] == 1.5
    assert estimate_band_gains(PHOTO, flat, EVERYWHERE, settings).gains[0] == pytest.approx(0.9)


def test_without_texture_or_shared_pixels_nothing_changes() -> None:
    assert estimate_band_gains(PHOTO, PHOTO, ~EVERYWHERE).gains == (1, 1, 1)
    flat = np.full_like(PHOTO, 0.5)
    assert estimate_band_gains(flat, flat, EVERYWHERE).gains == (1, 1, 1)


def test_only_the_amplified_band_changes() -> None:
    columns = np.arange(256)
    fine, coarse = np.sin(columns * np.pi / 2), np.sin(columns * np.pi / 64)  # wavelengths of 4 and 128 pixels
    image = np.broadcast_to((fine + coarse)[None, :, None], (64, 256, 3)).astype(np.float32)
    amplified = BandGains((2.0,), (2.0,)).apply(image)
    middle = np.s_[32, 64:192, 0]
    np.testing.assert_allclose(amplified[middle], (2 * fine + coarse)[64:192], atol=0.02)
