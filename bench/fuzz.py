"""Validate hostile files: each must be accepted or refused with a reason, quickly and in little memory.

    python bench/fuzz.py FOLDER
    python bench/fuzz.py --tries 500

The files are those of a folder, or photos of every kind that are damaged at random. Every file is tried under its
own name and as a .jpg: first each by itself, with its time and the peak memory of the process that decodes it, then
all of them as the references of one album. The exit code is 1 if anything crashes, takes longer than 5 s, or needs
more than 1 GB.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from hostile import write_hostile
from skimage import data

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.core.errors import PhotoError
from realfill.core.params import load_params
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.decode_sandbox import DecodeSandbox
from realfill.photo_io.working_files import write_png
from realfill.stages import validate

SECONDS = 5.0
MEGABYTES = 1024


@dataclass(frozen=True)
class Row:
    verdict: str
    reason: str
    seconds: float
    megabytes: int

    @property
    def is_bad(self) -> bool:
        return self.verdict == "crashed" or self.seconds > SECONDS or self.megabytes > MEGABYTES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="a folder of hostile files")
    parser.add_argument("--tries", type=int, default=0, help="how many damaged photos are made, without a folder")
    parser.add_argument("--seed", type=int, default=0, help="of the damaged photos")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name) / "hostile"
        if arguments.folder is None:
            folder.mkdir()
            write_hostile(folder, arguments.tries, arguments.seed)
        hostile = sorted(path for path in folder.iterdir() if path.is_file())
        album = _make_album(Path(name) / "album", hostile)
        rows = {path.name: _try_alone(path, album.target) for path in sorted((album.root / "ref").iterdir())}
        for file, row in rows.items():
            flag = "BAD " if row.is_bad else ""
            print(
                f"{flag}{file[:60]:60} {row.verdict:8} {row.seconds:6.2f} s {row.megabytes:5d} MB  {row.reason[:110]}"
            )
        start = time.perf_counter()
        params = load_params(assignments=[f"validate.timeout={SECONDS}", "validate.max_references=100"])
        result = validate.run(album, params)
        seconds = time.perf_counter() - start
    judged = len(result.accepted) + len(result.refused)
    bad = sum(row.is_bad for row in rows.values())
    print(f"{len(rows)} files alone: {bad} bad, slowest {max(row.seconds for row in rows.values()):.2f} s, ", end="")
    print(f"largest {max(row.megabytes for row in rows.values())} MB")
    print(f"as one album: {len(result.accepted)} accepted, {len(result.refused)} refused, {seconds:.1f} s")
    return int(bad > 0 or judged != len(rows))


def _make_album(root: Path, hostile: list[Path]) -> Album:
    for folder in ("target", "ref"):
        (root / folder).mkdir(parents=True)
    write_png(root / "target" / "target.png", data.astronaut())
    for path in hostile:
        shutil.copyfile(path, root / "ref" / path.name)
        shutil.copyfile(path, root / "ref" / f"{path.name}.jpg")
    return open_album(root)


def _try_alone(path: Path, intact: Path) -> Row:
    context = multiprocessing.get_context("forkserver")  # so that peak memory is this file's alone
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_decode, args=(path, intact, sender))
    start = time.perf_counter()
    process.start()
    sender.close()
    try:
        row: Row = receiver.recv()
    except EOFError:
        row = Row("crashed", "", time.perf_counter() - start, 0)
    process.join()
    return row


def _decode(path: Path, intact: Path, sender: Connection) -> None:
    with DecodeSandbox(max_megapixels=150.0, timeout=SECONDS) as sandbox:
        sandbox.inspect(intact)
        start = time.perf_counter()
        try:
            info = sandbox.inspect(path)
            verdict, reason = "accepted", f"{info.format} {info.mode} {info.bits} {info.width}x{info.height}"
        except PhotoError as error:
            verdict, reason = "refused", error.problem
        seconds = time.perf_counter() - start
    if verdict == "accepted":
        read_srgb(path)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)) // 1024
    sender.send(Row(verdict, reason, seconds, peak))


if __name__ == "__main__":
    sys.exit(main())
