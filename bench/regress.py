"""Compare the speed of this clone with that of another commit: the same work in turns, as ratios with their spread.

The other commit is checked out beside the results and runs in the same environment, so both see the same libraries.
Each measurement is a process of its own; processor time is compared beside elapsed time, since it says more on a
machine that does other work too. A ratio above 1 means that this clone is faster.

usage: python bench/regress.py FOLDER COMMIT ALBUM... [--rounds 3] [--stages align]
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PREPARING = ("validate", "masks")  # the stages before those that are measured


@dataclass(frozen=True)
class Cost:
    """What one process cost.

    Attributes:
        elapsed: Seconds.
        processor: Seconds of all cores together, those of its own child processes among them.
    """

    elapsed: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("commit")
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", nargs="+", default=["align"], help="measured together, in this order")
    arguments = parser.parse_args()
    before = check_out(arguments.commit, arguments.folder.resolve() / "before")
    print("| album | this clone | before | before / now: elapsed | before / now: processor |\n|---|---|---|---|---|")
    for album in arguments.albums:
        rounds = []
        for _ in range(arguments.rounds):
            pair = [
                measure(code, album.resolve(), arguments.folder.resolve() / name, arguments.stages)
                for code, name in ((ROOT, "now"), (before, "then"))
            ]
            rounds.append(pair)
        print(format_row(album.resolve().name, rounds), flush=True)


def check_out(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "x"], cwd=folder, check=True, input=archive.stdout)
    return folder


def measure(code: Path, album: Path, out: Path, stages: Sequence[str]) -> Cost:
    """Run the stages by some code, after those that prepare them; only the former count."""
    for stage in PREPARING:
        if stage not in stages:
            run_stages(code, album, out, [stage])
    return run_stages(code, album, out, stages)


def run_stages(code: Path, album: Path, out: Path, stages: Sequence[str]) -> Cost:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from realfill.cli import main; main()"
    for stage in stages:
        command = [sys.executable, "-P", "-c", script, str(code), stage, str(album), "--out", str(out)]
        environment = os.environ | {"PYTHONPATH": str(code)}  # for the processes that it starts
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - began, spent)


def format_row(album: str, rounds: Sequence[Sequence[Cost]]) -> str:
    now, before = ([pair[side] for pair in rounds] for side in (0, 1))
    cells = [f"{statistics.median(cost.elapsed for cost in costs):.1f} s" for costs in (now, before)]
    for kind in ("elapsed", "processor"):
        ratios = sorted(getattr(old, kind) / getattr(new, kind) for new, old in zip(now, before, strict=True))
        cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    return f"| {album} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
