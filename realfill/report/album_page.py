"""The page of an album: what was missing, what was filled in, from which references, and how it was made.

The page consists of static files that work from the disk, without a network. Its pictures are encoded from bare
pixels, so that they carry no metadata of the photos, such as where they were taken. All texts from an album are
escaped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import cv2

from realfill.album.layout import Album
from realfill.album.schemas import GENERATED_KINDS, AuthenticityClass, Candidate, InputPhoto, RankedCandidate
from realfill.album.store import canvas_path, mask_path, read_inputs, read_rows, read_window
from realfill.album.verdict import LEFT
from realfill.core.atomic_io import atomic_write
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png
from realfill.report.loss_curve import LossCurveSettings, read_loss_curve
from realfill.report.pictures import (
    OverlaySettings,
    Picture,
    colorize_authenticity,
    draw_hatched,
    save_picture,
)
from realfill.report.rendering import render

_SCRIPTS = ("img-comparison-slider.js", "album.js", "viewer.js")
_MEANINGS = {  # in the legend
    AuthenticityClass.REFERENCE_PIXEL: "pixels of the references",
    AuthenticityClass.CONFIRMED: "likely: references agree less, or matches confirm it",
    AuthenticityClass.GENERATED_ONLY: "generated or uncertain",
}
_GALLERY_LINK = "../../../../gallery/index.html"  # from data/albums/<album>/completed/page/ to data/gallery/
_FROM_TARGET = "../../"  # from targets/<name>/ to the album


@dataclass(frozen=True)
class AlbumPageSettings:
    """Sizes of the pictures, and what they show.

    Attributes:
        large_side: Longer side of the comparison and of the matches, pixels. Set by hand.
        medium_side: Longer side of candidates and references, pixels. Set by hand.
        small_side: Longer side of the gallery's thumbnails, pixels. Set by hand.
        jpeg_quality: Of all JPEG pictures, 1 to 95. Set by hand.
        hole_view_margin: Margin around the hole in the view of the filled part, as a share of the hole's longer side.
            Set by hand.
        max_hole_view: The view of the filled part is left out if its longer side exceeds this share of the photo's:
            it would hardly show more than the whole photo. Set by hand.
        overlay: How the hole and the authenticity map are drawn.
        loss_curve: How the loss is drawn.
    """

    large_side: int = 1600
    medium_side: int = 1024
    small_side: int = 480
    jpeg_quality: int = 85
    hole_view_margin: float = 0.2
    max_hole_view: float = 0.8
    overlay: OverlaySettings = field(default_factory=OverlaySettings)
    loss_curve: LossCurveSettings = field(default_factory=LossCurveSettings)


class _Layers(NamedTuple):
    """The pictures that a view compares: [H, W, 3] uint8 sRGB each; the authenticity map [H, W, 4] or None."""

    before: Pixels
    after: Pixels
    authenticity: Pixels | None


class _View(NamedTuple):
    """A comparison on the page."""

    title: str
    before: Picture
    after: Picture
    authenticity: Picture | None


class _PageFolder(NamedTuple):
    """The folder of the page, with the quality of its pictures."""

    path: Path
    settings: AlbumPageSettings

    def save(self, pixels: Pixels, name: str, max_side: int) -> Picture:
        """Save a picture of the page."""
        return save_picture(pixels, self.path / name, max_side=max_side, jpeg_quality=self.settings.jpeg_quality)


def write_album_page(
    album: Album,
    completed: Pixels,
    provenance: dict[str, Any],
    folder: Path,
    settings: AlbumPageSettings = AlbumPageSettings(),
) -> None:
    """Write `index.html` and its pictures, including the thumbnails for the gallery.

    The comparison has a layer with the authenticity map if there is an `authenticity.png` of the canvas's size beside
    `folder`.

    Args:
        album: An album whose stages up to `blend` have run.
        completed: [H, W, 3] uint8 sRGB, the finished photo.
        provenance: The contents of `<album>.json`.
        folder: The page's folder; it is made if it does not exist.
        settings: Sizes of the pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = _PageFolder(folder, settings)
    mask = read_png(mask_path(album))
    before = draw_hatched(read_srgb(canvas_path(album)), mask, settings.overlay)
    authenticity = folder.with_name("authenticity.png")
    classes = read_png(authenticity) if authenticity.is_file() else None  # [H, W] uint8
    overlay = None if classes is None else colorize_authenticity(classes, mask, settings.overlay)
    inputs = [row for row in read_inputs(album) if row.role == "reference"]
    html = render(
        "album.html",
        _SCRIPTS,
        name=album.name,
        gallery=_link_to_gallery(album),
        width=completed.shape[1],
        height=completed.shape[0],
        hole=read_window(album).hole,
        used=sum(row.verdict == "accepted" for row in inputs),
        photo=provenance["photo"],
        verdict=provenance["verdict"],
        warnings=provenance["warnings"],
        source_type=provenance["digital_source_type"].rpartition("/")[2],
        is_generated=not GENERATED_KINDS.isdisjoint(provenance["kinds"]),
        is_completed=provenance["generate"] != "never",
        document=album.provenance.name,
        views=_save_views(mask, _Layers(before, completed, overlay), page),
        legend=None if classes is None else _authenticity_legend(classes[mask > 0]),
        candidates=_save_candidates(album, int(provenance["candidate"]), page),
        picked=provenance["params"]["blend"]["candidate"] != "best",
        command=_pick_command(album),
        matches=_save_matches(album, page),
        references=[_save_reference(album, row, number, page) for number, row in enumerate(inputs)],
        loss=read_loss_curve(album.work("finetune") / "loss.csv", settings.loss_curve),
        facts=_facts(provenance),
    )
    page.save(before, "before-small.jpg", settings.small_side)
    page.save(completed, "after-small.jpg", settings.small_side)
    atomic_write(folder / "index.html", html)


def _pick_command(album: Album) -> str:
    """The shell command that picks a candidate, without the candidate's number."""
    name = album.root.relative_to(album.base.parent).as_posix()
    return f"realfill pick {quote(name if name[0] != '-' else f'./{name}')}"


def _link_to_gallery(album: Album) -> str | None:
    """The link to the library's gallery; None outside of one: only there albums have a pipeline of their own."""
    if album.out != album.root or not (album.base / "dvc.yaml").is_file():
        return None
    return _GALLERY_LINK if album.around is None else _FROM_TARGET + _GALLERY_LINK


def _authenticity_legend(classes: Pixels) -> list[dict[str, Any]]:
    """The classes with their shares of the hole's pixels [N] uint8, the most authentic first, and what was left."""
    entries = [
        {"key": entry.key, "meaning": meaning, "share": (classes == entry).mean()}
        for entry, meaning in _MEANINGS.items()
    ]
    left = (classes == 0).mean()
    return [*entries, {"key": LEFT, "meaning": "left as it was", "share": left}] if left else entries


def _save_views(mask: Pixels, layers: _Layers, page: _PageFolder) -> list[_View]:
    """Save the comparison of the whole photo, and of the filled part where that shows it larger."""
    height, width = mask.shape
    views = [_save_view("Whole photo", "", (slice(height), slice(width)), layers, page)]
    area = _hole_area(mask, page.settings.hole_view_margin)
    if max(mask[area].shape) <= page.settings.max_hole_view * max(height, width):
        views.append(_save_view("Filled part", "-part", area, layers, page))
    return views


def _save_view(title: str, suffix: str, area: tuple[slice, slice], layers: _Layers, page: _PageFolder) -> _View:
    side = page.settings.large_side
    return _View(
        title,
        before=page.save(layers.before[area], f"before{suffix}.jpg", side),
        after=page.save(layers.after[area], f"after{suffix}.jpg", side),
        authenticity=None
        if layers.authenticity is None
        else page.save(layers.authenticity[area], f"authenticity{suffix}.png", side),
    )


def _hole_area(mask: Pixels, margin_share: float) -> tuple[slice, slice]:
    """Rows and columns of the hole's bounding box with a margin."""
    left, top, width, height = cv2.boundingRect(mask)
    margin = int(margin_share * max(width, height))
    rows = slice(max(0, top - margin), top + height + margin)
    return rows, slice(max(0, left - margin), left + width + margin)


def _save_candidates(album: Album, chosen: int, page: _PageFolder) -> list[dict[str, Any]]:
    """Save the candidates' pictures, the best-ranked first."""
    files = {row.candidate: row.file for row in read_rows(album.work("sample") / "candidates.parquet", Candidate)}
    candidates = []
    for row in read_rows(album.work("rank") / "ranking.parquet", RankedCandidate):
        pixels = read_srgb(album.work("sample") / files[row.candidate])
        picture = page.save(pixels, f"candidate-{row.candidate:03}.jpg", page.settings.medium_side)
        candidates.append({"row": row, "chosen": row.candidate == chosen, "picture": picture})
    return candidates


def _save_matches(album: Album, page: _PageFolder) -> Picture | None:
    path = album.work("rank") / "matches.png"
    return page.save(read_png(path), "matches.jpg", page.settings.large_side) if path.is_file() else None


def _save_reference(album: Album, row: InputPhoto, number: int, page: _PageFolder) -> dict[str, Any]:
    """Save the picture of a reference; a rejected reference is not even opened."""
    if row.verdict != "accepted":
        return {"row": row, "picture": None}
    pixels = read_srgb(album.base / row.file)
    return {"row": row, "picture": page.save(pixels, f"reference-{number:02}.jpg", page.settings.medium_side)}


def _facts(provenance: dict[str, Any]) -> list[tuple[str, str]]:
    versions, model = provenance["versions"], provenance["base_model"]
    left = provenance["authenticity"].get(LEFT)
    return [
        ("Photo", f"{provenance['photo']}, SHA-256 {provenance['digest']}"),
        *([("Left of the hole", f"{100 * left:.0f} %, {provenance['left_as']}")] if left else []),
        ("Base model", f"{model['name']}, digest {model['digest'][:16]}" if model else "none: nothing is generated"),
        ("Candidate", f"{provenance['candidate']} ({provenance['kind']}), seed {provenance['seed']}"),
        ("Tuning", _describe_tuning(provenance)),
        *([("Tuned together with", ", ".join(together))] if (together := provenance.get("tuned_with")) else []),
        ("Software", ", ".join(f"{name} {versions[name]}" for name in ("realfill", "torch", "diffusers", "peft"))),
    ]


def _describe_tuning(provenance: dict[str, Any]) -> str:
    tuning, prompt = provenance["tuning"], provenance["params"]["finetune"]["prompt"]
    if reason := tuning.get("left_out"):
        return f"left out, since {reason}" + ("; so none is sampled from noise" if tuning.get("needless") else "")
    return f"{tuning['steps']} steps, prompt “{prompt}”" if tuning["steps"] else "none"
