"""What the base model's autoencoder loses, and how well the model mends a placed reference with typical errors.

On the squares of albums that the model sees, at its own size. The placed reference is the truth, moved by 2 to 5
pixels, in other light, a fifth of it unknown, drawn anew for each seed. Each way to fill the hole is told as
`PSNR dB / recall of keypoints / colour / gradient off the truth / jump of colour / of gradient`. The last four are
8-bit levels: how far from the truth it is just inside the rim, and how much more than the truth it jumps across the
rim. "pasted" is the reference as it is, the unknown inpainted (Telea); "blended" the same without the model.

usage: python bench/pocket.py FOLDER ALBUM... [--seeds 0 1 2] [--set sample.strength=0.5] [--picture FILE]
"""

import argparse
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np

from realfill.album.canvas import crop_window, read_model_window
from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import Window
from realfill.album.store import read_window
from realfill.compositing.multiband_blend import Fill, complete_canvas
from realfill.core.params import Params, load_params
from realfill.core.seeding import numpy_generator
from realfill.diffusion.base_model import BaseModel, load
from realfill.diffusion.inpainting_sampler import Guide, sample_candidates
from realfill.evaluation.metrics import Scorer, psnr
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import write_png
from realfill.pipeline import run_stage

UNKNOWN = 0.2  # of the placed reference
MOVED = (2.0, 5.0)  # pixels, on average over the reference
RIM = 3  # pixels inside the hole
NEAR = 2.0  # sigma, in pixels, of what counts as one side of the rim
WAYS = ("pasted", "blended", "mended")


@dataclass(frozen=True)
class Quality:
    """A fill against the truth: dB, share of keypoints, levels of colour and of gradient at the rim."""

    psnr: float
    recall: float
    colour: float
    gradient: float
    colour_jump: float
    gradient_jump: float

    def __str__(self) -> str:
        levels = self.colour, self.gradient, self.colour_jump, self.gradient_jump
        return f"{self.psnr:.2f} / {self.recall:.2f} / {' / '.join(f'{level:.1f}' for level in levels)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="assignments", nargs="+", default=[])
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    params = load_params(assignments=given.assignments)
    model = load(params.base)
    print(f"| album | autoencoder | {' | '.join(WAYS)} | recall kept |\n|{'---|' * (len(WAYS) + 3)}")
    codec, every, rows = [], [], []
    for path in given.albums:
        album = open_album(path, given.folder / path.resolve().name)
        codec.append(round_trip(model, album))
        if album.ground_truth is None:
            continue
        truth, _, mask = seen(album, params, model.resolution)
        drawn = [filled(model, params, truth, mask, seed) for seed in given.seeds]
        found = [[quality(truth, mask, picture) for picture in pictures] for pictures in drawn]
        rows += [np.hstack([truth, *pictures]) for pictures in drawn]
        every += found
        print(row(album.name, codec[-1], found), flush=True)
    print(row("mean", float(np.mean(codec)), every))
    if given.picture:
        write_png(given.picture, np.vstack(rows))


def round_trip(model: BaseModel, album: Album) -> float:
    """Mean PSNR of the album's photos, the middle square at the model's size, encoded and decoded; dB."""
    side, decibels = model.resolution, []
    for path in (album.ground_truth or album.target, *album.references):
        photo = read_srgb(path)
        short = min(photo.shape[:2])
        top, left = (photo.shape[0] - short) // 2, (photo.shape[1] - short) // 2
        small = resize(photo[top : top + short, left : left + short], side, side)
        decibels.append(psnr(model.decode(model.encode(small[None])[0])[0], small))
    return float(np.mean(decibels))


def seen(album: Album, params: Params, side: int) -> tuple[Pixels, Pixels, Pixels]:
    """Truth and photo [side, side, 3] and the hole [side, side] bool in the window that the model sees."""
    for stage in ("validate", "masks"):
        run_stage(stage, album, params)
    assert album.ground_truth is not None
    window = read_window(album)
    truth = read_srgb(album.ground_truth)
    height, width = window.canvas_height, window.canvas_width
    return resize(crop_window(resize(truth, width, height), window), side, side), *read_model_window(album, side)


def filled(model: BaseModel, params: Params, truth: Pixels, mask: Pixels, seed: int) -> list[Pixels]:
    """The square with its hole filled in each of `WAYS`."""
    reference, known = placed(truth, seed)
    shown = np.where(known[..., None], reference, truth)
    missing = (mask & ~known).astype(np.uint8)
    start = cv2.inpaint(shown, missing, 3, cv2.INPAINT_TELEA)
    guide = Guide(start, known, np.zeros(mask.shape, np.float32), params.sample.strength)
    settings = params.sample.model_copy(update={"seed": seed})
    mended = sample_candidates(model, truth, mask, 1, settings, params.finetune.prompt, guide=guide).images[0]
    side = model.resolution
    window = Window("file", side, side, 0, 0, side, side, 0, 0, side, float(mask.mean()))
    hole = np.where(mask, np.uint8(255), np.uint8(0))
    canvas = truth.astype(np.float32) / 255
    blended = [complete_canvas(canvas, hole, window, Fill(picture), params.blend) for picture in (start, mended)]
    pasted = np.where(mask[..., None], start, truth)
    return [pasted, *(np.rint(picture * 255).astype(np.uint8) for picture in blended)]


def placed(truth: Pixels, seed: int) -> tuple[Pixels, Pixels]:
    """The truth as another photo shows it, [R, R, 3] uint8, and where that is known, [R, R] bool."""
    rng, side = numpy_generator("placed", seed), len(truth)
    shift = smooth(rng, 2, 4, side)
    shift *= rng.uniform(*MOVED) / np.linalg.norm(shift, axis=-1).mean()
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    moved = cv2.remap(
        truth, columns + shift[..., 0], rows + shift[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    light = (
        (moved / 255.0) ** np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.1)) * np.exp(rng.normal(0, 0.05, 3))
    )
    unknown = smooth(rng, 1, 8, side)[..., 0]
    return np.rint(light.clip(0, 1) * 255).astype(np.uint8), unknown < np.quantile(unknown, 1 - UNKNOWN)


def smooth(rng: np.random.Generator, channels: int, nodes: int, side: int) -> Pixels:
    coarse = rng.normal(size=(nodes, nodes, channels)).astype(np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).reshape(side, side, channels)


def quality(truth: Pixels, mask: Pixels, picture: Pixels) -> Quality:
    score = Scorer(truth, np.where(mask, np.uint8(255), np.uint8(0))).score(picture)
    error = picture.astype(np.float32) - truth
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    rim = (inside > 0) & (inside <= RIM)
    colour = np.linalg.norm(cv2.GaussianBlur(error, (0, 0), 1.0), axis=-1)[rim].mean()
    gradient = np.linalg.norm(slopes(error), axis=-1)[rim].mean()
    filled, true = picture.astype(np.float32), truth.astype(np.float32)
    colour_jump = jump(filled, mask) - jump(true, mask)
    gradient_jump = jump(slopes(filled), mask) - jump(slopes(true), mask)
    return Quality(score.psnr, score.recall or 0.0, float(colour), float(gradient), colour_jump, gradient_jump)


def slopes(image: Pixels) -> Pixels:
    """[R, R, 3] float32 -> [R, R, 2]: the gradient of the grey picture, levels a pixel."""
    gray = image.mean(axis=-1)
    return np.dstack([cv2.Sobel(gray, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1))])


def jump(values: Pixels, mask: Pixels) -> float:
    """How much the local means of [R, R, C] float32 on both sides of the rim of [R, R] bool differ, on average."""
    sides = []
    for side in (mask, ~mask):
        weight = cv2.GaussianBlur(side.astype(np.float32), (0, 0), NEAR)[..., None]
        sides.append(cv2.GaussianBlur(values * side[..., None], (0, 0), NEAR) / np.maximum(weight, 1e-6))
    rim = mask & cv2.dilate((~mask).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return float(np.linalg.norm(sides[0] - sides[1], axis=-1)[rim].mean())


def row(name: str, codec: float, found: Sequence[Sequence[Quality]]) -> str:
    means = [Quality(*np.mean([astuple(one[way]) for one in found], axis=0)) for way in range(len(WAYS))]
    kept = means[-1].recall / max(means[0].recall, 1e-9)
    return f"| {name} | {codec:.2f} dB | {' | '.join(map(str, means))} | {kept:.0%} |"


if __name__ == "__main__":
    main()
