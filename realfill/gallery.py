"""The gallery: one page that lists every album of a library, those that need a look first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from realfill.album import Album
from realfill.artifacts import read_document
from realfill.files import publishing, write_json, write_whole
from realfill.page import Picture, render

_STAGES = ("validate", "masks", "finetune", "sample", "rank", "blend")


@dataclass(frozen=True)
class Card:
    """One album in the gallery.

    Attributes:
        name: The album's name.
        page: Its page relative to the gallery's; None where it is not finished.
        before: Small picture with the hole.
        after: Small picture of the finished photo.
        summary: What there is to say.
        problem: Why its last run failed; empty otherwise.
    """

    name: str
    page: str | None
    before: Picture | None
    after: Picture | None
    summary: str
    problem: str


def write_gallery(albums: Sequence[Album], out: Path, problems: Mapping[str, str] | None = None) -> Path:
    """Write `index.html`, its thumbnails and `metrics.json`; whatever the folder held is replaced.

    Failed albums come first, then unfinished ones, then the finished ones, each by name.

    Args:
        albums: The albums, finished or not.
        out: Folder of the gallery; links to the albums' own pages are relative to it.
        problems: What went wrong, by album; names of albums that could not even be opened may be among them.

    Returns:
        The page.
    """
    out = out.resolve()
    problems = problems or {}
    named = {album.name: album for album in albums}
    with publishing(out) as folder:
        cards = [_card(album, problems.get(album.name, ""), out, folder) for album in albums]
        cards += [
            Card(name, None, None, None, problem, problem) for name, problem in problems.items() if name not in named
        ]
        cards.sort(key=lambda card: (not card.problem, card.page is not None, card.name))
        write_whole(folder / "index.html", render("gallery.html", cards=cards))
        write_json(folder / "metrics.json", _metrics(albums, cards))
    return out / "index.html"


def _card(album: Album, problem: str, out: Path, folder: Path) -> Card:
    page = album.completed / "page" / "index.html"
    document = album.completed / f"{album.name}.json"
    if not page.is_file() or not document.is_file():
        return Card(album.name, None, None, None, problem or _progress(album), problem)
    provenance = read_document(document)
    return Card(
        name=album.name,
        page=Path(os.path.relpath(page, out)).as_posix(),
        before=_copied(page.with_name("before-small.jpg"), folder, f"{album.name}-before.jpg"),
        after=_copied(page.with_name("after-small.jpg"), folder, f"{album.name}-after.jpg"),
        summary=_summary(album, provenance),
        problem=problem,
    )


def _summary(album: Album, provenance: dict[str, Any]) -> str:
    parts = [
        f"candidate {provenance['candidate']} of {len(provenance['ranking'])}",
        f"{100 * provenance['hole']['hole']:.1f} % filled",
    ]
    quality = _evaluated(album)
    if quality is not None:
        parts.append(f"{quality['psnr']:.1f} dB")
    return ", ".join(parts)


def _progress(album: Album) -> str:
    done = [stage for stage in _STAGES if album.work(stage).is_dir()]
    return f"Not finished; done so far: {', '.join(done)}." if done else "Not begun."


def _copied(source: Path, folder: Path, name: str) -> Picture:
    target = folder / "thumbnails" / name
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
    with Image.open(target, formats=("JPEG",)) as image:
        return Picture(f"thumbnails/{quote(name)}", image.width, image.height)


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
        "failed": sorted(card.name for card in cards if card.problem),
        "unfinished": sorted(card.name for card in cards if not card.page and not card.problem),
        "scores": {
            album.name: scores
            for album in albums
            if album.name in finished and (scores := _evaluated(album)) is not None
        },
    }
