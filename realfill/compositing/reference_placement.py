"""Place the references in a region by the first model of the scene that fits.

"depth" or "plane": cameras and a depth map, or homographies; see `geometry.reference_warps`. Accepted where the
    references agree well enough to make some of the hole certain.
"approximate": similarities deformed by the matches, where the scene moved; see `geometry.moving_least_squares`.
    Nothing of it is certain.
"none": no reference resembles the target around the hole.

Where the computation of one fails, the next one is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from realfill.album.placement import CERTAIN
from realfill.compositing.mosaic import Mosaic, MosaicSettings, build_mosaic
from realfill.compositing.warped_reference import (
    WarpedReference,
    WarpedReferenceSettings,
    filter_by_similarity,
    warp_and_match_color,
)
from realfill.core.failures import skip_failing
from realfill.geometry.camera import IntrinsicsPrior
from realfill.geometry.moving_least_squares import MovingLeastSquaresSettings, moving_least_squares_warps
from realfill.geometry.reference_warps import ReferenceWarpSettings, estimate_reference_warps
from realfill.geometry.warp import Warp
from realfill.imaging.region import Region
from realfill.matching.album_matches import AlbumMatchSettings, match_album, shrink_for_matching
from realfill.matching.correspondences import Matches
from realfill.photo_io.color_management import read_srgb


@dataclass(frozen=True)
class PlacementSettings:
    """When a model of the scene is accepted, and how references are placed by it.

    Attributes:
        min_certain: Share of the hole that has to be certain for depth or plane to be accepted; with less, the
            geometry may be wrong altogether. Set by hand.
        matching: How the photos are matched.
        geometry: How references are warped by depth or by planes.
        deformation: How references are aligned approximately.
        warped: When a warped reference is used.
        mosaic: How references are composed.
    """

    min_certain: float = 0.03
    matching: AlbumMatchSettings = AlbumMatchSettings()
    geometry: ReferenceWarpSettings = ReferenceWarpSettings()
    deformation: MovingLeastSquaresSettings = MovingLeastSquaresSettings()
    warped: WarpedReferenceSettings = WarpedReferenceSettings()
    mosaic: MosaicSettings = MosaicSettings()


def place_references(
    region: Region,
    references: Sequence[Path],
    priors: Sequence[IntrinsicsPrior],
    max_references: int,
    settings: PlacementSettings = PlacementSettings(),
) -> tuple[str, Mosaic | None]:
    """Match the references with the target, choose a model of the scene, and compose the references by it.

    Args:
        region: Where to place them.
        references: Their files.
        priors: What is known of the intrinsics of the target, then of each reference.
        max_references: How many references are used at most.
        settings: When a model is accepted.

    Returns:
        The model, see `PlacementSummary.model`, and the mosaic; "none" and None where no reference can be placed.

    Raises:
        ModelError: The matcher's weights are not installed.
        StageError: Structure from motion cannot run.
    """
    images = chain([region.canvas], map(read_srgb, references))  # one at a time in memory
    photos = [shrink_for_matching(image, settings.matching) for image in images]
    sides = [max(prior.width, prior.height) for prior in priors]
    matches = match_album(photos, sides, region.mask, max_references, settings.matching)
    models = estimate_reference_warps(region, matches, photos, priors, settings.geometry)
    model, mosaic = _place_by_geometry(region, references, models, settings)
    if mosaic is not None and mosaic.hole_share(CERTAIN) >= settings.min_certain:
        return model, mosaic
    mosaic = None
    with skip_failing("The approximate alignment"):
        mosaic = _align_approximately(region, references, sides, matches, settings)
    return ("none", None) if mosaic is None else ("approximate", mosaic)


def _place_by_geometry(
    region: Region,
    references: Sequence[Path],
    models: Sequence[tuple[str, dict[int, Warp]]],
    settings: PlacementSettings,
) -> tuple[str, Mosaic | None]:
    """Compose the references by the first model of which the computation does not fail."""
    for model, warps in models:
        with skip_failing(f"The placement by the model {model!r}"):
            return model, _compose(region, _warp_references(region, references, warps, settings), settings)
    return "none", None


def _align_approximately(
    region: Region,
    references: Sequence[Path],
    sides: Sequence[int],
    matches: dict[tuple[int, int], Matches],
    settings: PlacementSettings,
) -> Mosaic | None:
    """Compose the references that match the target; those that match only these fill what is left of the hole."""
    direct_warps, indirect_warps = moving_least_squares_warps(matches, sides, settings.deformation)
    direct = _warp_references(region, references, direct_warps, settings)
    mosaic = _compose(region, direct, settings)
    if mosaic is None or not indirect_warps:
        return mosaic
    rest = region.fill(mosaic.colors, mosaic.filled)
    if not rest.mask.any():
        return mosaic
    with skip_failing("The approximate alignment through other references"):
        indirect = _warp_references(rest, references, indirect_warps, settings)
        visible = [replace(r, visible=r.visible & rest.hole) for r in indirect]
        return _compose(region, [*direct, *visible], settings)
    return mosaic


def _warp_references(
    region: Region, references: Sequence[Path], warps: dict[int, Warp], settings: PlacementSettings
) -> list[WarpedReference]:
    """Warp references, numbered from 1, and keep those that resemble the target around the hole."""
    warped = []
    for number, warp in sorted(warps.items()):
        with skip_failing(f"The placement of {references[number - 1].name}"):
            warped.append(warp_and_match_color(region, references[number - 1], warp, settings.warped))
    return filter_by_similarity(warped, settings.warped)


def _compose(region: Region, warped: Sequence[WarpedReference], settings: PlacementSettings) -> Mosaic | None:
    return build_mosaic(region, warped, settings.mosaic) if warped else None
