"""How close to the truth what `align` places comes, before anything is generated, as a Markdown table.

With --turned every reference takes the target's place once, under a hole of the target's, and the truth, if there is
one, stands among the references: so an album tells about views that nobody tuned anything for. A picture of the
filled hole, the truth and the confidence is written beside the results.

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
from realfill.evaluation import baselines
from realfill.evaluation.metrics import Scorer, squared_error
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.pipeline import run_stage

HEADINGS = ("album", "model", "PSNR / SSIM / recall", "certain", "error there / elsewhere", "Telea", "align")


@dataclass(frozen=True)
class Placing:
    """What was placed in one album: dB, share of structure, of keypoints, and of the hole; seconds.

    `ratio` is the squared error where the references are certain by that elsewhere in the hole; None where there is
    only one of the two.
    """

    model: str
    psnr: float
    ssim: float
    recall: float
    certain: float
    ratio: float | None
    telea: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--turned", action="store_true")
    parser.add_argument("--set", dest="assignments", nargs="+", default=[])
    given = parser.parse_args()
    params = load_params(assignments=given.assignments)
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    found = []
    for root in given.albums:
        for turn in turned(root.resolve(), given.folder) if given.turned else [root.resolve()]:
            album = open_album(turn, given.folder / turn.name)
            found.append(placing(album, params, given.folder / f"{album.name}.png"))
            print(row(album.name, found[-1:]), flush=True)
    print(row("mean", found))


def turned(root: Path, folder: Path) -> Iterator[Path]:
    """Albums made of an album with a truth, one a reference."""
    album = open_album(root)
    if album.mask is None:
        return
    for chosen in album.references:
        turn = folder / f"{album.name}-{chosen.stem}"
        for part in ("target", "ref"):
            shutil.rmtree(turn / part, ignore_errors=True)
            (turn / part).mkdir(parents=True)
        for name in ("target", "gt"):
            shutil.copy(chosen, turn / "target" / f"{name}{chosen.suffix}")
        for other in (album.ground_truth, *album.references):
            if other not in (None, chosen):
                shutil.copy(other, turn / "ref" / other.name)
        height, width = read_srgb(chosen).shape[:2]
        mask = (read_srgb(album.mask)[..., 0] > 127).astype(np.uint8) * 255
        fitted = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        write_png(turn / "target" / "mask.png", fitted)
        yield turn


def placing(album: Album, params: Params, picture: Path) -> Placing:
    for stage in ("validate", "masks"):
        run_stage(stage, album, params)
    started = time.perf_counter()
    run_stage("align", album, params)
    seconds = time.perf_counter() - started
    assert album.ground_truth is not None
    scorer = Scorer(read_srgb(album.ground_truth), read_png(mask_path(album)))
    height, width = read_png(mask_path(album)).shape
    telea = baselines.telea(scorer.truth, scorer.hole)
    filled, confidence = telea, np.zeros(scorer.hole.shape, np.uint8)
    proposal = read_proposal(album)
    if proposal is not None:
        whole = proposal.crop(0, 0, width, height)
        confidence = scorer.nearest(whole.confidence)
        shown = scorer.hole & (confidence > 0)
        filled = np.where(shown[..., None], scorer.fitted(whole.colors), telea)
    write_png(picture, side_by_side(scorer, filled, confidence))
    score, placed = scorer.score(filled), read_placement_summary(album)
    sure = scorer.hole & (confidence >= CERTAIN)
    parts = [squared_error(filled[part], scorer.truth[part]) for part in (sure, scorer.hole & ~sure) if part.any()]
    ratio = parts[0] / parts[1] if len(parts) == 2 else None
    below = scorer.score(telea).psnr
    return Placing(placed.model, score.psnr, score.ssim, score.recall or 0.0, placed.certain, ratio, below, seconds)


def side_by_side(scorer: Scorer, filled: Pixels, confidence: Pixels) -> Pixels:
    """The hole and some of what is around it: filled, truth, and confidence where there is any."""
    left, top, width, height = cv2.boundingRect(scorer.hole.astype(np.uint8))
    rows = slice(max(0, top - height // 8), top + height + height // 8)
    columns = slice(max(0, left - width // 8), left + width + width // 8)
    complete = np.where(scorer.hole[..., None], filled, scorer.truth)
    told = np.repeat(np.where(scorer.hole, confidence, 0)[..., None], 3, axis=-1)
    return np.hstack([part[rows, columns] for part in (complete, scorer.truth, told)])


def row(name: str, found: Sequence[Placing]) -> str:
    def mean(measure: str) -> float:
        values = [getattr(one, measure) for one in found]
        return float(np.mean([value for value in values if value is not None] or [np.nan]))

    model = found[0].model if len(found) == 1 else ""
    quality = f"{mean('psnr'):.2f} / {mean('ssim'):.2f} / {mean('recall'):.2f}"
    told = f"{mean('certain'):.0%} | {mean('ratio'):.2f} | {mean('telea'):.2f} | {mean('seconds'):.0f} s"
    return f"| {name} | {model} | {quality} | {told} |"


if __name__ == "__main__":
    main()
