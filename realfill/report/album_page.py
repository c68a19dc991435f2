"""An album's page: what was missing, what was filled in, from which references, and how it was made.

Static files that work from the disk, without a network. Pictures are re-encoded from bare pixels, so that no
metadata of the photos, position least of all, is in them; every text from an album is escaped.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from shlex import quote
from typing import Any

import cv2
import numpy as np
from PIL import Image

from realfill.album.layout import Album
from realfill.album.schemas import Candidate, Input, Ranked
from realfill.album.store import canvas_path, mask_path, read_inputs, read_rows, read_window
from realfill.core.atomic_io import atomic_write
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png
from realfill.report.rendering import AUTHENTICITY_COLORS, Picture, colorize_authenticity, draw_hatched, render

_LARGE, _MEDIUM, _SMALL = 1600, 1024, 480
_QUALITY = 85


def write_album_page(album: Album, completed: Pixels, provenance: dict[str, Any], folder: Path) -> None:
    """Write `index.html` and its pictures, among them small ones for the gallery.

    The authenticity map, of the canvas's size, is a layer of the comparison where `authenticity.png` lies beside
    `folder`.

    Args:
        album: An album whose stages up to `blend` have run.
        completed: [H, W, 3] uint8 sRGB, the finished photo.
        provenance: What `<album>.json` says.
        folder: An empty folder two levels below the photo's, or to be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mask = read_png(mask_path(album))
    before = draw_hatched(read_png(canvas_path(album)), mask)
    kinds = _kinds(folder.with_name("authenticity.png"))
    layer = None if kinds is None else colorize_authenticity(kinds, mask)
    inputs = [row for row in read_inputs(album) if row.role == "reference"]
    matches = album.work("rank") / "matches.png"
    html = render(
        "album.html",
        ("img-comparison-slider.js", "album.js", "viewer.js"),
        name=album.name,
        gallery=_gallery(album),
        width=completed.shape[1],
        height=completed.shape[0],
        hole=read_window(album).hole,
        used=sum(row.verdict == "accepted" for row in inputs),
        photo=provenance["photo"],
        document=album.provenance.name,
        views=_views(mask, {"before": before, "after": completed, "authenticity": layer}, folder),
        legend=None if kinds is None else _legend(kinds, mask),
        candidates=_candidates(album, int(provenance["candidate"]), folder),
        picked=provenance["params"]["blend"]["candidate"] != "best",
        command=f"realfill pick {quote(album.name if album.name[0] != '-' else f'./{album.name}')}",
        matches=_save(read_png(matches), folder / "matches.jpg", _LARGE) if matches.is_file() else None,
        references=[_reference(album, row, number, folder) for number, row in enumerate(inputs)],
        loss=loss_curve(album.work("finetune") / "loss.csv"),
        facts=_facts(provenance),
    )
    _save(before, folder / "before-small.jpg", _SMALL)
    _save(completed, folder / "after-small.jpg", _SMALL)
    atomic_write(folder / "index.html", html)


def loss_curve(path: Path) -> dict[str, Any] | None:
    """The coordinates of the loss curve in an 800 x 240 drawing; None where fewer than two steps were made.

    Args:
        path: The log: step, loss, lr.
    """
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        losses = np.array([float(row["loss"]) for row in csv.DictReader(file)], np.float64)
    losses = losses[np.isfinite(losses)]
    if len(losses) < 2:
        return None
    steps = np.linspace(0, len(losses) - 1, min(len(losses), 400)).round().astype(int)
    reach = max(1, len(losses) // 20)
    sums = np.cumsum(np.concatenate([[0.0], losses]))
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(0, ends - reach)
    mean = (sums[ends] - sums[starts]) / (ends - starts)
    top = max(float(losses.max()), 1e-9)

    def points(values: Pixels) -> str:
        across, down = 50 + 740 * steps / (len(losses) - 1), 210 - 200 * values[steps] / top
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))

    return {
        "steps": len(losses),
        "first": f"{losses[0]:.3g}",
        "last": f"{losses[-1]:.3g}",
        "each": points(losses),
        "mean": points(mean),
        "ticks": [{"y": 210 - 200 * share, "label": f"{top * share:.2g}"} for share in (0, 0.5, 1)],
    }


def _gallery(album: Album) -> str | None:
    """The library's gallery, as it is reached from the page of one of its albums; they alone have a pipeline."""
    in_library = album.out == album.root and (album.root / "dvc.yaml").is_file()
    return "../../../../gallery/index.html" if in_library else None


def _kinds(path: Path) -> Pixels | None:
    """An authenticity map as `coloured` takes it; the file says 85, 170 and 255 for 0, 1 and 2."""
    return np.digitize(read_png(path), (128, 213)) if path.is_file() else None


def _legend(kinds: Pixels, mask: Pixels) -> list[dict[str, Any]]:
    counts = np.bincount(kinds[mask > 0], minlength=len(AUTHENTICITY_COLORS))
    shares = zip(AUTHENTICITY_COLORS.items(), counts / counts.sum(), strict=True)
    return [{"kind": kind, "meaning": meaning, "share": share} for (kind, (meaning, _)), share in shares][::-1]


def _views(mask: Pixels, layers: dict[str, Pixels | None], folder: Path) -> list[dict[str, Any]]:
    """The whole photo, and the filled part alone where that shows more of it."""
    height, width = mask.shape
    left, top, across, down = cv2.boundingRect(mask)
    margin = max(across, down) // 5
    part = (slice(max(0, top - margin), top + down + margin), slice(max(0, left - margin), left + across + margin))
    places = {"Whole photo": (slice(height), slice(width)), "Filled part": part}
    if max(mask[part].shape) > 0.8 * max(height, width):
        del places["Filled part"]
    return [
        {"title": title}
        | {
            name: None if layer is None else _save(layer[place], folder / _file(name, number, layer), _LARGE)
            for name, layer in layers.items()
        }
        for number, (title, place) in enumerate(places.items())
    ]


def _file(name: str, number: int, layer: Pixels) -> str:
    return f"{name}{'-part' if number else ''}.{'png' if layer.shape[2] == 4 else 'jpg'}"


def _candidates(album: Album, chosen: int, folder: Path) -> list[dict[str, Any]]:
    drawn = {row.candidate: row for row in read_rows(album.work("sample") / "candidates.parquet", Candidate)}
    ranking = read_rows(album.work("rank") / "ranking.parquet", Ranked)
    return [
        {
            "row": row,
            "chosen": row.candidate == chosen,
            "picture": _save(
                read_png(album.work("sample") / drawn[row.candidate].file),
                folder / f"candidate-{row.candidate:03}.jpg",
                _MEDIUM,
            ),
        }
        for row in ranking
    ]


def _reference(album: Album, row: Input, number: int, folder: Path) -> dict[str, Any]:
    if row.verdict != "accepted":
        return {"row": row, "picture": None}
    return {
        "row": row,
        "picture": _save(read_srgb(album.root / row.file), folder / f"reference-{number:02}.jpg", _MEDIUM),
    }


def _facts(provenance: dict[str, Any]) -> list[tuple[str, str]]:
    versions, tuning = provenance["versions"], provenance["params"]["finetune"]
    return [
        ("Photo", f"{provenance['photo']}, SHA-256 {provenance['digest']}"),
        ("Base model", f"{provenance['base_model']['name']}, digest {provenance['base_model']['digest'][:16]}"),
        ("Candidate", f"{provenance['candidate']} ({provenance['kind']}), seed {provenance['seed']}"),
        ("Tuning", f"{tuning['steps']} steps, prompt “{tuning['prompt']}”"),
        ("Software", ", ".join(f"{name} {versions[name]}" for name in ("realfill", "torch", "diffusers", "peft"))),
    ]


def _save(pixels: Pixels, path: Path, longest: int) -> Picture:
    scale = min(1.0, longest / max(pixels.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    data = io.BytesIO()
    image = Image.fromarray(resize(pixels, width, height))
    if path.suffix == ".png":
        image.save(data, "PNG", optimize=True)
    else:
        image.save(data, "JPEG", quality=_QUALITY, progressive=True)
    path.write_bytes(data.getvalue())
    return Picture(path.name, width, height)
