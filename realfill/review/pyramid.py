"""Image pyramids, and tiles cut out of them: lossless at full size."""

from __future__ import annotations

import io
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from PIL import Image

from realfill.imaging.ops import Pixels


@dataclass(frozen=True)
class TileSettings:
    """How pictures are cut, and how many are kept.

    Attributes:
        side: Side of a tile without its overlap, pixels. Set by hand.
        overlap: Pixels that a tile shares with each neighbor: without, OpenSeadragon stretches tiles by a pixel.
        quality: Of the JPEG tiles of reduced levels, 1 to 95. Set by hand.
        patch_levels: Levels at which a patch is kept apart from the picture below it. Set by hand.
        reduced_levels: Levels below the full size that a picture is read for on their own. Set by hand: JPEGs of 24
            megapixels are read four times as fast for the second one, which fills a window.
        cache_bytes: Size of the pyramids that are kept. Set by hand: eight pictures of 50 megapixels.
    """

    side: int = 512
    overlap: int = 1
    quality: int = 90
    patch_levels: int = 5
    reduced_levels: int = 2
    cache_bytes: int = 1_600_000_000


SETTINGS = TileSettings()


class Pyramid:
    """A picture at full size and at halves of it, down to a single pixel.

    Attributes:
        width: Pixels.
        height: Pixels.
        max_level: Level of the full size; level 0 has one pixel.
    """

    def __init__(self, levels: list[Pixels]) -> None:
        self._levels = levels  # full size first
        self.height, self.width = levels[0].shape[:2]
        self.max_level = len(levels) - 1

    @classmethod
    def build(cls, pixels: Pixels) -> Self:
        """Build the pyramid of a picture.

        Args:
            pixels: [H, W, 3] uint8 sRGB, or [H, W, 4] with alpha.
        """
        levels = [pixels]
        while max(levels[-1].shape[:2]) > 1:
            height, width = levels[-1].shape[:2]
            even = cv2.copyMakeBorder(levels[-1], 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
            levels.append(cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        return cls(levels)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(level.nbytes for level in self._levels)

    def crop(self, level: int, left: int, top: int, right: int, bottom: int) -> Pixels:
        """Crop a level; the box lies within it."""
        return self._levels[self.max_level - level][top:bottom, left:right]

    def size(self, level: int) -> tuple[int, int]:
        """Width and height of a level, pixels."""
        height, width = self._levels[self.max_level - level].shape[:2]
        return width, height


class LazyPyramid(Pyramid):
    """A picture that is read at full size only when that is looked at.

    Args:
        width: Pixels.
        height: Pixels.
        read: Reads the picture at a whole fraction of its size, 1 to `2**reduced_levels`, or at full size.
        settings: Which levels are read on their own.
    """

    def __init__(
        self, width: int, height: int, read: Callable[[int], Pixels], settings: TileSettings = SETTINGS
    ) -> None:
        self.width, self.height, self.max_level = width, height, math.ceil(math.log2(max(width, height)))
        self._read, self._reduced_levels = read, settings.reduced_levels
        self._parts: dict[int, Pyramid] = {}  # by their largest level
        self._mutex = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(part.nbytes for part in list(self._parts.values()))

    def crop(self, level: int, left: int, top: int, right: int, bottom: int) -> Pixels:
        """Crop a level; the box lies within it."""
        return self._part(level).crop(level, left, top, right, bottom)

    def size(self, level: int) -> tuple[int, int]:
        """Width and height of a level, pixels."""
        step = 2 ** (self.max_level - level)
        return -(-self.width // step), -(-self.height // step)

    def _part(self, level: int) -> Pyramid:
        """The smallest part that has a level."""
        with self._mutex:
            if not any(largest >= level for largest in self._parts):
                step = min(self.max_level - level, self._reduced_levels)
                part = Pyramid.build(self._read(2**step))
                self._parts[part.max_level] = part
            return self._parts[min(largest for largest in self._parts if largest >= level)]


class PatchedPyramid(Pyramid):
    """A picture that differs from another one in a box only; just the box takes memory.

    Args:
        below: Pyramid of the other picture.
        patch: What is seen in the box, [h, w, 3] uint8.
        left: Left edge of the box, pixels.
        top: Top edge of the box, pixels.
        settings: At how many levels the patch is kept; it is not seen at smaller ones.
    """

    def __init__(self, below: Pyramid, patch: Pixels, left: int, top: int, settings: TileSettings = SETTINGS) -> None:
        step = 2**settings.patch_levels
        x0, y0 = left // step * step, top // step * step
        x1 = min(-(-(left + patch.shape[1]) // step) * step, below.width)
        y1 = min(-(-(top + patch.shape[0]) // step) * step, below.height)
        colors = np.zeros((y1 - y0, x1 - x0, 4), np.uint8)  # premultiplied by the share of the pixel in the box
        colors[top - y0 :, left - x0 :][: patch.shape[0], : patch.shape[1]] = np.dstack(
            [patch, np.full(patch.shape[:2], 255, np.uint8)]
        )
        super().__init__(Pyramid.build(colors)._levels[: settings.patch_levels + 1])
        self._below, self._origin = below, (x0, y0)
        self.width, self.height, self.max_level = below.width, below.height, below.max_level

    def crop(self, level: int, left: int, top: int, right: int, bottom: int) -> Pixels:
        """Crop a level; the box lies within it."""
        pixels, step = self._below.crop(level, left, top, right, bottom), self.max_level - level
        if step >= len(self._levels):
            return pixels
        patch = self._levels[step]
        x, y = self._origin[0] >> step, self._origin[1] >> step
        x0, y0 = max(left, x), max(top, y)
        x1, y1 = min(right, x + patch.shape[1]), min(bottom, y + patch.shape[0])
        if x1 <= x0 or y1 <= y0:
            return pixels
        pixels = pixels.copy()
        shown, seen = pixels[y0 - top : y1 - top, x0 - left : x1 - left], patch[y0 - y : y1 - y, x0 - x : x1 - x]
        rest = 255 - seen[..., 3:].astype(np.uint16)
        shown[:] = np.minimum(seen[..., :3] + (shown * rest + 127) // 255, 255)
        return pixels

    def size(self, level: int) -> tuple[int, int]:
        """Width and height of a level, pixels."""
        return self._below.size(level)


def cut_tile(
    pyramid: Pyramid, level: int, column: int, row: int, settings: TileSettings = SETTINGS
) -> tuple[bytes, str] | None:
    """Cut a tile as OpenSeadragon asks for it.

    Returns:
        The file and its media type: lossless WebP at full size and where there is alpha, else JPEG. None if there is
        no such tile.
    """
    if not 0 <= level <= pyramid.max_level:
        return None
    width, height = pyramid.size(level)
    left, top = column * settings.side, row * settings.side
    if not (0 <= left < width and 0 <= top < height):
        return None
    right, bottom = (
        min(start + settings.side + settings.overlap, end) for start, end in ((left, width), (top, height))
    )
    left, top = max(left - settings.overlap, 0), max(top - settings.overlap, 0)
    pixels = np.ascontiguousarray(pyramid.crop(level, left, top, right, bottom))
    buffer = io.BytesIO()
    if level == pyramid.max_level or pixels.shape[2] == 4:
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=0, method=0, exact=True)
        return buffer.getvalue(), "image/webp"
    Image.fromarray(pixels).save(buffer, "JPEG", quality=settings.quality, subsampling=0)
    return buffer.getvalue(), "image/jpeg"


class PyramidCache:
    """The pyramids that were used last, within a number of bytes; each is built once, whoever asks for it.

    Args:
        settings: The number of bytes.
    """

    def __init__(self, settings: TileSettings = SETTINGS) -> None:
        self._limit = settings.cache_bytes
        self._pyramids: OrderedDict[Hashable, Future[Pyramid]] = OrderedDict()
        self._mutex = threading.Lock()

    def get(self, key: Hashable, build: Callable[[], Pyramid]) -> Pyramid:
        """The pyramid of this key; built by the first who asks, others wait for it. What fails is not kept."""
        with self._mutex:
            future = self._pyramids.get(key)
            is_new = future is None
            if future is None:
                future = self._pyramids[key] = Future()
            self._pyramids.move_to_end(key)
        if is_new:
            try:
                future.set_result(build())
            except BaseException as error:
                with self._mutex:
                    self._pyramids.pop(key, None)
                future.set_exception(error)
            self._evict(key)
        return future.result()

    def kept(self, key: Hashable) -> Pyramid | None:
        """The pyramid of this key if it is kept, else None."""
        with self._mutex:
            future = self._pyramids.get(key)
        return future.result() if future and future.done() else None

    def _evict(self, newest: Hashable) -> None:
        with self._mutex:
            sizes = {key: future.result().nbytes for key, future in self._pyramids.items() if future.done()}
            used = sum(sizes.values())
            for key, size in sizes.items():
                if used > self._limit and key != newest:
                    used -= size
                    del self._pyramids[key]
