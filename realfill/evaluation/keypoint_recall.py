"""Recall of the ground truth's keypoints: how much of its structure a fill shows in the right place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from kornia.feature import XFeat
from torch import Tensor

from realfill.imaging.ops import Pixels
from realfill.matching.base_matcher import Keypoints
from realfill.matching.xfeat import load_xfeat


@dataclass(frozen=True)
class RecallSettings:
    """How keypoints are detected and matched. The values are part of the evaluation's protocol.

    Attributes:
        max_keypoints: Most keypoints per picture, the strongest first. XFeat's default.
        min_cosine: Least cosine similarity of the descriptors of a match. Set by hand.
        max_distance: Largest distance of a keypoint of the fill from its match in the ground truth, pixels. Set by
            hand.
    """

    max_keypoints: int = 4096
    min_cosine: float = 0.7
    max_distance: float = 6.0


def keypoint_recall(
    truth: Keypoints, picture: Keypoints, region: Pixels, settings: RecallSettings = RecallSettings()
) -> float | None:
    """Share of the ground truth's keypoints in a region that a picture shows in the same place.

    Args:
        truth: Keypoints of the ground truth.
        picture: Keypoints of the picture, of the same size.
        region: [H, W] bool.
        settings: What counts as the same place.

    Returns:
        0 to 1; None where the ground truth has no keypoint in the region.
    """
    inside = is_inside(truth, region)
    if not inside.any():
        return None
    nearest, is_mutual = match_mutual(truth, picture, settings)
    if not is_mutual.any():
        return 0.0
    distance = torch.linalg.vector_norm(truth.points - picture.points[nearest], dim=1)  # [N] pixels
    is_recalled = is_mutual & (distance <= settings.max_distance)
    return float(is_recalled.numpy()[inside].mean())


def match_mutual(
    keypoints0: Keypoints, keypoints1: Keypoints, settings: RecallSettings = RecallSettings()
) -> tuple[Tensor, Tensor]:
    """Match keypoints by mutual nearest neighbors of their descriptors.

    Returns:
        For each of the N first keypoints the nearest second one, [N] int64, and whether the two are each other's
        nearest and similar enough, [N] bool.
    """
    count = len(keypoints0.points)
    if min(count, len(keypoints1.points)) == 0:
        return torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.bool)
    similarity = keypoints0.descriptors @ keypoints1.descriptors.T  # [N, M] cosine
    nearest, nearest_back = similarity.argmax(1), similarity.argmax(0)
    indices = torch.arange(count)
    is_mutual = nearest_back[nearest] == indices
    return nearest, is_mutual & (similarity[indices, nearest] > settings.min_cosine)


def is_inside(keypoints: Keypoints, region: Pixels) -> Pixels:
    """Which keypoints lie in a region [H, W] bool, as [N] bool."""
    height, width = region.shape
    columns, rows = keypoints.points.numpy().astype(int).clip(0, (width - 1, height - 1)).T
    return np.asarray(region[rows, columns])


def detect_keypoints(picture: Pixels, settings: RecallSettings = RecallSettings()) -> Keypoints:
    """Detect XFeat's keypoints in a picture [H, W, 3] uint8 sRGB; their descriptors have length 1.

    Raises:
        ModelError: XFeat's weights are not installed.
    """
    pixels = torch.tensor(picture).permute(2, 0, 1)[None].float() / 255  # [1, 3, H, W]
    output = load_detector(settings.max_keypoints).detectAndCompute(pixels)[0]
    return Keypoints(output["keypoints"], output["descriptors"], picture.shape[1::-1])


@cache
def load_detector(max_keypoints: int) -> XFeat:
    """Load XFeat, once per process.

    Raises:
        ModelError: Its weights are not installed.
    """
    return load_xfeat(max_keypoints)
