from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from skimage import data

from realfill.album.placement import CERTAIN, Proposal
from realfill.matching.correspondences import Matches
from realfill.matching.sift import SiftMatcher
from realfill.selection.candidate_scores import (
    Evidence,
    Judgment,
    PreparedReference,
    ScoreSettings,
    judge_candidate,
    prepare_references,
)
from realfill.selection.hole_view import HoleView, scale_reference
from support.holes import perfect_candidate, window_at
from support.scenes import rectangle_mask, turned_view

MATCHER = SiftMatcher()
SCENE = np.ascontiguousarray(data.astronaut())
PHOTO = turned_view(SCENE, 0, 0)  # 480 x 320
MASK = rectangle_mask(PHOTO.shape, slice(90, 230), slice(170, 330))
WINDOW = window_at(MASK, 80, 0, 320)
VIEW = HoleView.from_canvas(np.where(MASK[..., None] > 0, np.uint8(128), PHOTO), MASK, WINDOW)
TRUTH = VIEW.complete(perfect_candidate(PHOTO, WINDOW, 320))
Judge = Callable[..., Judgment]


def evidence(verified: int, matches: int) -> Evidence:
    points = np.zeros((matches, 2), np.float32)
    return Evidence(Matches(points, points, np.ones(matches, np.float32)), np.arange(matches) < verified)


@pytest.fixture(scope="module")
def references() -> list[PreparedReference]:
    """Two turned views of the scene, and a photo of something else."""
    images = {"turned": turned_view(SCENE, 2, 1), "other": data.coffee(), "tilted": turned_view(SCENE, -2, -1)}
    scaled = {name: scale_reference(np.ascontiguousarray(image), WINDOW) for name, image in images.items()}
    return prepare_references(VIEW, scaled, MATCHER)


def proposal(confidence: int, color: int) -> Proposal:
    everywhere = np.full(PHOTO.shape[:2], confidence, np.uint8)
    return VIEW.crop_proposal(Proposal(0, 0, np.full_like(PHOTO, color), everywhere))


def test_references_are_related_to_the_view_by_its_known_part(references: list[PreparedReference]) -> None:
    assert [reference.name for reference in references] == ["turned", "other", "tilted"]
    assert [reference.geometry is not None for reference in references] == [True, False, True]
    assert [reference.warped is not None for reference in references] == [True, False, True]


def test_the_truth_has_matches_in_the_hole_and_small_errors(references: list[PreparedReference]) -> None:
    judgment = judge_candidate(TRUTH, VIEW, references, MATCHER)
    assert judgment.inliers > 20
    assert judgment.best_reference in (0, 2)
    assert judgment.reference_error < 5
    for evidence in judgment.evidence:
        columns, rows = np.rint(evidence.matches.points0).astype(int).T
        assert VIEW.hole[rows, columns].all()


def test_noise_and_a_fill_in_the_wrong_place_score_less(references: list[PreparedReference]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)
    moved = np.roll(perfect_candidate(PHOTO, WINDOW, 320), 25, axis=1)
    true, wrong, worst = (
        judge_candidate(image, VIEW, references, MATCHER)
        for image in (TRUTH, VIEW.complete(moved), VIEW.complete(noise))
    )
    assert true.score > wrong.score > worst.score
    assert true.inliers > 5 * wrong.inliers
    assert wrong.matches > wrong.inliers


def test_where_something_is_certain_it_is_what_the_fill_is_compared_with(
    references: list[PreparedReference],
) -> None:
    fill = VIEW.complete(np.full((320, 320, 3), 90, np.uint8))
    judgment = judge_candidate(fill, VIEW, references, MATCHER, proposal(CERTAIN, 100))
    assert judgment.reference_error == pytest.approx(10)
    assert not judgment.approximate


def test_where_nothing_is_certain_the_alignment_is_approximate(references: list[PreparedReference]) -> None:
    fill = VIEW.complete(np.full((320, 320, 3), 90, np.uint8))
    unplaced = judge_candidate(fill, VIEW, references, MATCHER)
    uncertain = judge_candidate(fill, VIEW, references, MATCHER, proposal(CERTAIN - 1, 100))
    assert uncertain.approximate and not unplaced.approximate
    assert uncertain.reference_error == unplaced.reference_error


def test_where_nothing_is_certain_matches_count_that_contradict_the_geometry_of_the_known_part() -> None:
    rigid, approximate = (
        Judgment((evidence(10, 160),), rim_error=4, reference_error=6, approximate=value) for value in (False, True)
    )
    assert (rigid.inliers, rigid.matches) == (approximate.inliers, approximate.matches) == (10, 160)
    assert rigid.score == pytest.approx(np.log1p(10 / 16) - 0.5)
    assert approximate.score == pytest.approx(np.log1p(160 / 16) - 0.5)


def test_the_weights_of_the_score_are_settings() -> None:
    judgment = Judgment((evidence(10, 20),), 4, 6, settings=ScoreSettings(match_scale=10, error_scale=5))
    assert judgment.score == pytest.approx(np.log(2) - 2)


def test_the_best_reference_has_most_verified_matches() -> None:
    judgment = Judgment((evidence(3, 50), evidence(7, 7), evidence(5, 9)), 0, 0)
    assert (judgment.best_reference, judgment.inliers, judgment.matches) == (1, 15, 66)


@pytest.mark.parametrize("step", ["extract_features", "match"])
def test_where_a_matcher_fails_on_a_reference_the_others_judge(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    images = {name: scale_reference(turned_view(SCENE, yaw, 1), WINDOW) for name, yaw in (("one", 2), ("two", -2))}
    failing: list[Any] = [images["one"], MATCHER.extract_features(images["one"]).descriptors]
    matcher = SiftMatcher()
    work = getattr(matcher, step)

    def fail_on_one(*arguments: Any) -> Any:
        subject = arguments[0] if step == "extract_features" else arguments[1].descriptors
        if any(np.array_equal(subject, other) for other in failing):
            raise MemoryError
        return work(*arguments)

    monkeypatch.setattr(matcher, step, fail_on_one)
    references = prepare_references(VIEW, images, matcher)
    assert [reference.geometry is not None for reference in references] == [False, True]
    judgment = judge_candidate(TRUTH, VIEW, references, matcher)
    assert [len(evidence.matches) > 20 for evidence in judgment.evidence] == [False, True]
    assert judgment.best_reference == 1
    assert np.isfinite(judgment.score)
    assert "one" in caplog.text
    assert "two" not in caplog.text
