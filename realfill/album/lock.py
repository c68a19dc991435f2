"""The lock that keeps two runs from working on one album at the same time, and two albums from sharing results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from realfill.album.layout import Album
from realfill.core.atomic_io import atomic_write, disk_full_as_error
from realfill.core.errors import AlbumError, OutputError, TransientError


@contextmanager
def album_lock(album: Album) -> Iterator[None]:
    """Hold the album's lock (`work/.lock`) inside the block; the operating system releases it if the process dies.

    The targets of an album have one lock.

    Raises:
        AlbumError: Another run holds the lock.
        OutputError: The place of the results is another album's.
        TransientError: The results cannot be written there.
    """
    lock = FileLock(album.shared_out / "work" / ".lock", timeout=0)
    with _describe_write_errors(album):
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        with _describe_write_errors(album):
            for out, root in dict.fromkeys(
                (place, owner) for each in album.targets for place, owner in _places(each)
            ):
                _claim_results(out, root)
        yield
    finally:
        lock.release()


def _places(album: Album) -> tuple[tuple[Path, Path], ...]:
    """Where the results of an album go, each with the folder whose results they are."""
    return (album.out, album.root), (album.shared_out, album.base)


def _claim_results(out: Path, root: Path) -> None:
    """Note whose results lie outside of an album, `work/.album`; the folder of an album is only its own."""
    if out == root:
        return
    note = out / "work" / ".album"
    owner = Path(note.read_text(encoding="utf-8")) if note.is_file() else root
    if (out / "target").is_dir():
        owner = out
    if owner != root and owner.is_dir():
        problem = f"This is the place of the results of another album, {owner}."
        raise OutputError(problem, "Choose another --out.", out)
    atomic_write(note, str(root))


@contextmanager
def _describe_write_errors(album: Album) -> Iterator[None]:
    try:
        with disk_full_as_error("work", album.out):
            yield
    except Timeout as error:
        raise AlbumError(
            "Another run is working on this album.", "Wait until it ends, or stop it.", album.root
        ) from error
    except OSError as error:
        problem = f"The results cannot be written here ({error.strerror})."
        raise TransientError(problem, "Check its permissions, or choose another --out.", album.out) from error
