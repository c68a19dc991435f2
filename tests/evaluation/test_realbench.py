"""Scores of RealBench's scenes: the paper's protocol."""

from dataclasses import replace

import numpy as np
import pytest

from realfill.album.layout import Album
from realfill.core.errors import AlbumError
from realfill.core.params import load_params
from realfill.evaluation import realbench
from realfill.evaluation.realbench import missing_metrics, score_scene


def test_samples_are_the_candidates_from_noise_and_the_delivered_photo_is_beside_them(album: Album) -> None:
    scores = score_scene(album, load_params())
    assert (scores.scene, scores.group, len(scores.samples)) == ("motorcycle", "inpainting", 3)
    assert scores.setup == "pocket, 120 tuning steps, dpmsolver++ with 24 steps"
    assert all(5 < sample.psnr < 40 and 0 < sample.ssim < 1 for sample in (*scores.samples, scores.delivered))
    assert abs(scores.samples[1].psnr - scores.delivered.psnr) < 1, "the second candidate was delivered"
    assert scores.delivered.dreamsim is None
    assert "dreamsim" in missing_metrics()


def test_scores_are_read_until_something_that_decides_them_changes(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score_scene(album, load_params())
    with monkeypatch.context() as patched:
        patched.setattr(realbench, "blend_each", lambda *_: pytest.fail("scored again"))
        assert score_scene(album, load_params()) == first
    changed = score_scene(album, load_params(assignments=["blend.match_color=false"]))
    assert changed.samples != first.samples
    assert changed.delivered == first.delivered


def test_networks_see_the_whole_picture(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    def share(picture: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> float:
        return float(picture.shape == truth.shape == (*hole.shape, 3)) * hole.mean()

    monkeypatch.setattr(realbench, "load_perceptual_metrics", lambda: ({"dino": share, "dists": pytest.fail}, {}))
    scores = score_scene(album, load_params())
    assert 0 < (scores.delivered.dino or 0) < 0.5
    assert scores.delivered.lpips is None


def test_a_scene_with_a_whole_side_in_the_hole_is_outpainted() -> None:
    hole = np.zeros((20, 30), bool)
    hole[4:12, 20:] = True
    assert not realbench._is_outpainted(hole, realbench.RealBenchSettings())
    hole[:, 28:] = True
    assert realbench._is_outpainted(hole, realbench.RealBenchSettings())


def test_a_scene_without_truth_cannot_be_scored(album: Album) -> None:
    with pytest.raises(AlbumError, match="no ground truth"):
        score_scene(replace(album, ground_truth=None), load_params())
