"""Deliver the finished photo: in the target's own format, with its metadata, its provenance and its page."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from realfill import __version__
from realfill.album.layout import Album
from realfill.album.provenance import build_provenance
from realfill.album.schemas import GENERATED_KINDS
from realfill.album.store import accepted_references, mask_path, read_document, read_inputs, read_window
from realfill.album.verdict import LEFT
from realfill.core.atomic_io import atomic_directory, atomic_write, write_json
from realfill.core.errors import ExportError, OutputError, StageError
from realfill.core.fingerprint import library_versions
from realfill.core.hashing import digest
from realfill.photo_io import metadata, xmp
from realfill.photo_io.color_management import from_srgb, is_srgb_profile, to_srgb
from realfill.photo_io.decode import is_lossless_webp, read_photo
from realfill.photo_io.encode import SUFFIXES, encode
from realfill.photo_io.icc_transform import profile_problem
from realfill.photo_io.metadata import Metadata
from realfill.photo_io.metadata_update import Delivery, update_for_export
from realfill.photo_io.photo import Photo
from realfill.photo_io.privacy import Privacy
from realfill.photo_io.reframing import Reframing
from realfill.photo_io.thumbnail import encode_thumbnail
from realfill.photo_io.working_files import read_png
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
    stays CMYK, and an alpha channel is dropped: what was transparent in a hole that `blend.generate: never` left is
    black then.

    Raises:
        StageError: A stage before has not run.
        OutputError: The finished photo that is there was changed by somebody else.
        ExportError: The format cannot hold the photo.
        PhotoError: The blended photo, or a photo of the album, can no longer be read.
    """
    _require_unchanged(album)
    blended = read_document(album.work("blend") / "blend.json")
    photo = _drop_unusable_profile(read_photo(album.work("blend") / "composite.tif"))
    target_format = next(row.format for row in read_inputs(album) if row.role == "target")
    file_format = target_format if params.export.format == "same" else _FORMATS[params.export.format]
    opaque = _blacken_left(album, photo)
    srgb, about = to_srgb(opaque), metadata.read(album.target)
    source_type = _choose_source_type(album, about, blended["kinds"])
    delivery = Delivery(
        _read_reframing(album, photo),
        encode_thumbnail(srgb),
        Privacy(params.export.privacy.position == "keep", params.export.privacy.identity == "keep"),
        blended["authenticity"],
        source_type,
        is_srgb_profile(photo.icc) if photo.icc else None,
    )
    updated = update_for_export(about, delivery, album.target)
    delivered = opaque if file_format == "JPEG" else photo
    lossless = target_format == "WEBP" and is_lossless_webp(album.target)
    try:
        data = encode(delivered, file_format, updated, params.export.quality, lossless=lossless)
    except ExportError as error:
        raise ExportError(error.problem, error.remedy, album.target) from error
    name = album.name + SUFFIXES[file_format]
    with atomic_directory(album.completed) as folder:
        atomic_write(folder / name, data)
        versions = {"realfill": __version__, "python": platform.python_version(), **library_versions()}
        provenance = build_provenance(
            album,
            params,
            folder / name,
            int(blended["candidate"]),
            versions,
            source_type=source_type,
            left_as="" if not blended["authenticity"].get(LEFT) else _describe_left(photo, opaque, file_format),
        )
        write_json(folder / album.provenance.name, provenance)
        atomic_write(folder / "authenticity.png", (album.work("blend") / "authenticity.png").read_bytes())
        write_album_page(album, srgb, provenance, folder / "page")
    return ExportResult(
        photo=album.completed / name,
        provenance=album.provenance,
        page=album.completed / "page" / "index.html",
    )


def _require_unchanged(album: Album) -> None:
    """Check that the finished photo, which is to be replaced, is as it was written."""
    if not album.provenance.is_file():
        return
    with suppress(StageError):  # a damaged provenance proves nothing
        written = read_document(album.provenance)
        photo = album.completed / str(written.get("photo"))
        if photo.is_file() and digest(photo) != written.get("digest"):
            problem = "The finished photo was changed since realfill wrote it, and is not replaced."
            raise OutputError(problem, "Move it to another place, then run again.", photo)


def _choose_source_type(album: Album, about: Metadata, kinds: Iterable[str]) -> str:
    """The digital source type of the finished photo, which candidates of some kinds complete."""
    references = [metadata.read(path) for path in accepted_references(album)]
    return xmp.choose_source_type(
        generated=not GENERATED_KINDS.isdisjoint(kinds),
        target=(about.xmp, about.xmp_extension),
        references=(packet for each in references for packet in (each.xmp, each.xmp_extension)),
    )


def _read_reframing(album: Album, photo: Photo) -> Reframing:
    """How the picture that the target stores became the finished one."""
    window = read_window(album)
    left, top = window.photo_left / window.canvas_width, window.photo_top / window.canvas_height
    right = (window.photo_left + window.photo_width) / window.canvas_width
    bottom = (window.photo_top + window.photo_height) / window.canvas_height
    orientation = next(row.orientation for row in read_inputs(album) if row.role == "target")
    return Reframing(photo.width, photo.height, orientation, (left, top, right, bottom))


def _drop_unusable_profile(photo: Photo) -> Photo:
    """The photo without an ICC profile that cannot be used: it was computed, and is delivered, as sRGB."""
    return replace(photo, icc=None) if profile_problem(photo) else photo


def _blacken_left(album: Album, photo: Photo) -> Photo:
    """Make transparent parts of the hole that were left black, for where they cannot be transparent."""
    if photo.alpha is None:
        return photo
    left = (read_png(mask_path(album)) > 0) & (read_png(album.work("blend") / "authenticity.png") == 0)
    hidden = left & (photo.alpha == 0)
    if not hidden.any():
        return photo
    black = from_srgb(np.zeros((1, 1, 3), np.float32), photo)
    return replace(photo, pixels=np.where(hidden[..., None], black, photo.pixels))


def _describe_left(photo: Photo, opaque: Photo, file_format: str) -> str:
    """What is seen where the hole was left, see `build_provenance`."""
    if opaque is photo:
        return "as it was"
    return "black" if file_format == "JPEG" else "transparent"
