"""Scores against the truth: what they reward, and what they do not look at."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from skimage import data
from skimage.metrics import structural_similarity

from finished_album import finish
from realfill import export
from realfill.album import Album
from realfill.errors import AlbumError, StageError
from realfill.evaluate import PROTOCOL, Scorer, evaluate, psnr, ssim_map, table
from realfill.images import read_png, write_png
from realfill.params import load_params

ASTRONAUT = data.astronaut()
HOLE = np.zeros((512, 512), np.uint8)
HOLE[40:300, 120:420] = 255


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(ASTRONAUT, HOLE)


@pytest.fixture
def album(album_folder: Path) -> Album:
    album = finish(album_folder)
    export.run(album, load_params())
    return album


def test_the_truth_itself_scores_best(scorer: Scorer) -> None:
    score = scorer.score(ASTRONAUT)
    assert (score.psnr, score.ssim) == (100.0, 1.0)
    assert score.recall is not None
    assert score.recall > 0.99


def test_psnr_is_that_of_its_definition() -> None:
    assert psnr(np.full(100, 100, np.uint8), np.full(100, 110, np.uint8)) == pytest.approx(28.1308, abs=1e-4)


def test_ssim_is_that_of_scikit_image() -> None:
    noisy = np.clip(ASTRONAUT + np.random.default_rng(0).normal(0, 20, ASTRONAUT.shape), 0, 255).astype(np.uint8)
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (noisy, ASTRONAUT)]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    _, expected = structural_similarity(*gray, **options)
    assert np.allclose(ssim_map(noisy, ASTRONAUT)[8:-8, 8:-8], expected[8:-8, 8:-8], atol=1e-6)


def test_blur_invention_and_misplacement_lose_recall(scorer: Scorer) -> None:
    blurred = scorer.score(cv2.GaussianBlur(ASTRONAUT, (0, 0), 12))
    moved = scorer.score(np.roll(ASTRONAUT, 20, axis=1))
    invented = scorer.score(cv2.resize(data.cat(), (512, 512)))
    for score in (blurred, moved, invented):
        assert score.recall is not None
        assert score.recall < 0.2
        assert score.psnr < 30


def test_only_the_hole_counts(scorer: Scorer) -> None:
    elsewhere = ASTRONAUT.copy()
    elsewhere[320:] = 0
    score = scorer.score(elsewhere)
    assert (score.psnr, score.ssim) == (100.0, 1.0)


def test_baselines_fill_the_hole_and_touch_nothing_else(scorer: Scorer) -> None:
    outside = HOLE == 0
    for fill in (scorer.mean_fill(), scorer.telea_fill()):
        assert np.array_equal(fill[outside], ASTRONAUT[outside])
        assert 5 < scorer.score(fill).psnr < 20
    assert len(np.unique(scorer.mean_fill()[~outside], axis=0)) == 1


def test_large_photos_are_scored_at_1024_pixels() -> None:
    large = cv2.resize(ASTRONAUT, (1536, 1536))
    scorer = Scorer(large, HOLE)
    assert scorer.truth.shape == (1024, 1024, 3)
    assert scorer.hole.mean() == pytest.approx((HOLE > 0).mean(), rel=0.01)
    assert scorer.score(ASTRONAUT).psnr > 30


def test_an_album_is_scored_and_the_figures_are_kept(album: Album) -> None:
    params = load_params()
    scored = evaluate(album, params)
    kept = (album.work("evaluate") / "metrics.json").read_bytes()
    assert json.loads(kept) == scored.to_json()
    assert scored.protocol == PROTOCOL
    assert set(scored.candidates) == {0, 1, 2}
    assert scored.ranked == [1, 0, 2]
    assert scored.outside_max_difference == 0
    assert abs(scored.result.psnr - scored.telea.psnr) < 1, "the delivered fill is Telea's, too"
    assert abs(scored.candidates[1].psnr - scored.result.psnr) < 1
    evaluate(album, params)
    assert (album.work("evaluate") / "metrics.json").read_bytes() == kept
    console = Console(record=True, width=160)
    console.print(table([scored]))
    assert f"{scored.result.psnr:.2f}" in console.export_text()


def test_a_pixel_changed_outside_the_hole_is_noticed(album: Album) -> None:
    photo = album.completed / "motorcycle.png"
    pixels = read_png(photo).copy()
    pixels[0, 0] ^= 0x40
    write_png(photo, pixels)
    assert evaluate(album, load_params()).outside_max_difference == 0x40


def test_an_album_without_truth_says_so(album_folder: Path) -> None:
    (album_folder / "target" / "gt.png").unlink()
    with pytest.raises(AlbumError, match="no ground truth"):
        evaluate(Album.open(album_folder), load_params())


def test_a_truth_of_another_extent_is_refused(album: Album) -> None:
    assert album.truth is not None
    write_png(album.truth, read_png(album.truth)[:, :200])
    with pytest.raises(AlbumError, match="The truth has 200 x 200 pixels"):
        evaluate(album, load_params())


def test_an_unfinished_album_is_told_so(album_folder: Path) -> None:
    with pytest.raises(StageError, match="realfill complete"):
        evaluate(Album.open(album_folder), load_params())
