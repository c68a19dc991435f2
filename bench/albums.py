"""Complete albums one after the other and print time, peak memory and scores, as a Markdown table.

Each album runs in a process of its own with the `realfill` command, as a user would start it. A picture of hole,
result and ground truth side by side is written beside the results. With several seeds the numbers are means, and
those of the worst seed are printed too.
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

HEIGHT = 600  # pixels, of the picture
COLUMNS = {
    "PSNR / SSIM / recall": ("result", ("psnr", "ssim", "recall")),
    "best candidate": ("oracle", ("psnr", "recall")),
    "candidates, mean": ("candidates_mean", ("psnr", "recall")),
    "choice: mean 0, best 1 / Spearman": ("ranking", ("position", "spearman")),
    "no geometry": ("without_geometry", ("psnr", "recall")),
    "untuned": ("untuned_mean", ("psnr",)),
    "homography": ("one_homography", ("psnr", "recall")),
    "Telea": ("telea", ("psnr",)),
    "mean color": ("mean_color", ("psnr",)),
}
Metrics = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One album completed once; `metrics` is None where there is no ground truth, or it failed."""

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
    arguments = parser.parse_args(words[: words.index("--")] if "--" in words else words)
    headings = ["album", "size", *COLUMNS, "worst", "time", "memory"]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    albums = []
    for path in arguments.albums:
        albums.append(list(run_seeds(path, arguments.out, arguments.seeds, options)))
        print(format_row(path.resolve().name, albums[-1]), flush=True)
    seeds = [[run.metrics for run in runs if run.metrics] for runs in zip(*albums, strict=True)]
    if len(albums) > 1 and all(seeds):
        cells = format_cells([metrics for seed in seeds for metrics in seed])
        print(f"| mean | | {' | '.join(cells)} | {format_worst(seeds) if len(seeds) > 1 else ''} | | |")


def run_seeds(path: Path, out: Path, seeds: Sequence[int] | None, options: list[str]) -> Iterator[Run]:
    if not seeds:
        yield run_album(path, out, options)
        return
    for seed in seeds:
        assignments = ["--set", f"sample.seed={seed}", "--set", f"finetune.seed={seed}"]
        yield run_album(path, out / f"seed-{seed}", [*options, *assignments])


def run_album(path: Path, out: Path, options: list[str]) -> Run:
    seconds, gigabytes, status = run_command(["complete", str(path), "--out", str(out), *options])
    album = open_album(path, out / path.resolve().name)
    if status != 0:
        return Run("", False, None, seconds, gigabytes)
    height, width = read_png(mask_path(album)).shape
    write_png(out / f"{album.name}.png", draw_comparison(album))
    return Run(f"{width}x{height}", True, evaluate(album, out, options), seconds, gigabytes)


def run_command(arguments: list[str]) -> tuple[float, float, int]:
    """Seconds, peak resident memory in GB, and exit status of a `realfill` command."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "realfill", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return time.monotonic() - started, usage.ru_maxrss / 2**20, os.waitstatus_to_exitcode(status)


def evaluate(album: Album, out: Path, options: list[str]) -> Metrics | None:
    if album.ground_truth is None:
        return None
    command = [sys.executable, "-m", "realfill", "evaluate", str(album.root), "--out", str(out), "--untuned", "4"]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    return read_document(album.work("evaluate") / "metrics.json")


def format_row(name: str, runs: Sequence[Run]) -> str:
    metrics = [run.metrics for run in runs if run.metrics]
    failed = sum(not run.succeeded for run in runs)
    if metrics:
        cells = format_cells(metrics)
    else:
        cells = ["failed" if failed else "no ground truth", *[""] * (len(COLUMNS) - 1)]
    notes = [f"{failed} of {len(runs)} failed"] if failed else []
    if len(metrics) > 1:
        notes.append(format_worst([[seed] for seed in metrics]))
    cost = f"{max(run.seconds for run in runs):.0f} s | {max(run.gigabytes for run in runs):.1f} GB"
    size = max(run.size for run in runs)
    return f"| {name} | {size} | {' | '.join(cells)} | {', '.join(notes)} | {cost} |"


def format_cells(metrics: Sequence[Metrics]) -> list[str]:
    """Means over runs; a metric that no run has is left out."""
    cells = []
    for group, names in COLUMNS.values():
        values = {name: [run[group][name] for run in metrics if name in run.get(group, {})] for name in names}
        cells.append(" / ".join(format_metric(name, float(np.mean(v))) for name, v in values.items() if v))
    return cells


def format_worst(seeds: Sequence[Sequence[Metrics]]) -> str:
    """PSNR and recall of the seed with which each is lowest, the mean over the albums."""

    def mean(albums: Sequence[Metrics], name: str) -> float:
        return float(np.mean([metrics["result"].get(name, np.nan) for metrics in albums]))

    return " / ".join(format_metric(name, min(mean(albums, name) for albums in seeds)) for name in ("psnr", "recall"))


def format_metric(name: str, value: float) -> str:
    return f"{value:.3f}" if name == "ssim" else f"{value:.2f}"


def draw_comparison(album: Album) -> Pixels:
    """Hole, result and, where it is known, ground truth: [600, W, 3] uint8 sRGB."""
    canvas, hole = read_srgb(canvas_path(album)), read_png(mask_path(album)) > 0
    pictures = [np.where(hole[..., None], np.uint8(255), canvas), read_srgb(finished_photo(album))]
    if album.ground_truth:
        pictures.append(read_srgb(album.ground_truth))
    return np.hstack(
        [resize(picture, round(picture.shape[1] * HEIGHT / len(picture)), HEIGHT) for picture in pictures]
    )


if __name__ == "__main__":
    main()
