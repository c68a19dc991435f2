"""Photos that are mirrored, such as slides and negatives that were scanned from the wrong side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realfill.matching.thumbnails import Thumbnail, match_thumbnails
from realfill.matching.two_view import verify_matches


@dataclass(frozen=True)
class MirrorSettings:
    """When a photo is taken to be mirrored.

    Of 53 references of fifteen albums, which are not, none had more verified matches as its mirror image; symmetric
    buildings had up to 94 % of those that it had as it is.

    Attributes:
        max_matches: Verified matches from which on a photo is not tried mirrored; set by hand.
        min_mirrored: Least verified matches of the mirror image; set by hand.
        min_ratio: Least ratio of the verified matches of the mirror image to those of the photo; set by hand.
    """

    max_matches: int = 60
    min_mirrored: int = 30
    min_ratio: float = 2.0


def is_mirrored(target: Thumbnail, reference: Thumbnail, settings: MirrorSettings = MirrorSettings()) -> bool:
    """Whether the mirror image of a reference matches the target, and the reference itself hardly does."""
    direct = _count_verified(target, reference)
    if direct >= settings.max_matches:
        return False
    mirrored = _count_verified(target, reference.mirror())
    return mirrored >= max(settings.min_mirrored, settings.min_ratio * direct)


def _count_verified(target: Thumbnail, reference: Thumbnail) -> int:
    return int(np.count_nonzero(verify_matches(match_thumbnails(target, reference))))
