"""Compose the warped references into one mosaic that covers the hole, with a confidence for every pixel.

Each place shows one reference instead of an average of several, which would blur; its coarser bands follow what the
others agree on. Regions whose seams would show are merged. The other seams go through what looks alike, are leveled
and blended in frequency bands, and the whole is leveled to the tone of the photo around the hole. Where depth breaks
though the reference is even, its two sides are leveled too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.compositing.consensus import ConsensusSettings, estimate_consensus_offset
from realfill.compositing.mosaic_confidence import ConfidenceSettings, estimate_confidence
from realfill.compositing.reference_labeling import Labeling, LabelingSettings, label_references
from realfill.compositing.region_merging import RegionMergingSettings, merge_regions
from realfill.compositing.seam_finding import SeamFindingSettings, find_seams
from realfill.compositing.seam_leveling import SeamLevelingSettings, estimate_seam_offsets
from realfill.compositing.surface_breaks import cut_at_breaks
from realfill.compositing.tone_leveling import ToneLevelingSettings, level_tone
from realfill.compositing.warped_reference import WarpedReference
from realfill.core.failures import require_finite, skip_failing
from realfill.core.parallel import map_parallel
from realfill.imaging.ops import Pixels, fill_from_nearest, to_float, to_uint8, to_uint16
from realfill.imaging.pyramid import blend_pyramids
from realfill.imaging.region import Region


@dataclass(frozen=True)
class MosaicSettings:
    """How references are composed.

    Attributes:
        seam_width: Width over which the coarsest band blends one reference into the next, as a share of the region's
            longer side; set by hand.
        min_coverage: Share of a pixel, after resizing to full size, that references have to cover; set by hand.
        labeling: How the reference for a pixel is chosen.
        merging: When regions whose seams would show are merged.
        seams: How far its seams move to where references look alike.
        confidence: How reliable it is.
        leveling: How the seams are leveled.
        consensus: How far the colors follow those of other references.
        tone: How the tone is leveled.
    """

    seam_width: float = 0.1
    min_coverage: float = 0.99
    labeling: LabelingSettings = LabelingSettings()
    merging: RegionMergingSettings = RegionMergingSettings()
    seams: SeamFindingSettings = SeamFindingSettings()
    confidence: ConfidenceSettings = ConfidenceSettings()
    leveling: SeamLevelingSettings = SeamLevelingSettings()
    consensus: ConsensusSettings = ConsensusSettings()
    tone: ToneLevelingSettings = ToneLevelingSettings()


@dataclass(frozen=True)
class Mosaic:
    """What the references show of a region, at full size.

    Attributes:
        colors: [h, w, 3] in the working space, uint8, or uint16 where that is wider than sRGB.
        confidence: [h, w] uint8: 0 where no reference shows anything, else 1 to 255.
        references: Names of the references that it shows.
        hole: bool [h, w].
    """

    colors: Pixels
    confidence: Pixels
    references: list[str]
    hole: np.ndarray

    @property
    def filled(self) -> np.ndarray:
        """Where the mosaic covers the hole, bool [h, w]."""
        return np.asarray(self.hole & (self.confidence > 0))

    def hole_share(self, min_confidence: int) -> float:
        """Share of the hole with at least this confidence, 0 to 1, rounded to 4 decimals."""
        return round(float((self.confidence[self.hole] >= min_confidence).mean()), 4)


def build_mosaic(
    region: Region, references: Sequence[WarpedReference], settings: MosaicSettings = MosaicSettings()
) -> Mosaic:
    """Compose references into a mosaic of a region.

    Args:
        region: What the references were warped into.
        references: At least one.
        settings: How they are composed.

    Raises:
        NumericalError: Costs, colors or confidence are not finite.
    """
    labeling = merge_regions(references, label_references(references, settings.labeling), settings.merging)
    labeling = find_seams(references, labeling, settings.seams)
    confidence = estimate_confidence(references, labeling.labels, labeling.disagreement, settings.confidence)
    size = region.full_size
    valid = np.any([reference.valid for reference in references], axis=0)
    covered = cv2.resize(valid.astype(np.float32), size) > settings.min_coverage
    hole = region.crop(region.mask) > 0
    offset = cv2.resize(estimate_consensus_offset(references, labeling, settings.consensus), size)
    blended = _blend(region, references, labeling, settings) + offset
    colors = _level_tone(region, blended, covered & ~hole, hole, settings)
    require_finite(colors=colors, confidence=confidence)
    return Mosaic(
        colors=to_uint16(colors) if region.profile else to_uint8(colors),
        confidence=np.where(covered, np.rint(cv2.resize(confidence, size) * 255).clip(1, 255), 0).astype(np.uint8),
        references=[r.path.name for number, r in enumerate(references) if (labeling.labels == number).any()],
        hole=hole,
    )


def _blend(
    region: Region, references: Sequence[WarpedReference], labeling: Labeling, settings: MosaicSettings
) -> np.ndarray:
    """Blend the references that the labels choose at full size, [H, W, 3] float32.

    Where a reference shows nothing beside its seams, or what the others do not, the unblended mosaic continues it.
    """
    size = region.full_size
    full_labels = cv2.resize(labeling.labels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    layers = _warp_at_full_size(region, references, labeling, settings)
    unblended = np.zeros((size[1], size[0], 3), np.float32)
    for number, colors, _ in layers:
        np.copyto(unblended, colors, where=(full_labels == number)[..., None])
    if len(layers) == 1:
        return unblended
    levels = max(1, int(np.log2(max(size) * settings.seam_width)))
    return blend_pyramids(
        (
            (np.where(valid[..., None], colors, unblended), (full_labels == number).astype(np.float32))
            for number, colors, valid in layers
        ),
        levels,
    )


def _level_tone(
    region: Region, colors: np.ndarray, known: np.ndarray, hole: np.ndarray, settings: MosaicSettings
) -> np.ndarray:
    """Level the tone of colors [H, W, 3] float32 at full size to the photo's around the hole."""
    with skip_failing("The leveling of the tone"):
        return level_tone(colors, to_float(region.crop(region.canvas)), known, hole, settings.tone)
    return colors


def _warp_at_full_size(
    region: Region, references: Sequence[WarpedReference], labeling: Labeling, settings: MosaicSettings
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Warp the chosen references at full size and match color, sharpness and their seams.

    Returns:
        Number, colors [H, W, 3] float32, and bool [H, W] of each: where it shows what the others show.
    """
    size = region.full_size
    pieces, surfaces = cut_at_breaks(labeling.labels, [r.breaks for r in references])
    offsets = [np.zeros((1, 1, 3), np.float32)] * len(surfaces)
    with skip_failing("The leveling of the seams"):
        shared = [r.valid & ~outlier for r, outlier in zip(references, labeling.outliers, strict=True)]
        pictures = [references[surface.reference].colors for surface in surfaces]
        extents = [shared[surface.reference] & surface.extent for surface in surfaces]
        offsets = estimate_seam_offsets(pictures, extents, pieces, settings.leveling)

    def level(number: int) -> np.ndarray:
        own = [piece for piece, surface in enumerate(surfaces) if surface.reference == number]
        if len(own) == 1:
            return cv2.resize(offsets[own[0]], size)
        nearest = fill_from_nearest(pieces, np.isin(pieces, own))
        shares = [cv2.resize((nearest == piece).astype(np.float32), size)[..., None] for piece in own]
        return sum(share * cv2.resize(offsets[piece], size) for piece, share in zip(own, shares, strict=True))

    def warp(number: int) -> tuple[int, np.ndarray, np.ndarray]:
        reference = references[number]
        colors = reference.band_gains.apply(reference.color_transform.apply(to_float(reference.full_colors)))
        inlier = cv2.resize(labeling.outliers[number].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 0
        return number, colors + level(number), reference.full_valid & inlier

    return map_parallel(warp, np.unique(labeling.labels).tolist())
