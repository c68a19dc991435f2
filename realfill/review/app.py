"""The review app: the page, the albums and their tiles, and the decisions about them, as an ASGI app."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from realfill.album.candidate_override import check_candidate
from realfill.album.discovery import open_album
from realfill.core.errors import RealFillError
from realfill.core.params import Region
from realfill.review.background import Background
from realfill.review.collection import Collection, FinishedAlbum
from realfill.review.decisions import Decision, active_entries, latest_choice
from realfill.review.layer_pixels import touches_hole
from realfill.review.layers import Kind, Layers
from realfill.review.mask_edits import keep_mask, read_described_hole
from realfill.review.pyramid import SETTINGS, cut_tile

logger = logging.getLogger(__name__)

_MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_SUBJECTS = ("looked", "verdict", "note", "pick", "region", "stroke", "undo")  # that a page may send
_UNDOABLE = ("verdict", "note", "pick", "region", "stroke")
_BOUND = ("verdict", "pick", "region", "stroke")  # to the choice that the page shows
_HISTORY = 500  # decisions that can be undone after the page was loaded anew
_PAGE_POLICY = "frame-ancestors 'none'"  # pages of the gallery bring a policy of their own


@dataclass(frozen=True)
class Review:
    """All that the routes share.

    Attributes:
        collection: The albums.
        layers: Their layers.
        background: Work beside the requests.
        read_only: Whether nothing is decided.
    """

    collection: Collection
    layers: Layers
    background: Background
    read_only: bool

    def album(self, name: str) -> FinishedAlbum:
        """The album of a request."""
        album = self.collection.find(name)
        if album is None:
            raise HTTPException(404, "There is no finished album of this name.")
        return album

    def decision(self, name: str) -> Decision:
        """What has been decided about an album."""
        return self.collection.journal.decisions().get(name, Decision())

    def summary(self, album: FinishedAlbum) -> dict[str, Any]:
        """What the list shows of an album."""
        decision = self.decision(album.name)
        return {
            "name": album.name,
            "photo": album.provenance["digest"],
            "state": album.state(decision),
            "level": album.verdict.level,
            "sentence": album.verdict.sentence,
            "score": album.score,
            "verdict": decision.verdict,
            "reason": decision.reason,
            "note": decision.note,
            "pending": album.is_pending(decision),
            "candidate": decision.candidate,
            "regions": len(decision.regions),
            "strokes": len(decision.strokes),
        }

    def details(self, album: FinishedAlbum) -> dict[str, Any]:
        """What the page shows of an album."""
        latest = latest_choice(self.collection.journal.read(), album.name)  # first: what is shown may be later
        layers = self.layers.describe(album, self.decision(album.name))
        return (
            self.summary(album)
            | self.layers.facts(album)
            | {
                "latest": latest,
                "layers": [asdict(layer) for layer in layers],
                "tile": {"side": SETTINGS.side, "overlap": SETTINGS.overlap},
            }
        )


def make_app(collection: Collection, *, read_only: bool = False) -> FastAPI:
    """Make the app; `security.Guard` has to stand before it.

    Args:
        collection: The albums.
        read_only: Show them only.
    """
    layers = Layers(collection.journal.folder)
    review = Review(collection, layers, Background(collection, layers), read_only)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(RealFillError, _answer_error)
    _add_files(app, collection)
    _add_reading(app, review)
    if not read_only:
        _add_deciding(app, review)
    return app


def _add_files(app: FastAPI, collection: Collection) -> None:
    """The page, its scripts, and the static gallery with its pages."""
    page, style = files("realfill.review") / "static", files("realfill.report") / "templates" / "style.css"
    static = {Path(str(file)).name: file for file in (*page.iterdir(), style)}

    @app.get("/")
    def _index() -> Response:
        return Response(static["review.html"].read_bytes(), media_type="text/html")

    @app.get("/static/{name}")
    def _static(name: str) -> Response:
        if name not in static or name == "review.html":
            raise HTTPException(404)
        return Response(static[name].read_bytes(), media_type=_MEDIA_TYPES[Path(name).suffix])

    @app.get("/review/gallery/index.html")
    def _gallery() -> Response:
        if not collection.gallery.is_file():
            raise HTTPException(404, "There is no gallery: write it with `realfill gallery`.")
        return _page(collection.gallery)

    @app.get("/review/{place}/{name}/completed/page/{file}")
    def _album_page(place: str, name: str, file: str) -> Response:
        return _page_file(name, place, file)

    @app.get("/review/{place}/{name}/targets/{target}/completed/page/{file}")
    def _target_page(place: str, name: str, target: str, file: str) -> Response:
        return _page_file(f"{name}-{target}", place, file)

    def _page_file(name: str, place: str, file: str) -> Response:
        album = collection.find(name)
        folder = album.album.completed / "page" if album and place == collection.albums_folder.name else None
        known = {path.name: path for path in folder.iterdir()} if folder and folder.is_dir() else {}
        if file not in known or known[file].suffix not in (".html", ".jpg", ".png"):
            raise HTTPException(404)
        return _page(known[file])


def _page(path: Path) -> Response:
    if path.suffix != ".html":
        return Response(path.read_bytes(), media_type="image/png" if path.suffix == ".png" else "image/jpeg")
    return Response(path.read_bytes(), media_type="text/html", headers={"Content-Security-Policy": _PAGE_POLICY})


def _add_reading(app: FastAPI, review: Review) -> None:
    @app.get("/api/albums")
    def _albums() -> dict[str, Any]:
        collection = review.collection
        albums = [review.summary(album) for album in collection.in_order()]
        history = [entry for entry in active_entries(collection.journal.read()) if entry.subject in _UNDOABLE]
        return {
            "albums": albums,
            "unfinished": len(collection.unfinished()),
            "gallery": collection.gallery.is_file(),
            "readOnly": review.read_only,
            "history": [{"id": entry.id, "album": entry.album} for entry in history[-_HISTORY:]],
            "applying": review.background.applying.state(),
            "delivering": review.background.delivering.state(),
        }

    @app.get("/api/albums/{name}")
    def _album(name: str) -> dict[str, Any]:
        album = review.album(name)
        review.background.prepare(album, review.decision(name))
        return review.details(album)

    @app.get("/tiles/{name}/{kind}/{number}/{version}/{level}/{column}/{row}")
    def _tile(name: str, kind: Kind, number: int, version: str, level: int, column: int, row: int) -> Response:
        album, decision = review.album(name), review.decision(name)
        layer = review.layers.find(album, decision, kind, number)
        if layer is None:
            raise HTTPException(404, "There is no such layer.")
        layers, is_current = review.layers, layer.version == version
        pyramid = layers.pyramid(album, decision, layer) if is_current else layers.former(album, layer, version)
        if pyramid is None:
            return Response(status_code=204)  # it changed since the page was told of it
        tile = cut_tile(pyramid, level, column, row)
        if tile is None:
            raise HTTPException(404, "There is no such tile.")
        return Response(tile[0], media_type=tile[1], headers={"Cache-Control": "private, max-age=86400, immutable"})


def _add_deciding(app: FastAPI, review: Review) -> None:
    @app.post("/api/decisions")
    def _decide(document: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        album = review.album(str(document.get("album")))
        subject, value = document.get("subject"), document.get("value")
        if subject not in _SUBJECTS:
            raise HTTPException(422, "This is nothing that can be decided.")
        if review.collection.journal.has(str(document.get("id"))):  # it is sent again: the answer got lost
            return review.details(album)
        if document.get("photo") != album.provenance["digest"] and subject != "undo":
            raise HTTPException(409, "The photo was made anew since it was shown. Look at it again.")
        try:
            value = _COMPLETIONS.get(str(subject), _as_it_is)(review, album, value)
            after = str(document.get("after") or "") if subject in _BOUND else None
            review.collection.journal.append(album.name, str(subject), value, str(document.get("id")), after)
        except (ValueError, TypeError, LookupError) as error:
            logger.info("A decision is refused:", exc_info=error)
            raise HTTPException(422, "This is nothing that can be decided.") from error
        return review.details(album)

    @app.post("/api/apply")
    def _apply() -> dict[str, Any]:
        review.background.applying.begin()
        return review.background.applying.state()

    @app.post("/api/deliver")
    def _deliver() -> dict[str, Any]:
        review.background.delivering.begin()
        return review.background.delivering.state()


def _as_it_is(_: Review, __: FinishedAlbum, value: Any) -> Any:
    return value


def _complete_looked(_: Review, album: FinishedAlbum, value: Any) -> Any:
    return album.provenance["digest"] if value is True else None


def _complete_verdict(_: Review, album: FinishedAlbum, value: Any) -> Any:
    return {**value, "seen": album.seen.model_dump()}


def _complete_pick(review: Review, album: FinishedAlbum, value: Any) -> Any:
    """Check the candidate, and note what `album.yaml` had before."""
    _refuse_while_repainted(review, album)
    check_candidate(album.album, str(value["candidate"]))
    blend = open_album(album.album.root).settings.overrides.get("blend") or {}
    before = blend.get("candidate", "best")
    return {**value, "before": before}


def _complete_region(review: Review, album: FinishedAlbum, value: Any) -> Any:
    _refuse_while_repainted(review, album)
    if value is not None:
        check_candidate(album.album, str(value["candidate"]))
        region = Region.model_validate(value)
        is_delivered = region.model_dump(mode="json") in review.layers.facts(album)["deliveredRegions"]
        if not is_delivered and not touches_hole(album, region.polygon):
            raise HTTPException(409, "Nothing of this part was filled: draw around a part of the hole.")
    return value


def _complete_stroke(review: Review, album: FinishedAlbum, value: Any) -> Any:
    """Note the mask that the strokes start from, and keep it."""
    if value is None:
        return None
    folder, base = review.collection.journal.folder, review.decision(album.name).base
    return {**value, "base": base or keep_mask(read_described_hole(album.album), folder)}


def _refuse_while_repainted(review: Review, album: FinishedAlbum) -> None:
    decision = review.decision(album.name)
    if decision.strokes and album.is_pending(decision):
        raise HTTPException(409, "The mask was repainted: there will be other candidates.")


_COMPLETIONS: dict[str, Callable[[Review, FinishedAlbum, Any], Any]] = {
    "looked": _complete_looked,
    "verdict": _complete_verdict,
    "pick": _complete_pick,
    "region": _complete_region,
    "stroke": _complete_stroke,
}


def _answer_error(_: Request, error: Exception) -> Response:
    logger.info("A request failed:", exc_info=error)
    return JSONResponse({"detail": str(error)}, status_code=409)
