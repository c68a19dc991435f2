"""Choose one reference for every pixel of a mosaic, as a labeling with Potts smoothness (semi-global matching)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.compositing.warped_reference import WarpedReference
from realfill.core.parallel import map_parallel
from realfill.geometry.sgm import aggregate_costs


@dataclass(frozen=True)
class LabelingSettings:
    """The costs of taking a reference at a pixel, and of changing from one to another.

    The reference with the smallest residual of its color transform, the highest similarity and the least sharpening
    costs 1 for each of the three; others cost their ratio to the best one.

    Attributes:
        parallax_cost: Cost of the reference with the largest parallax; others cost their share of it. Set by hand.
        disagreement_cost: Cost of an outlier among the references; less disagreement costs less. Set by hand.
        hidden_cost: Cost where something nearer hides the scene from the reference; set by hand, so that hidden
            references are a last resort.
        stretch_cost: Cost of each octave by which the reference shows a place coarser than usual. As much as the
            largest parallax: measured on placed references, that took tree-mouth from 21.12 to 22.40 dB, castle-front
            from 24.61 to 24.81 dB and castle-outpaint from 21.63 to 21.77 dB, and left other albums as they were.
        min_residual: Smaller residuals of a color transform count as this much, RGB in 0..1; set by hand, far below
            those of photos that were taken or encoded apart.
        invalid_cost: Cost where the reference shows nothing; set by hand.
        switch_cost: Cost of taking another reference than the neighboring pixel; set by hand.
        outlier_distance: Distance from the consensus of the other references, of colors in 0..1, at which a
            reference is an outlier; set by hand.
        consensus_spread: The spread of the other references, times this, is not counted as disagreement; set by hand.
        max_relative_parallax: References with a larger parallax than this multiple of a reference's own do not vote
            on it; set by hand.
        min_voters: References that have to show a place to outvote another one; set by hand.
        blur: Standard deviation of the Gaussian that smooths the disagreement, pixels; set by hand.
        outlier_margin: Around an outlier its reference is avoided too, this far, pixels: the rim of a person who
            walked through one photo is half the person's. Looked at on people in a square and at a table; 5 lost
            .1 dB on castle-front against 0, 3 lost .06.
    """

    parallax_cost: float = 2.0
    disagreement_cost: float = 2.0
    hidden_cost: float = 3.0
    stretch_cost: float = 2.0
    min_residual: float = 1e-3
    invalid_cost: float = 10.0
    switch_cost: float = 1.0
    outlier_distance: float = 0.15
    consensus_spread: float = 1.5
    max_relative_parallax: float = 1.5
    min_voters: int = 2
    blur: float = 2.0
    outlier_margin: int = 3


@dataclass(frozen=True)
class Labeling:
    """Which reference is taken where.

    Attributes:
        labels: Number of the reference, int [h, w].
        disagreement: Photometric disagreement of each reference with the others, float32 [K, h, w]: 0 = none, 1 = an
            outlier.
        outliers: Where a reference shows what the others do not, and beside it, bool [K, h, w].
        costs: Of taking each reference, float32 [K, h, w].
    """

    labels: np.ndarray
    disagreement: np.ndarray
    outliers: np.ndarray
    costs: np.ndarray


def label_references(
    references: Sequence[WarpedReference], settings: LabelingSettings = LabelingSettings()
) -> Labeling:
    """Choose the reference to take at every pixel.

    Args:
        references: K warped references of one region; at least one.
        settings: The costs.
    """
    numbers = range(len(references))
    disagreement = np.stack(map_parallel(lambda n: photometric_disagreement(references, n, settings), numbers))
    window = np.ones((2 * settings.outlier_margin + 1,) * 2, np.uint8)
    nearby = np.stack([cv2.dilate(values, window) for values in disagreement])  # [K, h, w]
    costs = _costs(references, nearby, settings)
    labels = aggregate_costs(costs, settings.switch_cost, settings.switch_cost).argmin(axis=0)
    return Labeling(labels, disagreement, nearby >= 1, costs)


def take_labeled(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Take from values [K, h, w, ...], one per reference, those of the labels, int [h, w]; returns [h, w, ...]."""
    indices = labels.reshape(1, *labels.shape, *[1] * (values.ndim - 3))
    return np.asarray(np.take_along_axis(values, indices, axis=0)[0])


def photometric_disagreement(
    references: Sequence[WarpedReference], number: int, settings: LabelingSettings = LabelingSettings()
) -> np.ndarray:
    """Measure how far a reference's colors are from the median of the others, where enough of them show a place.

    Only references with a similar or smaller parallax vote: where the depth is wrong, those with a larger one are
    wrong together.

    Returns:
        [h, w] float32, in units of `outlier_distance`; 0 where the others have no consensus.
    """
    reference = references[number]
    max_parallax = settings.max_relative_parallax * reference.warp.parallax
    others = [r for place, r in enumerate(references) if place != number and r.warp.parallax <= max_parallax]
    if len(others) < settings.min_voters:
        return np.zeros(reference.colors.shape[:2], np.float32)
    visible = np.stack([r.visible for r in others])  # [K - 1, h, w]
    median = _median_where_visible([r.colors for r in others], visible)  # [h, w, 3]
    spreads = [np.linalg.norm(r.colors - median, axis=-1) for r in others]  # [h, w] each
    spread = np.where(visible, spreads, 0).max(axis=0)
    distance = np.linalg.norm(reference.colors - median, axis=-1)
    excess = np.maximum(distance - settings.consensus_spread * spread, 0)
    has_consensus = visible.sum(axis=0) >= settings.min_voters
    excess = np.where(has_consensus, excess, 0).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(excess, (0, 0), settings.blur) / settings.outlier_distance)


def _median_where_visible(colors: Sequence[np.ndarray], visible: np.ndarray) -> np.ndarray:
    """Compute the median of those of K colors [h, w, 3] that are visible, bool [K, h, w]; 0 where none is.

    Sorted by whole planes: np.nanmedian is far slower.
    """
    planes = [np.where(shown[..., None], plane, np.inf) for plane, shown in zip(colors, visible, strict=True)]
    for last in range(len(planes) - 1, 0, -1):
        for i in range(last):
            planes[i], planes[i + 1] = np.minimum(planes[i], planes[i + 1]), np.maximum(planes[i], planes[i + 1])
    counts = visible.sum(axis=0)[..., None]
    median = np.zeros_like(colors[0])
    for count in range(1, len(planes) + 1):
        np.copyto(median, (planes[(count - 1) // 2] + planes[count // 2]) / 2, where=counts == count)
    return median


def _costs(references: Sequence[WarpedReference], disagreement: np.ndarray, settings: LabelingSettings) -> np.ndarray:
    """Compute the cost of taking each reference at each pixel, [K, h, w] float32."""
    residuals = [max(r.color_transform.residual, settings.min_residual) for r in references]
    highest_similarity = max(r.similarity for r in references)
    largest_parallax = max(r.warp.parallax for r in references) or 1.0
    least_gain = min(r.band_gains.gains[0] for r in references)
    costs = np.stack(
        [
            residual / min(residuals)
            + highest_similarity / r.similarity
            + settings.parallax_cost * r.warp.parallax / largest_parallax
            + r.band_gains.gains[0] / least_gain
            + settings.disagreement_cost * np.minimum(outlier, 1)
            + settings.hidden_cost * ~r.visible
            + settings.stretch_cost * r.stretch
            for r, residual, outlier in zip(references, residuals, disagreement, strict=True)
        ]
    ).astype(np.float32)
    costs[~np.stack([r.valid for r in references])] = settings.invalid_cost
    return costs
