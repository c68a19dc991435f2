"""Add detail to a fill that was generated small and is shown large.

Where a photo of the album shows something similar, the fill takes from it what is finer than the fill's own pixels:
example-based super-resolution (Freeman, Jones and Pasztor, IEEE Computer Graphics and Applications 2002), with a
preference for matches that lie beside each other in the photo as the patches do in the fill. Elsewhere it gets film
grain like that of the photo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.compositing.detail_sources import DetailSources, crop_area_to_window, to_smooth_ycrcb
from realfill.compositing.film_grain import FilmGrainSettings, synthesize_film_grain
from realfill.compositing.patch_features import compute_contrast_gain, compute_patch_features
from realfill.compositing.patch_lattice import PatchLattice
from realfill.compositing.patch_registration import PatchRegistrationSettings, register_patches
from realfill.compositing.patch_search import (
    PatchAtlas,
    PatchSearchSettings,
    build_patch_atlas,
    search_coherent_matches,
)
from realfill.core.failures import require_finite, skip_failing
from realfill.imaging.ops import Pixels, to_uint8


@dataclass(frozen=True)
class DetailTransferSettings:
    """When detail is taken from a match, and how strong it is.

    Attributes:
        min_scale: Pixels per cell below which the fill is not enlarged enough to lack detail. Set by hand.
        good_distance: Squared distance of the features up to which a match counts in full. Set by hand.
        poor_distance: Squared distance at or above which a match does not count. Set by hand.
        coherence_window: Side of the surroundings in which the coherence of the matches is measured, patches. Set by
            hand.
        no_coherence: Share of coherent neighbors up to which a match does not count. Set by hand.
        full_coherence: Share of coherent neighbors at or above which a match counts in full. Set by hand.
        min_gain: Least factor by which a match's detail is scaled to the contrast of its patch. Set by hand.
        max_gain: Greatest such factor. Set by hand.
        max_energy_gain: Greatest factor by which detail is scaled to make up for what averaging overlapping patches
            takes from it. Set by hand.
        search: Settings of the search for matches.
        registration: Settings of their registration.
        grain: Settings of the film grain.
    """

    min_scale: float = 1.05
    good_distance: float = 0.08
    poor_distance: float = 0.25
    coherence_window: int = 5
    no_coherence: float = 0.26
    full_coherence: float = 0.43
    min_gain: float = 0.5
    max_gain: float = 1.5
    max_energy_gain: float = 1.6
    search: PatchSearchSettings = PatchSearchSettings()
    registration: PatchRegistrationSettings = PatchRegistrationSettings()
    grain: FilmGrainSettings = FilmGrainSettings()


def transfer_detail(
    fill: np.ndarray,
    sources: DetailSources,
    area: tuple[slice, slice],
    amount: np.ndarray,
    settings: DetailTransferSettings = DetailTransferSettings(),
) -> np.ndarray:
    """Make the detail that is to be added to the enlarged fill.

    Args:
        fill: [R, R, 3] float32 RGB in 0..1: the window, in the photo's colors.
        sources: The canvas in the window, and the references.
        area: Rows and columns of the canvas, [h, w].
        amount: How much of the detail is wanted, [h, w] float32, 0 to 1.
        settings: When detail is taken from a match, and how strong it is.

    Returns:
        [h, w, 3] float32; zero where none is wanted, outside the window, and where the fill is not enlarged.

    Raises:
        PhotoError: A reference cannot be read.
    """
    detail = np.zeros((*amount.shape, 3), np.float32)
    window = sources.window
    wanted = crop_area_to_window(amount > 0, area, window)  # [side, side] bool
    if sources.scale < settings.min_scale or not wanted.any():
        return detail
    left, top, width, height = cv2.boundingRect(wanted.astype(np.uint8))
    box = slice(top, top + height), slice(left, left + width)
    transferred, trust = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    with skip_failing("The transfer of the photos' detail"):
        transferred, trust = _transfer_from_photos(fill, wanted, box, sources, settings)
    grain = np.zeros_like(transferred)
    with skip_failing("The film grain"):
        grain = synthesize_film_grain(fill, box, sources, settings.grain)
    here = tuple(
        slice(span.start + corner - start.start, span.stop + corner - start.start)
        for span, corner, start in zip(box, (window.top, window.left), area, strict=True)
    )
    detail[here] = (transferred + np.sqrt(1 - trust**2)[..., None] * grain) * amount[here][..., None]
    return detail


@dataclass(frozen=True)
class _Matches:
    """Where the patches of a lattice take their detail from.

    Attributes:
        centers: Rows and columns in the atlas, [N, 2].
        shifts: Where the matches lie more precisely, relative to their centers, [N, 2], cells.
        weights: How far each match counts, [N], 0 to 1.
        gains: Factors of their detail, [N].
    """

    centers: np.ndarray
    shifts: np.ndarray
    weights: np.ndarray
    gains: np.ndarray


def _transfer_from_photos(
    fill: np.ndarray,
    wanted: Pixels,
    box: tuple[slice, slice],
    sources: DetailSources,
    settings: DetailTransferSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Take the detail of similar patches over a box of the window.

    Returns:
        The detail, [h, w, 3] float32, and how far it is to be trusted, [h, w] float32, 0 to 1.
    """
    height, width = (span.stop - span.start for span in box)
    atlas = build_patch_atlas(sources, settings.search)
    if not atlas.usable.any():
        return np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    lattice = PatchLattice.covering(wanted, box, sources.scale, settings.search.stride)
    matches = _match_patches(fill, lattice, atlas, sources, settings)
    return _average_patches(matches, lattice, box, atlas, sources, settings)


def _match_patches(
    fill: np.ndarray,
    lattice: PatchLattice,
    atlas: PatchAtlas,
    sources: DetailSources,
    settings: DetailTransferSettings,
) -> _Matches:
    """Search matches for all patches, and tell how far each is to be used."""
    margin = settings.search.margin
    cells = to_smooth_ycrcb(to_uint8(fill), sources.settings)
    padded = np.pad(cells, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    features = compute_patch_features(padded, lattice.cells + margin, settings.search.features)  # [N, F]
    centers = search_coherent_matches(features, lattice, atlas, settings.search)  # [N, 2]
    distance = atlas.squared_distances(features, centers)
    coherence = lattice.measure_coherence(centers, settings.coherence_window)
    similar = (settings.poor_distance - distance) / (settings.poor_distance - settings.good_distance)
    coherent = (coherence - settings.no_coherence) / (settings.full_coherence - settings.no_coherence)
    match_features = atlas.describe(centers)
    shifts = register_patches(
        features,
        match_features,
        lattice.are_coherent(centers),
        lattice,
        settings.search.features,
        settings.registration,
    )
    gains = compute_contrast_gain(features, match_features, settings.search.features)
    return _Matches(
        centers,
        shifts,
        similar.clip(0, 1) * coherent.clip(0, 1),
        gains.clip(settings.min_gain, settings.max_gain),
    )


def _average_patches(
    matches: _Matches,
    lattice: PatchLattice,
    box: tuple[slice, slice],
    atlas: PatchAtlas,
    sources: DetailSources,
    settings: DetailTransferSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Average the detail of overlapping patches over a box of the window.

    Returns:
        The detail, [h, w, 3] float32, and the sum of the weights, [h, w] float32, 0 to 1.
    """
    height, width = (span.stop - span.start for span in box)
    detail = np.zeros((height, width, 3), np.float32)
    trust, energy = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    photos = atlas.photo_numbers(matches.centers)  # [N]
    used = matches.weights > 0
    for number in np.unique(photos[used]).tolist():
        photo_detail = sources.extract_detail(sources.read(number))
        for k in np.flatnonzero((photos == number) & used).tolist():
            source = matches.centers[k] - (atlas.first_rows[number], 0) + matches.shifts[k]
            rows, columns = (
                _PatchSpan.around(int(lattice.cells[k, axis]), float(source[axis]), box[axis], sources.scale, lattice)
                for axis in (0, 1)
            )
            tile = matches.gains[k] * photo_detail[rows.source, columns.source]
            weight = matches.weights[k] * rows.weight[:, None] * columns.weight
            detail[rows.target, columns.target] += weight[..., None] * tile
            energy[rows.target, columns.target] += weight * (tile**2).sum(axis=2)
            trust[rows.target, columns.target] += weight
    gain = _energy_gain(detail, energy * trust, lattice.stride * sources.scale, settings.max_energy_gain)
    require_finite(detail=detail, trust=trust, gain=gain)
    return detail * gain[..., None], trust.clip(0, 1)


def _energy_gain(detail: np.ndarray, energy: np.ndarray, sigma: float, most: float) -> np.ndarray:
    """Factor that gives averaged detail [h, w, 3] the energy [h, w] of what was averaged, [h, w], 1 to `most`."""
    kept, wanted = (cv2.GaussianBlur(values, (0, 0), sigma) for values in ((detail**2).sum(axis=2), energy))
    return np.asarray(np.sqrt(wanted / np.maximum(kept, 1e-9)).clip(1, most))


@dataclass(frozen=True)
class _PatchSpan:
    """Pixels of a patch along one axis.

    Attributes:
        target: In the box.
        source: In the photo that the detail is taken from.
        weight: Of each pixel, float32; the weights of neighboring patches add up to 1.
    """

    target: slice
    source: slice
    weight: np.ndarray

    @classmethod
    def around(cls, cell: int, source: float, box: slice, scale: float, lattice: PatchLattice) -> _PatchSpan:
        """The pixels of the patch around a cell, whose match lies around the cell `source` of a photo."""
        center, reach = (cell + 0.5) * scale - 0.5, lattice.stride * scale
        first = max(box.start, math.ceil(center - reach))
        last = max(first, min(box.stop, math.floor(center + reach) + 1))
        shift = round((source - cell) * scale)
        distance = np.abs(np.arange(first, last, dtype=np.float32) - center) / reach
        weight = np.cos(np.pi / 2 * distance) ** 2
        return cls(slice(first - box.start, last - box.start), slice(first + shift, last + shift), weight)
