"""Put a candidate into the photo at its native size.

The fill's colours are matched to the ring around the hole by a smooth offset; then fill and photo are blended in
frequency bands (Burt and Adelson, ACM Transactions on Graphics 1983) across a feather that lies outside the hole.
What the canvas holds inside the hole never enters; what lies beyond the feather stays as it is, bit by bit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.sparse import csc_array, diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve

from realfill import authenticity
from realfill.album import Album
from realfill.artifacts import (
    Candidate,
    Ranked,
    Verified,
    Window,
    accepted_references,
    canvas_path,
    mask_path,
    read_rows,
    read_window,
)
from realfill.detail import detail_of
from realfill.errors import AlbumError, ParamsError
from realfill.files import publishing, write_json
from realfill.images import Photo, distance_to, from_srgb, read, read_png, resize, square, write_lossless, write_png
from realfill.params import BlendParams, Params
from realfill.proposal import Proposal, read_proposal

_GRID = 96  # cells a side of the window, on which the colour offset is solved
_RING = 3.0  # cells in which a measurement loses its weight away from the rim
_STIFFNESS = 4.0  # cells squared
_SPREAD = 6 / 255  # a measurement this far off weighs half
_ROUNDS = 6
_DOUBT = 0.05**2  # variance of brightness below which a gain is not to be trusted


@dataclass(frozen=True)
class BlendResult:
    """What was blended.

    Attributes:
        candidate: Number of the candidate.
        composite: The completed photo in the target's own colour space and depth.
        feather: Width of the blend band around the hole, pixels.
        box: Left, top, right, bottom (exclusive) of everything that changed, pixels of the canvas.
    """

    candidate: int
    composite: Path
    feather: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Patch:
    """What is laid over the canvas.

    Attributes:
        place: Its rows and columns.
        colours: [h, w, 3] float32 sRGB in 0..1.
        weight: How much of them, [h, w] float32: 1 in the hole, falling to 0 across the feather.
    """

    place: tuple[slice, slice]
    colours: np.ndarray
    weight: np.ndarray

    def over(self, below: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Lay `colours` [h, w, C] over the pixels there, of any dtype; weight 0 leaves them untouched."""
        weight = self.weight[..., None]
        mixed = (1 - weight) * below + weight * colours
        if np.issubdtype(below.dtype, np.integer):
            mixed = np.rint(mixed)
        return np.where(weight > 0, mixed.astype(below.dtype), below)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom (exclusive) of everything that changes, pixels of the canvas."""
        left, top, width, height = cv2.boundingRect((self.weight > 0).astype(np.uint8))
        left, top = left + self.place[1].start, top + self.place[0].start
        return left, top, left + width, top + height


def run(album: Album, params: Params) -> BlendResult:
    """Write the completed photo as composite.tif.

    Raises:
        StageError: `validate`, `masks`, `sample` or `rank` has not run.
        ParamsError: There is no candidate of that number.
        PhotoError: The target or a reference cannot be read any more.
        AlbumError: The target changed since `masks` ran, or a reference went since `validate` ran.
    """
    row, candidate = _chosen(album, params.blend)
    window, mask, proposal = read_window(album), read_png(mask_path(album)), read_proposal(album)
    references = accepted_references(album) if params.blend.detail else None
    canvas = read_png(canvas_path(album))
    patch = patch_of(canvas, mask, window, candidate, params.blend, proposal, row.kind, references)
    photo = read(album.target, max_megapixels=params.validate_.max_megapixels)
    if (photo.width, photo.height) != (window.photo_width, window.photo_height):
        raise AlbumError("The target changed since the mask was made.", "Run the album again.", album.target)
    composite = put(on_canvas(photo, window), patch)
    feather = feather_of(window, params.blend)
    with publishing(album.work("blend")) as folder:
        write_lossless(folder / "composite.tif", composite)
        kinds = authenticity.of(mask, proposal, row.kind, _confirmed(album, row.candidate), window)
        write_png(folder / "authenticity.png", kinds)
        shares = authenticity.shares(kinds)
        write_json(
            folder / "blend.json",
            {"candidate": row.candidate, "feather": feather, "box": patch.box, "authenticity": shares},
        )
    return BlendResult(row.candidate, album.work("blend") / "composite.tif", feather, patch.box)


def compose(
    canvas: np.ndarray,
    mask: np.ndarray,
    window: Window,
    candidate: np.ndarray,
    params: BlendParams,
    proposal: Proposal | None = None,
    kind: str = "noise",
    references: Sequence[Path] | None = None,
) -> np.ndarray:
    """Complete a canvas.

    Args:
        canvas: [H, W, 3] float32 sRGB in 0..1; what is inside the hole is not looked at.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas that the candidate shows.
        candidate: [R, R, 3] uint8 sRGB: all of the window, the known part as the model sees it too.
        params: Feather and colour matching.
        proposal: What `align` placed.
        kind: Of the candidate: "noise" shows nothing of the proposal, "guided" what is certain, "placed" all.
        references: Photos to take detail from for what is not shown of the proposal; without them none is added.

    Returns:
        [H, W, 3] float32; identical to `canvas` beyond the feather.
    """
    patch = patch_of(canvas, mask, window, candidate, params, proposal, kind, references)
    completed = canvas.copy()
    completed[patch.place] = patch.over(canvas[patch.place], patch.colours)
    return completed


def put(photo: Photo, patch: Patch) -> Photo:
    """Complete a photo of the canvas's size in its own colour space and depth; the patch becomes opaque."""
    pixels = photo.pixels.copy()
    pixels[patch.place] = patch.over(pixels[patch.place], from_srgb(patch.colours, photo))
    if photo.alpha is None:
        return dataclasses.replace(photo, pixels=pixels)
    alpha = photo.alpha.copy()
    alpha[patch.place][patch.weight > 0] = np.iinfo(alpha.dtype).max
    return dataclasses.replace(photo, pixels=pixels, alpha=alpha)


def on_canvas(photo: Photo, window: Window) -> Photo:
    """Place a photo on the canvas; the rest is zero."""
    right = window.canvas_width - window.photo_left - photo.width
    bottom = window.canvas_height - window.photo_top - photo.height
    pads = ((window.photo_top, bottom), (window.photo_left, right))
    alpha = None if photo.alpha is None else np.pad(photo.alpha, pads)
    return dataclasses.replace(photo, pixels=np.pad(photo.pixels, (*pads, (0, 0))), alpha=alpha)


def feather_of(window: Window, params: BlendParams) -> int:
    """Width of the blend band around the hole, pixels."""
    return round(params.feather / 100 * window.side)


def patch_of(
    canvas: np.ndarray,
    mask: np.ndarray,
    window: Window,
    candidate: np.ndarray,
    params: BlendParams,
    proposal: Proposal | None = None,
    kind: str = "noise",
    references: Sequence[Path] | None = None,
) -> Patch:
    """What `compose` lays over the canvas, which may be uint8 here; one colour of one crop at a time is worked on.

    Where the candidate shows the proposal, the proposal's own pixels take the place of the candidate's upsampled
    ones, in the colours that the candidate is brought to. With references the rest of it gets detail.
    """
    feather = feather_of(window, params)
    place = _place(mask, 3 * feather + 2)
    hole = mask[place] > 0  # [h, w]
    distance = distance_to(hole)
    known = (distance > feather / 2).astype(np.float32)
    levels = int(math.log2(max(feather, 1)))
    fill = candidate.astype(np.float32) / 255  # [R, R, 3]
    if params.match_colour:
        fill = matched(canvas, mask, window, fill)
    colours = np.empty((*hole.shape, 3), np.float32)
    nearness = np.clip(1 - distance / (feather + 1), 0, 1)
    weight = np.where(distance <= feather, nearness**2 * (3 - 2 * nearness), 0).astype(np.float32)
    placed = None if proposal is None or kind == "noise" else proposal.over(*_extent(place))
    shown = np.zeros(hole.shape, np.float32) if placed is None else placed.weight(kind)
    added = None
    if references is not None:
        amount = np.where(weight > 0, 1 - shown, 0).astype(np.float32)
        added = detail_of(fill, canvas, mask, window, place, amount, references)
    plain = candidate.astype(np.float32) / 255
    for channel in range(3):
        grown = _grown(fill[..., channel], window, place)
        if placed is not None:
            finer = _unit(placed.colours[..., channel]) - _grown(plain[..., channel], window, place)
            grown += shown * finer
        if added is not None:
            grown += added[..., channel]
        difference = np.where(hole, 0, _unit(canvas[place][..., channel]) - grown)
        colours[..., channel] = grown + _banded(difference, known, levels)
    return Patch(place, np.clip(colours, 0, 1), weight)


def matched(canvas: np.ndarray, mask: np.ndarray, window: Window, candidate: np.ndarray) -> np.ndarray:
    """Bring a candidate to the colours of the photo, as told by the ring around the hole, which both show.

    One gain a colour, then an offset that minimises sum w |o - d|^2 + stiffness |grad o|^2 over the window, d the
    differences left in the ring: it continues them smoothly into the hole. The weights w fall away from the rim, and
    with the distance from what was found (Cauchy's; by iterated reweighting): where the candidate continues the
    photo wrongly, a difference is one of content rather than of colour.

    Args:
        canvas: [H, W, 3] uint8 or float32 sRGB.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas that the candidate shows.
        candidate: [R, R, 3] float32 sRGB in 0..1.

    Returns:
        [R, R, 3] float32, perhaps slightly beyond 0..1; the candidate itself where nothing is known around the hole.
    """
    known = square((cv2.dilate(mask, np.ones((5, 5))) == 0).astype(np.float32), window, fill=0)  # [side, side]
    share = resize(known, _GRID, _GRID)
    ring = share > 0.9
    if not ring.any():
        return candidate
    seen = [resize(_unit(square(canvas[..., c], window)) * known, _GRID, _GRID) for c in range(3)]
    wanted = (np.dstack(seen) / np.maximum(share, 0.9)[..., None])[ring].astype(np.float64)  # [M, 3]
    given = resize(candidate, _GRID, _GRID)[ring].astype(np.float64)  # [M, 3]
    hole = resize((square(mask, window, fill=0) > 0).astype(np.float32), _GRID, _GRID) > 0
    away = distance_to(hole)
    trust = np.exp((away[ring].min() - away[ring]) / _RING).astype(np.float64)  # [M]
    gain, bias = _gain(given, wanted, trust)
    offset = _offset(wanted - gain * given, bias, trust, ring)
    height, width = candidate.shape[:2]
    return np.asarray(candidate * gain + resize(offset, width, height), np.float32)


def _gain(given: np.ndarray, wanted: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Robust line wanted = gain * given + bias a colour, [3] each; a gain that little speaks for stays near 1."""
    gain, bias = np.ones(3), np.median((wanted - given)[trust > 1 / 3], axis=0)
    for _ in range(_ROUNDS):
        weight = _robust(wanted - gain * given - bias, trust)
        x, y = (values - np.average(values, axis=0, weights=weight) for values in (given, wanted))
        spread, shared = (np.average(values, axis=0, weights=weight) for values in (x * x, x * y))
        gain = ((shared + _DOUBT) / (spread + _DOUBT)).clip(0.6, 1.6)
        bias = np.average(wanted - gain * given, axis=0, weights=weight)
    return gain, bias


def _offset(wanted: np.ndarray, bias: np.ndarray, trust: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Smooth offset over the grid, [96, 96, 3] float32, from differences [M, 3] in the ring [96, 96] bool."""
    bending = _STIFFNESS * _laplacian(_GRID)
    offset = np.broadcast_to(bias, (_GRID * _GRID, 3))
    for _ in range(_ROUNDS):
        weight, pulled = np.zeros(_GRID * _GRID), np.zeros((_GRID * _GRID, 3))
        weight[ring.ravel()] = _robust(wanted - offset[ring.ravel()], trust)
        pulled[ring.ravel()] = weight[ring.ravel(), None] * wanted
        offset = spsolve(csc_array(bending + diags_array(weight)), pulled)
    return offset.reshape(_GRID, _GRID, 3).astype(np.float32)


def _robust(residual: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Cauchy's weights of residuals [M, 3], times `trust` [M]."""
    return np.asarray(trust / (1 + (residual**2).sum(axis=1) / _SPREAD**2))


def _laplacian(side: int) -> csc_array:
    """Graph Laplacian of a square grid."""
    line = diags_array(
        [-np.ones(side - 1), np.r_[1, np.full(side - 2, 2), 1], -np.ones(side - 1)], offsets=[-1, 0, 1]
    )
    return csc_array(kron(line, eye_array(side)) + kron(eye_array(side), line))


def _banded(difference: np.ndarray, weight: np.ndarray, levels: int) -> np.ndarray:
    """Weigh the bands of a plane's Laplacian pyramid, the coarser the smoother, and add them up again."""
    if levels == 0:
        return np.asarray(weight * difference)
    size = difference.shape[::-1]
    coarse = cv2.pyrDown(difference)
    fine = difference - cv2.pyrUp(coarse, dstsize=size)
    return np.asarray(weight * fine + cv2.pyrUp(_banded(coarse, cv2.pyrDown(weight), levels - 1), dstsize=size))


def _grown(plane: np.ndarray, window: Window, place: tuple[slice, slice]) -> np.ndarray:
    """A plane [R, R] of the window at native size, cut to a place in the canvas; its edge is repeated beyond it."""
    full = resize(plane, window.side, window.side)
    rows = np.arange(place[0].start, place[0].stop) - window.top
    columns = np.arange(place[1].start, place[1].stop) - window.left
    return np.asarray(full[np.ix_(rows.clip(0, window.side - 1), columns.clip(0, window.side - 1))])


def _place(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of the mask's bounding box and a margin, within the canvas."""
    left, top, width, height = cv2.boundingRect(mask)
    rows = slice(max(0, top - margin), min(mask.shape[0], top + height + margin))
    return rows, slice(max(0, left - margin), min(mask.shape[1], left + width + margin))


def _extent(place: tuple[slice, slice]) -> tuple[int, int, int, int]:
    """Left, top, width, height."""
    rows, columns = place
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


def _confirmed(album: Album, candidate: int) -> np.ndarray:
    """Verified matches of a candidate, columns and rows of the canvas, [N, 2]."""
    rows = read_rows(album.work("rank") / "verified.parquet", Verified)
    return np.array([(row.x, row.y) for row in rows if row.candidate == candidate]).reshape(-1, 2)


def _unit(plane: np.ndarray) -> np.ndarray:
    return plane.astype(np.float32) / 255 if plane.dtype == np.uint8 else plane


def _chosen(album: Album, params: BlendParams) -> tuple[Candidate, np.ndarray]:
    folder = album.work("sample")
    rows = {row.candidate: row for row in read_rows(folder / "candidates.parquet", Candidate)}
    if params.candidate == "best":
        number = read_rows(album.work("rank") / "ranking.parquet", Ranked)[0].candidate
    else:
        number = params.candidate
    if number not in rows:
        known = ", ".join(map(str, sorted(rows)))
        raise ParamsError(f"There is no candidate {number}.", f"Set blend.candidate to best or one of {known}.")
    return rows[number], read_png(folder / rows[number].file)
