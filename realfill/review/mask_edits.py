"""The mask of an album, repainted: from strokes to pixels.

The strokes of an album start from the mask that it had before the first of them. That mask, and every mask made of
it, is kept in `masks/` of the journal's folder under the digest of its pixels: a mask that is not among them was
changed by somebody else, and is not replaced.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import imagecodecs
import numpy as np

from realfill.album.layout import Album
from realfill.core.atomic_io import atomic_write
from realfill.core.errors import MaskError
from realfill.imaging.ops import Pixels
from realfill.masking.album_hole import read_album_hole
from realfill.masking.hole_mask import grow_mask
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.working_files import read_png
from realfill.review.decisions import Stroke


def read_described_hole(album: Album) -> Pixels:
    """Read the hole as the album describes it, except what is outpainted: [H, W] uint8 of the photo, 255 = fill.

    Raises:
        PhotoError: The target or the mask cannot be read.
        MaskError: The description is not plausible.
    """
    photo = read_photo(album.target)
    return read_album_hole(album, photo, to_srgb(photo), max_megapixels=math.inf).mask


def read_undrawn_hole(album: Album) -> Pixels:
    """Read the part of the hole that no mask file draws, as `read_described_hole` does; empty if there is none."""
    photo = read_photo(album.target)
    try:
        return read_album_hole(replace(album, mask=None), photo, to_srgb(photo), max_megapixels=math.inf).mask
    except MaskError:
        return np.zeros(photo.pixels.shape[:2], np.uint8)


def draw_strokes(base: Pixels, strokes: Sequence[Stroke]) -> Pixels:
    """Draw strokes over a mask.

    Args:
        base: [H, W] uint8, 255 = fill.
        strokes: In their order; what reaches beyond the mask has no effect.

    Returns:
        [H, W] uint8, 255 = fill.
    """
    mask = base.copy()
    for stroke in strokes:
        value = 0 if stroke.erase else 255
        match stroke.tool:
            case "grow" if stroke.erase:
                mask = 255 - grow_mask(255 - mask, round(stroke.radius))
            case "grow":
                mask = grow_mask(mask, round(stroke.radius))
            case "polygon" if len(stroke.points) >= 3:
                cv2.fillPoly(mask, [_to_pixels(stroke.points)], value)
            case "brush" if stroke.points:
                _draw_line(mask, stroke, value)
    return mask


def digest_mask(mask: Pixels) -> str:
    """Digest the pixels of a mask [H, W] uint8; SHA-256, 64 hex digits."""
    return hashlib.sha256(repr(mask.shape).encode() + np.ascontiguousarray(mask).tobytes()).hexdigest()


def keep_mask(mask: Pixels, folder: Path) -> str:
    """Keep a mask in a journal's folder; returns its digest."""
    name = digest_mask(mask)
    path = _path(name, folder)
    if not path.is_file():
        make_private(path.parent)
        atomic_write(path, bytes(imagecodecs.png_encode(mask)))
    return name


def make_private(folder: Path) -> None:
    """Make a folder, with its parents, that git leaves out: what is in it is of use to this clone alone."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".gitignore").is_file():
        atomic_write(folder / ".gitignore", "*\n")


def is_kept(mask: Pixels, folder: Path) -> bool:
    """Whether a mask is one that was kept."""
    return _path(digest_mask(mask), folder).is_file()


def read_repainted(base: str, strokes: Sequence[Stroke], folder: Path) -> Pixels:
    """Draw the strokes of an album over the mask that they start from.

    Args:
        base: Digest of that mask.
        strokes: In their order.
        folder: The journal's folder.

    Raises:
        MaskError: That mask is not there any more.
    """
    path = _path(base, folder)
    if not path.is_file():
        raise MaskError("The mask that was repainted is not there any more.", "Bring it back from a backup.", path)
    return draw_strokes(read_png(path), strokes)


def _path(name: str, folder: Path) -> Path:
    return folder / "masks" / f"{name}.png"


def _draw_line(mask: Pixels, stroke: Stroke, value: int) -> None:
    """Draw a line of round ends through the points of a stroke."""
    thickness = max(1, round(2 * stroke.radius))
    points = _to_pixels(stroke.points)
    if len(points) > 1:
        cv2.polylines(mask, [points], False, value, thickness)
    for x, y in (points[0], points[-1]):
        cv2.circle(mask, (int(x), int(y)), max(0, round(stroke.radius)), value, -1)


def _to_pixels(points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Points, pixels, as OpenCV takes them, [N, 2] int32."""
    return np.rint(np.array(points, np.float64)).astype(np.int32)
