"""Descriptors by which patches are compared: normalized luma, with lightness, chroma and contrast beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realfill.imaging.ops import Pixels


@dataclass(frozen=True)
class PatchFeatureSettings:
    """Size of the patches, and weights of their features.

    The structure, the luma of the patch divided by its contrast, has a norm of about one; the weights tell how much
    the rest counts beside it.

    Attributes:
        radius: From the center of a patch to its edge, cells. Set by hand.
        contrast_floor: Added to the standard deviation of luma, 0 to 1, before luma is divided by it, so that noise
            in flat patches does not count as structure. Set by hand.
        contrast_weight: Weight of the logarithm of the contrast. Set by hand.
        lightness_weight: Weight of the mean luma, 0 to 1. Set by hand.
        chroma_weight: Weight of the chroma at the center, 0 to 1. Set by hand.
    """

    radius: int = 2
    contrast_floor: float = 0.02
    contrast_weight: float = 0.2
    lightness_weight: float = 2.0
    chroma_weight: float = 4.0

    @property
    def width(self) -> int:
        """Side of a patch, cells."""
        return 2 * self.radius + 1


def compute_patch_features(
    cells: Pixels,
    centers: np.ndarray,
    settings: PatchFeatureSettings = PatchFeatureSettings(),
) -> np.ndarray:
    """Describe patches.

    Args:
        cells: [h, w, 3] uint8: smoothed Y, Cr, Cb at one pixel per cell.
        centers: Rows and columns of the patches' centers, [N, 2].
        settings: Size of the patches, and weights.

    Returns:
        [N, F] float32 with F = width^2 + 4: structure, lightness, Cr, Cb, and the logarithm of the contrast.
    """
    rows, columns = centers.T
    span = np.arange(-settings.radius, settings.radius + 1)
    luma = cells[rows[:, None, None] + span[:, None], columns[:, None, None] + span, 0]  # [N, width, width]
    luma = luma.reshape(len(centers), -1).astype(np.float32) / 255  # [N, width^2]
    mean = luma.mean(axis=1, keepdims=True)
    centered = luma - mean
    contrast = centered.std(axis=1, keepdims=True) + settings.contrast_floor
    chroma = cells[rows, columns, 1:].astype(np.float32) / 255  # [N, 2]
    structure = centered / (contrast * settings.width)
    return np.hstack(
        [
            structure,
            settings.lightness_weight * mean,
            settings.chroma_weight * chroma,
            settings.contrast_weight * np.log(contrast),
        ]
    )


def compute_contrast_gain(
    features: np.ndarray, source_features: np.ndarray, settings: PatchFeatureSettings = PatchFeatureSettings()
) -> np.ndarray:
    """Divide the contrast of patches [N, F] by that of others [N, F]; [N]."""
    return np.asarray(np.exp((features - source_features)[:, -1] / settings.contrast_weight))


def get_structure(features: np.ndarray, settings: PatchFeatureSettings = PatchFeatureSettings()) -> np.ndarray:
    """The structure in features [N, F] as patches [N, width, width]."""
    return features[:, : settings.width**2].reshape(-1, settings.width, settings.width)
