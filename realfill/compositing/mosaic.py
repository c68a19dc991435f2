"""References warped into the target's view, brought into its light, and fused into one proposal with its confidence.

At every place one reference is taken, not an average of several, which would blur; a smooth labelling (semi-global
matching with Potts' model) prefers the reference that continues the target best, and avoids what others contradict.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from realfill.compositing.color_transfer import with_detail
from realfill.compositing.region import Fusion, Region
from realfill.compositing.seam_leveling import seam_offsets
from realfill.compositing.warped_reference import WarpedReference
from realfill.geometry.sgm import aggregate_costs
from realfill.geometry.warp import remap_prefiltered
from realfill.imaging.ops import float_gray, local_variance
from realfill.photo_io.color_management import read_srgb

_FULL_LIKENESS = 0.5
_APART = 0.15  # distance of colours at which a reference is an outlier
_AS_NEAR = 1.5  # times the parallax of another reference
_ALIKE = 0.08  # distance of colours within which two references confirm each other
_BUSY = 0.25  # deviation of brightness at which a pixel's misplacement makes a reference doubtful
_ALONE = 0.4  # confidence where no other reference tells anything
_ABSENT = 10.0
_HIDDEN = 3.0  # cost of a reference from which something nearer hides the scene
_STRETCHED = 2.0  # cost of each octave by which a reference shows a place coarser than it mostly does
_SWITCH = 1.0  # cost of taking another reference than the neighbouring pixel
_BAND = 0.1  # of the longer side: over which the light of one reference passes into that of the next


def fuse_references(part: Region, candidates: Sequence[WarpedReference]) -> Fusion:
    """Choose a reference for every place; at least one candidate."""
    labels, disagreement = _chosen(candidates)
    confidence = _confidence(candidates, labels, disagreement)
    covered = np.any([candidate.valid for candidate in candidates], axis=0)
    left, top, right, bottom = part.box
    size = (right - left, bottom - top)
    reached = cv2.resize(covered.astype(np.float32), size) > 0.99
    sure = np.rint(cv2.resize(confidence, size) * 255).clip(1, 255)
    return Fusion(
        np.rint(_mosaic(part, candidates, labels).clip(0, 1) * 255).astype(np.uint8),
        np.where(reached, sure, 0).astype(np.uint8),
        [candidate.path.name for number, candidate in enumerate(candidates) if (labels == number).any()],
        part.cut(part.mask) > 0,
    )


def _mosaic(part: Region, candidates: Sequence[WarpedReference], labels: np.ndarray) -> np.ndarray:
    """The chosen references at full size, blended in frequency bands, [h, w, 3] float32.

    Burt and Adelson, ACM Transactions on Graphics 1983. The others continue a reference where it shows nothing.
    """
    left, top, right, bottom = part.box
    size = (right - left, bottom - top)
    full = cv2.resize(labels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    base, layers = np.zeros((size[1], size[0], 3), np.float32), []
    offsets = seam_offsets([c.colours for c in candidates], [c.valid for c in candidates], labels)
    for number in np.unique(labels).tolist():
        candidate = candidates[number]
        colours, valid = remap_prefiltered(read_srgb(candidate.path), *candidate.warp.maps(*part.grid(full=True)))
        colours = with_detail(candidate.light(colours), candidate.gains) + cv2.resize(offsets[number], size)
        base[full == number] = colours[full == number]
        layers.append((number, colours, valid))
    if len(layers) == 1:
        return base
    levels = max(1, int(np.log2(max(size) * _BAND)))
    bands: list[np.ndarray] = []
    for number, colours, valid in layers:
        whole = np.where(valid[..., None], colours, base)
        weight = (full == number).astype(np.float32)
        for level, band in enumerate(_bands(whole, weight, levels)):
            if level < len(bands):
                bands[level] += band
            else:
                bands.append(band)
    mosaic = bands[-1]
    for band in reversed(bands[:-1]):
        mosaic = cv2.pyrUp(mosaic, dstsize=band.shape[1::-1]) + band
    return mosaic


def _bands(image: np.ndarray, weight: np.ndarray, levels: int) -> Iterator[np.ndarray]:
    """The weighted bands of an image's Laplacian pyramid, the finest first."""
    for _ in range(levels):
        coarse = cv2.pyrDown(image)
        yield weight[..., None] * (image - cv2.pyrUp(coarse, dstsize=image.shape[1::-1]))
        image, weight = coarse, cv2.pyrDown(weight)
    yield weight[..., None] * image


def _chosen(candidates: Sequence[WarpedReference]) -> tuple[np.ndarray, np.ndarray]:
    """Number of the reference to take [h, w], and how far each is contradicted by the others [K, h, w]."""
    disagreement = np.stack([_photometric_disagreement(candidates, number) for number in range(len(candidates))])
    best = min(candidate.light.error for candidate in candidates)
    closest = max(candidate.likeness for candidate in candidates)
    widest = max(candidate.warp.parallax for candidate in candidates) or 1.0
    sharpest = min(candidate.gains[0] for candidate in candidates)
    cost = np.stack(
        [
            candidate.light.error / best
            + closest / candidate.likeness
            + 2 * candidate.warp.parallax / widest
            + candidate.gains[0] / sharpest
            + 2 * np.minimum(off / _APART, 1)
            + _HIDDEN * ~candidate.seen
            + _STRETCHED * candidate.stretch
            for candidate, off in zip(candidates, disagreement, strict=True)
        ],
        axis=-1,
    ).astype(np.float32)  # [h, w, K]
    cost[~np.stack([candidate.valid for candidate in candidates], axis=-1)] = _ABSENT
    return aggregate_costs(cost, _SWITCH, _SWITCH).argmin(axis=-1), disagreement


def _photometric_disagreement(candidates: Sequence[WarpedReference], number: int) -> np.ndarray:
    """How far a reference lies from what at least two others agree on, [h, w] float32, distance of colours.

    Only those count whose view is about as near: where the depth is wrong, farther ones are wrong together.
    """
    near = _AS_NEAR * candidates[number].warp.parallax
    others = [c for place, c in enumerate(candidates) if place != number and c.warp.parallax <= near]
    own = candidates[number].colours
    if len(others) < 2:
        return np.zeros(own.shape[:2], np.float32)
    colours = np.stack([np.where(c.seen[..., None], c.colours, np.nan) for c in others])  # [K - 1, h, w, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # places that no other reference shows
        middle = np.nanmedian(colours, axis=0)
    spread = np.nan_to_num(np.linalg.norm(colours - middle, axis=-1)).max(axis=0)
    apart = np.nan_to_num(np.linalg.norm(own - middle, axis=-1)) - 1.5 * spread
    enough = np.sum([candidate.seen for candidate in others], axis=0) >= 2
    return cv2.GaussianBlur(np.where(enough, np.maximum(apart, 0), 0).astype(np.float32), (0, 0), 2.0)


def _confidence(candidates: Sequence[WarpedReference], labels: np.ndarray, disagreement: np.ndarray) -> np.ndarray:
    """How far the chosen reference is to be believed, [h, w] float32, 0 to 1.

    As far as it resembles the target around the hole, another reference shows the same, and a misplacement by a pixel
    would not show.
    """
    taken = labels[None, ..., None]
    colours = np.take_along_axis(np.stack([c.colours for c in candidates]), taken, axis=0)[0]  # [h, w, 3]
    support = np.full(labels.shape, _ALONE, np.float32)
    for number, candidate in enumerate(candidates):
        apart = cv2.GaussianBlur(np.linalg.norm(candidate.colours - colours, axis=-1), (0, 0), 2.0)
        told = candidate.seen & (labels != number)
        support = np.where(told, np.maximum(support, np.exp(-((apart / _ALIKE) ** 2))), support)
    contradicted = np.take_along_axis(disagreement, labels[None], axis=0)[0]
    support *= np.exp(-((contradicted / _APART) ** 2))
    seen = np.take_along_axis(np.stack([c.seen for c in candidates]), labels[None], axis=0)[0]
    support = np.where(seen, support, np.minimum(support, _ALONE))
    support *= np.exp(-local_variance(float_gray(colours)) / _BUSY**2)
    exact = np.array([c.warp.exact for c in candidates])[labels]
    support = np.where(exact, support, np.minimum(support, _ALONE))
    trust = np.array([(c.likeness / _FULL_LIKENESS) for c in candidates]).clip(0, 1)[labels]
    return (support * trust).astype(np.float32)
