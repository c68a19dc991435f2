"""Complete albums one after the other and tell time, peak memory and scores, as a Markdown table.

Each album runs in a process of its own with the `realfill` command, as a user would start it; a picture of hole,
result and truth side by side is written beside the results. With several seeds the figures are means, and the worst
of them are told too.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.store import canvas_path, finished_photo, mask_path, read_document
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png

HEIGHT = 600
COLUMNS = {
    "PSNR / SSIM / recall": ("result", ("psnr", "ssim", "recall")),
    "best candidate": ("oracle", ("psnr", "recall")),
    "candidates, mean": ("candidates_mean", ("psnr", "recall")),
    "choice: mean 0, best 1 / Spearman": ("ranking", ("position", "spearman")),
    "no geometry": ("without_geometry", ("psnr", "recall")),
    "untuned": ("untuned_mean", ("psnr",)),
    "homography": ("one_homography", ("psnr", "recall")),
    "Telea": ("telea", ("psnr",)),
    "mean colour": ("mean_colour", ("psnr",)),
}
Metrics = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One album completed once; `metrics` is None where there is no truth, or it failed."""

    size: str
    succeeded: bool
    metrics: Metrics | None
    seconds: float
    gigabytes: float


def main() -> None:
    words = sys.argv[1:]
    options = words[words.index("--") + 1 :] if "--" in words else []
    parser = argparse.ArgumentParser(description=__doc__, epilog="Options of `realfill complete` follow a --.")
    parser.add_argument("out", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", help="run each album once with each of these")
    given = parser.parse_args(words[: words.index("--")] if "--" in words else words)
    headings = ["album", "size", *COLUMNS, "worst", "time", "memory"]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    albums = []
    for path in given.albums:
        albums.append(list(completed(path, given.out, given.seeds, options)))
        print(row(path.resolve().name, albums[-1]), flush=True)
    seeds = [[run.metrics for run in runs if run.metrics] for runs in zip(*albums, strict=True)]
    if len(albums) > 1 and all(seeds):
        told = cells([metrics for found in seeds for metrics in found])
        print(f"| mean | | {' | '.join(told)} | {worst(seeds) if len(seeds) > 1 else ''} | | |")


def completed(path: Path, out: Path, seeds: Sequence[int] | None, options: list[str]) -> Iterator[Run]:
    every: Sequence[int | None] = seeds or [None]
    for seed in every:
        folder = out if seed is None else out / f"seed-{seed}"
        seeded = [] if seed is None else ["--set", f"sample.seed={seed}", "--set", f"finetune.seed={seed}"]
        yield run(path, folder, [*options, *seeded])


def run(path: Path, out: Path, options: list[str]) -> Run:
    seconds, gigabytes, status = measured(["complete", str(path), "--out", str(out), *options])
    album = open_album(path, out / path.resolve().name)
    if status != 0:
        return Run("", False, None, seconds, gigabytes)
    height, width = read_png(mask_path(album)).shape
    write_png(out / f"{album.name}.png", picture(album))
    return Run(f"{width}x{height}", True, scored(album, out, options), seconds, gigabytes)


def measured(arguments: list[str]) -> tuple[float, float, int]:
    """Seconds, peak resident memory in GB, and exit status of a `realfill` command."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "realfill", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return time.monotonic() - started, usage.ru_maxrss / 2**20, os.waitstatus_to_exitcode(status)


def scored(album: Album, out: Path, options: list[str]) -> Metrics | None:
    if album.ground_truth is None:
        return None
    command = [sys.executable, "-m", "realfill", "evaluate", str(album.root), "--out", str(out), "--untuned", "4"]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    return read_document(album.work("evaluate") / "metrics.json")


def row(name: str, runs: Sequence[Run]) -> str:
    found = [run.metrics for run in runs if run.metrics]
    failed = sum(not run.succeeded for run in runs)
    told = cells(found) if found else ["failed" if failed else "no truth", *[""] * (len(COLUMNS) - 1)]
    notes = [f"{failed} of {len(runs)} failed"] if failed else []
    if len(found) > 1:
        notes.append(worst([[metrics] for metrics in found]))
    spent = f"{max(run.seconds for run in runs):.0f} s | {max(run.gigabytes for run in runs):.1f} GB"
    size = max(run.size for run in runs)
    return f"| {name} | {size} | {' | '.join(told)} | {', '.join(notes)} | {spent} |"


def cells(found: Sequence[Metrics]) -> list[str]:
    """Means over runs; a measure that no run has is left out."""
    told = []
    for group, measures in COLUMNS.values():
        values = {measure: [m[group][measure] for m in found if measure in m.get(group, {})] for measure in measures}
        told.append(" / ".join(shown(name, float(np.mean(v))) for name, v in values.items() if v))
    return told


def worst(seeds: Sequence[Sequence[Metrics]]) -> str:
    """PSNR and recall of the seed with which each is lowest, the mean over the albums."""

    def mean(found: Sequence[Metrics], measure: str) -> float:
        return float(np.mean([metrics["result"].get(measure, np.nan) for metrics in found]))

    return " / ".join(shown(measure, min(mean(found, measure) for found in seeds)) for measure in ("psnr", "recall"))


def shown(measure: str, value: float) -> str:
    return f"{value:.3f}" if measure == "ssim" else f"{value:.2f}"


def picture(album: Album) -> Pixels:
    """Hole, result and, where it is known, truth: [600, W, 3] uint8 sRGB."""
    canvas, hole = read_png(canvas_path(album)), read_png(mask_path(album)) > 0
    shown = [np.where(hole[..., None], np.uint8(255), canvas), read_srgb(finished_photo(album))]
    if album.ground_truth:
        shown.append(read_srgb(album.ground_truth))
    return np.hstack([resize(image, round(image.shape[1] * HEIGHT / len(image)), HEIGHT) for image in shown])


if __name__ == "__main__":
    main()
