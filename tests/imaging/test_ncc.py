import numpy as np
import pytest
from skimage import data

from realfill.imaging.ncc import NccPatches, NccSettings, ncc
from realfill.imaging.ops import to_gray

GRAY = to_gray(data.coffee()[100:200, 200:350])


def test_a_picture_correlates_with_itself_in_any_light() -> None:
    textured = NccPatches.of(GRAY).deviation > 0.1
    assert ncc(GRAY, GRAY)[textured].min() > 0.97
    assert ncc(GRAY, (0.5 * GRAY + 0.3).astype(np.float32))[textured].min() > 0.95


def test_a_negative_does_not_correlate_at_all() -> None:
    assert ncc(GRAY, 1 - GRAY).max() == 0


def test_windows_without_texture_tell_nothing() -> None:
    a, b = np.random.default_rng(0).normal(0.5, 0.002, (2, 40, 40)).astype(np.float32)
    assert ncc(a, b).max() < 0.05
    assert ncc(a, b, NccSettings(noise_variance=1e-8)).max() > 0.3


def test_the_correlation_is_that_of_the_window() -> None:
    a, b = np.random.default_rng(0).uniform(0, 1, (2, 30, 30)).astype(np.float32)
    b = (b + a) / 2
    settings = NccSettings(window=5, noise_variance=0)
    windows = [picture[10:15, 10:15].ravel() for picture in (a, b)]
    assert ncc(a, b, settings)[12, 12] == pytest.approx(np.corrcoef(windows)[0, 1], abs=1e-4)


def test_what_a_picture_does_not_show_is_the_last_choice() -> None:
    valid = np.ones(GRAY.shape, bool)
    valid[:20] = False
    whole, cut = NccPatches.of(GRAY), NccPatches.of(GRAY, valid)
    for distance in (whole.distance(cut), cut.distance(whole)):
        assert (distance[:20] == np.float32(NccSettings().invalid_cost)).all()
        assert distance[20:].max() <= 1
    assert NccPatches.of(1 - GRAY).distance(whole).max() < NccSettings().invalid_cost
