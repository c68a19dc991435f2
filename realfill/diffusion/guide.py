"""Placed references as the starting point of sampling: the pixels that "guided" candidates are generated around."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.ncc import ncc
from realfill.imaging.ops import to_gray


@dataclass(frozen=True)
class GuideSettings:
    """How detail is restored.

    Attributes:
        detail_sigma: Sigma of the Gaussian that smooths the weight of restored detail, pixels of the model's window.
            Set by hand.
    """

    detail_sigma: float = 1.0


@dataclass(frozen=True)
class Guide:
    """What sampling starts from and what it keeps, in the window at the base model's resolution R.

    Attributes:
        init_image: [R, R, 3] uint8: the window with placed reference pixels; patches complete the rest of its
            hole.
        placed_mask: [R, R] bool, True = a reference pixel is placed there.
        keep_weight: [R, R] float32, 0 to 1: how far sampling is held to `init_image`.
        strength: Share of the noise that sampling starts with, 0 to 1, as in diffusers.
        is_condition: Whether the adapter was tuned with placed pixels in the masked image, so that it shows them
            whatever the base model accepts.
    """

    init_image: np.ndarray
    placed_mask: np.ndarray
    keep_weight: np.ndarray
    strength: float
    is_condition: bool = False


def restore_detail(
    candidate: np.ndarray,
    guide: Guide,
    decoded_init: np.ndarray,
    mask: np.ndarray,
    settings: GuideSettings = GuideSettings(),
) -> np.ndarray:
    """Add the detail of placed pixels that the autoencoder loses, where the candidate still shows the same content.

    The detail is weighted by the normalized cross-correlation of the candidate with the decoded initial image.

    Args:
        candidate: [R, R, 3] uint8 sRGB.
        guide: The placed pixels.
        decoded_init: [R, R, 3] uint8 sRGB: the guide's initial image, encoded and decoded.
        mask: [R, R] bool, True = fill.
        settings: How the weight is smoothed.

    Returns:
        [R, R, 3] uint8 sRGB.
    """
    lost = guide.init_image.astype(np.float32) - decoded_init  # [R, R, 3]
    similarity = ncc(to_gray(candidate), to_gray(decoded_init))  # [R, R] float32, 0 to 1
    weight = cv2.GaussianBlur(similarity * (mask & guide.placed_mask), (0, 0), settings.detail_sigma)[..., None]
    return np.rint((candidate + weight * lost).clip(0, 255)).astype(np.uint8)
