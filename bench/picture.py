"""The README's picture: an album's hole, its first reference and its result in one row.

usage: python bench/picture.py ALBUM PICTURE.jpg      (ALBUM is the folder of a finished album)
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from realfill.album.discovery import open_album
from realfill.album.store import accepted_references, canvas_path, finished_photo, mask_path
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png

HEIGHT, GAP = 320, 8  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("album", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    album = open_album(arguments.album)
    hole = read_png(mask_path(album))[..., None] > 0
    pictures = [np.where(hole, np.uint8(255), read_srgb(canvas_path(album)))]
    pictures += [read_srgb(path) for path in accepted_references(album)[:1]]
    pictures.append(read_srgb(finished_photo(album)))
    Image.fromarray(join_row(pictures)).save(arguments.picture, quality=88)


def join_row(pictures: list[Pixels]) -> Pixels:
    """Put pictures [H, W, 3] uint8 of any size side by side at one height."""
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    parts: list[Pixels] = []
    for picture in pictures:
        parts += [resize(picture, round(picture.shape[1] * HEIGHT / len(picture)), HEIGHT), gap]
    return np.hstack(parts[:-1])


if __name__ == "__main__":
    main()
