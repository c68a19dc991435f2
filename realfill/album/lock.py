"""FIXME DOCSTRING."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from realfill.album.layout import Album
from realfill.core.errors import AlbumError


@contextmanager
def album_lock(album: Album) -> Iterator[None]:
    """Keep every other run off the album inside the block; a killed run lets go of it.

    Raises:
        AlbumError: Another run is working on it.
    """
    lock = album.out / "work" / ".lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        problem = "Another run is working on this album."
        raise AlbumError(problem, "Wait until it ends, or stop it.", album.root) from error
