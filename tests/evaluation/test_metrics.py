from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.metrics import structural_similarity

from realfill.core.errors import AlbumError
from realfill.evaluation import metrics, perceptual
from realfill.evaluation.metrics import Scorer, ScorerSettings, psnr, ssim_map, unavailable_metrics


def test_the_truth_itself_scores_best(scorer: Scorer, astronaut: np.ndarray) -> None:
    score = scorer.score(astronaut)
    assert (score.psnr, score.ssim) == (100.0, 1.0)
    assert score.recall is not None
    assert score.recall > 0.99


def test_psnr_is_that_of_its_definition() -> None:
    assert psnr(np.full(100, 100, np.uint8), np.full(100, 110, np.uint8)) == pytest.approx(28.1308, abs=1e-4)


def test_ssim_is_that_of_scikit_image(astronaut: np.ndarray) -> None:
    noisy = np.clip(astronaut + np.random.default_rng(0).normal(0, 20, astronaut.shape), 0, 255).astype(np.uint8)
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (noisy, astronaut)]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    _, expected = structural_similarity(*gray, **options)
    assert np.allclose(ssim_map(noisy, astronaut)[8:-8, 8:-8], expected[8:-8, 8:-8], atol=1e-6)


def test_blur_invention_and_misplacement_lose_recall(scorer: Scorer, astronaut: np.ndarray) -> None:
    blurred = scorer.score(cv2.GaussianBlur(astronaut, (0, 0), 12))
    moved = scorer.score(np.roll(astronaut, 20, axis=1))
    invented = scorer.score(cv2.resize(data.cat(), (512, 512)))
    for score in (blurred, moved, invented):
        assert score.recall is not None
        assert score.recall < 0.2
        assert score.psnr < 30


def test_only_the_hole_counts(scorer: Scorer, astronaut: np.ndarray) -> None:
    elsewhere = astronaut.copy()
    elsewhere[320:] = 0
    score = scorer.score(elsewhere)
    assert (score.psnr, score.ssim) == (100.0, 1.0)


def test_small_holes_at_the_border_can_be_looked_at_by_networks(weights: Path, astronaut: np.ndarray) -> None:
    perceptual.load_perceptual_metrics.cache_clear()
    try:
        assert "lpips" not in unavailable_metrics()
        corner = np.zeros((512, 512), np.uint8)
        corner[:9, 500:] = 255
        score = Scorer(astronaut, corner).score(cv2.GaussianBlur(astronaut, (0, 0), 4))
        assert None not in (score.lpips, score.dists, score.dino, score.clip)
        assert set(score.measured()) >= {"lpips", "dists", "dino", "clip"}
    finally:
        perceptual.load_perceptual_metrics.cache_clear()


def test_large_photos_are_scored_at_1024_pixels(astronaut: np.ndarray, hole: np.ndarray) -> None:
    large = cv2.resize(astronaut, (1536, 1536))
    scorer = Scorer(large, hole.astype(np.uint8) * 255)
    assert scorer.ground_truth.shape == (1024, 1024, 3)
    assert scorer.hole.mean() == pytest.approx(hole.mean(), rel=0.01)
    assert scorer.score(astronaut).psnr > 30


def test_pictures_of_any_size_can_be_scored(scorer: Scorer, astronaut: np.ndarray) -> None:
    for side in (256, 700, 2000):
        score = scorer.score(cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA))
        assert score.psnr > 20


def test_labels_are_never_mixed(scorer: Scorer) -> None:
    labels = np.random.default_rng(0).choice(np.array([0, 85, 255], np.uint8), (777, 777))
    resized = scorer.resize_labels(labels)
    assert resized.shape == (512, 512)
    assert set(np.unique(resized)) == {0, 85, 255}


def test_a_hole_that_vanishes_at_1024_pixels_is_refused(astronaut: np.ndarray) -> None:
    mask = np.zeros((4096, 4096), np.uint8)
    mask[1, 1] = 255
    with pytest.raises(AlbumError, match="The hole vanishes at 1024 pixels"):
        Scorer(cv2.resize(astronaut, (2048, 2048)), mask)


def test_recall_needs_keypoints_in_the_hole(astronaut: np.ndarray, hole: np.ndarray) -> None:
    flat = np.where(hole[..., None], np.uint8(90), astronaut)
    inner = cv2.erode(hole.astype(np.uint8) * 255, np.ones((81, 81)))
    score = Scorer(flat, inner).score(flat)
    assert score.recall is None
    assert "recall" not in score.measured()


def test_the_size_of_the_comparison_can_be_set(astronaut: np.ndarray, hole: np.ndarray) -> None:
    scorer = Scorer(astronaut, hole.astype(np.uint8) * 255, ScorerSettings(side=128))
    assert scorer.ground_truth.shape == (128, 128, 3)
    assert scorer.score(astronaut).psnr == 100.0


def test_a_metric_that_fails_is_left_out(
    scorer: Scorer, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> float:
        raise MemoryError

    perceptual_metrics = {"lpips": fail, "dists": lambda *_: np.nan, "dino": lambda *_: 0.5}
    monkeypatch.setattr(metrics, "load_perceptual_metrics", lambda: (perceptual_metrics, {}))
    score = scorer.score(astronaut)
    assert (score.lpips, score.dists, score.dino) == (None, None, 0.5)
    assert score.psnr == 100
    assert "The metric lpips failed and is left out (MemoryError)" in caplog.text
    assert "The metric dists failed and is left out (NumericalError value is not finite)" in caplog.text
