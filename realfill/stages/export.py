"""Deliver the finished photo: in the target's own format, with its metadata, its provenance and its page."""

from __future__ import annotations

import io
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from realfill import __version__
from realfill.album.layout import Album
from realfill.album.schemas import Candidate, Ranked
from realfill.album.store import read_document, read_inputs, read_placed, read_rows, read_window
from realfill.core.atomic_io import atomic_directory, atomic_write, write_json
from realfill.core.errors import ExportError, StageError
from realfill.core.hashing import digest
from realfill.core.params import Params
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io import metadata
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import Photo, read_photo
from realfill.photo_io.encode import SUFFIXES, encode
from realfill.photo_io.xmp import DIGITAL_SOURCE_TYPE
from realfill.report.album_page import write_album_page

_PACKAGES = ("torch", "diffusers", "transformers", "peft", "kornia", "opencv-python-headless", "pillow")
_FORMATS = {"jpeg": "JPEG", "png": "PNG", "tiff": "TIFF"}
_THUMBNAIL = 160


@dataclass(frozen=True)
class ExportResult:
    """What was delivered.

    Attributes:
        photo: The finished photo.
        provenance: What it was made from and how, as JSON.
        page: The page to look at it.
    """

    photo: Path
    provenance: Path
    page: Path


def run(album: Album, params: Params) -> ExportResult:
    """Write `completed/`: `<album>.<ext>`, `<album>.json`, `authenticity.png` and `page/index.html`.

    The photo keeps the target's format, colour space, ICC profile, EXIF, XMP and IPTC; PNG, TIFF and lossless WebP
    stay lossless, and PNG and TIFF keep 16 bits. `export.format` chooses another format: as JPEG, 16 bits become 8,
    CMYK stays CMYK, and an alpha channel is dropped.

    Raises:
        StageError: A stage before has not run.
        ExportError: The format cannot hold the photo.
        PhotoError: The blended photo, or a photo of the album, cannot be read any more.
    """
    blended = read_document(album.work("blend") / "blend.json")
    chosen = int(blended["candidate"])
    photo = read_photo(album.work("blend") / "composite.tif", max_megapixels=1e6)
    picture = to_srgb(photo)
    original = _target_format(album)
    form = original if params.export.format == "same" else _FORMATS[params.export.format]
    about = metadata.update_for_export(
        metadata.read(album.target),
        width=photo.width,
        height=photo.height,
        thumbnail=_thumbnail(picture),
        keep_gps=params.export.gps == "keep",
        path=album.target,
        authenticity=blended["authenticity"],
    )
    lossless = original == "WEBP" and _is_lossless_webp(album.target)
    data = _encoded(album, photo, form, about, params.export.quality, lossless)
    with atomic_directory(album.completed) as folder:
        name = album.name + SUFFIXES[form]
        atomic_write(folder / name, data)
        document = provenance(album, params, folder / name, chosen)
        write_json(folder / album.provenance.name, document)
        atomic_write(folder / "authenticity.png", (album.work("blend") / "authenticity.png").read_bytes())
        write_album_page(album, picture, document, folder / "page")
    return ExportResult(
        photo=album.completed / name,
        provenance=album.provenance,
        page=album.completed / "page" / "index.html",
    )


def provenance(album: Album, params: Params, photo: Path, chosen: int) -> dict[str, Any]:
    """What a finished photo was made from and how.

    It holds neither times nor absolute paths nor metadata of the photos, so that the same inputs give the same bytes.

    Args:
        album: The album.
        params: All parameters.
        photo: The encoded photo.
        chosen: Number of the candidate that was blended.
    """
    candidates = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    candidate = next((row for row in candidates if row.candidate == chosen), None)
    if candidate is None:
        raise StageError("The blended candidate is gone.", "Run `realfill blend` again.", album.root)
    settings = params.model_dump(mode="json", by_alias=True)
    settings["base"]["model"] = Path(candidate.model).name
    return {
        "album": album.name,
        "photo": photo.name,
        "digest": digest(photo),
        "digital_source_type": DIGITAL_SOURCE_TYPE,
        "inputs": [
            {"role": row.role, "file": row.file, "digest": row.digest, "verdict": row.verdict}
            for row in read_inputs(album)
        ],
        "hole": asdict(read_window(album)),
        "base_model": {"name": Path(candidate.model).name, "digest": candidate.model_digest},
        "adapter_digest": candidate.adapter_digest,
        "candidate": chosen,
        "kind": candidate.kind,
        "seed": candidate.seed,
        "geometry": asdict(read_placed(album)),
        "authenticity": read_document(album.work("blend") / "blend.json")["authenticity"],
        "ranking": [asdict(row) for row in read_rows(album.work("rank") / "ranking.parquet", Ranked)],
        "params": settings,
        "versions": {
            "realfill": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
    }


def _encoded(album: Album, photo: Photo, form: str, about: metadata.Metadata, quality: int, lossless: bool) -> bytes:
    try:
        return encode(photo, form, about, quality, lossless=lossless)
    except ExportError as error:
        raise ExportError(error.problem, error.remedy, album.target) from error


def _target_format(album: Album) -> str:
    return next(row.format for row in read_inputs(album) if row.role == "target")


def _is_lossless_webp(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            if header[:4] in (b"VP8L", b"VP8 "):
                return header[:4] == b"VP8L"
            size = int.from_bytes(header[4:], "little")
            file.seek(size + size % 2, io.SEEK_CUR)
    return False


def _thumbnail(picture: Pixels) -> bytes:
    scale = _THUMBNAIL / max(picture.shape[:2])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    data = io.BytesIO()
    Image.fromarray(resize(picture, width, height)).save(data, "JPEG", quality=80)
    return data.getvalue()
