"""Finished albums to deliver, and an identity to sign them with."""

import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from realfill.album.layout import Album
from realfill.core.params import load_params
from realfill.delivery.identity import Identity, load_identity, make_identity
from realfill.stages import export
from support.camera_photos import COFFEE, PHOTO_KINDS
from support.finished_album import finish


def export_album(folder: Path, write: Callable[[Path], object], suffix: str, *assignments: str) -> Album:
    """An album whose target `write` writes, finished and exported."""
    (folder / "target").mkdir(parents=True)
    (folder / "ref").mkdir()
    Image.fromarray(COFFEE).save(folder / "ref" / "0.jpg")
    write(folder / "target" / f"target{suffix}")
    album = finish(folder)
    export.run(album, load_params(assignments=assignments))
    return album


def export_kind(folder: Path, kind: str, *assignments: str) -> Album:
    """An album whose target is a photo of this kind, finished and exported."""
    suffix, write = PHOTO_KINDS[kind]
    return export_album(folder, write, suffix, *assignments)


def write_identity(folder: Path, passphrase: str = "") -> Identity:
    """Make an identity in a folder, and load it."""
    make_identity("Ann", folder, passphrase)
    return load_identity(str(folder / "certificate.pem"), str(folder / "key.pem"), lambda _: passphrase)


def read_provenance(album: Album) -> dict[str, object]:
    """The document beside the finished photo."""
    document: dict[str, object] = json.loads(album.provenance.read_text())
    return document
