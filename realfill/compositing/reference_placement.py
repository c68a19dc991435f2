"""Fill a region of the target from the references, by the way that restores pseudo-holes best.

"geometry": a model of the scene, "depth" or "plane": cameras and a depth map, or homographies; see
    `geometry.reference_warps`.
"approximate": similarities deformed by the matches, where the scene moved; see `geometry.moving_least_squares`.
    Nothing of it is certain.
"patches": nothing is placed; patches of the album complete the whole hole; see `patch_completion`.
"own_patches": the same by patches of the target alone.

What a model leaves open is completed by patches of the target and of what was placed: no reference shows it. Where
the computation of one fails, the next one is tried. Where geometry is certain of enough of the hole, it is not tried
whether patches alone would do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import takewhile
from pathlib import Path

from realfill.album.placement import CERTAIN, LIKELY
from realfill.compositing.mosaic import Mosaic, MosaicSettings, build_mosaic
from realfill.compositing.patch_completion import PatchCompletionSettings
from realfill.compositing.pseudo_holes import PseudoHoleSettings, measure_errors
from realfill.compositing.scene import Scene
from realfill.compositing.scene_completion import complete_region, complete_scene_by_album
from realfill.compositing.warped_reference import (
    WarpedReference,
    WarpedReferenceSettings,
    filter_by_similarity,
    warp_and_match_color,
)
from realfill.core.failures import skip_failing
from realfill.core.parallel import map_parallel
from realfill.geometry.camera import IntrinsicsPrior
from realfill.geometry.depth_consistency import ReferenceDepth
from realfill.geometry.moving_least_squares import MovingLeastSquaresSettings, moving_least_squares_warps
from realfill.geometry.reference_depth import estimate_reference_depths
from realfill.geometry.reference_warps import ReferenceWarpSettings, estimate_reference_warps, reconstruct_scene
from realfill.geometry.warp import Warp
from realfill.imaging.ops import Pixels, fill_from_nearest, resize, to_uint8
from realfill.imaging.region import Region
from realfill.matching.album_matches import AlbumMatchSettings, match_album, shrink_for_matching
from realfill.matching.photometric_alignment import PhotometricAlignmentSettings, align_colors
from realfill.photo_io.color_management import read_rgb
from realfill.photo_io.photo_cache import ReadRgb


@dataclass(frozen=True)
class PlacementSettings:
    """When a way of filling is accepted, and how references are placed.

    Attributes:
        min_likely: Share of the hole of which depth or plane has to be at least likely to be taken where there is no
            room for pseudo-holes. On twelve such views with .015 or more it was .2 dB worse than approximate
            alignment at most, and up to 1.9 dB better; with .007 (flowerwoman) it tore a figure.
        certain_without_patches: Share of the hole of which depth or plane has to be certain for patches not to be
            tried. On the 45 views of 11 albums that had as much by the map of that time, patches had at least .98 of
            its error, and are preferred with less than .6. Approximate alignment is always tried: it was preferred
            where depth or plane was certain of .51, .58 and .73, and people had moved.
        matching: How the photos are matched.
        geometry: How references are warped by depth or by planes.
        colors: How the photos' colors are aligned, for depth.
        deformation: How references are aligned approximately.
        warped: When a warped reference is used.
        mosaic: How references are composed.
        pseudo_holes: By which the ways are compared.
        min_gains: Share by which the error of a way has to lie below that of depth or plane to replace it; the other
            ways are compared with each other on the same terms. Measured on 21 views of 13 albums: approximate
            alignment with .9 of the error or less was better in the hole too on all three views, by .9 to 2.1 dB, and
            with about the same error worse by 3 dB. What surrounds a hole is easier for patches than the hole: those
            of the album with .9 to .95 of the error were better on one view of four, and worse by up to 5.7 dB, those
            of the target alone worse by 3.7 dB with .74 and by .7 with .63.
        patches: How patches are searched.
    """

    min_likely: float = 0.01
    certain_without_patches: float = 0.25
    matching: AlbumMatchSettings = AlbumMatchSettings()
    geometry: ReferenceWarpSettings = ReferenceWarpSettings()
    colors: PhotometricAlignmentSettings = PhotometricAlignmentSettings()
    deformation: MovingLeastSquaresSettings = MovingLeastSquaresSettings()
    warped: WarpedReferenceSettings = WarpedReferenceSettings()
    mosaic: MosaicSettings = MosaicSettings()
    pseudo_holes: PseudoHoleSettings = PseudoHoleSettings()
    min_gains: Mapping[str, float] = field(
        default_factory=lambda: {"approximate": 0.08, "patches": 0.4, "own_patches": 0.4}
    )
    patches: PatchCompletionSettings = PatchCompletionSettings()


@dataclass(frozen=True)
class Placement:
    """What was placed in a region.

    Attributes:
        model: See `PlacementSummary.model`.
        mosaic: The references by this model; None where the model is "none".
        completed: [h, w, 3] uint8 sRGB, the region at its working scale: the mosaic, the rest of the hole completed
            by patches.
        errors: Error of each way of filling in the pseudo-holes, 8-bit levels; empty where there are none.
        scene: What is known of the scene.
    """

    model: str
    mosaic: Mosaic | None
    completed: Pixels
    errors: dict[str, float]
    scene: Scene


def place_references(
    region: Region,
    references: Sequence[Path],
    priors: Sequence[IntrinsicsPrior],
    max_references: int,
    settings: PlacementSettings = PlacementSettings(),
    kept_matches: Path | None = None,
    read: ReadRgb = read_rgb,
) -> Placement:
    """Match the references with the target, choose a way of filling by pseudo-holes, and fill the region by it.

    Args:
        region: Where to place them.
        references: Their files.
        priors: What is known of the intrinsics of the target, then of each reference.
        max_references: How many references are used at most.
        settings: When a way is accepted.
        kept_matches: As `kept` of `match_album`.
        read: How the references are read, again and again.

    Raises:
        ModelError: The matcher's weights are not installed.
        StageError: Structure from motion cannot run.
    """
    photos = [shrink_for_matching(region.canvas, settings.matching)]
    photos += [shrink_for_matching(read(path, region.profile), settings.matching) for path in references]
    sides = [max(prior.width, prior.height) for prior in priors]
    matches = match_album(photos, sides, region.mask, max_references, settings.matching, kept_matches)
    reconstruction = reconstruct_scene(matches, priors, settings.geometry)
    scene = Scene(region, references, priors, photos, matches, reconstruction, read=read)
    return fill_scene(scene, settings)


def fill_scene(scene: Scene, settings: PlacementSettings = PlacementSettings()) -> Placement:
    """Fill the region by the way that restores the pseudo-holes best.

    Depth or plane is preferred. Where there is no room for pseudo-holes it is taken where some of it is likely, and
    the approximate alignment elsewhere.
    """
    scene = replace(scene, reference_depths=_estimate_reference_depths(scene, settings))
    trials = {way: _try_placing(way, settings) for way in _PLACING} | {
        way: _try_patches(way, settings) for way in _PATCHES
    }

    def try_ways(*ways: str) -> dict[str, float]:
        return measure_errors(scene, {way: trials[way] for way in ways}, settings.pseudo_holes)

    @cache
    def place(way: str) -> tuple[str, Mosaic | None]:
        return _PLACING[way](scene, settings)

    errors = try_ways("geometry", "approximate")
    _, by_geometry = place("geometry")
    certain, likely = (by_geometry.hole_share(least) if by_geometry else 0.0 for least in (CERTAIN, LIKELY))
    if "geometry" not in errors or certain < settings.certain_without_patches:
        errors |= try_ways(*_PATCHES)
    ways = _rank_ways(errors, settings)
    if not errors and likely < settings.min_likely:
        ways.remove("geometry")
    for way in takewhile(lambda way: way in _PLACING, ways):
        model, mosaic = place(way)
        if mosaic is not None and mosaic.filled.any():
            rest = scene.region.fill(mosaic.colors, mosaic.filled)
            return Placement(model, mosaic, complete_region(rest, settings.patches), errors, scene)
    completed = (_PATCHES[way](scene, settings) for way in ways if way in _PATCHES)
    return Placement("none", None, next(picture for picture in completed if picture is not None), errors, scene)


def _rank_ways(errors: Mapping[str, float], settings: PlacementSettings) -> list[str]:
    """Rank the ways of filling by their errors in the pseudo-holes, the best one first; untried ones come last."""
    ways = [*_PLACING, *_PATCHES]
    return sorted(ways, key=lambda way: errors.get(way, math.inf) / (1 - settings.min_gains.get(way, 0)))


def _try_placing(way: str, settings: PlacementSettings) -> Callable[[Scene], Pixels | None]:
    """The trial of a model of the scene: what it does not place is filled from nearby, not by patches."""

    def fill(scene: Scene) -> Pixels | None:
        _, mosaic = _PLACING[way](scene, settings)
        return None if mosaic is None else fill_from_nearest(to_uint8(mosaic.colors), mosaic.confidence > 0)

    return fill


def _try_patches(way: str, settings: PlacementSettings) -> Callable[[Scene], Pixels | None]:
    """The trial of patches alone."""

    def fill(scene: Scene) -> Pixels | None:
        completed = _PATCHES[way](scene, settings)
        return None if completed is None else resize(completed, *scene.region.full_size)

    return fill


def _estimate_reference_depths(scene: Scene, settings: PlacementSettings) -> list[ReferenceDepth]:
    """Estimate the references' depth maps, which serve the pseudo-holes and the hole."""
    if scene.reconstruction is None:
        return []
    error, depth = settings.geometry.max_point_error, settings.geometry.reference_depth
    aligned = align_colors(scene.photos, scene.sides, scene.matches, settings.colors)
    return estimate_reference_depths(scene.reconstruction, aligned, scene.priors, error, depth)


def _place_by_geometry(scene: Scene, settings: PlacementSettings) -> tuple[str, Mosaic | None]:
    """Compose the references by the first model of which the computation does not fail."""
    models = estimate_reference_warps(
        scene.region,
        scene.reconstruction,
        scene.matches,
        scene.photos,
        scene.priors,
        settings.geometry,
        scene.reference_depths,
    )
    for model, warps in models:
        with skip_failing(f"The placement by the model {model!r}"):
            return model, _compose(scene, _warp_references(scene, warps, settings), settings)
    return "none", None


def _align_approximately(scene: Scene, settings: PlacementSettings) -> tuple[str, Mosaic | None]:
    """Compose the references that match the target; those that match only these fill what is left of the hole."""
    with skip_failing("The approximate alignment"):
        direct_warps, indirect_warps = moving_least_squares_warps(scene.matches, scene.sides, settings.deformation)
        direct = _warp_references(scene, direct_warps, settings)
        mosaic = _compose(scene, direct, settings)
        if mosaic is None or not indirect_warps:
            return "approximate", mosaic
        rest = scene.region.fill(mosaic.colors, mosaic.filled)
        if not rest.mask.any():
            return "approximate", mosaic
        with skip_failing("The approximate alignment through other references"):
            indirect = _warp_references(replace(scene, region=rest), indirect_warps, settings)
            visible = [replace(r, visible=r.visible & rest.hole) for r in indirect]
            return "approximate", _compose(scene, [*direct, *visible], settings)
        return "approximate", mosaic
    return "none", None


_PLACING: Mapping[str, Callable[[Scene, PlacementSettings], tuple[str, Mosaic | None]]] = {
    "geometry": _place_by_geometry,
    "approximate": _align_approximately,
}
_PATCHES: Mapping[str, Callable[[Scene, PlacementSettings], Pixels | None]] = {
    "own_patches": lambda scene, settings: complete_region(scene.region, settings.patches),
    "patches": lambda scene, settings: complete_scene_by_album(scene, settings.patches, settings.deformation),
}


def _warp_references(scene: Scene, warps: dict[int, Warp], settings: PlacementSettings) -> list[WarpedReference]:
    """Warp references, numbered from 1, and keep those that resemble the target around the hole."""

    def place(number: int) -> WarpedReference | None:
        path = scene.references[number - 1]
        with skip_failing(f"The placement of {path.name}"):
            return warp_and_match_color(scene.region, path, warps[number], settings.warped, scene.read)
        return None

    return filter_by_similarity(map_parallel(place, sorted(warps)), settings.warped)


def _compose(scene: Scene, warped: Sequence[WarpedReference], settings: PlacementSettings) -> Mosaic | None:
    return build_mosaic(scene.region, warped, settings.mosaic) if warped else None
