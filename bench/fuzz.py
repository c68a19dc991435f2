"""Validate hostile files: each must be accepted or refused with a reason, quickly and in little memory.

    python bench/fuzz.py FOLDER
    python bench/fuzz.py --tries 500 --jobs 2

The files are those of a folder, or photos of every kind that are damaged at random. Every file is tried under its
own name and as a .jpg: first by itself, then as a reference in an album of 20 such files. As in the product, one
sandbox decodes many files; what it accepts is then decoded as later stages do it. Both processes are watched, so that
each row has the time, the CPU time and the peak memory of its file alone; a process that ends is noted and another
one goes on. The exit code is 1 if anything crashes, hangs, computes for more than 5 s, or needs more than 1 GiB.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from hostile import write_hostile
from skimage import data

from realfill.album.discovery import open_album
from realfill.core.errors import PhotoError, RealFillError
from realfill.core.params import load_params
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.decode_sandbox import DecodeSandbox
from realfill.photo_io.working_files import write_png
from realfill.stages import validate

SECONDS = 5.0
MEBIBYTES = 1024
ALBUM = 20  # files in an album
TIMEOUT = 60.0  # seconds until the sandbox gives a file up, as in the product: on a busy machine files wait long
PATIENCE = 300.0  # seconds until a process counts as hanging


@dataclass(frozen=True)
class Row:
    """What became of a file, or of an album.

    Attributes:
        name: Name of the file or of the album.
        verdict: "accepted", "refused", "crashed" or "hangs"; "validated" for an album.
        reason: Why.
        seconds: Wall clock.
        cpu: CPU time of the sandbox and of the process that uses it, seconds.
        mebibytes: The larger of their peaks of resident memory.
    """

    name: str
    verdict: str
    reason: str
    seconds: float
    cpu: float = 0.0
    mebibytes: int = 0

    @property
    def is_bad(self) -> bool:
        """Whether it must not happen; an album has as much time as its files."""
        limit = SECONDS * (ALBUM if self.verdict == "validated" else 1)
        return self.verdict in ("crashed", "hangs") or self.cpu > limit or self.mebibytes > MEBIBYTES

    def __str__(self) -> str:
        flag = "BAD " if self.is_bad else ""
        times = f"{self.seconds:6.2f} s {self.cpu:6.2f} s CPU {self.mebibytes:5d} MiB"
        return f"{flag}{self.name[:60]:60} {self.verdict:9} {times}  {self.reason[:100]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="a folder of hostile files")
    parser.add_argument("--tries", type=int, default=0, help="how many damaged photos are made, without a folder")
    parser.add_argument("--seed", type=int, default=0, help="of the damaged photos")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes try files at once")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name) / "hostile"
        if arguments.folder is None:
            folder.mkdir()
            write_hostile(folder, arguments.tries, arguments.seed)
        albums = _write_albums(Path(name), sorted(path for path in folder.iterdir() if path.is_file()))
        with ThreadPoolExecutor(arguments.jobs) as pool:
            rows = [row for part in pool.map(_try_albums, _deal(albums, arguments.jobs)) for row in part]
    files = [row for row in rows if row.verdict != "validated"]
    bad = [row for row in rows if row.is_bad]
    for row in bad:
        print(row)
    print(
        f"{len(files)} files and {len(albums)} albums of them: {len(bad)} bad; slowest "
        f"{max(row.seconds for row in files):.2f} s, {max(row.cpu for row in files):.2f} s CPU; largest "
        f"{max(row.mebibytes for row in files)} MiB; {(time.perf_counter() - started) / 60:.1f} min"
    )
    return int(bool(bad))


def _write_albums(root: Path, hostile: Sequence[Path]) -> list[Path]:
    """Write albums whose references are the hostile files, each under its own name and as a .jpg."""
    albums = []
    for number, start in enumerate(range(0, len(hostile), ALBUM // 2)):
        album = root / f"album {number:03d}"
        for folder in ("target", "ref"):
            (album / folder).mkdir(parents=True)
        write_png(album / "target" / "target.png", data.astronaut())
        for path in hostile[start : start + ALBUM // 2]:
            shutil.copyfile(path, album / "ref" / path.name)
            shutil.copyfile(path, album / "ref" / f"{path.name}.jpg")
        albums.append(album)
    return albums


def _deal(albums: Sequence[Path], jobs: int) -> list[Sequence[Path]]:
    return [albums[job::jobs] for job in range(jobs)]


def _try_albums(albums: Sequence[Path]) -> list[Row]:
    """Try the files of albums, and the albums, in a process of their own; print a row for each as it is known."""
    rows, worker = [], _Worker()
    for album in albums:
        for path in (*sorted((album / "ref").iterdir()), album):
            row = worker.ask(path)
            print(row, flush=True)
            rows.append(row)
    worker.stop()
    return rows


class _Worker:
    """A process that tries files; after it ends, another one goes on."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=False)
        self._process.start()
        other.close()

    def ask(self, path: Path) -> Row:
        """What becomes of a file, or of an album."""
        start = time.perf_counter()
        self._connection.send(path)
        if not self._connection.poll(PATIENCE):
            return self._replace(path, "hangs", start)
        try:
            row: Row = self._connection.recv()
        except EOFError:
            return self._replace(path, "crashed", start)
        return row

    def stop(self) -> None:
        """End the process and what it started."""
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.kill()
        self._process.join()

    def _replace(self, path: Path, verdict: str, start: float) -> Row:
        self._process.join(timeout=1)
        row = Row(path.name, verdict, f"exit code {self._process.exitcode}", time.perf_counter() - start)
        with suppress(psutil.NoSuchProcess):
            self.stop()
        self.__init__()  # type: ignore[misc]
        return row


def _serve(connection: Connection) -> None:
    """Answer paths with rows."""
    logging.disable(logging.WARNING)
    intact = None
    with DecodeSandbox(max_megapixels=150.0, timeout=TIMEOUT) as sandbox:
        while True:
            path: Path = connection.recv()
            if path.is_dir():
                connection.send(_validate(path))
                continue
            intact = intact or path.parents[1] / "target" / "target.png"
            with suppress(PhotoError):  # a machine that is too busy
                sandbox.inspect(intact)  # so that it runs, with all that it loads
            connection.send(_decode(path, sandbox))


def _decode(path: Path, sandbox: DecodeSandbox) -> Row:
    processes = [psutil.Process(), *psutil.Process().children()]
    for process in processes:
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # forgets the peak of its memory
    cpu, start, ended = _read_cpu(processes), time.perf_counter(), _read_ended()
    try:
        info = sandbox.inspect(path)
        verdict, reason = "accepted", f"{info.format} {info.mode} {info.bits} {info.width}x{info.height}"
        read_srgb(path)
    except PhotoError as error:
        verdict, reason = "refused", error.problem
    seconds = time.perf_counter() - start
    cpu = _read_cpu(processes) + _read_ended() - ended - cpu
    return Row(path.name, verdict, reason, seconds, cpu, max(map(_read_peak, processes)))


def _validate(root: Path) -> Row:
    start, cpu = time.perf_counter(), time.process_time() + _read_ended()
    params = load_params(assignments=[f"validate.timeout={TIMEOUT}", "validate.max_references=100"])
    count = sum(1 for _ in (root / "ref").iterdir())
    try:
        result = validate.run(open_album(root), params)
        verdict = "validated" if len(result.accepted) + len(result.refused) == count else "crashed"
        reason = f"{len(result.accepted)} accepted, {len(result.refused)} refused"
    except RealFillError as error:
        verdict, reason = "validated", str(error)
    cpu = time.process_time() + _read_ended() - cpu
    return Row(root.name, verdict, reason, time.perf_counter() - start, cpu)


def _read_cpu(processes: Sequence[psutil.Process]) -> float:
    """CPU time of those processes that run, seconds."""
    used = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used


def _read_ended() -> float:
    """CPU time of the sandboxes that ended, seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _read_peak(process: psutil.Process) -> int:
    """Peak of a process's resident memory, MiB; the largest of all that ended, if it ended."""
    with suppress(OSError):
        match = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        if match:
            return int(match[1]) // 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
