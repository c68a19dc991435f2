from pathlib import Path

import cv2
import huggingface_hub.constants
import numpy as np
import pytest

from realfill.core.errors import ModelError
from realfill.evaluation import perceptual


def test_networks_tell_a_blurred_picture_from_the_truth(weights: Path, astronaut: np.ndarray) -> None:
    truth, hole = astronaut[:160, 150:330], np.zeros((160, 180), bool)
    hole[30:120, 40:150] = True
    loaders = {
        perceptual.load_lpips: 0.0,
        perceptual.load_dists: 0.0,
        perceptual.load_dino: 1.0,
        perceptual.load_clip: 1.0,
    }
    for load, best in loaders.items():
        metric = load()
        slightly, badly = (np.abs(metric(cv2.GaussianBlur(truth, (0, 0), s), truth, hole) - best) for s in (1, 6))
        assert metric(truth, truth, hole) == pytest.approx(best, abs=1e-4)
        assert 1e-5 < slightly < badly


def test_a_network_whose_weights_are_not_here_says_how_to_get_them(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(weights / "empty"))
    for load in (perceptual.load_lpips, perceptual.load_dists, perceptual.load_dino, perceptual.load_clip):
        with pytest.raises(ModelError, match="Run `hf download [^ ]+ config.json model.safetensors --revision"):
            load()


def test_a_package_that_is_not_installed_says_how_to_get_it(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual, "find_spec", lambda package: None)
    with pytest.raises(ModelError, match="DISTS-pytorch is not installed.*pip install --no-deps DISTS-pytorch"):
        perceptual.load_dists()


def test_every_metric_is_either_loaded_or_explained(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = perceptual.load_perceptual_metrics.__wrapped__
    metrics, reasons = load()
    assert (set(metrics), set(reasons)) == ({"lpips", "dists", "dino", "clip"}, {"dreamsim"})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(weights / "empty"))
    metrics, reasons = load()
    assert (set(metrics), set(reasons)) == (set(), {"lpips", "dists", "dino", "clip", "dreamsim"})
