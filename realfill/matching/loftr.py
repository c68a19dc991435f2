"""LoFTR, a matcher without keypoints (Sun et al., CVPR 2021)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from kornia.feature import LoFTR

from realfill.core.errors import ModelError
from realfill.imaging.ops import to_gray
from realfill.matching.base_matcher import Matcher, to_matches
from realfill.matching.correspondences import Matches
from realfill.matching.weights import read_weights


class LoftrMatcher(Matcher[dict[str, torch.Tensor]]):
    """LoFTR's outdoor model. Its weights have to be in torch's hub cache already.

    Raises:
        ModelError: The weights are not there.
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
        self._loftr.load_state_dict(read_weights(weights)["state_dict"])
        self._loftr.eval()

    @torch.inference_mode()
    def extract_features(self, image: np.ndarray) -> dict[str, torch.Tensor]:
        """See `Matcher.extract_features`."""
        gray = torch.from_numpy(to_gray(image))[None, None]  # [1, 1, H, W] float32
        features: dict[str, torch.Tensor] = self._loftr.extract_features(gray)
        return features

    @torch.inference_mode()
    def match(self, features0: dict[str, torch.Tensor], features1: dict[str, torch.Tensor]) -> Matches:
        """See `Matcher.match`."""
        output = self._loftr({"features0": features0, "features1": features1})
        # LoFTR puts the center of the first pixel at (0.5, 0.5)
        return to_matches(output["keypoints0"] - 0.5, output["keypoints1"] - 0.5, output["confidence"])
