"""Deliver the finished photo: in the target's own format, with its metadata, its provenance and its page."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from realfill import __version__
from realfill.album.layout import Album
from realfill.album.provenance import build_provenance
from realfill.album.store import read_document, read_inputs
from realfill.core.atomic_io import atomic_directory, atomic_write, write_json
from realfill.core.errors import ExportError
from realfill.core.fingerprint import library_versions
from realfill.photo_io import metadata
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import is_lossless_webp, read_photo
from realfill.photo_io.encode import SUFFIXES, encode
from realfill.photo_io.thumbnail import encode_thumbnail
from realfill.report.album_page import write_album_page

if TYPE_CHECKING:
    from realfill.core.params import Params

_FORMATS = {"jpeg": "JPEG", "png": "PNG", "tiff": "TIFF"}


@dataclass(frozen=True)
class ExportResult:
    """The delivered files.

    Attributes:
        photo: The finished photo.
        provenance: JSON document that says what the photo was made from and how.
        page: Page that shows the photo before and after.
    """

    photo: Path
    provenance: Path
    page: Path


def run(album: Album, params: Params) -> ExportResult:
    """Write `completed/`: `<album>.<suffix>`, `<album>.json`, `authenticity.png` and `page/index.html`.

    The photo keeps the target's format, color space, ICC profile, EXIF, XMP and IPTC. PNG, TIFF and lossless WebP
    stay lossless; PNG and TIFF keep 16 bits. `export.format` chooses another format: as JPEG, 16 bits become 8, CMYK
    stays CMYK, and an alpha channel is dropped.

    Raises:
        StageError: A stage before has not run.
        ExportError: The format cannot hold the photo.
        PhotoError: The blended photo, or a photo of the album, can no longer be read.
    """
    blended = read_document(album.work("blend") / "blend.json")
    photo = read_photo(album.work("blend") / "composite.tif")
    srgb = to_srgb(photo)
    target_format = next(row.format for row in read_inputs(album) if row.role == "target")
    file_format = target_format if params.export.format == "same" else _FORMATS[params.export.format]
    updated = metadata.update_for_export(
        metadata.read(album.target),
        width=photo.width,
        height=photo.height,
        thumbnail=encode_thumbnail(srgb),
        keep_gps=params.export.gps == "keep",
        path=album.target,
        authenticity=blended["authenticity"],
    )
    lossless = target_format == "WEBP" and is_lossless_webp(album.target)
    try:
        data = encode(photo, file_format, updated, params.export.quality, lossless=lossless)
    except ExportError as error:
        raise ExportError(error.problem, error.remedy, album.target) from error
    name = album.name + SUFFIXES[file_format]
    with atomic_directory(album.completed) as folder:
        atomic_write(folder / name, data)
        versions = {"realfill": __version__, "python": platform.python_version(), **library_versions()}
        provenance = build_provenance(album, params, folder / name, int(blended["candidate"]), versions)
        write_json(folder / album.provenance.name, provenance)
        atomic_write(folder / "authenticity.png", (album.work("blend") / "authenticity.png").read_bytes())
        write_album_page(album, srgb, provenance, folder / "page")
    return ExportResult(
        photo=album.completed / name,
        provenance=album.provenance,
        page=album.completed / "page" / "index.html",
    )
