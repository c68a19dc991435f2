"""Decoded photos that are kept for the next reader: decoding one takes longer than most that is done with it."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_rgb


class ReadRgb(Protocol):
    """Reads a photo as `read_rgb` does; nobody may write into what it returns."""

    def __call__(self, path: Path, profile: bytes | None, dtype: npt.DTypeLike = np.uint8) -> Pixels:
        """See `read_rgb`."""


class PhotoCache:
    """Photos in an RGB space, those that were read last, for files that do not change. Several threads may share it.

    Args:
        max_bytes: Memory of the photos that are kept. The default holds five photos of 16 megapixels; set by hand.
    """

    def __init__(self, max_bytes: int = 2**28) -> None:
        self._max_bytes = max_bytes
        self._photos: OrderedDict[Any, Pixels] = OrderedDict()  # the one that was read last comes last
        self._lock = Lock()
        self._decoding: defaultdict[Any, Lock] = defaultdict(Lock)

    def read_rgb(self, path: Path, profile: bytes | None, dtype: npt.DTypeLike = np.uint8) -> Pixels:
        """Read a photo of any size in an RGB space, upright, as a read-only array; see `to_rgb`.

        Raises:
            PhotoError: As for `read_photo`.
        """
        key = (path, profile, np.dtype(dtype).name)
        with self._lock:
            decoding = self._decoding[key]
        with decoding:  # two threads do not decode one photo
            with self._lock:
                photo = self._photos.get(key)
            if photo is None:
                photo = read_rgb(path, profile, dtype).view()
                photo.flags.writeable = False
            self._keep(key, photo)
        return photo

    def _keep(self, key: Any, photo: Pixels) -> None:
        """Keep a photo as the one that was read last, and forget the oldest ones beyond the limit."""
        with self._lock:
            self._photos[key] = photo
            self._photos.move_to_end(key)
            while sum(kept.nbytes for kept in self._photos.values()) > self._max_bytes:
                self._photos.popitem(last=False)
