"""The lock that keeps two runs from working on one album at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from realfill.album.layout import Album
from realfill.core.errors import AlbumError


@contextmanager
def album_lock(album: Album) -> Iterator[None]:
    """Hold the album's lock (`work/.lock`) inside the block; the operating system releases it if the process dies.

    Raises:
        AlbumError: Another run holds the lock.
    """
    lock = album.out / "work" / ".lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        problem = "Another run is working on this album."
        raise AlbumError(problem, "Wait until it ends, or stop it.", album.root) from error
