"""LightGlue (Lindenberger, Sarlin and Pollefeys, ICCV 2023) with weights from this machine."""

from __future__ import annotations

import torch
from kornia.feature import LightGlue
from kornia.feature.lightglue import CrossBlock
from torch.nn import functional

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
    for layer in network.transformers:
        layer.cross_attn.__class__ = _FusedCrossBlock
    return network.eval()


class _FusedCrossBlock(CrossBlock):  # type: ignore[misc]
    """kornia's cross attention without the matrix of all pairs, which it builds everywhere but on CUDA."""

    def forward(
        self, x0: torch.Tensor, x1: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Exchange information between descriptors [1, N0, D] and [1, N1, D]; the mask is not used."""
        keys, values = ([self._split(project(x)) for x in (x0, x1)] for project in (self.to_qk, self.to_v))
        messages = (
            functional.scaled_dot_product_attention(keys[i], keys[1 - i], values[1 - i]) for i in (0, 1)
        )  # [1, heads, N, D / heads]
        joined = [self.to_out(message.transpose(1, 2).flatten(2)) for message in messages]
        updated0, updated1 = (
            x + self.ffn(torch.cat([x, part], -1)) for x, part in zip((x0, x1), joined, strict=True)
        )
        return updated0, updated1

    def _split(self, projected: torch.Tensor) -> torch.Tensor:
        """Split channels [1, N, D] into heads, [1, heads, N, D / heads]."""
        return projected.unflatten(-1, (self.heads, -1)).transpose(1, 2).contiguous()


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
