"""How close the pixels that `align` places are to the ground truth, before anything is generated, as a table.

With --turned every reference takes the target's place once, under a hole of the target's shape, and the ground truth,
if there is one, is among the references. So an album has views that no parameter was tuned on. A picture of the
filled hole, the ground truth and the confidence is written beside the results.

usage: python bench/placed.py FOLDER ALBUM... [--turned] [--set align.references=3]
"""

import argparse
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.placement import CERTAIN, read_proposal
from realfill.album.store import mask_path, read_placement_summary
from realfill.core.params import Params, load_params
from realfill.evaluation.baselines import fill_telea
from realfill.evaluation.metrics import Scorer, squared_error
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.pipeline import run_stage

HEADINGS = ("album", "model", "PSNR / SSIM / recall", "certain", "error there / elsewhere", "Telea", "align")


@dataclass(frozen=True)
class Measurement:
    """How well the references of one album were placed.

    Attributes:
        model: Geometric model that placed them.
        psnr: dB.
        ssim: -1 to 1.
        recall: Share of the keypoints, 0 to 1.
        certain: Share of the hole that they are certain of, 0 to 1.
        error_ratio: Squared error where they are certain, divided by that elsewhere in the hole; None where there is
            only one of the two.
        telea: PSNR of Telea's inpainting, dB.
        seconds: Time that `align` took.
    """

    model: str
    psnr: float
    ssim: float
    recall: float
    certain: float
    error_ratio: float | None
    telea: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--turned", action="store_true")
    parser.add_argument("--set", dest="assignments", nargs="+", default=[])
    arguments = parser.parse_args()
    params = load_params(assignments=arguments.assignments)
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    measurements = []
    for path in arguments.albums:
        root = path.resolve()
        for view in write_turned_albums(root, arguments.folder) if arguments.turned else [root]:
            album = open_album(view, arguments.folder / view.name)
            measurements.append(measure(album, params, arguments.folder / f"{album.name}.png"))
            print(format_row(album.name, measurements[-1:]), flush=True)
    print(format_row("mean", measurements))


def write_turned_albums(root: Path, folder: Path) -> Iterator[Path]:
    """Write an album for each reference of an album, in which that reference is the target and the ground truth."""
    album = open_album(root)
    if album.mask is None:
        return
    for reference in album.references:
        turned = folder / f"{album.name}-{reference.stem}"
        for part in ("target", "ref"):
            shutil.rmtree(turned / part, ignore_errors=True)
            (turned / part).mkdir(parents=True)
        for name in ("target", "gt"):
            shutil.copy(reference, turned / "target" / f"{name}{reference.suffix}")
        for other in (album.ground_truth, *album.references):
            if other not in (None, reference):
                shutil.copy(other, turned / "ref" / other.name)
        height, width = read_srgb(reference).shape[:2]
        mask = (read_srgb(album.mask)[..., 0] > 127).astype(np.uint8) * 255
        resized = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        write_png(turned / "target" / "mask.png", resized)
        yield turned


def measure(album: Album, params: Params, picture: Path) -> Measurement:
    for stage in ("validate", "masks"):
        run_stage(stage, album, params)
    started = time.perf_counter()
    run_stage("align", album, params)
    seconds = time.perf_counter() - started
    assert album.ground_truth is not None
    scorer = Scorer(read_srgb(album.ground_truth), read_png(mask_path(album)))
    height, width = read_png(mask_path(album)).shape
    telea = fill_telea(scorer.ground_truth, scorer.hole)
    filled, confidence = telea, np.zeros(scorer.hole.shape, np.uint8)
    proposal = read_proposal(album)
    if proposal is not None:
        whole = proposal.crop(0, 0, width, height)
        confidence = scorer.resize_labels(whole.confidence)
        is_placed = scorer.hole & (confidence > 0)
        filled = np.where(is_placed[..., None], scorer.resize(whole.colors), telea)
    write_png(picture, draw_comparison(scorer, filled, confidence))
    score, summary = scorer.score(filled), read_placement_summary(album)
    return Measurement(
        model=summary.model,
        psnr=score.psnr,
        ssim=score.ssim,
        recall=score.recall or 0.0,
        certain=summary.certain,
        error_ratio=compare_errors(scorer, filled, confidence >= CERTAIN),
        telea=scorer.score(telea).psnr,
        seconds=seconds,
    )


def compare_errors(scorer: Scorer, filled: Pixels, is_certain: Pixels) -> float | None:
    """Squared error in the certain part of the hole, divided by that in the rest."""
    parts = [part for part in (scorer.hole & is_certain, scorer.hole & ~is_certain) if part.any()]
    errors = [squared_error(filled[part], scorer.ground_truth[part]) for part in parts]
    return errors[0] / errors[1] if len(errors) == 2 else None


def draw_comparison(scorer: Scorer, filled: Pixels, confidence: Pixels) -> Pixels:
    """The hole and some of its surroundings: filled, ground truth, and the confidence inside the hole."""
    left, top, width, height = cv2.boundingRect(scorer.hole.astype(np.uint8))
    rows = slice(max(0, top - height // 8), top + height + height // 8)
    columns = slice(max(0, left - width // 8), left + width + width // 8)
    complete = np.where(scorer.hole[..., None], filled, scorer.ground_truth)
    gray = np.repeat(np.where(scorer.hole, confidence, 0)[..., None], 3, axis=-1)
    return np.hstack([picture[rows, columns] for picture in (complete, scorer.ground_truth, gray)])


def format_row(name: str, measurements: Sequence[Measurement]) -> str:
    def mean(field: str) -> float:
        values = [getattr(measurement, field) for measurement in measurements]
        return float(np.mean([value for value in values if value is not None] or [np.nan]))

    model = measurements[0].model if len(measurements) == 1 else ""
    quality = f"{mean('psnr'):.2f} / {mean('ssim'):.2f} / {mean('recall'):.2f}"
    rest = f"{mean('certain'):.0%} | {mean('error_ratio'):.2f} | {mean('telea'):.2f} | {mean('seconds'):.0f} s"
    return f"| {name} | {model} | {quality} | {rest} |"


if __name__ == "__main__":
    main()
