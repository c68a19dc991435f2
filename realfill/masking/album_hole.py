"""The hole of an album, from all that describes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realfill.album.layout import Album
from realfill.core.errors import MaskError
from realfill.imaging.ops import Pixels
from realfill.masking.hole_mask import (
    HOW_TO_DESCRIBE,
    Hole,
    mask_from_alpha,
    mask_from_drawing,
    mask_from_shapes,
)
from realfill.masking.outpainting import Extension, compute_extension
from realfill.masking.stored_orientation import settle_orientation
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo


@dataclass(frozen=True)
class AlbumHole:
    """The hole of an album.

    Attributes:
        source: What described it: "file", "shapes", "alpha" and "outpaint", joined by "+".
        mask: The part inside the photo, [H, W] uint8, 255 = fill.
        extension: Pixels added at each side of the photo; they belong to the hole.
        warnings: What is doubtful about a description, in sentences, by the file that holds it.
        path: The file that described it, to be named in errors.
    """

    source: str
    mask: Pixels
    extension: Extension
    warnings: dict[Path, tuple[str, ...]]
    path: Path


def read_album_hole(album: Album, photo: Photo, picture: Pixels, max_megapixels: float) -> AlbumHole:
    """Read all that describes the hole; it adds up.

    Args:
        album: The album.
        photo: Its target.
        picture: The target, [H, W, 3] uint8 sRGB.
        max_megapixels: Limit for the extended photo, 10^6 pixels.

    Raises:
        PhotoError: The mask cannot be read.
        MaskError: Nothing describes a hole, or a description is not plausible.
    """
    settings_path = album.root / "album.yaml"
    with name_in_errors(settings_path):
        extension = compute_extension(album.settings, photo.width, photo.height, max_megapixels)
    holes: dict[str, tuple[Path, Hole]] = {}
    if album.mask is not None:
        with name_in_errors(album.mask):
            drawn = mask_from_drawing(read_photo(album.mask), photo, picture)
            holes["file"] = album.mask, settle_orientation(drawn, photo, picture)
    if album.settings.boxes or album.settings.polygons:
        with name_in_errors(settings_path):
            holes["shapes"] = settings_path, Hole(mask_from_shapes(album.settings, photo.width, photo.height))
    with name_in_errors(album.target):
        transparent = mask_from_alpha(photo)
    if transparent is not None and album.settings.transparency == "fill":
        others = [hole.mask for _, hole in holes.values()]
        holes["alpha"] = album.target, _weigh_transparency(transparent, others)
    if extension != Extension():
        holes["outpaint"] = settings_path, Hole(np.zeros((photo.height, photo.width), np.uint8))
    if not holes:
        raise MaskError("No hole is described.", HOW_TO_DESCRIBE, album.target)
    return AlbumHole(
        source="+".join(holes),
        mask=np.bitwise_or.reduce([hole.mask for _, hole in holes.values()]),
        extension=extension,
        warnings={path: hole.warnings for path, hole in holes.values() if hole.warnings},
        path=next(path for path, _ in holes.values()),
    )


def _weigh_transparency(hole: Hole, others: Sequence[Pixels]) -> Hole:
    """The transparent pixels as a hole beside others: none if all are transparent, as from faulty programs."""
    if not others:
        return hole
    if hole.mask.all():
        warning = "It is transparent everywhere, which describes no hole: its transparency is not heeded."
        return Hole(np.zeros_like(hole.mask), (warning,))
    added = hole.mask & ~np.bitwise_or.reduce(others)
    if not added.any():
        return hole
    share = np.count_nonzero(added) / added.size
    warning = f"Its transparent pixels are filled too: {share:.1%} of it, beside what is described otherwise."
    return Hole(hole.mask, (warning, *hole.warnings))


@contextmanager
def name_in_errors(path: Path) -> Iterator[None]:
    """Add the file at fault to the errors of functions that know only its pixels."""
    try:
        yield
    except MaskError as error:
        raise MaskError(error.problem, error.remedy, path) from None
