"""What is told of a reference by comparing it with the target, and with the references before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from realfill.imaging.monochrome import is_in_color, is_monochrome
from realfill.imaging.ops import Pixels, shrink_to
from realfill.matching.mirrored_photos import is_mirrored
from realfill.matching.near_duplicates import DamagedTarget, is_near_duplicate, repeats_damage, shrink_hole
from realfill.matching.thumbnails import Thumbnail, register


@dataclass(frozen=True)
class ComparisonSettings:
    """At which sizes photos are compared.

    Attributes:
        thumbnail_side: Longer side of the target's thumbnail, pixels; that of the references' (`InspectionSettings`).
        large_side: Longer side at which holes are compared that a thumbnail does not resolve, such as scratches,
            pixels; set by hand.
        min_resolved: Share of the hole in pixels of the thumbnail that it fills for the most part, from which on the
            thumbnail resolves it; set by hand.
    """

    thumbnail_side: int = 512
    large_side: int = 2048
    min_resolved: float = 0.7


@dataclass(frozen=True)
class Target:
    """The target and its hole at full size.

    Attributes:
        picture: [H, W, 3] uint8 sRGB.
        hole: The part of the hole inside the photo, [H, W] uint8, 255 = fill.
        extension: Left, top, right and bottom, pixels added at each side.
        is_hidden: Whether the hole is transparent.
    """

    picture: Pixels
    hole: Pixels
    extension: tuple[int, int, int, int]
    is_hidden: bool

    def shrink(self, side: int) -> DamagedTarget:
        """The same with a longer side of at most `side` pixels."""
        pixels = shrink_to(self.picture, side)
        height, width = pixels.shape[:2]
        scale = width / self.picture.shape[1]
        left, top, right, bottom = (scale * length for length in self.extension)
        hole = shrink_hole(self.hole, width, height)
        return DamagedTarget(Thumbnail(pixels), hole, (left, top, right, bottom), self.is_hidden)


@dataclass
class ReferenceComparison:
    """Compares references, one after the other, with the target and with those that were used before.

    Attributes:
        target: The target, or None where its hole is not known: then nothing is compared with it.
        settings: At which sizes photos are compared.
    """

    target: Target | None
    settings: ComparisonSettings = ComparisonSettings()
    _used: dict[str, Thumbnail] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._small = None if self.target is None else self.target.shrink(self.settings.thumbnail_side)

    def use(self, file: str, thumbnail: Thumbnail) -> None:
        """Compare later references with this one too."""
        self._used[file] = thumbnail

    def drop(self, file: str) -> None:
        """Compare later references with this one no more."""
        del self._used[file]

    def find_repeated(self, thumbnail: Thumbnail) -> str:
        """The reference before of which this is a near-duplicate; empty if there is none."""
        return next((file for file, used in self._used.items() if is_near_duplicate(used, thumbnail)), "")

    def repeats_damage(self, thumbnail: Thumbnail, read: Callable[[], Pixels]) -> bool:
        """Whether a reference is a copy of the damaged target, also a mirrored one.

        Args:
            thumbnail: The reference.
            read: Decodes it at full size, [H, W, 3] uint8 sRGB; called only for copies with a hole too fine to see.
        """
        if self._repeats_upright(thumbnail, read):
            return True
        return self.is_mirrored(thumbnail) and self._repeats_upright(thumbnail.mirror(), lambda: read()[:, ::-1])

    def _repeats_upright(self, thumbnail: Thumbnail, read: Callable[[], Pixels]) -> bool:
        if self.target is None or self._small is None or not repeats_damage(self._small, thumbnail):
            return False
        hole = self._small.hole
        if self._small.is_hidden or hole[hole > 0.5].sum() >= self.settings.min_resolved * hole.sum():
            return True
        large = Thumbnail(shrink_to(read(), self.settings.large_side))
        affine = register(self._small.thumbnail, thumbnail)
        assert affine is not None  # it was registered above
        size, scale = max(large.pixels.shape[:2]), np.sqrt(np.linalg.det(affine[:, :2]))
        side = size * max(self._small.thumbnail.pixels.shape[:2]) / (max(thumbnail.pixels.shape[:2]) * scale)
        return repeats_damage(self.target.shrink(min(self.settings.large_side, round(side))), large)

    def is_mirrored(self, thumbnail: Thumbnail) -> bool:
        """Whether a reference is mirrored."""
        return self._small is not None and is_mirrored(self._small.thumbnail, thumbnail)

    def lacks_color(self, thumbnail: Thumbnail) -> bool:
        """Whether a reference is black and white, or toned, and the target is in color."""
        small = self._small
        return small is not None and is_monochrome(thumbnail.pixels) and is_in_color(small.thumbnail.pixels)
