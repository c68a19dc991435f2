"""Approximate alignment of references whose scene moved."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realfill.geometry.moving_least_squares import MovingLeastSquaresSettings, moving_least_squares_warps
from realfill.matching.correspondences import Matches


def similar_points(points: np.ndarray, factor: complex, shift: complex) -> Matches:
    """Matches of points [N, 2] and their images by a similarity."""
    moved = points @ [1, 1j] * factor + shift
    theirs = np.column_stack([moved.real, moved.imag])
    return Matches(points.astype(np.float32), theirs.astype(np.float32), np.ones(len(points), np.float32))


def grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return columns, rows


def test_a_similarity_is_found_among_strays_and_continued_beyond_its_matches() -> None:
    rng = np.random.default_rng(0)
    matches = similar_points(rng.uniform((50, 50), (150, 120), (80, 2)), 1.5 * np.exp(0.2j), 30 - 10j)
    matches.points1[:20] = rng.uniform(0, 400, (20, 2))
    direct, indirect = moving_least_squares_warps({(0, 1): matches}, [400, 400])
    assert not indirect
    columns, rows = grid(400, 300)
    x, y, _ = direct[1].maps(columns, rows)
    wanted = (columns + 1j * rows) * 1.5 * np.exp(0.2j) + 30 - 10j
    assert np.abs(x + 1j * y - wanted).max() < 0.1
    assert direct[1].approximate


def test_the_warp_follows_the_matches_where_they_are() -> None:
    points = np.random.default_rng(0).uniform(0, 400, (300, 2))
    bent = points + np.column_stack([4 * np.sin(points[:, 1] / 60), np.zeros(300)])
    matches = Matches(points.astype(np.float32), bent.astype(np.float32), np.ones(300, np.float32))
    direct, _ = moving_least_squares_warps({(0, 1): matches}, [400, 400])
    columns, rows = grid(400, 400)
    x = direct[1].maps(columns, rows)[0]
    assert np.abs(x - columns - 4 * np.sin(rows / 60))[20:-20, 20:-20].mean() < 1
    stiff, _ = moving_least_squares_warps({(0, 1): matches}, [400, 400], MovingLeastSquaresSettings(softness=10))
    assert np.ptp(stiff[1].maps(columns, rows)[0] - columns) < np.ptp(x - columns) / 2


def test_what_shares_nothing_with_the_photo_is_reached_through_what_does() -> None:
    rng = np.random.default_rng(0)
    first = similar_points(rng.uniform(50, 150, (60, 2)), 2, 10)
    second = similar_points(rng.uniform(100, 300, (60, 2)), 0.5j, 5j)
    direct, indirect = moving_least_squares_warps({(0, 1): first, (1, 2): second}, [400, 400, 400])
    assert (list(direct), list(indirect)) == ([1], [2])
    columns, rows = grid(200, 200)
    x, y, _ = indirect[2].maps(columns, rows)
    assert np.abs(x + 1j * y - (((columns + 1j * rows) * 2 + 10) * 0.5j + 5j)).max() < 0.1
    backwards = {(0, 2): first, (1, 2): second.swap()}
    direct, indirect = moving_least_squares_warps(backwards, [400, 400, 400])
    assert (list(direct), list(indirect)) == ([2], [1])
    np.testing.assert_allclose(indirect[1].maps(columns, rows)[:2], (x, y), atol=0.01)


def test_too_few_matches_align_nothing() -> None:
    rng = np.random.default_rng(0)
    alike = similar_points(rng.uniform(0, 400, (10, 2)), 1, 0)
    here, there = (rng.uniform(0, 400, (80, 2)).astype(np.float32) for _ in range(2))
    strange = Matches(here, there, np.ones(80, np.float32))
    assert moving_least_squares_warps({(0, 1): alike, (0, 2): strange}, [400, 400, 400]) == ({}, {})


def test_an_alignment_that_fails_costs_its_reference_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    estimate: Any = cv2.estimateAffinePartial2D
    rng = np.random.default_rng(0)
    first, second = (similar_points(rng.uniform(50, 150, (60, 2)), 1, shift) for shift in (10, 20))

    def fail_on_first(source: np.ndarray, target: np.ndarray, **options: object) -> object:
        if source is first.points1:
            raise cv2.error("singular")
        return estimate(source, target, **options)

    monkeypatch.setattr(cv2, "estimateAffinePartial2D", fail_on_first)
    direct, _ = moving_least_squares_warps({(0, 1): first, (0, 2): second}, [400, 400, 400])
    assert list(direct) == [2]
    assert "reference 1 failed and is left out" in caplog.text


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    values=st.lists(st.floats(width=32, allow_nan=False) | st.floats(-9, 500), min_size=1, max_size=80),
    factor=st.floats(0, 1e6),
)
@example(values=[7.0], factor=1.0)  # all matches are one point
@example(values=[float(x) for x in range(80)], factor=0.0)  # all their counterparts are one point
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whatever_the_matches_are_there_is_a_warp_or_none(values: list[float], factor: float) -> None:
    points = np.resize(np.array(values, np.float32), (40, 2))
    matches = Matches(points, points[:, ::-1] * np.float32(factor), np.ones(40, np.float32))
    columns, rows = grid(40, 30)
    for warps in moving_least_squares_warps({(0, 1): matches, (1, 2): matches}, [400, 400, 400]):
        for warp in warps.values():
            x, y, defined = warp.maps(columns, rows)
            assert x.shape == y.shape == defined.shape == (30, 40)
