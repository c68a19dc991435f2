"""FIXME DOCSTRING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from realfill.album.placement import CERTAIN
from realfill.compositing.mosaic import fuse_references
from realfill.compositing.region import Fusion, Region
from realfill.compositing.warped_reference import WarpedReference, filter_by_similarity, warp_and_match_color
from realfill.core.params import AlignParams
from realfill.geometry.camera import IntrinsicsPrior
from realfill.geometry.moving_least_squares import moving_least_squares_warps
from realfill.geometry.reference_warps import reference_warps
from realfill.geometry.warp import Warp
from realfill.matching.album_matches import match_album, shrink_for_matching
from realfill.photo_io.color_management import read_srgb

_LEAST_CERTAIN = 0.03  # of the hole: with less, the geometry may be wrong altogether


def place_references(
    part: Region, references: Sequence[Path], lenses: Sequence[IntrinsicsPrior], params: AlignParams
) -> tuple[str, Fusion | None]:
    """The model that says how the references lie over the part, and what they say; "none" and None if none does."""
    photos = [shrink_for_matching(part.canvas), *(shrink_for_matching(read_srgb(path)) for path in references)]
    matches = match_album(photos, lenses, part.mask, params.references)
    warps, model = reference_warps(part, matches, photos, lenses)
    candidates = _warped_references(part, references, warps)
    fusion = fuse_references(part, candidates) if candidates else None
    if fusion and fusion.share(CERTAIN) >= _LEAST_CERTAIN:
        return model, fusion
    near, far = moving_least_squares_warps(matches, [max(lens.width, lens.height) for lens in lenses])
    fusion = _approximate_alignment(part, references, near, far)
    return ("loose", fusion) if fusion else ("none", None)


def _warped_references(part: Region, references: Sequence[Path], warps: dict[int, Warp]) -> list[WarpedReference]:
    return filter_by_similarity(
        [warp_and_match_color(part, references[number - 1], warp) for number, warp in sorted(warps.items())]
    )


def _approximate_alignment(
    part: Region, references: Sequence[Path], near: dict[int, Warp], far: dict[int, Warp]
) -> Fusion | None:
    """The references that share something with the part, and in what they leave open those that do with them."""
    candidates = _warped_references(part, references, near)
    if not candidates:
        return None
    fusion = fuse_references(part, candidates)
    beyond = part.filled(fusion)
    if not far or not beyond.mask.any():
        return fusion
    others = [replace(one, seen=one.seen & beyond.hole) for one in _warped_references(beyond, references, far)]
    return fuse_references(part, [*candidates, *others])
