"""Complete albums one after the other and tell time, peak memory and scores, as a Markdown table.

Each album runs in a process of its own with the `realfill` command, as a user would start it; a picture of hole,
result and truth side by side is written beside the results.

usage: python bench/albums.py OUT ALBUM... [-- further options of `realfill complete`]
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from realfill.album import Album
from realfill.artifacts import canvas_path, mask_path
from realfill.images import Pixels, read_png, read_srgb, resize, write_png

HEIGHT = 600


def main() -> None:
    words = sys.argv[1:]
    options = words[words.index("--") + 1 :] if "--" in words else []
    out, *albums = (Path(word) for word in (words[: words.index("--")] if options else words))
    print(
        "| album | size | PSNR / SSIM / recall | candidates, mean | untuned | Telea | mean colour | time | memory |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for path in albums:
        seconds, gigabytes, status = measured(["complete", str(path), "--out", str(out), *options])
        album = Album.open(path, out / path.resolve().name)
        scores = scored(path, out, options) if status == 0 and album.truth else None
        if status == 0:
            write_png(out / f"{album.name}.png", picture(album))
        height, width = read_png(mask_path(album)).shape
        cells = [album.name, f"{width}x{height}", *(told(scores) if status == 0 else ["failed"] * 5)]
        print(f"| {' | '.join(cells)} | {seconds:.0f} s | {gigabytes:.1f} GB |", flush=True)


def measured(arguments: list[str]) -> tuple[float, float, int]:
    """Seconds, peak resident memory in GB, and exit status of a `realfill` command."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "realfill", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return time.monotonic() - started, usage.ru_maxrss / 2**20, os.waitstatus_to_exitcode(status)


def scored(path: Path, out: Path, options: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "realfill", "evaluate", str(path), "--out", str(out), "--untuned", "4", "--json"]
    told = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    scores: dict[str, Any] = json.loads(told.stdout)[0]
    return scores


def told(scores: dict[str, Any] | None) -> list[str]:
    if scores is None:
        return ["no truth", "", "", "", ""]
    candidates, untuned = (
        np.mean([s["psnr"] for s in group]) for group in (scores["candidates"].values(), scores["untuned"])
    )
    result = scores["result"]
    first = f"{result['psnr']:.2f} / {result['ssim']:.3f} / {result['recall'] or 0:.2f}"
    return [
        first,
        f"{candidates:.2f}",
        f"{untuned:.2f}",
        f"{scores['telea']['psnr']:.2f}",
        f"{scores['mean']['psnr']:.2f}",
    ]


def picture(album: Album) -> Pixels:
    """Hole, result and, where it is known, truth: [600, W, 3] uint8 sRGB."""
    canvas, hole = read_png(canvas_path(album)), read_png(mask_path(album)) > 0
    result = next(p for p in album.completed.iterdir() if p.is_file() and p.suffix != ".json")
    shown = [np.where(hole[..., None], np.uint8(255), canvas), read_srgb(result)]
    if album.truth:
        shown.append(read_srgb(album.truth))
    return np.hstack([resize(image, round(image.shape[1] * HEIGHT / len(image)), HEIGHT) for image in shown])


if __name__ == "__main__":
    main()
