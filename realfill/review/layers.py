"""Layers of an album in the review: the photo, what it was before, other candidates, maps, and the references."""

from __future__ import annotations

import shutil
import threading
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from realfill.album.schemas import InputPhoto, RankedCandidate
from realfill.album.store import find_preview, read_inputs, read_rows, read_window
from realfill.core.hashing import digest_json
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.review.collection import FinishedAlbum
from realfill.review.decisions import Decision
from realfill.review.layer_pixels import (
    Patch,
    compose_candidates,
    draw_authenticity,
    draw_mask,
    draw_placed,
    find_doubtful_places,
    read_before,
)
from realfill.review.mask_edits import read_described_hole, read_repainted
from realfill.review.pyramid import LazyPyramid, PatchedPyramid, Pyramid, PyramidCache


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


class Layers:
    """The layers of all albums.

    Args:
        journal_folder: The folder of the journal, which holds the masks that strokes start from.
    """

    def __init__(self, journal_folder: Path) -> None:
        self._folder = journal_folder
        self._cache = PyramidCache()
        self._described: dict[str, tuple[tuple[str, str], list[Layer]]] = {}
        self._facts: dict[str, tuple[str, dict[str, Any]]] = {}
        self._blending = threading.Lock()  # one at a time: blending takes much memory

    def describe(self, album: FinishedAlbum, decision: Decision) -> list[Layer]:
        """The layers of an album, as it is decided now."""
        state = album.provenance["digest"], decision.choice
        if self._described.get(album.name, (None,))[0] != state:
            self._described[album.name] = state, _describe(album, decision)
        return self._described[album.name][1]

    def facts(self, album: FinishedAlbum) -> dict[str, Any]:
        """What the page shows of a finished album, whatever is decided about it, as JSON types."""
        state = album.provenance["digest"]
        if self._facts.get(album.name, (None,))[0] != state:
            window = read_window(album.album)
            facts = {
                "candidates": _describe_candidates(album),
                "doubtful": find_doubtful_places(album),
                "deliveredRegions": list(album.provenance["params"]["blend"].get("regions", ())),
                "photoBox": [window.photo_left, window.photo_top, window.photo_width, window.photo_height],
            }
            self._facts[album.name] = state, facts
        return self._facts[album.name][1]

    def find(self, album: FinishedAlbum, decision: Decision, kind: Kind, number: int) -> Layer | None:
        """The layer of this kind and number as it is now, or None."""
        layers = self.describe(album, decision)
        return next((layer for layer in layers if (layer.kind, layer.number) == (kind, number)), None)

    def pyramid(self, album: FinishedAlbum, decision: Decision, layer: Layer) -> Pyramid:
        """The pyramid of a layer.

        Raises:
            RealFillError: What it is made of cannot be read.
        """
        if layer.kind is Kind.CANDIDATE and _is_delivered(album, layer):
            layer = self.describe(album, decision)[0]
        key = album.name, layer.kind, layer.number, layer.version
        return self._cache.get(key, lambda: self._build(album, decision, layer))

    def former(self, album: FinishedAlbum, layer: Layer, version: str) -> Pyramid | None:
        """The pyramid of an earlier version of a layer, while it is kept: a page may still ask for its tiles."""
        return self._cache.kept((album.name, layer.kind, layer.number, version))

    def prepare(self, album: FinishedAlbum, decision: Decision, candidates: int) -> None:
        """Blend the best candidates of an album ahead, so that they are shown at once."""
        layers = [layer for layer in self.describe(album, decision) if layer.kind is Kind.CANDIDATE]
        for layer in layers[:candidates]:
            is_ready = _is_delivered(album, layer) or find_preview(album.album, layer.number)
            if not is_ready and not list(_preview_folder(album).glob(f"{layer.number}_*.png")):
                self._preview(album, layer)

    def _build(self, album: FinishedAlbum, decision: Decision, layer: Layer) -> Pyramid:
        match layer.kind:
            case Kind.AFTER:
                return LazyPyramid(layer.width, layer.height, partial(read_srgb, album.photo))
            case Kind.BEFORE:
                return LazyPyramid(layer.width, layer.height, partial(read_before, album))
            case Kind.MASK:
                return Pyramid.build(draw_mask(album, self._read_hole(album, decision)))
            case Kind.REFERENCE:
                path = album.album.base / _references(album)[layer.number].file
                return LazyPyramid(layer.width, layer.height, partial(read_srgb, path))
            case Kind.CANDIDATE:
                patch, left, top = self._preview(album, layer)
            case Kind.CHOICE:
                with self._blending:
                    patch, left, top = compose_candidates(album, decision.wanted_candidate, decision.regions)
            case Kind.AUTHENTICITY:
                patch, left, top = draw_authenticity(album)
            case Kind.PLACED:
                patch, left, top = draw_placed(album)
        return PatchedPyramid(self.pyramid(album, decision, self.describe(album, decision)[0]), patch, left, top)

    def _preview(self, album: FinishedAlbum, layer: Layer) -> Patch:
        """The part of the photo that a candidate changes: as `blend` wrote it, or kept beside the album's stages."""
        written = find_preview(album.album, layer.number)
        if written:
            return read_png(written[0]), *written[1:]
        folder = _preview_folder(album)
        with self._blending:
            for path in folder.glob(f"{layer.number}_*.png"):
                x, y = path.stem.split("_")[1:]
                return read_png(path), int(x), int(y)
            patch, left, top = compose_candidates(album, layer.number, ())
            _remove_other_previews(folder)
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f"{layer.number}.partial"
            write_png(partial, patch)
            partial.rename(folder / f"{layer.number}_{left}_{top}.png")
            return patch, left, top

    def _read_hole(self, album: FinishedAlbum, decision: Decision) -> Pixels:
        if decision.strokes:
            return read_repainted(decision.base, decision.strokes, self._folder)
        return read_described_hole(album.album)


def _describe_candidates(album: FinishedAlbum) -> list[dict[str, Any]]:
    """The candidates of an album as JSON types, the best-ranked first; `delivered` tells which the photo shows."""
    delivered = album.provenance["candidate"]
    return [asdict(row) | {"delivered": row.candidate == delivered} for row in _ranking(album)]


def _describe(album: FinishedAlbum, decision: Decision) -> list[Layer]:
    window, version = read_window(album.album), album.provenance["digest"][:16]
    size = (window.canvas_width, window.canvas_height)
    layers = [Layer(Kind.AFTER, 0, version, "Photo", *size), Layer(Kind.BEFORE, 0, version, "Before", *size)]
    if _is_other_choice(album, decision):
        layers.append(Layer(Kind.CHOICE, 0, _version(version, decision.choice), "Choice", *size))
    for row in _ranking(album):
        label = f"Candidate {row.candidate}"
        layers.append(Layer(Kind.CANDIDATE, row.candidate, version, label, *size))
    layers.append(Layer(Kind.AUTHENTICITY, 0, version, "Authenticity", *size))
    layers.append(Layer(Kind.PLACED, 0, version, "Placed references", *size))
    strokes = [stroke.model_dump(mode="json") for stroke in decision.strokes]
    layers.append(Layer(Kind.MASK, 0, _version(version, strokes), "Mask", *size))
    for number, photo in enumerate(_references(album)):
        name = photo.file.rpartition("/")[2]
        layers.append(Layer(Kind.REFERENCE, number, photo.digest[:16], name, photo.width, photo.height))
    return layers


def _is_other_choice(album: FinishedAlbum, decision: Decision) -> bool:
    """Whether the photo would look otherwise with the candidates that were chosen."""
    regions = [region.model_dump(mode="json") for region in decision.regions]
    is_taken_back = decision.pending and not decision.strokes
    if decision.candidate is None and not regions and not is_taken_back:
        return False
    is_other_part = regions != list(album.provenance["params"]["blend"].get("regions", ()))
    return is_other_part or _candidate(album, decision) != album.provenance["candidate"]


def _candidate(album: FinishedAlbum, decision: Decision) -> int:
    """Number of the candidate that was chosen."""
    chosen = decision.wanted_candidate
    if chosen is None:
        return int(album.provenance["candidate"])
    return _ranking(album)[0].candidate if chosen == "best" else int(chosen)


def _is_delivered(album: FinishedAlbum, layer: Layer) -> bool:
    """Whether the delivered photo shows a candidate, and no part of another one."""
    provenance = album.provenance
    return bool(layer.number == provenance["candidate"] and not provenance["params"]["blend"].get("regions"))


def _preview_folder(album: FinishedAlbum) -> Path:
    return album.album.work(".previews") / str(album.provenance["digest"])[:16]


def _version(*parts: Any) -> str:
    return digest_json(parts)[:16]


def _ranking(album: FinishedAlbum) -> list[RankedCandidate]:
    return read_rows(album.album.work("rank") / "ranking.parquet", RankedCandidate)


def _references(album: FinishedAlbum) -> list[InputPhoto]:
    return [row for row in read_inputs(album.album) if row.role == "reference" and row.verdict == "accepted"]


def _remove_other_previews(folder: Path) -> None:
    """Remove the previews of photos that this one replaced."""
    for other in folder.parent.glob("*"):
        if other.is_dir() and other != folder:
            shutil.rmtree(other, ignore_errors=True)
