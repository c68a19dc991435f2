"""Layers of an album in the review: the photo, what it was before, other candidates, maps, and the references."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realfill.album.placement import read_proposal
from realfill.album.schemas import AuthenticityClass, InputPhoto, RankedCandidate
from realfill.album.store import canvas_path, mask_path, read_inputs, read_rows, read_window
from realfill.core.hashing import digest_json
from realfill.core.params import Params, Region
from realfill.core.validation import validate_section
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb, to_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.report.pictures import colorize_authenticity, draw_hatched
from realfill.review.collection import FinishedAlbum
from realfill.review.decisions import Decision
from realfill.review.mask_edits import read_described_hole, read_repainted
from realfill.review.pyramid import PatchedPyramid, Pyramid, PyramidCache

Patch = tuple[Pixels, int, int]  # [h, w, 3] uint8 sRGB, and its left and top edge on the canvas
Box = tuple[int, int, int, int]
_MASK_COLOR = (204, 121, 167, 150)  # sRGB and alpha; reddish purple of Okabe and Ito's palette


class Kind(StrEnum):
    """What a layer shows."""

    AFTER = "after"
    BEFORE = "before"
    CHOICE = "choice"
    CANDIDATE = "candidate"
    AUTHENTICITY = "authenticity"
    PLACED = "placed"
    MASK = "mask"
    REFERENCE = "reference"


@dataclass(frozen=True)
class Layer:
    """A layer.

    Attributes:
        kind: What it shows.
        number: Of the candidate, or of the reference from 0; 0 for others.
        version: Digest of what it is made of; its tiles never change.
        label: What it is called.
        width: Pixels.
        height: Pixels.
    """

    kind: Kind
    number: int
    version: str
    label: str
    width: int
    height: int


@dataclass(frozen=True)
class LayerSettings:
    """What is shown of an album.

    Attributes:
        map_side: Longer side at which doubtful places are searched for, pixels. Set by hand.
        min_place: Least size of a doubtful place, as a share of the canvas. Set by hand.
        max_places: Upper limit of their number. Set by hand.
    """

    map_side: int = 1024
    min_place: float = 2e-5
    max_places: int = 50


class Layers:
    """The layers of all albums.

    Args:
        journal_folder: The folder of the journal, which holds the masks that strokes start from.
    """

    def __init__(self, journal_folder: Path) -> None:
        self._folder = journal_folder
        self._cache = PyramidCache()
        self._described: dict[str, tuple[tuple[str, str], list[Layer]]] = {}
        self._blending = threading.Lock()  # one at a time: blending takes much memory

    def describe(self, album: FinishedAlbum, decision: Decision) -> list[Layer]:
        """The layers of an album, as it is decided now."""
        state = album.provenance["digest"], decision.choice
        if self._described.get(album.name, (None,))[0] != state:
            self._described[album.name] = state, _describe(album, decision)
        return self._described[album.name][1]

    def find(self, album: FinishedAlbum, decision: Decision, kind: Kind, number: int) -> Layer | None:
        """The layer of this kind and number as it is now, or None."""
        layers = self.describe(album, decision)
        return next((layer for layer in layers if (layer.kind, layer.number) == (kind, number)), None)

    def pyramid(self, album: FinishedAlbum, decision: Decision, layer: Layer) -> Pyramid:
        """The pyramid of a layer.

        Raises:
            RealFillError: What it is made of cannot be read.
        """
        key = album.name, layer.kind, layer.number, layer.version
        return self._cache.get(key, lambda: self._build(album, decision, layer))

    def prepare(self, album: FinishedAlbum, decision: Decision, candidates: int) -> None:
        """Blend the best candidates of an album ahead, so that they are shown at once."""
        layers = [layer for layer in self.describe(album, decision) if layer.kind is Kind.CANDIDATE]
        for layer in layers[:candidates]:
            self._preview(album, layer)

    def _build(self, album: FinishedAlbum, decision: Decision, layer: Layer) -> Pyramid:
        match layer.kind:
            case Kind.AFTER:
                return Pyramid.build(read_srgb(album.photo))
            case Kind.BEFORE:
                return Pyramid.build(_read_before(album))
            case Kind.MASK:
                return Pyramid.build(self._draw_mask(album, decision))
            case Kind.REFERENCE:
                return Pyramid.build(read_srgb(album.album.root / _references(album)[layer.number].file))
            case Kind.CANDIDATE:
                patch, left, top = self._preview(album, layer)
            case Kind.CHOICE:
                with self._blending:
                    patch, left, top = _compose(album, decision.wanted_candidate, decision.regions)
            case Kind.AUTHENTICITY:
                patch, left, top = _draw_authenticity(album)
            case Kind.PLACED:
                patch, left, top = _draw_placed(album)
        return PatchedPyramid(self.pyramid(album, decision, self.describe(album, decision)[0]), patch, left, top)

    def _preview(self, album: FinishedAlbum, layer: Layer) -> Patch:
        """The part of the photo that a candidate changes; kept beside the album's stages."""
        folder = album.album.work(".previews") / album.provenance["digest"][:16]
        with self._blending:
            for path in folder.glob(f"{layer.number}_*.png"):
                _, left, top = path.stem.split("_")
                return read_png(path), int(left), int(top)
            patch, left, top = _compose(album, layer.number, ())
            _remove_other_previews(folder)
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f"{layer.number}.partial"
            write_png(partial, patch)
            partial.rename(folder / f"{layer.number}_{left}_{top}.png")
            return patch, left, top

    def _draw_mask(self, album: FinishedAlbum, decision: Decision) -> Pixels:
        """The mask as it is repainted, [H, W, 4] uint8, transparent where the photo is kept."""
        window = read_window(album.album)
        mask = np.zeros((window.canvas_height, window.canvas_width), np.uint8)
        rows, columns = slice(window.photo_top, None), slice(window.photo_left, None)
        if decision.strokes:
            hole = read_repainted(decision.base, decision.strokes, self._folder)
        else:
            hole = read_described_hole(album.album)
        mask[rows, columns][: hole.shape[0], : hole.shape[1]] = hole
        colors = np.zeros((*mask.shape, 4), np.uint8)
        colors[mask > 0] = _MASK_COLOR
        return colors


def find_doubtful_places(album: FinishedAlbum, settings: LayerSettings = LayerSettings()) -> list[Box]:
    """Find where the fill is generated or uncertain, the largest place first.

    Returns:
        Left, top, width and height of each, pixels of the canvas.
    """
    path = album.album.completed / "authenticity.png"
    if not path.is_file():
        return []
    doubtful = (read_png(path) == AuthenticityClass.GENERATED_ONLY).astype(np.uint8)
    height, width = doubtful.shape
    scale = min(1.0, settings.map_side / max(height, width))
    small = cv2.resize(doubtful * 255, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) > 0
    joined = cv2.dilate(small.astype(np.uint8), np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    places = sorted((stats[label].tolist() for label in range(1, count)), key=lambda place: -place[4])
    least = settings.min_place * small.size
    factors = np.array([width / small.shape[1], height / small.shape[0]] * 2)
    boxes = [np.rint(np.array(place[:4]) * factors).astype(int) for place in places if place[4] >= least]
    return [tuple(box.tolist()) for box in boxes[: settings.max_places]]


def describe_candidates(album: FinishedAlbum) -> list[dict[str, Any]]:
    """The candidates of an album as JSON types, the best-ranked first; `delivered` tells which the photo shows."""
    delivered = album.provenance["candidate"]
    return [asdict(row) | {"delivered": row.candidate == delivered} for row in _ranking(album)]


def _describe(album: FinishedAlbum, decision: Decision) -> list[Layer]:
    window, photo = read_window(album.album), album.provenance["digest"][:16]
    size = (window.canvas_width, window.canvas_height)
    layers = [Layer(Kind.AFTER, 0, photo, "Photo", *size), Layer(Kind.BEFORE, 0, photo, "Before", *size)]
    if decision.candidate is not None or decision.regions:
        layers.append(Layer(Kind.CHOICE, 0, _version(photo, decision.choice), "Choice", *size))
    for row in _ranking(album):
        label = f"Candidate {row.candidate}"
        layers.append(Layer(Kind.CANDIDATE, row.candidate, photo, label, *size))
    layers.append(Layer(Kind.AUTHENTICITY, 0, photo, "Authenticity", *size))
    layers.append(Layer(Kind.PLACED, 0, photo, "Placed references", *size))
    strokes = [stroke.model_dump(mode="json") for stroke in decision.strokes]
    layers.append(Layer(Kind.MASK, 0, _version(photo, strokes), "Mask", *size))
    for number, row in enumerate(_references(album)):
        name = row.file.rpartition("/")[2]
        layers.append(Layer(Kind.REFERENCE, number, row.digest[:16], name, row.width, row.height))
    return layers


def _version(*parts: Any) -> str:
    return digest_json(parts)[:16]


def _ranking(album: FinishedAlbum) -> list[RankedCandidate]:
    return read_rows(album.album.work("rank") / "ranking.parquet", RankedCandidate)


def _references(album: FinishedAlbum) -> list[InputPhoto]:
    return [row for row in read_inputs(album.album) if row.role == "reference" and row.verdict == "accepted"]


def _read_before(album: FinishedAlbum) -> Pixels:
    """The target on the canvas, [H, W, 3] uint8 sRGB."""
    window = read_window(album.album)
    canvas = np.zeros((window.canvas_height, window.canvas_width, 3), np.uint8)
    target = read_srgb(album.album.target)
    canvas[window.photo_top :, window.photo_left :][: target.shape[0], : target.shape[1]] = target
    return canvas


def _compose(album: FinishedAlbum, candidate: int | str, regions: Sequence[Region]) -> Patch:
    """Complete the photo with other candidates, with the parameters that it was made with."""
    from realfill.stages.blend import compose  # loads torch

    made_with = album.provenance["params"]["blend"]
    choice = {"candidate": candidate, "regions": [region.model_dump() for region in regions]}
    params = validate_section(Params, {"blend": made_with | choice}, album.album.provenance)
    composition = compose(album.album, params)
    left, top, right, bottom = composition.box
    photo = composition.photo
    alpha = None if photo.alpha is None else photo.alpha[top:bottom, left:right]
    return to_srgb(replace(photo, pixels=photo.pixels[top:bottom, left:right], alpha=alpha)), left, top


def _draw_authenticity(album: FinishedAlbum) -> Patch:
    """The photo below its authenticity map, where it was filled."""
    mask = read_png(mask_path(album.album))
    left, top, width, height = cv2.boundingRect(mask)
    area = np.s_[top : top + height, left : left + width]
    path = album.album.completed / "authenticity.png"
    colors = colorize_authenticity(read_png(path)[area], mask[area])
    photo, opacity = read_srgb(album.photo)[area], colors[..., 3:] / np.float32(255)
    return np.rint(photo * (1 - opacity) + colors[..., :3] * opacity).astype(np.uint8), left, top


def _draw_placed(album: FinishedAlbum) -> Patch:
    """The references' own pixels where they belong; what they do not cover is hatched."""
    mask = read_png(mask_path(album.album))
    left, top, width, height = cv2.boundingRect(mask)
    area = np.s_[top : top + height, left : left + width]
    hatched = draw_hatched(read_png(canvas_path(album.album))[area], mask[area])
    proposal = read_proposal(album.album)
    if proposal is None:
        return hatched, left, top
    placed = proposal.crop(left, top, width, height)
    shown = (placed.confidence > 0) & (mask[area] > 0)
    return np.where(shown[..., None], placed.colors, hatched), left, top


def _remove_other_previews(folder: Path) -> None:
    """Remove the previews of photos that this one replaced."""
    for other in folder.parent.glob("*"):
        if other.is_dir() and other != folder:
            shutil.rmtree(other, ignore_errors=True)
