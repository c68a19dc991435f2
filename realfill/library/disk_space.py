"""Disk space: check it before an album begins, and free it by removing what can be made or fetched again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from realfill.album.layout import MATCHES
from realfill.core.atomic_io import is_own_folder, remove_folder
from realfill.core.errors import SpaceError
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library


@dataclass(frozen=True)
class DiskSpaceSettings:
    """How much disk space an album is taken to need.

    Attributes:
        base_bytes: Bytes for the adapter, its checkpoint, the candidates and the page, whose sizes hardly depend on
            the photos. Set by hand.
        bytes_per_photo_byte: Bytes for each byte of the album's photos. The canvas, the blended photo and the
            finished photo are stored uncompressed, and each of them a second time in DVC's cache. Set by hand.
    """

    base_bytes: int = 500_000_000
    bytes_per_photo_byte: int = 30


@dataclass(frozen=True)
class FreedSpace:
    """What `collect_garbage` removed.

    Attributes:
        leftovers: Number of folders left by interrupted runs.
        objects: Number of objects in DVC's cache that nothing in this clone uses and the remote has.
        albums: Names of the albums whose photos and outputs were removed; the remote has them.
        bytes: Disk space that became free.
    """

    leftovers: int
    objects: int
    albums: tuple[str, ...]
    bytes: int


def estimate_disk_space(library: Library, name: str, settings: DiskSpaceSettings = DiskSpaceSettings()) -> int:
    """Bytes that completing an album may take. Its photos need not be here: their sizes are in the `.dvc` files."""
    photo_bytes = sum(_read_size(file) for file in library.dvc_files(name) if file.is_file())
    return settings.base_bytes + settings.bytes_per_photo_byte * photo_bytes


def require_disk_space(library: Library, name: str, settings: DiskSpaceSettings = DiskSpaceSettings()) -> None:
    """Check that the disk has room to complete an album.

    Raises:
        SpaceError: The disk has too little room.
    """
    free, needed = shutil.disk_usage(library.root).free, estimate_disk_space(library, name, settings)
    if free < needed:
        problem = f"{free / 1e9:.1f} GB are free on the disk, and the album may need {needed / 1e9:.1f} GB."
        raise SpaceError(problem, "Make room; `realfill gc` removes what can be made again.", library.root)


def collect_garbage(library: Library, *, albums: bool = False) -> FreedSpace:
    """Remove what can be made again or fetched again, and nothing else.

    Partial folders of interrupted runs are removed unless a run is working on the album; checkpoints also need the
    album to be finished. Objects of DVC's cache are removed if the workspace does not use them and the remote has
    them. Without a remote the cache is left alone: it may be the only copy.

    Args:
        library: A clone.
        albums: Also remove the photos and outputs of all albums that the remote has completely, as on a machine that
            only works for others. `dvc pull` brings them back.

    Raises:
        RemoteError: The remote cannot be queried.
    """
    free_before = shutil.disk_usage(library.root).free
    leftovers = sum(_remove_leftovers(library, name) for name in library.album_names)
    removed = tuple(name for name in library.album_names if albums and _remove_if_pushed(library, name))
    objects = _remove_unused_objects(library)
    freed_bytes = shutil.disk_usage(library.root).free - free_before
    return FreedSpace(leftovers, objects, removed, max(0, freed_bytes))


def _remove_leftovers(library: Library, name: str) -> int:
    """Remove what interrupted runs left in an album; the number of removed folders."""
    folder = library.folder(name)
    with _try_lock(folder) as locked:
        if not locked:
            return 0
        members = library.target_folders(name) or [folder]
        places = dict.fromkeys(place for each in (folder, *members) for place in (each, each / "work"))
        leftovers = [
            path for place in places for kind in ("partial", "replaced") for path in place.glob(f".*.{kind}")
        ]
        leftovers = [path for path in leftovers if is_own_folder(path)]
        for path in leftovers:
            remove_folder(path)
        checkpoints = _checkpoints(folder) if all((each / "completed").is_dir() for each in members) else []
        for path in checkpoints:
            for file in path.glob("*.safetensors"):
                file.unlink()
            path.rmdir()
    return len(leftovers) + len(checkpoints)


def _checkpoints(folder: Path) -> list[Path]:
    """The folders of an album that hold nothing but a checkpoint of a tuning, or kept matches."""
    places = (*folder.glob("work/.checkpoints/*"), folder / "work" / MATCHES)
    folders = [path for path in places if path.is_dir() and not path.is_symlink()]
    return [path for path in folders if all(file.suffix == ".safetensors" for file in path.iterdir())]


def _remove_if_pushed(library: Library, name: str) -> bool:
    """Remove the photos and outputs of an album that the remote has completely; whether they were removed."""
    with _try_lock(library.folder(name)) as locked, library.album_state(name) as state:
        if not locked or not state.is_pushed():
            return False
        state.remove_outputs()
    return True


def _remove_unused_objects(library: Library) -> int:
    with open_dvc_state(library.root) as state:
        return state.collect_garbage() if state.has_remote else 0


@contextmanager
def _try_lock(folder: Path) -> Iterator[bool]:
    """Try to lock an album inside the block; yields False if a run holds it. Without `work/` no lock is needed."""
    if not (folder / "work").is_dir():
        yield True
        return
    lock = FileLock(folder / "work" / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _read_size(file: Path) -> int:
    """Bytes of the photos that a `.dvc` file tracks."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return sum(int(out.get("size", 0)) for out in document["outs"])
