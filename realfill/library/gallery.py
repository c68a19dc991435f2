"""The gallery: one page that lists every album of a library, those that need a look first."""

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
from realfill.album.store import read_document
from realfill.core.atomic_io import atomic_directory, atomic_write, write_json
from realfill.pipeline import STAGES
from realfill.report.rendering import render

_LONGEST_REASON = 300
_STATES = {"failed": "Failed", "unfinished": "Not finished", "finished": "Finished"}
_TEXTS = {"matches": "{:.0f} verified matches", "filled": "{:.1f} % filled", "psnr": "{:.1f} dB"}
_LABELS = {"matches": "verified matches", "filled": "share filled", "psnr": "PSNR"}


@dataclass(frozen=True)
class Score:
    """One figure of an album.

    Attributes:
        name: What albums are ordered by.
        value: The figure.
        text: The figure as it is shown.
    """

    name: str
    value: float
    text: str


@dataclass(frozen=True)
class Card:
    """One album in the gallery.

    Attributes:
        name: The album's name.
        page: Folder of its page, relative to the gallery's; None where it was never finished.
        outcome: What became of it in the last run, in a word; may be empty.
        problem: Why its last run failed; empty otherwise.
        progress: How far it came, where it was never finished.
        scores: Its figures.
    """

    name: str
    page: str | None
    outcome: str
    problem: str
    progress: str
    scores: tuple[Score, ...]

    @property
    def state(self) -> str:
        """ "failed", "unfinished" or "finished"."""
        if self.problem:
            return "failed"
        return "finished" if self.page else "unfinished"


def write_gallery(
    albums: Sequence[Album],
    out: Path,
    problems: Mapping[str, str] | None = None,
    rows: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write `index.html` and `metrics.json`; whatever the folder held is replaced.

    Failed albums come first, then unfinished ones, then the finished ones, each by name. The thumbnails are those of
    the albums' own pages.

    Args:
        albums: The albums, finished or not.
        out: Folder of the gallery; links to the albums' own pages are relative to it.
        problems: What is wrong with albums that cannot even be opened, by name.
        rows: What became of albums in their last run: {"album": its name, "outcome": one word, "reason": why it
            failed, empty or absent where it did not, "scores": {name: number}}; all but the name may be absent, and
            further keys are not looked at. Albums that are not among `albums` are listed too.

    Returns:
        The page.
    """
    out = out.resolve()
    runs = {str(row["album"]): row for row in rows}
    told = {name: str(run["reason"]) for name, run in runs.items() if run.get("reason")} | dict(problems or {})
    reasons = {name: _without_root(reason, name) for name, reason in told.items()}
    cards = [_card(album, reasons.get(album.name, ""), runs.get(album.name, {}), out) for album in albums]
    named = {album.name for album in albums}
    cards += [
        Card(name, None, str(runs.get(name, {}).get("outcome", "")), problem, "", ())
        for name, problem in reasons.items()
        if name not in named
    ]
    cards.sort(key=lambda card: card.name)
    with atomic_directory(out) as folder:
        atomic_write(folder / "index.html", _html(cards))
        write_json(folder / "metrics.json", _metrics(albums, cards))
    return out / "index.html"


def _without_root(reason: str, name: str) -> str:
    """A reason as it is told anywhere, and shortened: its path starts inside the album, wherever the library lies."""
    inside = re.sub(rf"^(/|[A-Z]:\\)[^:\n]*[/\\]{re.escape(name)}[/\\:]\s*", "", reason)
    return shorten(inside, _LONGEST_REASON, placeholder=" …")


def _html(cards: Sequence[Card]) -> str:
    sections = [
        {"state": state, "title": title, "cards": [card for card in cards if card.state == state]}
        for state, title in _STATES.items()
    ]
    names = {score.name for card in cards for score in card.scores}
    return render(
        "gallery.html",
        ("gallery.js",),
        total=len(cards),
        finished=sum(card.state == "finished" for card in cards),
        failed=sum(card.state == "failed" for card in cards),
        sections=[section for section in sections if section["cards"]],
        orders=[(name, _LABELS.get(name, name)) for name in sorted(names)],
    )


def _card(album: Album, problem: str, run: Mapping[str, Any], out: Path) -> Card:
    outcome = str(run.get("outcome", ""))
    page = album.completed / "page"
    if not (page / "index.html").is_file() or not album.provenance.is_file():
        return Card(album.name, None, outcome, problem, "" if problem else _progress(album), ())
    relative = Path(os.path.relpath(page, out)).as_posix()
    try:
        scores = _own_scores(album, read_document(album.provenance))
    except (ValueError, LookupError, TypeError):
        unreadable = "What the finished photo was made from cannot be read. Export it again."
        return Card(album.name, relative, outcome, problem or unreadable, "", ())
    return Card(album.name, relative, outcome, problem, "", _scores(scores | dict(run.get("scores") or {})))


def _own_scores(album: Album, provenance: dict[str, Any]) -> dict[str, Any]:
    ranking = {row["candidate"]: row for row in provenance["ranking"]}
    evaluated = _evaluated(album) or {}
    return {
        "matches": ranking[provenance["candidate"]]["inliers"],
        "filled": 100 * provenance["hole"]["hole"],
        "psnr": evaluated.get("psnr"),
    }


def _scores(values: Mapping[str, Any]) -> tuple[Score, ...]:
    return tuple(
        Score(name, value, _TEXTS[name].format(value) if name in _TEXTS else f"{name} {value:.3g}")
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    )


def _progress(album: Album) -> str:
    done = [stage.name for stage in STAGES if stage.output(album).is_dir()]
    return f"Done so far: {', '.join(done)}." if done else "Not begun."


def _evaluated(album: Album) -> dict[str, Any] | None:
    path = album.work("evaluate") / "metrics.json"
    if not path.is_file():
        return None
    result: dict[str, Any] = read_document(path)["result"]
    return result


def _metrics(albums: Sequence[Album], cards: Sequence[Card]) -> dict[str, Any]:
    finished = {card.name for card in cards if card.page}
    return {
        "albums": len(cards),
        "finished": len(finished),
        "failed": [card.name for card in cards if card.state == "failed"],
        "unfinished": [card.name for card in cards if card.state == "unfinished"],
        "scores": {
            album.name: scores
            for album in albums
            if album.name in finished and (scores := _evaluated(album)) is not None
        },
    }
