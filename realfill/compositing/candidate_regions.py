"""Regions of the hole that show other candidates than the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.compositing.blended_patch import BlendedPatch
from realfill.imaging.ops import Pixels


@dataclass(frozen=True)
class CandidateRegionSettings:
    """How regions meet.

    Attributes:
        seam: Half the width of the transition between two candidates, as a share of the longer side of the region's
            bounding box. Set by hand.
    """

    seam: float = 0.02


def draw_region(
    polygon: Sequence[tuple[float, float]],
    area: tuple[slice, slice],
    settings: CandidateRegionSettings = CandidateRegionSettings(),
) -> np.ndarray:
    """Draw how much of a region's candidate is shown.

    Args:
        polygon: Its outline, (x, y) in pixels of the canvas.
        area: Rows and columns of the canvas.
        settings: Width of the transition.

    Returns:
        [h, w] float32: 1 inside, 0 outside, a transition centered on the outline.
    """
    outline = np.rint(np.array(polygon)).astype(np.int32)
    inside = np.zeros((area[0].stop - area[0].start, area[1].stop - area[1].start), np.float32)
    cv2.fillPoly(inside, [outline - (area[1].start, area[0].start)], 1.0)
    reach = max(1, round(settings.seam * float(np.ptp(outline, axis=0).max())))
    weight: np.ndarray = cv2.blur(inside, (2 * reach + 1, 2 * reach + 1))
    return weight


def mix_patches(patch: BlendedPatch, others: Sequence[tuple[BlendedPatch, np.ndarray]]) -> BlendedPatch:
    """Show other patches in parts of one.

    Args:
        patch: The patch that is shown elsewhere.
        others: Patches of the same area and opacity, each with how much of it is shown, [h, w] float32; later ones
            lie over earlier ones.
    """
    colors = patch.colors
    for other, weight in others:
        colors = colors + weight[..., None] * (other.colors - colors)
    return replace(patch, colors=colors)


def mix_classes(classes: Pixels, others: Sequence[tuple[Pixels, np.ndarray]]) -> Pixels:
    """Classify the pixels of mixed patches: each as the candidate that most of it shows.

    Args:
        classes: Authenticity map of the candidate that is shown elsewhere, [H, W] uint8.
        others: Those of the others, each with how much of it is shown, [H, W] float32.
    """
    for other, weight in others:
        classes = np.where(weight > 0.5, other, classes)
    return classes
