"""How close what `align` fills is to the ground truth, before the model generates anything, as a table.

With --turned every reference takes the target's place as well, under a hole of the target's shape, and the ground
truth is among the references. So an album has views that no parameter was tuned on. A third of the albums, drawn by a
seed, is for reporting only: choose thresholds on the others. A picture of the filled hole, the ground truth and the
confidence is written beside the results.

usage: python bench/placed.py FOLDER ALBUM... [--turned] [--set align.references=3]
"""

import argparse
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.placement import CERTAIN, read_completed_canvas, read_proposal
from realfill.album.store import mask_path, read_placement_summary, read_working_profile
from realfill.compositing.patch_completion import complete_by_patches
from realfill.core.params import Params, load_params
from realfill.evaluation.baselines import fill_mean_color, fill_one_homography, fill_telea
from realfill.evaluation.metrics import Scorer, shrink_to_protocol, squared_error
from realfill.evaluation.rim import rim_contrast
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import convert_rgb, read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.pipeline import run_stage

HEADINGS = (
    "album",
    "model",
    "PSNR / SSIM / recall",
    "certain",
    "error there / elsewhere",
    "best simple",
    "rim",
    "align",
)
REPORTING_SHARE, SPLIT_SEED = 1 / 3, 0


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
        simple: PSNR of the best simple baseline: mean color, Telea, one homography, the target's own patches; dB.
        rim: Contrast across the rim of the hole beside that along it, divided by that of the truth; see
            `evaluation.rim`. None where nothing varies along it.
        seconds: Time that `align` took.
    """

    model: str
    psnr: float
    ssim: float
    recall: float
    certain: float
    error_ratio: float | None
    simple: float
    rim: float | None
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
    parts: dict[str, list[Measurement]] = {"choosing": [], "reporting": []}
    reporting = draw_reporting_albums([path.name for path in arguments.albums])
    for path in arguments.albums:
        root = path.resolve()
        measurements = parts["reporting" if path.name in reporting else "choosing"]
        for view in [root, *(write_turned_albums(root, arguments.folder) if arguments.turned else ())]:
            album = open_album(view, arguments.folder / view.name)
            measurements.append(measure(album, params, arguments.folder / f"{album.name}.png"))
            print(format_row(album.name, measurements[-1:]), flush=True)
    for name, measurements in [*parts.items(), ("all", [*parts["choosing"], *parts["reporting"]])]:
        if measurements:
            print(format_row(name, measurements))
            print(f"  {describe_tail(measurements)}")


def draw_reporting_albums(names: Sequence[str]) -> set[str]:
    """Draw the albums that no threshold may be chosen on."""
    count = round(REPORTING_SHARE * len(names))
    return set(random.Random(SPLIT_SEED).sample(sorted(names), count))


def describe_tail(measurements: Sequence[Measurement]) -> str:
    """The worst decile, and the views that lose to the best simple baseline."""
    quality = [measurement.psnr for measurement in measurements]
    losses = [measurement.simple - measurement.psnr for measurement in measurements]
    lost = [loss for loss in losses if loss > 0]
    return (
        f"worst decile {np.percentile(quality, 10):.2f} dB; {len(lost)} of {len(losses)} views below the best simple "
        f"baseline, by at most {max(losses):.2f} dB"
    )


def write_turned_albums(root: Path, folder: Path) -> Iterator[Path]:
    """Write an album for each reference of an album, in which that reference is the target and the ground truth."""
    album = open_album(root)
    if album.mask is None:
        return
    mask = (read_srgb(album.mask)[..., 0] > 127).astype(np.uint8) * 255
    for reference in album.references:
        turned = folder / f"{album.name}-{reference.stem}"
        others = [photo for photo in (album.ground_truth, *album.references) if photo not in (None, reference)]
        height, width = read_srgb(reference).shape[:2]
        write_album(turned, reference, cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), others)
        yield turned


def write_album(folder: Path, photo: Path, mask: Pixels, references: Sequence[Path]) -> None:
    """Write an album whose target is a photo, which is its ground truth too."""
    for part in ("target", "ref"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    for name in ("target", "gt"):
        shutil.copy(photo, folder / "target" / f"{name}{photo.suffix}")
    for number, reference in enumerate(sorted(references)):
        shutil.copy(reference, folder / "ref" / f"{number}{reference.suffix}")
    write_png(folder / "target" / "mask.png", mask)


def measure(album: Album, params: Params, picture: Path) -> Measurement:
    for stage in ("validate", "masks"):
        run_stage(stage, album, params)
    started = time.perf_counter()
    run_stage("align", album, params)
    seconds = time.perf_counter() - started
    assert album.ground_truth is not None
    scorer = Scorer(read_srgb(album.ground_truth), read_png(mask_path(album)))
    height, width = read_png(mask_path(album)).shape
    confidence = np.zeros(scorer.hole.shape, np.uint8)
    completed = read_completed_canvas(album)
    assert completed is not None
    completed = convert_rgb(completed, read_working_profile(album), None)
    proposal = read_proposal(album, read_srgb)
    if proposal is not None:
        whole = proposal.crop(0, 0, width, height)
        confidence = scorer.resize_labels(whole.confidence)
        completed = np.where((whole.confidence > 0)[..., None], whole.colors, completed)
    filled = np.where(scorer.hole[..., None], scorer.resize(completed), scorer.ground_truth)
    write_png(picture, draw_comparison(scorer, filled, confidence))
    score, summary = scorer.score(filled), read_placement_summary(album)
    return Measurement(
        model=summary.model,
        psnr=score.psnr,
        ssim=score.ssim,
        recall=score.recall or 0.0,
        certain=summary.certain,
        error_ratio=compare_errors(scorer, filled, confidence >= CERTAIN),
        rim=compare_rims(scorer, filled),
        simple=max(scorer.score(fill).psnr for fill in fill_simply(album, scorer)),
        seconds=seconds,
    )


def fill_simply(album: Album, scorer: Scorer) -> list[Pixels]:
    """The fills of the simple baselines."""
    references = [shrink_to_protocol(read_srgb(path)) for path in album.references]
    return [
        fill_mean_color(scorer.ground_truth, scorer.hole),
        fill_telea(scorer.ground_truth, scorer.hole),
        fill_one_homography(scorer.ground_truth, scorer.hole, references).picture,
        complete_by_patches(scorer.ground_truth, scorer.hole, []),
    ]


def compare_errors(scorer: Scorer, filled: Pixels, is_certain: Pixels) -> float | None:
    """Squared error in the certain part of the hole, divided by that in the rest."""
    parts = [part for part in (scorer.hole & is_certain, scorer.hole & ~is_certain) if part.any()]
    errors = [squared_error(filled[part], scorer.ground_truth[part]) for part in parts]
    return errors[0] / errors[1] if len(errors) == 2 else None


def compare_rims(scorer: Scorer, filled: Pixels) -> float | None:
    """Contrast of the rim, divided by that of the truth."""
    contrasts = [rim_contrast(picture, scorer.hole) for picture in (filled, scorer.ground_truth)]
    return contrasts[0] / contrasts[1] if contrasts[0] and contrasts[1] else None


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
    trust = f"{mean('certain'):.0%} | {mean('error_ratio'):.2f}"
    rest = f"{mean('simple'):.2f} | {mean('rim'):.2f} | {mean('seconds'):.0f} s"
    return f"| {name} | {model} | {quality} | {trust} | {rest} |"


if __name__ == "__main__":
    main()
