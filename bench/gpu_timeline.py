"""Record which album has the GPU through a night of one machine, by the number of albums at a time.

The GPU is pretended: tuning and sampling hold its lock for so many seconds and leave the processor alone meanwhile.
All else is real, with tiny albums and a tiny model. Told is how long the GPU waits between its first and its last
album, and a timeline: for each stretch, the seconds since the GPU's first album.

usage: PYTHONPATH=tests python bench/gpu_timeline.py FOLDER [--albums 8] [--jobs 1 3] [--seconds 10]
"""

import argparse
import json
import os
import shutil
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

TIMELINE, SECONDS = "BENCH_TIMELINE", "BENCH_SECONDS"  # in the environment of the night's processes, too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--albums", type=int, default=8)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--seconds", type=float, default=10.0, help="that an album has the GPU")
    arguments = parser.parse_args()
    os.environ[SECONDS] = str(arguments.seconds / 2)
    for jobs in arguments.jobs:
        folder = (arguments.folder / str(jobs)).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ[TIMELINE] = str(folder / "timeline.jsonl")
        seconds = run_night(folder, arguments.albums, jobs)
        print_timeline(folder / "timeline.jsonl", f"{jobs} at a time: a night of {seconds:.0f} s")


def run_night(folder: Path, albums: int, jobs: int) -> float:
    """Complete a new library; returns seconds."""
    from realfill.flows.complete_library import complete_library
    from support.libraries import make_library

    root = make_library(folder / "library", *(f"album{number:02}" for number in range(albums)))
    os.environ |= {"REALFILL_MODELS": str(root / "models")}
    os.chdir(root)
    started = time.monotonic()
    result = complete_library(str(root), jobs=jobs)
    assert len(result["completed"]) == albums, result
    return time.monotonic() - started


def print_timeline(timeline: Path, title: str) -> None:
    rows = [json.loads(line) for line in timeline.read_text().splitlines()]
    on_gpu = sorted((row for row in rows if row["gpu"]), key=lambda row: float(row["start"]))
    first, last = on_gpu[0]["start"], max(row["end"] for row in on_gpu)
    busy = sum(row["end"] - row["start"] for row in on_gpu)
    gaps = [after["start"] - before["end"] for before, after in pairwise(on_gpu)]
    assert min(gaps) >= 0, "two albums had the GPU at once"
    print(f"{title}; the GPU works {busy:.0f} of {last - first:.0f} s, waits {max(gaps):.1f} s at most")
    for row in on_gpu:
        beside = [
            f"{other['album']} {other['stage']}"
            for other in rows
            if not other["gpu"] and other["start"] < row["end"] and other["end"] > row["start"]
        ]
        place = f"{row['start'] - first:6.1f} to {row['end'] - first:6.1f} s"
        print(f"  {place}  {row['album']} {row['stage']:8}  beside it: {', '.join(beside) or '-'}")


def pretend_gpu() -> None:
    """Let this process work as if it had a GPU, and write down when each stage ran."""
    from realfill.core import gpu
    from realfill.flows import complete_album
    from realfill.pipeline import run_stage
    from realfill.pipeline import stage as stage_named

    def run(name: str, album: Any, *others: Any) -> Any:
        uses_gpu, start = stage_named(name).uses_model, time.time()
        result = run_stage(name, album, *others)
        if uses_gpu:
            time.sleep(max(0.0, start + float(os.environ[SECONDS]) - time.time()))
        row = {"album": album.name, "stage": name, "gpu": uses_gpu, "start": start, "end": time.time()}
        with Path(os.environ[TIMELINE]).open("a") as file:
            file.write(json.dumps(row) + "\n")
        return result

    gpu.has_gpu = lambda: True
    vars(complete_album)["run_stage"] = run


os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
pretend_gpu()  # in the night's processes, too, which load this file

if __name__ == "__main__":
    main()
