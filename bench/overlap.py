"""Complete copies of an album one after the other and several at a time, in turns: the ratio, and a timeline.

The timeline names the stages in the order in which they ended, with the seconds since the start and the album.

usage: python bench/overlap.py FOLDER ALBUM COPIES [--jobs 2] [--rounds 1] [-- --set blend.generate=never]
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def main() -> None:
    words = sys.argv[1:]
    options = words[words.index("--") + 1 :] if "--" in words else []
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("album", type=Path)
    parser.add_argument("copies", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args(words[: words.index("--")] if "--" in words else words)
    albums = [arguments.folder / "albums" / f"a{number:02}" for number in range(arguments.copies)]
    for album in albums:
        shutil.rmtree(album, ignore_errors=True)
        shutil.copytree(arguments.album, album, ignore=shutil.ignore_patterns("work", "completed"))
    ratios = []
    for _ in range(arguments.rounds):
        alone = complete(albums, arguments.folder / "out", 1, options)
        together = complete(albums, arguments.folder / "out", arguments.jobs, options)
        ratios.append(alone / together)
        print(
            f"one at a time {alone:.0f} s, {arguments.jobs} at a time {together:.0f} s: {ratios[-1]:.2f}", flush=True
        )
    print(f"median {statistics.median(ratios):.2f}; the last run, stage by stage:")
    print_timeline(arguments.folder / "out")


def complete(albums: Sequence[Path], out: Path, jobs: int, options: Sequence[str]) -> float:
    """Complete albums from the beginning; returns seconds."""
    shutil.rmtree(out, ignore_errors=True)
    names = [str(album) for album in albums]
    command = [sys.executable, "-m", "realfill", "complete", *names, "--out", str(out), "--jobs", str(jobs)]
    started = time.monotonic()
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def print_timeline(out: Path) -> None:
    ends = sorted((record.stat().st_mtime, record) for record in out.glob("*/work/.done/*.json"))
    for end, record in ends:
        print(f"{end - ends[0][0]:7.1f} s  {record.parts[-4]}  {record.stem}")


if __name__ == "__main__":
    main()
