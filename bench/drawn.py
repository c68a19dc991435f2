"""Write albums that nobody chose: target, hole and references drawn by a seed from the photos of real albums.

Each album lends one photo as target and ground truth, some of the others as references, one at least, and lacks a
rectangle, an ellipse, a polygon, several disks, one or two sides, or all around. `bench/placed.py` measures what
becomes of them.

usage: python bench/drawn.py FOLDER ALBUM... [--rounds 4] [--seed 20261128]
"""

import argparse
import math
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from placed import write_album

from realfill.album.discovery import open_album
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb

AREA = (0.02, 0.75)  # of the hole, as a share of the photo; others are drawn once more
Draw = Callable[[Pixels, random.Random], None]  # draws a hole into a mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=20261128)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    for number in range(arguments.rounds):
        for path in sorted(arguments.albums):
            print(write_drawn_album(path.resolve(), arguments.folder / f"r{number}-{path.resolve().name}", rng))


def write_drawn_album(root: Path, folder: Path, rng: random.Random) -> str:
    """Write an album drawn from another one's photos; returns what was drawn."""
    album = open_album(root)
    photos = [photo for photo in (*album.references, album.ground_truth) if photo is not None]
    target = rng.choice(photos)
    others = [photo for photo in photos if photo != target]
    if not others:
        raise SystemExit(f"{root} has a single photo besides its target: it cannot be drawn from.")
    references = rng.sample(others, rng.randint(1, len(others)))
    height, width = read_srgb(target).shape[:2]
    kind, mask = draw_hole(height, width, rng)
    if not AREA[0] < (mask > 0).mean() < AREA[1]:
        kind, mask = draw_hole(height, width, rng)
    write_album(folder, target, mask, references)
    return f"{folder.name}: {target.name}, {len(references)} references, {kind}, {(mask > 0).mean():.0%}"


def draw_hole(height: int, width: int, rng: random.Random) -> tuple[str, Pixels]:
    """Draw a kind of hole and the hole itself, [height, width] uint8."""
    mask = np.zeros((height, width), np.uint8)
    kind = rng.choice([*HOLES])
    HOLES[kind](mask, rng)
    return kind, mask


def draw_rectangle(mask: Pixels, rng: random.Random) -> None:
    height, width = mask.shape
    columns, rows = rng.uniform(0.25, 0.65), rng.uniform(0.25, 0.65)
    left, top = rng.uniform(0.03, 0.97 - columns), rng.uniform(0.03, 0.97 - rows)
    mask[int(top * height) : int((top + rows) * height), int(left * width) : int((left + columns) * width)] = 255


def draw_ellipse(mask: Pixels, rng: random.Random) -> None:
    height, width = mask.shape
    axes = int(rng.uniform(0.15, 0.35) * width), int(rng.uniform(0.15, 0.35) * height)
    center = int(rng.uniform(0.3, 0.7) * width), int(rng.uniform(0.3, 0.7) * height)
    cv2.ellipse(mask, center, axes, rng.uniform(0, 180), 0, 360, 255, -1)


def draw_polygon(mask: Pixels, rng: random.Random) -> None:
    height, width = mask.shape
    count, x, y = rng.randint(5, 9), rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7)
    corners = [
        (
            (x + rng.uniform(0.12, 0.4) * math.cos(angle)) * width,
            (y + rng.uniform(0.12, 0.4) * math.sin(angle)) * height,
        )
        for angle in sorted(rng.uniform(0, 2 * math.pi) for _ in range(count))
    ]
    cv2.fillPoly(mask, [np.array(corners, np.int32)], 255)


def draw_side(mask: Pixels, rng: random.Random) -> None:
    height, width = mask.shape
    side, share = rng.choice("lrtb"), rng.uniform(0.15, 0.45)
    columns, rows = int(share * width), int(share * height)
    if side in "lr":
        mask[:, -columns if side == "r" else 0 :][:, :columns] = 255
    else:
        mask[-rows if side == "b" else 0 :][:rows] = 255


def draw_two_sides(mask: Pixels, rng: random.Random) -> None:
    draw_side(mask, rng)
    draw_side(mask, rng)


def draw_frame(mask: Pixels, rng: random.Random) -> None:
    height, width = mask.shape
    share = rng.uniform(0.08, 0.2)
    inner = np.s_[int(share * height) : int((1 - share) * height), int(share * width) : int((1 - share) * width)]
    mask[:] = 255
    mask[inner] = 0


def draw_disks(mask: Pixels, rng: random.Random) -> None:
    height, width = mask.shape
    for _ in range(rng.randint(2, 5)):
        center = int(rng.uniform(0.1, 0.9) * width), int(rng.uniform(0.1, 0.9) * height)
        cv2.circle(mask, center, int(rng.uniform(0.05, 0.15) * width), 255, -1)


HOLES: dict[str, Draw] = {
    "rectangle": draw_rectangle,
    "ellipse": draw_ellipse,
    "polygon": draw_polygon,
    "side": draw_side,
    "two sides": draw_two_sides,
    "all around": draw_frame,
    "disks": draw_disks,
}

if __name__ == "__main__":
    main()
