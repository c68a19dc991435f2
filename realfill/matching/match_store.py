"""Matches between the references of an album that are kept for its other targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from realfill.core.atomic_io import atomic_write
from realfill.core.hashing import digest_bytes
from realfill.imaging.ops import Pixels
from realfill.matching.correspondences import Matches


class MatchStore:
    """A folder of matches, a file for each pair of photos.

    Args:
        folder: The folder; it need not exist.
        method: What decides the matches besides the photos, as text.
    """

    def __init__(self, folder: Path, method: str) -> None:
        self._folder = folder
        self._method = method

    def read(self, photos: Sequence[Pixels], sides: Sequence[int]) -> Matches | None:
        """Read the matches of two photos; None where none are kept.

        Args:
            photos: The two, [h, w, 3] uint8.
            sides: Longer side of each at full size, pixels.
        """
        path = self._path(photos, sides)
        if not path.is_file():
            return None
        try:
            return Matches(**load_file(path))
        except (SafetensorError, TypeError):  # damaged: it is made again
            path.unlink()
            return None

    def keep(self, photos: Sequence[Pixels], sides: Sequence[int], matches: Matches) -> None:
        """Keep the matches of two photos, unless there are none: that may mean that matching failed this time.

        Args:
            photos: The two, [h, w, 3] uint8.
            sides: Longer side of each at full size, pixels.
            matches: Their matches.
        """
        if len(matches):
            content = save({name: np.ascontiguousarray(value) for name, value in asdict(matches).items()})
            atomic_write(self._path(photos, sides), content)

    def _path(self, photos: Sequence[Pixels], sides: Sequence[int]) -> Path:
        digests = [digest_bytes(photo.tobytes()) for photo in photos]
        key = digest_bytes(repr([self._method, digests, list(sides), [photo.shape for photo in photos]]).encode())
        return self._folder / f"{key[:32]}.safetensors"
