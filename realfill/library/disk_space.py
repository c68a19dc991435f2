"""Disk space: checked before an album begins, made by removing what can be made again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from realfill.core.errors import SpaceError
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library

_FIXED = 500 * 10**6  # adapter, checkpoint, candidates, page
_TIMES_PHOTOS = 30  # canvas, blended photo and finished photo uncompressed, each also in DVC's cache


@dataclass(frozen=True)
class Freed:
    """What `collect` removed.

    Attributes:
        leftovers: Folders of interrupted runs.
        objects: Files of DVC's cache that nothing here uses and that the remote has.
        albums: Albums whose photos and outputs were removed from here, by name; the remote has them.
        bytes: Disk space that is free now and was not before.
    """

    leftovers: int
    objects: int
    albums: tuple[str, ...]
    bytes: int


def needed(library: Library, name: str) -> int:
    """Bytes that completing an album may take, from the sizes of its photos; they need not be here."""
    sizes = [_size(file) for file in library.photos(name) if file.is_file()]
    return _FIXED + _TIMES_PHOTOS * sum(sizes)


def check(library: Library, name: str) -> None:
    """See that there is room to complete an album.

    Raises:
        SpaceError: There is not.
    """
    free, wanted = shutil.disk_usage(library.root).free, needed(library, name)
    if free < wanted:
        problem = f"{free / 1e9:.1f} GB are free on the disk, and the album may need {wanted / 1e9:.1f} GB."
        raise SpaceError(problem, "Make room; `realfill gc` removes what can be made again.", library.root)


def collect(library: Library, *, albums: bool = False) -> Freed:
    """Remove what can be made again or fetched again, and nothing else.

    Interrupted runs' partial folders and checkpoints go where the album is finished and no run is working on it; of
    DVC's cache goes what neither this clone's files nor its history's last commit use, where the remote has it.
    Without a remote the cache is left alone: it may be the only copy.

    Args:
        library: A clone.
        albums: Also remove the photos and outputs of the albums that the remote has whole, as on a machine that only
            works for others. `dvc pull` brings them back.

    Raises:
        RemoteError: The remote cannot be asked.
    """
    before = shutil.disk_usage(library.root).free
    leftovers = sum(_sweep(library, name) for name in library.albums)
    removed = tuple(name for name in library.albums if albums and _withdraw(library, name))
    objects = _unused(library)
    freed = shutil.disk_usage(library.root).free - before
    return Freed(leftovers, objects, removed, max(0, freed))


def _sweep(library: Library, name: str) -> int:
    folder = library.folder(name)
    found = [*folder.glob(".completed.*"), *(folder / "work").glob(".*.partial"), *folder.glob("work/.*.replaced")]
    if (folder / "completed").is_dir():
        found += (folder / "work").glob(".checkpoints")
    with _idle(folder) as idle:
        for path in found if idle else ():
            shutil.rmtree(path)
    return len(found) if idle else 0


def _withdraw(library: Library, name: str) -> bool:
    folder = library.folder(name)
    with _idle(folder) as idle, library.tracked(name) as known:
        if not idle or not known.is_whole_on_remote():
            return False
        known.remove()
    return True


def _unused(library: Library) -> int:
    with open_dvc_state(library.root) as known:
        return known.drop_unused() if known.has_remote else 0


@contextmanager
def _idle(folder: Path) -> Iterator[bool]:
    """Keep runs off an album inside the block; whether there was none."""
    lock = FileLock(folder / "work" / ".lock", timeout=0)
    if not (folder / "work").is_dir():
        yield True
        return
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _size(file: Path) -> int:
    """Bytes of the photos that a `.dvc` file stands for."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return sum(int(out.get("size", 0)) for out in document["outs"])
