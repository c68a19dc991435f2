"""Give regions of a labeling whose seams would show to the references beside them.

The labeling charges every change of reference alike. Where a reference is taken for a strip only because a wrong
depth seems to hide the scene from the others, its seams show all around: gravel in a lawn, twigs in a sky. Here each
connected region is weighed as a whole against its seams, the smallest first (iterated conditional modes, Besag, 1986,
over regions instead of pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.compositing.reference_labeling import Labeling, take_labeled
from realfill.compositing.warped_reference import WarpedReference
from realfill.core.failures import require_finite


@dataclass(frozen=True)
class RegionMergingSettings:
    """What seams cost, in the units of the labeling's costs.

    Attributes:
        seam_cost: Cost of a seam between two pixels where the colors of its references, 0..1, are 1 apart. On 50
            views 25 to 200 have the same PSNR within .1 dB; 25 leaves specks in the sky of basilica-front, 70 and
            more cost a turned view of room .4 to 1.5 dB.
        switch_cost: Cost of any seam between two pixels beside that; as in the labeling.
        max_noise: Colors that are no farther apart count as the same; set by hand.
        blur: Standard deviation of the Gaussian that smooths the colors before, pixels; set by hand.
        rounds: How often regions are weighed anew at most, after merged ones have grown together; set by hand.
    """

    seam_cost: float = 50.0
    switch_cost: float = 1.0
    max_noise: float = 0.02
    blur: float = 0.7
    rounds: int = 3


@dataclass(frozen=True)
class _Seams:
    """Pairs of neighboring pixels in different regions, sorted by the region of the first.

    Attributes:
        inside: Indices of the first pixels, [N].
        outside: Indices of the second pixels, [N].
        starts: Where the pairs of each region start, and where the last ones end, [regions + 1].
    """

    inside: np.ndarray
    outside: np.ndarray
    starts: np.ndarray

    def around(self, region: int) -> tuple[np.ndarray, np.ndarray]:
        """The pairs along a region's rim: pixels inside and outside."""
        pairs = slice(self.starts[region], self.starts[region + 1])
        return self.inside[pairs], self.outside[pairs]


class _SeamCost:
    """Costs of seams between references."""

    def __init__(self, references: Sequence[WarpedReference], settings: RegionMergingSettings) -> None:
        colors = np.empty((len(references), *references[0].colors.shape), np.float32)  # [K, h, w, 3]
        for plane, reference in zip(colors, references, strict=True):
            cv2.GaussianBlur(reference.colors, (0, 0), settings.blur, dst=plane)
        self._colors = colors.reshape(len(references), -1, 3)  # [K, h * w, 3]
        self._valid = np.stack([reference.valid.ravel() for reference in references])  # [K, h * w]
        self._shown = np.asarray(self._valid.any(axis=0))  # [h * w]
        self._settings = settings

    def between(self, label: int, others: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> float:
        """Sum the costs of the seams between pixels inside, of one label, and outside, of others [N].

        A seam is not seen where both references show the same on one side of it, as along the edge of something near
        that both show: the lesser difference counts, where Kwatra et al. (SIGGRAPH 2003, equation 1) add both. Beside
        places that no reference shows there is no seam.
        """
        differences = np.minimum(self._difference(label, others, inside), self._difference(label, others, outside))
        seen = np.maximum(differences - self._settings.max_noise, 0)
        costs = self._settings.switch_cost + self._settings.seam_cost * seen
        return float(costs[(others != label) & self._shown[inside] & self._shown[outside]].sum())

    def _difference(self, label: int, others: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Distance of the colors of one reference and of others [N] at pixels [N]; 1 where one shows nothing."""
        distance = np.linalg.norm(self._colors[label, pixels] - self._colors[others, pixels], axis=-1)
        return np.where(self._valid[label, pixels] & self._valid[others, pixels], distance, 1.0)


def merge_regions(
    references: Sequence[WarpedReference],
    labeling: Labeling,
    settings: RegionMergingSettings = RegionMergingSettings(),
) -> Labeling:
    """Give each region to the neighboring reference with the least cost of its pixels and seams, or leave it.

    Args:
        references: K warped references of one region of the target.
        labeling: Which of them is taken where.
        settings: What seams cost.

    Returns:
        The labeling with other labels; a reference is taken nowhere new where it shows nothing.

    Raises:
        NumericalError: A cost is not finite.
    """
    require_finite(costs=labeling.costs)
    labels = labeling.labels
    if labels.min() == labels.max():
        return labeling
    seam_cost = _SeamCost(references, settings)
    for _ in range(settings.rounds):
        merged = _merge(labels, labeling.costs, seam_cost)
        if np.array_equal(merged, labels):
            break
        labels = merged
    # where the new reference shows nothing the old one stays, and its seams are not weighed again
    shown = take_labeled(np.stack([reference.valid for reference in references]), labels)
    return replace(labeling, labels=np.where(shown, labels, labeling.labels))


def _merge(labels: np.ndarray, costs: np.ndarray, seam_cost: _SeamCost) -> np.ndarray:
    """Weigh every region of labels [h, w] once, with costs [K, h, w]; returns labels [h, w]."""
    regions, label_of = _connected_regions(labels)
    count = len(label_of)
    flat = regions.ravel()
    pixel_costs = [np.bincount(flat, weights=plane.ravel(), minlength=count) for plane in costs]
    seams = _find_pairs(regions, count)
    for region in np.argsort(np.bincount(flat, minlength=count), kind="stable").tolist():
        inside, outside = seams.around(region)
        others = label_of[flat[outside]]
        own = int(label_of[region])
        choices = [own, *np.unique(others[others != own]).tolist()]
        totals = [pixel_costs[label][region] + seam_cost.between(label, others, inside, outside) for label in choices]
        label_of[region] = choices[int(np.argmin(totals))]
    return np.asarray(label_of[regions])


def _connected_regions(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the connected regions of one label: numbers, int32 [h, w], and the label of each, int [regions]."""
    regions = np.zeros(labels.shape, np.int32)
    label_of: list[int] = []
    for label in np.unique(labels).tolist():
        count, parts = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=4)
        inside = parts > 0
        regions[inside] = parts[inside] - 1 + len(label_of)
        label_of += [label] * (count - 1)
    return regions, np.array(label_of)


def _find_pairs(regions: np.ndarray, count: int) -> _Seams:
    """Find the pairs of neighboring pixels in different ones of so many regions, int32 [h, w], in both orders."""
    pixels, flat = np.arange(regions.size).reshape(regions.shape), regions.ravel()
    first = np.concatenate([pixels[:, :-1].ravel(), pixels[:-1].ravel()])
    second = np.concatenate([pixels[:, 1:].ravel(), pixels[1:].ravel()])
    apart = flat[first] != flat[second]
    inside = np.concatenate([first[apart], second[apart]])
    outside = np.concatenate([second[apart], first[apart]])
    order = np.argsort(flat[inside], kind="stable")
    starts = np.searchsorted(flat[inside][order], np.arange(count + 1))
    return _Seams(inside[order], outside[order], starts)
