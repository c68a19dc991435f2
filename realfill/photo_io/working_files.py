"""FIXME DOCSTRING."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from realfill.imaging.ops import Pixels
from realfill.photo_io.decode import Photo


def write_lossless_tiff(path: Path, photo: Photo) -> None:
    """Write a photo as a deflate-compressed TIFF that `read` turns into the same pixels, alpha and profile."""
    samples = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    tifffile.imwrite(
        path,
        samples if samples.shape[2] > 1 else samples[..., 0],
        photometric={1: "minisblack", 3: "rgb", 4: "separated"}[photo.pixels.shape[2]],
        planarconfig="contig" if samples.shape[2] > 1 else None,
        extrasamples=None if photo.alpha is None else ["unassalpha"],
        iccprofile=photo.icc,
        compression="zlib",
        compressionargs={"level": 1},
        predictor=True,
        rowsperstrip=256,
        metadata=None,
        software=False,
    )


def write_png(path: Path, picture: Pixels) -> None:
    """Write [H, W, 3] RGB or [H, W] uint8 as a PNG, quickly rather than small; same pixels, same bytes."""
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(picture), level=1))


def read_png(path: Path) -> Pixels:
    """Read what `write_png` wrote, as [H, W, 3] RGB or [H, W] uint8."""
    picture: Pixels = imagecodecs.png_decode(path.read_bytes())
    return picture
