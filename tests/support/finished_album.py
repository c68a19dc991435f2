"""Albums whose stages up to `blend` are written without running them: real photos, inpainted fills."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_type_hints

import cv2
import numpy as np
from PIL import Image

from realfill.album.canvas import crop_window
from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import Candidate, InputPhoto, PlacementSummary, RankedCandidate, VerifiedMatch, Window
from realfill.album.store import read_document, read_rows, write_rows
from realfill.core.atomic_io import atomic_write, write_json
from realfill.core.hashing import digest
from realfill.imaging.ops import resize
from realfill.photo_io.color_management import from_srgb, to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from realfill.photo_io.working_files import write_lossless_tiff, write_png
from support.published import publish

SIDE = 64


def finish(root: Path, out: Path | None = None) -> Album:
    """Write every artifact that `export` reads; the fills are inpainted with three radii, the second is chosen."""
    album = open_album(root, out)
    photo = read_photo(album.target)
    height, width = photo.pixels.shape[:2]
    hole = read_photo(album.mask).pixels[..., 0] > 127 if album.mask else _center(height, width)
    mask = hole.astype(np.uint8) * 255
    canvas = np.where(hole[..., None], np.uint8(128), to_srgb(photo))
    window = _window(hole)
    fills = [cv2.inpaint(canvas, mask, radius, cv2.INPAINT_TELEA) for radius in (1, 3, 9)]
    _write_inputs(album, photo)
    _folder(album, "masks")
    write_png(album.work("masks") / "canvas.png", canvas)
    write_png(album.work("masks") / "mask.png", mask)
    write_json(album.work("masks") / "window.json", vars(window))
    place_nothing(album)
    losses = [0.9 / (1 + step / 40) + 0.1 * np.sin(step) ** 2 for step in range(120)]
    log = "\n".join(f"{step + 1},{loss:.6f},0.001" for step, loss in enumerate(losses))
    atomic_write(album.work("finetune") / "loss.csv", f"step,loss,lr\n{log}\n")
    write_json(album.work("finetune") / "metrics.json", {"steps": len(losses), "final_loss": losses[-1]})
    _write_candidates(album, [resize(crop_window(fill, window), SIDE, SIDE) for fill in fills])
    _folder(album, "blend")
    filled = np.where(hole[..., None], from_srgb(fills[1].astype(np.float32) / 255, photo), photo.pixels)
    alpha = None if photo.alpha is None else np.where(hole, np.iinfo(photo.alpha.dtype).max, photo.alpha)
    write_lossless_tiff(album.work("blend") / "composite.tif", replace(photo, pixels=filled, alpha=alpha))
    write_png(album.work("blend") / "authenticity.png", np.where(hole, np.uint8(85), np.uint8(0)))
    shares = {"reference_pixel": 0.0, "confirmed": 0.0, "generated_only": 1.0, "score": 0.0}
    write_json(
        album.work("blend") / "blend.json",
        {"candidate": 1, "kinds": ["guided"], "feather": 2, "authenticity": shares},
    )
    for stage in ("validate", "masks", "align", "finetune", "sample", "rank", "blend"):
        publish(album.work(stage))
    return album


def place_nothing(album: Album) -> None:
    """Write what `align` writes when it cannot place any reference."""
    _folder(album, "align")
    write_json(album.work("align") / "placed.json", asdict(PlacementSummary("none", (0, 0, 1, 1), (), 0.0, 0.0)))


def choose_kind(album: Album, kind: str) -> None:
    """Make all candidates ones of another kind, such as "placed" or "patches"."""
    path = album.work("sample") / "candidates.parquet"
    write_rows(path, Candidate, [replace(row, kind=kind) for row in read_rows(path, Candidate)])
    blended = read_document(album.work("blend") / "blend.json")
    write_json(album.work("blend") / "blend.json", {**blended, "kinds": [kind]})


def add_position(path: Path) -> None:
    """Write a GPS position and a description into the EXIF metadata of a photo."""
    with Image.open(path) as photo:
        exif = Image.Exif()
        exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
        exif[0x010E] = "taken at home"
        photo.save(path, exif=exif)
    with Image.open(path) as photo:
        assert photo.getexif().get_ifd(0x8825)


def _center(height: int, width: int) -> np.ndarray:
    hole = np.zeros((height, width), bool)
    hole[height // 3 : height * 2 // 3, width // 3 : width * 2 // 3] = True
    return hole


def _window(hole: np.ndarray) -> Window:
    height, width = hole.shape
    rows, columns = np.nonzero(hole)
    side = min(height, width, int(1.5 * max(np.ptp(rows), np.ptp(columns)) + 2))
    left = int(np.clip((columns.min() + columns.max() - side) // 2, 0, width - side))
    top = int(np.clip((rows.min() + rows.max() - side) // 2, 0, height - side))
    return Window("file", width, height, 0, 0, width, height, left, top, side, float(hole.mean()))


def _write_inputs(album: Album, target: Photo) -> None:
    roles = [("target", album.target), *(("reference", path) for path in album.references)]
    rows = []
    for role, path in roles:
        photo = target if role == "target" else read_photo(path)
        rows.append(
            InputPhoto(
                role=role,
                file=path.relative_to(album.base).as_posix(),
                digest=digest(path),
                format=photo.format,
                width=photo.width,
                height=photo.height,
                mode=photo.mode,
                bits=photo.bits,
                orientation=photo.orientation,
                exif=photo.exif,
                sharpness=1.0,
                verdict="accepted",
            )
        )
    _folder(album, "validate")
    write_rows(album.work("validate") / "inputs.parquet", InputPhoto, rows)


def _write_candidates(album: Album, pictures: list[np.ndarray]) -> None:
    _folder(album, "sample")
    rows = [
        Candidate(
            candidate=number,
            file=f"{number:03d}.png",
            kind="noise",
            draw=number,
            seed=0,
            scheduler="dpmsolver++",
            steps=24,
            guidance=1.0,
            batch_size=3,
            count=len(pictures),
            resolution=SIDE,
            model="pocket",
            model_digest="0" * 64,
            adapter_digest="1" * 64,
            versions=json.dumps({}),
        )
        for number in range(len(pictures))
    ]
    for row, picture in zip(rows, pictures, strict=True):
        write_png(album.work("sample") / row.file, picture)
    write_rows(album.work("sample") / "candidates.parquet", Candidate, rows)
    _folder(album, "rank")
    known = {"best_reference": album.references[0].name, "matcher": "sift", "matches": 40}
    ranked = [
        _ranked(
            known | {"rank": place + 1, "candidate": number, "score": 30.0 - 10 * place, "inliers": 30 - 10 * place}
        )
        for place, number in enumerate((1, 0, 2))
    ]
    write_rows(album.work("rank") / "ranking.parquet", RankedCandidate, ranked)
    write_rows(album.work("rank") / "verified.parquet", VerifiedMatch, [])
    write_png(album.work("rank") / "matches.png", np.concatenate(pictures, axis=1))


def _ranked(values: dict[str, Any]) -> RankedCandidate:
    return RankedCandidate(
        **{name: values.get(name, kind()) for name, kind in get_type_hints(RankedCandidate).items()}
    )


def _folder(album: Album, stage: str) -> None:
    album.work(stage).mkdir(parents=True, exist_ok=True)
