"""The gallery: one page that lists every album of a library, those that need attention first."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from realfill.album.layout import Album
from realfill.album.several_targets import FOLDER, target_folders
from realfill.album.store import find_provenance, read_document
from realfill.album.verdict import Verdict, read_verdict
from realfill.core.atomic_io import atomic_directory, atomic_write, write_json
from realfill.core.errors import LibraryError, OutputError, RealFillError, printable
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library, open_albums
from realfill.pipeline import STAGES
from realfill.report.rendering import render

_STATES = {"failed": "Failed", "unfinished": "Not finished", "look": "To be looked at", "finished": "Finished"}
_SCORE_FORMATS = {"matches": "{:.0f} verified matches", "filled": "{:.1f} % filled", "psnr": "{:.1f} dB"}
_SCORE_LABELS = {"matches": "verified matches", "filled": "share filled", "psnr": "PSNR"}


@dataclass(frozen=True)
class GallerySettings:
    """How the gallery shows albums.

    Attributes:
        max_reason_length: Characters of the reason of a failure that are shown; longer ones are cut. Set by hand.
    """

    max_reason_length: int = 300


@dataclass(frozen=True)
class Score:
    """One score of an album.

    Attributes:
        name: Its name, by which albums can be sorted.
        value: The number.
        text: The number as it is shown.
    """

    name: str
    value: float
    text: str


@dataclass(frozen=True)
class Card:
    """One album, or one target of an album of several, in the gallery.

    Attributes:
        name: Its name.
        page: Folder of its page, relative to the gallery's; None if it was never finished.
        outcome: The outcome of its last run in one word; may be empty.
        problem: Why its last run failed; empty otherwise.
        progress: Which stages are done, if it was never finished.
        scores: Its scores.
        verdict: How far its fill can be believed; None if it was never finished.
        warnings: What its photos and its hole gave reason to warn of.
    """

    name: str
    page: str | None
    outcome: str
    problem: str
    progress: str
    scores: tuple[Score, ...]
    verdict: Verdict | None = None
    warnings: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """A key of `_STATES`."""
        if self.problem:
            return "failed"
        if self.verdict and self.verdict.to_be_looked_at:
            return "look"
        return "finished" if self.page else "unfinished"


def update_gallery(library: Library, rows: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write a library's gallery and commit it to DVC.

    Nothing happens if there are no rows and DVC finds the gallery up to date.

    Args:
        library: The library.
        rows: The outcomes of the last run, as `write_gallery` takes them.
    """
    file = library.root / "dvc.yaml"
    with open_dvc_state(library.root, file) as state:
        if not rows and state.is_up_to_date(file, "gallery"):
            return
        state.adopt_outputs(file, "gallery")
        albums, problems = open_albums(library.albums_folder)
        write_gallery(albums, library.root / "data" / "gallery", problems, rows)
        state.commit(file, "gallery")


def write_folder_gallery(folder: Path, out: Path | None = None) -> Path:
    """Write the gallery of a library, or of any folder that holds album folders.

    Args:
        folder: The library, or the folder.
        out: Folder of the gallery; `gallery` beside the albums if None.

    Returns:
        Path of the page.

    Raises:
        LibraryError: The folder does not exist, or holds no album and is no library.
        OutputError: The gallery would replace what realfill did not write, or would lie in an album.
    """
    if not folder.is_dir():
        raise LibraryError("There is no such folder.", "Give a library, or a folder of album folders.", folder)
    in_library = folder / "data" / "albums"
    albums_folder = (in_library if in_library.is_dir() else folder).resolve()
    albums, problems = open_albums(albums_folder)
    _require_albums(albums_folder, albums)
    out = _absolute(out or albums_folder.parent / "gallery")
    if (
        out == albums_folder
        or out in albums_folder.parents
        or any(out.is_relative_to(album.base) for album in albums)
    ):
        raise OutputError("The gallery cannot take the place of the albums.", "Choose another --out.", out)
    return write_gallery(albums, out, problems)


def _require_albums(folder: Path, albums: Sequence[Album]) -> None:
    """Check that a folder is one of albums: an empty page would replace the one that was meant."""
    if (folder / "ref").is_dir() and ((folder / "target").is_dir() or target_folders(folder)):
        raise LibraryError("This is an album itself.", "Give the folder that it lies in.", folder)
    library = Library.enclosing(folder)
    is_of_library = library is not None and folder == library.albums_folder
    is_meant = any((path / name).is_dir() for path in folder.iterdir() for name in ("target", FOLDER))
    if not albums and not is_of_library and not is_meant:
        raise LibraryError(
            "There is no album in this folder.", "Give a library, or a folder of album folders.", folder
        )


def _absolute(folder: Path) -> Path:
    """The absolute path of a folder, itself not followed if it is a link: such a one is not replaced."""
    lexical = Path(os.path.normpath(folder.absolute()))
    return lexical.parent.resolve() / lexical.name


def write_gallery(
    albums: Sequence[Album],
    out: Path,
    problems: Mapping[str, str] | None = None,
    rows: Sequence[Mapping[str, Any]] = (),
    settings: GallerySettings = GallerySettings(),
) -> Path:
    """Write `index.html` and `metrics.json`; the previous contents of the folder are replaced.

    Failed albums come first, then unfinished ones, then those whose photo is to be looked at, then the other finished
    ones, each group sorted by name. The thumbnails are those of the albums' own pages.

    Args:
        albums: The albums, finished or not.
        out: Folder of the gallery; links to the albums' own pages are relative to it.
        problems: Error messages of albums that cannot be opened, by name.
        rows: Outcomes of the last run: {"album": name, "outcome": one word, "reason": why it failed, empty or absent
            otherwise, "scores": {name: number}}; only the name is required, and further keys are ignored. Albums that
            are not among `albums` are listed too.
        settings: How albums are shown.

    Returns:
        Path of the page.
    """
    out = _absolute(out)
    cards = _make_cards(albums, out, problems or {}, rows, settings)
    with atomic_directory(out) as folder:
        atomic_write(folder / "index.html", _render(cards))
        write_json(folder / "metrics.json", _metrics(albums, cards))
    return out / "index.html"


def _make_cards(
    albums: Sequence[Album],
    out: Path,
    problems: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    settings: GallerySettings,
) -> list[Card]:
    """The cards of all albums, and of those that could not be opened but have a problem, sorted by name."""
    runs = {str(row["album"]): row for row in rows}
    reasons = {name: str(run["reason"]) for name, run in runs.items() if run.get("reason")}
    reasons |= {printable(name): printable(problem) for name, problem in problems.items()}
    reasons = {name: _shorten_reason(reason, name, settings) for name, reason in reasons.items()}
    cards = [_make_card(album, reasons.get(album.name, ""), runs.get(album.name, {}), out) for album in albums]
    opened = {album.name for album in albums}
    cards += [
        Card(name, None, str(runs.get(name, {}).get("outcome", "")), reason, "", ())
        for name, reason in reasons.items()
        if name not in opened
    ]
    return sorted(cards, key=lambda card: card.name)


def _shorten_reason(reason: str, name: str, settings: GallerySettings) -> str:
    """A shortened reason whose path starts inside the album, so that it does not depend on where the library is."""
    relative = re.sub(rf"^(/|[A-Z]:\\)[^:\n]*[/\\]{re.escape(name)}[/\\:]\s*", "", reason)
    return shorten(relative, settings.max_reason_length, placeholder=" …")


def _make_card(album: Album, problem: str, run: Mapping[str, Any], out: Path) -> Card:
    outcome = str(run.get("outcome", ""))
    page = album.completed / "page"
    if not (page / "index.html").is_file() or not find_provenance(album).is_file():
        return Card(album.name, None, outcome, problem, "" if problem else _describe_progress(album), ())
    relative = Path(os.path.relpath(page, out)).as_posix()
    try:
        provenance = read_document(find_provenance(album))
        scores, verdict = _read_scores(album, provenance), read_verdict(provenance)
        warnings = tuple(map(str, provenance.get("warnings", ())))
    except (RealFillError, ValueError, LookupError, TypeError):
        unreadable = "The provenance of the finished photo cannot be read. Export it again."
        return Card(album.name, relative, outcome, problem or unreadable, "", ())
    shown = _make_scores(scores | dict(run.get("scores") or {}))
    return Card(album.name, relative, outcome, problem, "", shown, verdict, warnings)


def _read_scores(album: Album, provenance: dict[str, Any]) -> dict[str, Any]:
    """The scores that a finished album's own files tell."""
    ranking = {row["candidate"]: row for row in provenance["ranking"]}
    evaluation = _read_evaluation(album) or {}
    return {
        "matches": ranking[provenance["candidate"]]["inliers"],
        "filled": 100 * provenance["hole"]["hole"],
        "psnr": evaluation.get("psnr"),
    }


def _make_scores(values: Mapping[str, Any]) -> tuple[Score, ...]:
    """Those values that are finite numbers, as scores."""
    return tuple(
        Score(name, value, _SCORE_FORMATS[name].format(value) if name in _SCORE_FORMATS else f"{name} {value:.3g}")
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    )


def _describe_progress(album: Album) -> str:
    done = [stage.name for stage in STAGES if stage.output(album).is_dir()]
    return f"Done so far: {', '.join(done)}." if done else "Not started."


def _read_evaluation(album: Album) -> dict[str, Any] | None:
    """The scores of the finished photo against its ground truth; None if it was not evaluated."""
    path = album.work("evaluate") / "metrics.json"
    if not path.is_file():
        return None
    result: dict[str, Any] = read_document(path)["result"]
    return result


def _render(cards: Sequence[Card]) -> str:
    sections = [
        {"state": state, "title": title, "cards": [card for card in cards if card.state == state]}
        for state, title in _STATES.items()
    ]
    names = {score.name for card in cards for score in card.scores}
    return render(
        "gallery.html",
        ("gallery.js",),
        total=len(cards),
        finished=sum(card.state in ("finished", "look") for card in cards),
        failed=sum(card.state == "failed" for card in cards),
        sections=[section for section in sections if section["cards"]],
        sort_keys=[(name, _SCORE_LABELS.get(name, name)) for name in sorted(names)],
    )


def _metrics(albums: Sequence[Album], cards: Sequence[Card]) -> dict[str, Any]:
    """The contents of `metrics.json`."""
    finished = {card.name for card in cards if card.page}
    return {
        "albums": len(cards),
        "finished": len(finished),
        "failed": [card.name for card in cards if card.state == "failed"],
        "unfinished": [card.name for card in cards if card.state == "unfinished"],
        "to_be_looked_at": [card.name for card in cards if card.state == "look"],
        "scores": {
            album.name: scores
            for album in albums
            if album.name in finished and (scores := _read_evaluation(album)) is not None
        },
    }
