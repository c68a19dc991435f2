"""Detail for what was generated small and is shown large.

Where a photo of the album shows something alike, the fill takes from it what is finer than the fill's own pixels:
example-based super-resolution (Freeman, Jones and Pasztor, IEEE CG&A 2002), with matches preferred that go on beside
each other as they do in the photo (Ashikhmin, I3D 2001). Elsewhere it gets the photo's grain: noise of the spectrum,
the colours and the strength found in the flat parts around the hole (Galerne, Gousseau and Morel, IEEE TIP 2011).

A cell is what one pixel of the fill covers of the canvas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from realfill.album.canvas import crop_window
from realfill.album.schemas import Window
from realfill.compositing.detail_sources import DetailSources, luma_chroma, region_in_window
from realfill.compositing.film_grain import film_grain
from realfill.core.seeding import numpy_generator
from realfill.imaging.ops import Pixels, resize, to_uint8

_REACH = 2  # cells from a patch's centre to its edge
_EVERY = 2  # cells from one patch to the next
_RIM = _REACH + _EVERY + 1  # cells around a patch's centre that a photo has to show
_EXAMPLES = 60_000  # patches that are searched, over all photos
_AXES = 12  # principal components that they are searched by
_NEAREST = 4  # matches that are looked at for each patch
_SWEEPS = 4
_JUMP = 0.03  # price of each neighbour beside whose match a match does not lie
_STEPS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
_AROUND = 5  # patches, across which the matches' agreement is measured
_SCATTERED, _AGREED = 0.26, 0.43  # agreement up to which nothing is taken, from which on all is
_FLAT = 0.02  # contrast up to which a patch counts as flat
_CONTRAST, _LIGHT, _COLOUR = 0.2, 2.0, 4.0  # weights beside the structure's
_GOOD, _POOR = 0.08, 0.25  # squared distance up to which all is taken, from which on nothing is
_ENLARGED = 1.05  # cells of fewer pixels a side hide no detail
_SHARED = 2  # neighbours away that patches that go on beside each other are placed together
_STIFF = 0.02  # what keeps a patch that shows little structure from being moved inside its cell
_MOVED = 0.75  # cells that it is moved at most
_GAIN = 0.5, 1.5  # least and most that a match's contrast is changed by
_RAISED = 1.6  # most by which the contrast that averaging costs is raised again


def transfer_detail(
    fill: np.ndarray,
    canvas: np.ndarray,
    mask: np.ndarray,
    window: Window,
    place: tuple[slice, slice],
    amount: np.ndarray,
    references: Sequence[Path],
) -> np.ndarray:
    """What to add to the fill when it is enlarged.

    Args:
        fill: [R, R, 3] float32 sRGB in 0..1: the window, in the photo's colours.
        canvas: [H, W, 3] uint8 or float32 sRGB; what is inside the hole is not looked at.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas that the fill shows.
        place: Rows and columns of the canvas, [h, w].
        amount: How much is wanted, [h, w] float32, 0 to 1.
        references: Photos to take it from, beside the canvas.

    Returns:
        [h, w, 3] float32; zero where none is wanted, where the window ends, and where the fill is not enlarged.

    Raises:
        PhotoError: A reference cannot be read.
    """
    detail = np.zeros((*amount.shape, 3), np.float32)
    scale = window.side / len(fill)
    wanted = region_in_window(amount > 0, window, place)  # [side, side] bool
    if scale < _ENLARGED or not wanted.any():
        return detail
    album = DetailSources(
        to_uint8(crop_window(canvas, window)), crop_window(mask, window, fill=255) > 0, scale, window, references
    )
    left, top, width, height = cv2.boundingRect(wanted.astype(np.uint8))
    box = slice(top, top + height), slice(left, left + width)
    found, trust = _found(fill, wanted, box, album)
    grain = film_grain(fill, box, album)
    added = found + np.sqrt(1 - trust**2)[..., None] * grain
    here = tuple(
        slice(b.start + corner - p.start, b.stop + corner - p.start)
        for b, corner, p in zip(box, (window.top, window.left), place, strict=True)
    )
    detail[here] = added * amount[here][..., None]
    return detail


@dataclass(frozen=True)
class _Atlas:
    """All photos, a pixel a cell, one below the other.

    Attributes:
        cells: [h, w, 3] uint8 luma and chroma.
        usable: Where a patch may be centred, [h, w] bool.
        tops: First row of each photo, and the row after the last.
    """

    cells: Pixels
    usable: Pixels
    tops: list[int]

    def examples(self) -> np.ndarray:
        """Where the patches lie that are searched, [M, 2]."""
        spots = np.flatnonzero(self.usable)
        drawn = np.unique(spots[numpy_generator("examples").integers(0, len(spots), _EXAMPLES)])
        return np.stack(np.divmod(drawn, self.usable.shape[1]), axis=1)

    def distance(self, sought: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Squared distance of patches [N, F] from those `at` [N, 2]; infinite where there is none."""
        limit = np.array(self.usable.shape) - 1
        inside = at.clip(_REACH, limit - _REACH)
        usable = self.usable[tuple(inside.T)] & (inside == at).all(axis=1)
        distance = ((sought - _features(self.cells, *inside.T)) ** 2).sum(axis=1)
        return np.where(usable, distance, np.inf)


def _atlas(album: DetailSources) -> _Atlas:
    cells: list[Pixels] = []
    usable: list[Pixels] = []
    for number in range(1 + len(album.references)):
        small = album.small(album.read(number))
        inside = np.zeros(small.shape[:2], bool)
        inside[_RIM:-_RIM, _RIM:-_RIM] = True
        if number == 0:
            known = resize((~album.unknown).astype(np.float32), small.shape[1], small.shape[0]) > 0.999
            inside &= cv2.erode(known.astype(np.uint8), np.ones((2 * _RIM + 1, 2 * _RIM + 1))) > 0
        cells.append(luma_chroma(small) if small.size else small)
        usable.append(inside)
    width = max(small.shape[1] for small in cells)
    return _Atlas(
        np.concatenate([np.pad(c, ((0, 0), (0, width - c.shape[1]), (0, 0))) for c in cells]),
        np.concatenate([np.pad(u, ((0, 0), (0, width - u.shape[1]))) for u in usable]),
        np.cumsum([0] + [len(small) for small in cells]).tolist(),
    )


def _found(
    fill: np.ndarray, wanted: Pixels, box: tuple[slice, slice], album: DetailSources
) -> tuple[np.ndarray, np.ndarray]:
    """Detail of alike patches over a box of the window, [h, w, 3] float32, and how far to trust it, [h, w]."""
    height, width = (side.stop - side.start for side in box)
    summed, trust = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    atlas = _atlas(album)
    if not atlas.usable.any():
        return summed, trust
    lattice = _Lattice.over(wanted, box, album.scale)
    small = np.pad(luma_chroma(to_uint8(fill)), ((_RIM, _RIM), (_RIM, _RIM), (0, 0)), mode="edge")
    sought = _features(small, *(lattice.cells + _RIM).T)  # [N, F]
    at = _coherent(sought, lattice, atlas)  # [N, 2]
    alike = (_POOR - atlas.distance(sought, at)) / (_POOR - _GOOD)
    agreed = (lattice.agreement(at) - _SCATTERED) / (_AGREED - _SCATTERED)
    taken = alike.clip(0, 1) * agreed.clip(0, 1)
    given = _features(atlas.cells, *at.T)
    gain = np.exp((sought - given)[:, -1] / _CONTRAST).clip(*_GAIN)
    moved = _moved(sought, given, lattice.goes_on(at), lattice)
    photo = np.searchsorted(atlas.tops, at[:, 0], side="right") - 1
    power = np.zeros_like(trust)
    for number in np.unique(photo[taken > 0]).tolist():
        fine = album.fine(album.read(number))
        for k in np.flatnonzero((photo == number) & (taken > 0)).tolist():
            source = at[k] - (atlas.tops[number], 0) + moved[k]
            down, across = (
                _Span.of(int(lattice.cells[k, axis]), float(source[axis]), box[axis], album.scale) for axis in (0, 1)
            )
            tile = gain[k] * fine[down.source, across.source]
            weight = taken[k] * down.weight[:, None] * across.weight
            summed[down.here, across.here] += weight[..., None] * tile
            power[down.here, across.here] += weight * (tile**2).sum(axis=2)
            trust[down.here, across.here] += weight
    blur = (0, 0), _EVERY * album.scale
    kept, meant = cv2.GaussianBlur((summed**2).sum(axis=2), *blur), cv2.GaussianBlur(power * trust, *blur)
    raised = np.sqrt(meant / np.maximum(kept, 1e-9)).clip(1, _RAISED)
    return summed * raised[..., None], trust.clip(0, 1)


def _moved(sought: np.ndarray, given: np.ndarray, goes_on: np.ndarray, lattice: _Lattice) -> np.ndarray:
    """How far inside its cell each match lies better, in cells, [N, 2] (Lucas and Kanade, IJCAI 1981).

    Patches that go on beside each other share what they tell, so that they move as one.
    """
    width = 2 * _REACH + 1
    ours, theirs = (features[:, : width**2].reshape(-1, width, width) for features in (sought, given))
    slopes = np.stack(np.gradient(theirs, axis=(1, 2)), axis=-1).reshape(-1, width**2, 2)
    known = slopes.transpose(0, 2, 1) @ np.dstack([slopes, (ours - theirs).reshape(-1, width**2, 1)])  # [N, 2, 3]
    for _ in range(_SHARED):
        known = known + (known[lattice.beside] * goes_on[..., None, None]).sum(axis=1)
    solved = np.linalg.solve(known[..., :2] + _STIFF * np.eye(2), known[..., 2:])[..., 0]
    return np.asarray(solved.clip(-_MOVED, _MOVED))


@dataclass(frozen=True)
class _Span:
    """Where a patch lies along one axis.

    Attributes:
        here: In the box.
        source: In the photo it is taken from.
        weight: Of each pixel, float32; those of neighbouring patches add up to 1.
    """

    here: slice
    source: slice
    weight: np.ndarray

    @classmethod
    def of(cls, cell: int, source: float, edges: slice, scale: float) -> _Span:
        """Of the patch around a cell that is taken from around another, inside the box's edges."""
        centre, reach = (cell + 0.5) * scale - 0.5, _EVERY * scale
        first, last = max(edges.start, math.ceil(centre - reach)), min(edges.stop, math.floor(centre + reach) + 1)
        last = max(first, last)
        shift = round((source - cell) * scale)
        away = np.abs(np.arange(first, last, dtype=np.float32) - centre) / reach
        weight = np.cos(np.pi / 2 * away) ** 2
        return cls(slice(first - edges.start, last - edges.start), slice(first + shift, last + shift), weight)


@dataclass(frozen=True)
class _Lattice:
    """Cells of the fill at which patches are centred, up to two beyond the window.

    Attributes:
        cells: Rows and columns, [N, 2].
        spots: Their rows and columns in the lattice, [N, 2].
        beside: Numbers of the neighbours in the order of `_STEPS`, [N, 4]; -1 where there is none.
    """

    cells: np.ndarray
    spots: np.ndarray
    beside: np.ndarray

    @classmethod
    def over(cls, wanted: Pixels, box: tuple[slice, slice], scale: float) -> _Lattice:
        """All that are needed for the wanted pixels [side, side] of the window, which lie in the box."""
        side = round(len(wanted) / scale)
        reach = np.ones((2 * _EVERY + 1, 2 * _EVERY + 1), np.uint8)
        near = cv2.dilate(resize(wanted.astype(np.float32), side, side), reach) > 0
        first = np.array([int(edges.start / scale) - _EVERY for edges in box])
        last = [min(int(edges.stop / scale), side) + _EVERY for edges in box]
        rows, columns = (np.arange(start, stop, _EVERY) for start, stop in zip(first, last, strict=True))
        grid = near[np.ix_(rows.clip(0, side - 1), columns.clip(0, side - 1))]
        spots = np.argwhere(grid)
        number = np.full((grid.shape[0] + 2, grid.shape[1] + 2), -1)
        number[tuple(spots.T + 1)] = np.arange(len(spots))
        beside = np.stack([number[tuple((spots + step).T + 1)] for step in _STEPS], axis=1)
        return cls(first + _EVERY * spots, spots, beside)

    def goes_on(self, at: np.ndarray) -> np.ndarray:
        """Beside which neighbours' matches each patch's match `at` [N, 2] lies too, [N, 4] bool."""
        return np.asarray((at[self.beside] - _EVERY * _STEPS == at[:, None]).all(axis=2) & (self.beside >= 0))

    def agreement(self, at: np.ndarray) -> np.ndarray:
        """Share of neighbours around each patch whose matches `at` [N, 2] lie beside each other too, [N] float32."""
        same = self.goes_on(at)
        counts = np.zeros((*(self.spots.max(axis=0) + 1), 2), np.float32)
        counts[tuple(self.spots.T)] = np.stack([same.sum(axis=1), (self.beside >= 0).sum(axis=1)], axis=1)
        around = cv2.blur(counts, (_AROUND, _AROUND), borderType=cv2.BORDER_CONSTANT)[tuple(self.spots.T)]
        return np.asarray(around[:, 0] / np.maximum(around[:, 1], 1e-6))


def _coherent(sought: np.ndarray, lattice: _Lattice, atlas: _Atlas) -> np.ndarray:
    """Where in the atlas the most alike patches lie that also lie beside each other, [N, 2]; coordinate descent."""
    examples = atlas.examples()
    options = [examples[nearest] for nearest in _nearest(sought, _features(atlas.cells, *examples.T))]
    at = options[0].copy()
    for half in 2 * _SWEEPS * [0, 1]:
        who = np.flatnonzero(lattice.spots.sum(axis=1) % 2 == half)
        real = lattice.beside[who] >= 0  # [n, 4]
        beside = at[lattice.beside[who]] - _EVERY * _STEPS  # [n, 4, 2]
        choices = [at[who], *(option[who] for option in options)]
        choices += [np.where(real[:, k, None], beside[:, k], at[who]) for k in range(len(_STEPS))]
        prices = []
        for choice in choices:
            jumps = ((beside != choice[:, None]).any(axis=2) & real).sum(axis=1)
            prices.append(atlas.distance(sought[who], choice) + _JUMP * jumps)
        at[who] = np.stack(choices)[np.argmin(prices, axis=0), np.arange(len(who))]
    return at


def _nearest(sought: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """Numbers of about the nearest examples [M, F] of each [N, F], by their principal components, [K, N]."""
    centre = examples.mean(axis=0)
    axes = np.linalg.eigh((examples - centre).T @ (examples - centre))[1][:, -_AXES:]
    tree = cKDTree((examples - centre) @ axes)
    nearest: np.ndarray = tree.query(
        (sought - centre) @ axes, k=[*range(1, min(_NEAREST, len(examples)) + 1)], eps=0.5
    )[1]
    return nearest.T


def _features(cells: Pixels, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Structure, lightness, colour and the logarithm of the contrast of patches centred there, [N, 29] float32."""
    span = np.arange(-_REACH, _REACH + 1)
    luma = cells[rows[:, None, None] + span[:, None], columns[:, None, None] + span, 0]  # [N, 5, 5]
    luma = luma.reshape(len(rows), -1).astype(np.float32) / 255
    mean = luma.mean(axis=1, keepdims=True)
    centred = luma - mean
    contrast = centred.std(axis=1, keepdims=True) + _FLAT
    chroma = cells[rows, columns, 1:].astype(np.float32) / 255
    structure = centred / (contrast * (2 * _REACH + 1))
    return np.hstack([structure, _LIGHT * mean, _COLOUR * chroma, _CONTRAST * np.log(contrast)])
