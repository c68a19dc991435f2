"""LightGlue (Lindenberger, Sarlin and Pollefeys, ICCV 2023) with weights from this machine."""

from __future__ import annotations

import torch
from kornia.feature import LightGlue

from realfill.matching.base_matcher import Keypoints, to_matches
from realfill.matching.correspondences import Matches


def load_lightglue(features: str, weights: dict[str, torch.Tensor]) -> LightGlue:
    """Build kornia's LightGlue for one kind of features, in its own configuration for them.

    Args:
        features: kornia's name of the features, e.g. "aliked".
        weights: State dict. The confidence thresholds may be missing; they follow from the configuration.
    """
    network = LightGlue(None, **{**LightGlue.features[features], "weights": None})
    network.load_state_dict(weights | {"confidence_thresholds": network.confidence_thresholds})
    return network.eval()


@torch.inference_mode()
def match_keypoints(lightglue: LightGlue, keypoints0: Keypoints, keypoints1: Keypoints) -> Matches:
    """Match the keypoints of two photos; the confidence is LightGlue's score."""
    if not len(keypoints0.points) or not len(keypoints1.points):
        return Matches.empty()
    output = lightglue({"image0": _network_input(keypoints0), "image1": _network_input(keypoints1)})
    indices0, indices1 = output["matches"][0].unbind(1)  # [M] each
    return to_matches(keypoints0.points[indices0], keypoints1.points[indices1], output["scores"][0])


def _network_input(keypoints: Keypoints) -> dict[str, torch.Tensor]:
    return {
        "keypoints": keypoints.points[None],
        "descriptors": keypoints.descriptors[None],
        "image_size": torch.tensor([keypoints.size], dtype=torch.float32),
    }
