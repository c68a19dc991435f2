"""What the base model's autoencoder loses, and how well the model repairs a placed reference with typical errors.

Measured on the squares of albums that the model sees, at its own size. The placed reference is the ground truth,
moved by 2 to 5 pixels, in other light, a fifth of it unknown, drawn anew for each seed. Each way to fill the hole is
printed as `PSNR dB / recall of keypoints / error of color / error of gradient / jump of color / jump of gradient`.
The last four are 8-bit levels: how far the fill is from the ground truth just inside the rim, and how much more than
the ground truth it jumps across the rim. "pasted" is the reference as it is, the unknown part inpainted (Telea);
"blended" is the same, blended without the model; "repaired" is what the model makes of it, blended.

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
from realfill.diffusion.base_model import BaseModel, load_base_model
from realfill.diffusion.guide import Guide
from realfill.diffusion.inpainting_sampler import sample_candidates
from realfill.evaluation.metrics import Scorer, psnr
from realfill.imaging.ops import Pixels, resize, to_uint8
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import write_png
from realfill.pipeline import run_stage

UNKNOWN = 0.2  # share of the placed reference
SHIFT = (2.0, 5.0)  # pixels, mean over the reference
RIM = 3  # pixels inside the hole
NEAR = 2.0  # sigma of what counts as one side of the rim, pixels
METHODS = ("pasted", "blended", "repaired")


@dataclass(frozen=True)
class Quality:
    """A fill against the ground truth.

    Attributes:
        psnr: dB.
        recall: Share of the keypoints, 0 to 1.
        color: Error of color just inside the rim, 8-bit levels.
        gradient: Error of gradient just inside the rim, 8-bit levels per pixel.
        color_jump: Jump of color across the rim beyond that of the ground truth, 8-bit levels.
        gradient_jump: The same of gradient, 8-bit levels per pixel.
    """

    psnr: float
    recall: float
    color: float
    gradient: float
    color_jump: float
    gradient_jump: float

    def __str__(self) -> str:
        levels = self.color, self.gradient, self.color_jump, self.gradient_jump
        return f"{self.psnr:.2f} / {self.recall:.2f} / {' / '.join(f'{level:.1f}' for level in levels)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="assignments", nargs="+", default=[])
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    params = load_params(assignments=arguments.assignments)
    model = load_base_model(params.base)
    model.accepts_composite = True  # a model folder that is named by its path, too: the reference is its condition
    print(f"| album | autoencoder | {' | '.join(METHODS)} | recall kept |\n|{'---|' * (len(METHODS) + 3)}")
    round_trips, all_qualities, rows = [], [], []
    for path in arguments.albums:
        album = open_album(path, arguments.folder / path.resolve().name)
        round_trips.append(measure_round_trip(model, album))
        if album.ground_truth is None:
            continue
        truth, _, mask = read_truth_window(album, params, model.resolution)
        fills = [fill_hole(model, params, truth, mask, seed) for seed in arguments.seeds]
        qualities = [[measure_quality(truth, mask, picture) for picture in pictures] for pictures in fills]
        rows += [np.hstack([truth, *pictures]) for pictures in fills]
        all_qualities += qualities
        print(format_row(album.name, round_trips[-1], qualities), flush=True)
    print(format_row("mean", float(np.mean(round_trips)), all_qualities))
    if arguments.picture:
        write_png(arguments.picture, np.vstack(rows))


def measure_round_trip(model: BaseModel, album: Album) -> float:
    """Mean PSNR of the album's photos, the middle square at the model's size, encoded and decoded; dB."""
    side, psnrs = model.resolution, []
    for path in (album.ground_truth or album.target, *album.references):
        photo = read_srgb(path)
        short = min(photo.shape[:2])
        top, left = (photo.shape[0] - short) // 2, (photo.shape[1] - short) // 2
        square = resize(photo[top : top + short, left : left + short], side, side)
        psnrs.append(psnr(to_uint8(model.decode(model.encode(square[None])[0])[0]), square))
    return float(np.mean(psnrs))


def read_truth_window(album: Album, params: Params, side: int) -> tuple[Pixels, Pixels, Pixels]:
    """Ground truth and photo [side, side, 3] and the hole [side, side] bool in the window that the model sees."""
    for stage in ("validate", "masks"):
        run_stage(stage, album, params)
    assert album.ground_truth is not None
    window = read_window(album)
    canvas = resize(read_srgb(album.ground_truth), window.canvas_width, window.canvas_height)
    return resize(crop_window(canvas, window), side, side), *read_model_window(album, side)


def fill_hole(model: BaseModel, params: Params, truth: Pixels, mask: Pixels, seed: int) -> list[Pixels]:
    """The square with its hole filled by each of `METHODS`."""
    reference, is_known = draw_reference(truth, seed)
    composite = np.where(is_known[..., None], reference, truth)
    init_image = cv2.inpaint(composite, (mask & ~is_known).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    guide = Guide(init_image, is_known, np.zeros(mask.shape, np.float32), params.sample.strength)
    sample = params.sample.model_copy(update={"seed": seed})
    repaired = sample_candidates(model, truth, mask, 1, sample, params.finetune.prompt, guide=guide).images[0]
    side = model.resolution
    window = Window("file", side, side, 0, 0, side, side, 0, 0, side, float(mask.mean()))
    hole, canvas = np.where(mask, np.uint8(255), np.uint8(0)), truth.astype(np.float32) / 255
    blended = [
        complete_canvas(canvas, hole, window, Fill(picture), params.blend) for picture in (init_image, repaired)
    ]
    pasted = np.where(mask[..., None], init_image, truth)
    return [pasted, *(to_uint8(picture) for picture in blended)]


def draw_reference(truth: Pixels, seed: int) -> tuple[Pixels, Pixels]:
    """The ground truth as another photo shows it, [R, R, 3] uint8, and where that is known, [R, R] bool."""
    rng, side = numpy_generator("placed", seed), len(truth)
    shift = smooth_noise(rng, 2, 4, side)
    shift *= rng.uniform(*SHIFT) / np.linalg.norm(shift, axis=-1).mean()
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    positions = columns + shift[..., 0], rows + shift[..., 1]
    warped = cv2.remap(truth, *positions, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    gamma, gain = np.exp(rng.normal(0, 0.15)), np.exp(rng.normal(0, 0.1))
    reference = (warped / 255.0) ** gamma * gain * np.exp(rng.normal(0, 0.05, 3))
    unknown = smooth_noise(rng, 1, 8, side)[..., 0]
    return to_uint8(reference), unknown < np.quantile(unknown, 1 - UNKNOWN)


def smooth_noise(rng: np.random.Generator, channels: int, nodes: int, side: int) -> Pixels:
    coarse = rng.normal(size=(nodes, nodes, channels)).astype(np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).reshape(side, side, channels)


def measure_quality(truth: Pixels, mask: Pixels, picture: Pixels) -> Quality:
    score = Scorer(truth, np.where(mask, np.uint8(255), np.uint8(0))).score(picture)
    error = picture.astype(np.float32) - truth
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    rim = (distance > 0) & (distance <= RIM)
    filled, true = picture.astype(np.float32), truth.astype(np.float32)
    return Quality(
        psnr=score.psnr,
        recall=score.recall or 0.0,
        color=float(np.linalg.norm(cv2.GaussianBlur(error, (0, 0), 1.0), axis=-1)[rim].mean()),
        gradient=float(np.linalg.norm(gradient(error), axis=-1)[rim].mean()),
        color_jump=jump(filled, mask) - jump(true, mask),
        gradient_jump=jump(gradient(filled), mask) - jump(gradient(true), mask),
    )


def gradient(image: Pixels) -> Pixels:
    """[R, R, 3] float32 -> [R, R, 2]: the gradient of the gray picture, levels per pixel."""
    gray = image.mean(axis=-1)
    return np.dstack([cv2.Sobel(gray, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1))])


def jump(values: Pixels, mask: Pixels) -> float:
    """How much the local means of [R, R, C] float32 on both sides of the rim of [R, R] bool differ, on average."""
    means = []
    for side in (mask, ~mask):
        weight = cv2.GaussianBlur(side.astype(np.float32), (0, 0), NEAR)[..., None]
        means.append(cv2.GaussianBlur(values * side[..., None], (0, 0), NEAR) / np.maximum(weight, 1e-6))
    rim = mask & cv2.dilate((~mask).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return float(np.linalg.norm(means[0] - means[1], axis=-1)[rim].mean())


def format_row(name: str, round_trip: float, qualities: Sequence[Sequence[Quality]]) -> str:
    """Means over the seeds."""
    columns = range(len(METHODS))
    means = [Quality(*np.mean([astuple(seed[column]) for seed in qualities], axis=0)) for column in columns]
    recall_kept = means[-1].recall / max(means[0].recall, 1e-9)
    return f"| {name} | {round_trip:.2f} dB | {' | '.join(map(str, means))} | {recall_kept:.0%} |"


if __name__ == "__main__":
    main()
