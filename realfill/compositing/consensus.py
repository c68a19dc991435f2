"""Shift the colors of a mosaic, beside their finest detail, toward what all references agree on.

What one reference shows has the errors of its own depth, light and noise; those of several partly cancel out. An
average of the references would blur. Here the finest band stays that of the reference that is shown, and the others
count by how well they suit the place and, robustly, how close their coarser bands are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.compositing.reference_labeling import Labeling, take_labeled
from realfill.compositing.warped_reference import WarpedReference
from realfill.imaging.ops import masked_blur


@dataclass(frozen=True)
class ConsensusSettings:
    """How much the other references count.

    Chosen on 13 albums: +.09 dB on average (-.07 to +.26), recall alike; on 47 turned views +.05 dB (-.34 to +.82).

    Attributes:
        blur: Standard deviation of the Gaussian that parts the finest band from the others, pixels of the working
            scale. 1 and 4 did a little worse, 12 gave nothing.
        cost_scale: Cost of a reference above that of the one that is shown (see `reference_labeling`), at which it
            counts 1/e. 3 gave .01 dB more and lost .05 dB more where it lost.
        color_scale: Difference of colors in 0..1 at which a reference counts half (Cauchy's function). .05 gave +.06
            dB, .2 +.16 dB at the price of a haze over fine things that are seen from the side.
    """

    blur: float = 2.0
    cost_scale: float = 1.5
    color_scale: float = 0.1


def estimate_consensus_offset(
    references: Sequence[WarpedReference], labeling: Labeling, settings: ConsensusSettings = ConsensusSettings()
) -> np.ndarray:
    """Compute what to add to the colors that the labels choose, [h, w, 3] float32 in 0..1.

    Only references count that show the scene there, and what the others show.

    Args:
        references: K warped references of one region.
        labeling: Which of them is shown where.
        settings: How much the others count.
    """
    chosen = take_labeled(np.stack([r.colors for r in references]), labeling.labels)  # [h, w, 3]
    cost = take_labeled(labeling.costs, labeling.labels)  # [h, w]
    is_shown = take_labeled(np.stack([r.valid for r in references]), labeling.labels)
    total, mass = np.zeros_like(chosen), np.ones_like(cost)  # the one that is shown counts 1
    for number, (reference, costs) in enumerate(zip(references, labeling.costs, strict=True)):
        is_other = is_shown & (labeling.labels != number)
        shared = is_other & reference.visible & ~labeling.outliers[number]
        difference = masked_blur(reference.colors - chosen, shared, settings.blur)
        suitability = np.exp(-np.maximum(costs - cost, 0) / settings.cost_scale)
        closeness = 1 / (1 + (difference**2).sum(axis=-1) / settings.color_scale**2)
        weight = cv2.GaussianBlur(suitability * shared, (0, 0), settings.blur) * closeness  # [h, w]
        total += weight[..., None] * difference
        mass += weight
    return np.asarray(total / mass[..., None], np.float32)
