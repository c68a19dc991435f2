"""The README's picture: an album's hole, references and result in one row.

usage: python bench/picture.py ALBUM PICTURE.jpg      (ALBUM a finished album folder)
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from realfill.album.discovery import open_album
from realfill.album.store import accepted_references, canvas_path, finished_photo, mask_path
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png

HEIGHT, GAP = 320, 8


def main() -> None:
    album, out = open_album(Path(sys.argv[1])), Path(sys.argv[2])
    hole = read_png(mask_path(album))[..., None] > 0
    shown = [np.where(hole, np.uint8(255), read_png(canvas_path(album)))]
    shown += [read_srgb(path) for path in accepted_references(album)[:1]]
    shown.append(read_srgb(finished_photo(album)))
    Image.fromarray(row(shown)).save(out, quality=88)


def row(images: list[Pixels]) -> Pixels:
    """Images [H, W, 3] uint8 of any size side by side at one height."""
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    parts: list[Pixels] = []
    for image in images:
        parts += [resize(image, round(image.shape[1] * HEIGHT / len(image)), HEIGHT), gap]
    return np.hstack(parts[:-1])


if __name__ == "__main__":
    main()
