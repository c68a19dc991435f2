"""Estimate how reliable every pixel of a mosaic of references is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.compositing.reference_labeling import take_labeled
from realfill.compositing.warped_reference import WarpedReference
from realfill.imaging.ops import local_variance, to_gray


@dataclass(frozen=True)
class ConfidenceSettings:
    """What lowers the confidence in a pixel.

    Attributes:
        unsupported: Largest confidence where no other reference shows the place, where something hides the scene from
            the chosen reference, and where it is aligned approximately. Set by hand; below `placement.CERTAIN` / 255,
            so that none of it is certain.
        agreement_distance: Distance of colors in 0..1 at which the support by another reference has fallen to
            1/e; chosen with `busy_deviation` so that about as much is certain with `rim_difference` as without.
        blur: Standard deviation of the Gaussian that smooths that distance, pixels; set by hand.
        second_weight: Weight of the reference that agrees second best, beside the best one, where there are three or
            more. .2 to .5 did alike.
        busy_deviation: Local standard deviation of the luma, in 0..1, at which the confidence has fallen to 1/e:
            there a misalignment by a pixel shows most. Measured on cathedral-portal, with .25: the certain pixels had
            .16 of the others' squared error instead of .30, and 34 % of the hole was certain instead of 38 %.
        full_similarity: Least similarity around the hole that gives a reference full confidence; less gives less in
            proportion. Set by hand.
        rim_difference: Distance of colors in 0..1 between a reference and the target, at the nearest places around
            the hole, at which the confidence has fallen to 1/e. Measured on 59 views: with it, 97 % of the certain
            pixels are right instead of 95 %, 86 % of the likely ones instead of 79 %, and on the worst view 84 % of
            the certain ones instead of 61 %. .2 to .4 did alike.
        surroundings: Standard deviation of the Gaussian over whose reach a pixel is trusted no more than what
            surrounds it, pixels. 3 and 5 did alike. With it and `second_weight`, on 59 views, the area under the
            sparsification error is 5 % smaller, on the albums for reporting 7 %.
    """

    unsupported: float = 0.4
    agreement_distance: float = 0.15
    blur: float = 2.0
    second_weight: float = 0.3
    busy_deviation: float = 0.31
    full_similarity: float = 0.5
    rim_difference: float = 0.3
    surroundings: float = 3.0


def estimate_confidence(
    references: Sequence[WarpedReference],
    labels: np.ndarray,
    disagreement: np.ndarray,
    settings: ConfidenceSettings = ConfidenceSettings(),
) -> np.ndarray:
    """Estimate how far the chosen reference can be trusted at every pixel.

    It is trusted as far as other references show the same, the others do not outvote it, misalignment by a pixel
    would not show, and it resembles the target around the hole, at the nearest places above all; and no more than
    its surroundings.

    Args:
        references: K warped references of one region.
        labels: Number of the chosen reference, int [h, w].
        disagreement: See `label_references`, float32 [K, h, w].
        settings: What lowers the confidence.

    Returns:
        [h, w] float32, 0 to 1.
    """
    colors = take_labeled(np.stack([r.colors for r in references]), labels)
    confidence = _support(references, labels, colors, settings)
    confidence *= np.exp(-(take_labeled(disagreement, labels) ** 2))
    visible = take_labeled(np.stack([r.visible for r in references]), labels)
    confidence = np.where(visible, confidence, np.minimum(confidence, settings.unsupported))
    confidence *= np.exp(-local_variance(to_gray(colors)) / settings.busy_deviation**2)
    approximate = np.array([r.warp.approximate for r in references])[labels]
    confidence = np.where(approximate, np.minimum(confidence, settings.unsupported), confidence)
    similarity = np.array([r.similarity / settings.full_similarity for r in references]).clip(0, 1)[labels]
    difference = take_labeled(np.stack([r.rim_difference for r in references]), labels)
    confidence = (confidence * similarity * np.exp(-difference / settings.rim_difference)).astype(np.float32)
    return np.minimum(confidence, cv2.GaussianBlur(confidence, (0, 0), settings.surroundings))


def _support(
    references: Sequence[WarpedReference], labels: np.ndarray, colors: np.ndarray, settings: ConfidenceSettings
) -> np.ndarray:
    """Measure how well other references confirm the chosen ones' colors [h, w, 3].

    Returns:
        [h, w] float32, `unsupported` to 1.
    """
    best = second = np.full(labels.shape, settings.unsupported, np.float32)
    for number, reference in enumerate(references):
        distance = np.linalg.norm(reference.colors - colors, axis=-1)
        distance = cv2.GaussianBlur(distance, (0, 0), settings.blur)
        agreement = np.exp(-((distance / settings.agreement_distance) ** 2))
        agreement = np.where(reference.visible & (labels != number), agreement, 0)
        second = np.maximum(second, np.minimum(best, agreement))
        best = np.maximum(best, agreement)
    if len(references) < 3:
        return best
    support: np.ndarray = best ** (1 - settings.second_weight) * second**settings.second_weight
    return support
