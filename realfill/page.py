"""An album's page: what was missing, what was filled in, from which references, and how it was made.

Static files that work from the disk, without a network. Pictures are re-encoded from bare pixels, so that no
metadata of the photos, position least of all, is in them; every text from an album is escaped.
"""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from shlex import quote
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from realfill.album import Album
from realfill.artifacts import Candidate, Input, Ranked, canvas_path, mask_path, read_inputs, read_rows, read_window
from realfill.files import write_whole
from realfill.images import Pixels, read_png, read_srgb, resize

_LARGE, _MEDIUM, _SMALL = 1600, 1024, 480
_QUALITY = 85
_AUTHENTICITY = {  # name in the style sheet: meaning, colour; in the order of the map's values 85, 170, 255
    "generated": ("generated only", (213, 94, 0)),
    "confirmed": ("generated and confirmed by matches", (240, 228, 66)),
    "reference": ("pixels of the references", (0, 114, 178)),
}
_HATCH = (np.array([196, 192, 184], np.uint8), np.array([164, 159, 150], np.uint8))


@dataclass(frozen=True)
class Picture:
    """A picture beside a page.

    Attributes:
        source: Path relative to the page.
        width: Pixels.
        height: Pixels.
    """

    source: str
    width: int
    height: int


def write(album: Album, completed: Pixels, provenance: dict[str, Any], folder: Path) -> None:
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
    before = hatched(read_png(canvas_path(album)), mask)
    kinds = _kinds(folder.with_name("authenticity.png"))
    layer = None if kinds is None else coloured(kinds, mask)
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
    write_whole(folder / "index.html", html)


def render(template: str, scripts: Sequence[str] = (), /, **values: Any) -> str:
    """Fill a template of `realfill/pages`; every value is escaped unless it is Markup.

    The page may run and be styled by nothing but the project's own files, each allowed by its digest.

    Args:
        template: Name of the template.
        scripts: Names of the scripts it runs, in their order.
        values: What it shows.
    """
    environment = Environment(
        loader=PackageLoader("realfill", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, sources = _resource("style.css"), [_resource(name) for name in scripts]
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file: data:; "
        f"style-src {_allowed([style])}; script-src {_allowed(sources)}"
    )
    return environment.get_template(template).render(
        policy=Markup(policy), style=style, scripts=sources, picture=_tag, **values
    )


def hatched(canvas: Pixels, mask: Pixels) -> Pixels:
    """Mark the hole with diagonal stripes.

    Args:
        canvas: [H, W, 3] uint8 sRGB.
        mask: [H, W] uint8, 255 = hole.
    """
    height, width = mask.shape
    stripe = max(8, max(height, width) // 100)
    rows, columns = np.ogrid[:height, :width]
    dark = ((rows + columns) // stripe % 2).astype(bool)[..., None]
    return np.where(mask[..., None] > 0, np.where(dark, _HATCH[1], _HATCH[0]), canvas)


def coloured(kinds: Pixels, mask: Pixels) -> Pixels:
    """Draw an authenticity map as a layer over the photo, in colours that the colour-blind can tell apart.

    Args:
        kinds: [H, W], what the fill is: 0 = generated only, 1 = confirmed by matches, 2 = pixels of the references.
        mask: [H, W] uint8, 255 = hole.

    Returns:
        [H, W, 4] uint8 RGBA, transparent outside the hole.
    """
    colours = np.array([colour for _, colour in _AUTHENTICITY.values()], np.uint8)[kinds]
    opacity = np.where(mask > 0, np.uint8(165), np.uint8(0))
    return np.dstack([colours, opacity])


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
    counts = np.bincount(kinds[mask > 0], minlength=len(_AUTHENTICITY))
    shares = zip(_AUTHENTICITY.items(), counts / counts.sum(), strict=True)
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


def _tag(picture: Picture, text: str, attributes: Markup) -> Markup:
    return Markup('<img src="{}" alt="{}" width="{}" height="{}" {}>').format(
        picture.source, text, picture.width, picture.height, attributes
    )


def _allowed(texts: Sequence[str]) -> str:
    digests = (b64encode(sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"


def _resource(name: str) -> Markup:
    return Markup((files("realfill") / "pages" / name).read_text(encoding="utf-8"))  # ours, not an album's
