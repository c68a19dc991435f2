import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realfill.compositing.color_transfer import fit_color_transform, match_color_statistics
from realfill.core.failures import NUMERICAL_ERRORS

PHOTO = cv2.resize(skimage.data.coffee(), (300, 200)).astype(np.float32) / 255
HOLE = np.zeros((200, 300), bool)
HOLE[70:130, 110:190] = True


def test_colors_are_fitted_in_spite_of_what_moved() -> None:
    target = (0.1 + np.array([0.9, 0.8, 0.6]) * PHOTO**1.5).clip(0, 1).astype(np.float32)
    moved = target.copy()
    moved[:60, :90] = 0.9  # a fifth of the ring shows something else
    transform = fit_color_transform(PHOTO, moved, ~HOLE, HOLE)
    assert transform is not None
    assert np.abs(transform.apply(PHOTO) - target)[HOLE].mean() < 0.02


def test_what_lies_in_the_hole_does_not_enter_the_fit() -> None:
    painted = np.where(HOLE[..., None], np.float32(1), PHOTO)
    first, second = (fit_color_transform(PHOTO, target, ~HOLE, HOLE) for target in (PHOTO, painted))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.coefficients, second.coefficients)
    assert first.residual == second.residual < 0.001


def test_the_residual_is_larger_where_no_transform_of_the_colors_explains_the_target() -> None:
    aligned, other = (fit_color_transform(PHOTO, target, ~HOLE, HOLE) for target in (0.8 * PHOTO, PHOTO[::-1]))
    assert aligned is not None
    assert other is not None
    assert aligned.residual < 0.01
    assert other.residual > 0.1


def test_nothing_is_fitted_to_nothing() -> None:
    photo, hole = np.zeros((50, 50, 3), np.float32), np.ones((50, 50), bool)
    assert fit_color_transform(photo, photo, ~hole, hole) is None


def test_color_statistics_are_matched_though_nothing_is_aligned() -> None:
    gray = PHOTO.mean(axis=-1, keepdims=True)
    target = (0.8 * (gray + 0.2 * (PHOTO - gray)) + 0.1).astype(np.float32)  # paler, and nearly without color
    transform = match_color_statistics(np.roll(PHOTO, (9, -12), (0, 1)), target, ~HOLE, HOLE)
    assert transform is not None
    assert np.abs(transform.apply(PHOTO) - target).mean() < 0.03
    assert np.abs(PHOTO - target).mean() > 0.1
    assert match_color_statistics(PHOTO, target, ~HOLE & False, HOLE) is None


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    reference=st.lists(st.floats(width=32) | st.floats(0, 1), min_size=1, max_size=40),
    target=st.lists(st.floats(width=32) | st.floats(0, 1), min_size=1, max_size=40),
)
@example(reference=[0.0], target=[1.0])
@example(reference=[float("nan")], target=[0.5])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whatever_the_colors_are_there_is_a_finite_transform_or_a_known_failure(
    reference: list[float], target: list[float]
) -> None:
    hole = HOLE[60:140:2, 100:200:2]
    ours, theirs = (np.resize(np.array(colors, np.float32), (40, 50, 3)) for colors in (target, reference))
    for fit in (fit_color_transform, match_color_statistics):
        try:
            transform = fit(theirs, ours, ~hole, hole)
        except NUMERICAL_ERRORS:
            continue
        assert transform is not None
        assert np.isfinite(transform.coefficients).all()
        assert 0 <= transform.residual <= 1


def test_noise_does_not_grow_where_the_transform_is_steep() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, PHOTO.shape).astype(np.float32)
    scene = np.full_like(PHOTO, 0.4) + noise
    scene[:, 150:] += np.float32(0.1)
    target = np.full_like(PHOTO, 0.2)
    target[:, 150:] = 0.8

    transform = fit_color_transform(scene, target, ~HOLE, HOLE)

    assert transform is not None
    colors = transform.apply(scene)
    assert colors[80:120, 115:140].mean() == pytest.approx(0.2, abs=0.03)
    assert colors[80:120, 160:185].mean() == pytest.approx(0.8, abs=0.03)
    assert colors[80:120, 115:140].std() < 2 * noise.std()
