"""Matches between the target and the references of an album.

Two matchers complement each other: ALIKED with LightGlue bears changes of light and scale, SIFT is more accurate and
bears that the camera was turned. Pairs of which ALIKED finds few matches are tried with one photo turned, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realfill.core.failures import skip_failing
from realfill.core.fingerprint import code_fingerprint
from realfill.core.parallel import map_parallel
from realfill.imaging.ops import Pixels, shrink_to
from realfill.matching.aliked import AlikedMatcher, AlikedSettings
from realfill.matching.base_matcher import Matcher, one_torch_thread
from realfill.matching.correspondences import Matches
from realfill.matching.match_store import MatchStore
from realfill.matching.sift import SiftMatcher, SiftSettings


@dataclass(frozen=True)
class AlbumMatchSettings:
    """At which sizes the photos of an album are matched.

    Attributes:
        aliked_side: Longer side of the photos that ALIKED sees, pixels; set by hand.
        sift_side: Longer side of the photos that SIFT sees, pixels; set by hand.
        enough_sift: References that share this many matches of SIFT are not matched by ALIKED with each other as
            well. On castle-front, whose references share more, what was placed had 24.76 dB with it, 24.75 without.
        few_aliked: Where ALIKED matches less than this share of the keypoints of the photo that has fewer, the pair
            is matched with its first photo turned by quarters, too, and the turn with most matches is kept. Set by
            hand, about 140 matches of photos with texture; easy pairs have several hundred. Where the cameras were
            turned by 45 to 90 degrees against each other, those that agree on a geometry rose from 13 to 125, 36 to
            87, 8 to 45 and 11 to 50.
        aliked: Of ALIKED.
        sift: Of SIFT; more keypoints of less contrast than its defaults, since the photos are larger. Set by hand.
        hole_dilation: Side of the square by which the hole is dilated before matches in it are dropped, pixels of
            the full-size target: a keypoint's descriptor sees its surroundings. Set by hand.
    """

    aliked_side: int = 1024
    sift_side: int = 2048
    enough_sift: int = 600
    few_aliked: float = 0.07
    aliked: AlikedSettings = AlikedSettings()
    sift: SiftSettings = SiftSettings(max_keypoints=8000, contrast_threshold=0.01)
    hole_dilation: int = 17


def shrink_for_matching(photo: Pixels, settings: AlbumMatchSettings = AlbumMatchSettings()) -> Pixels:
    """Scale a photo down to the largest size that `match_album` uses."""
    return shrink_to(photo, settings.sift_side)


def match_album(
    photos: Sequence[Pixels],
    sides: Sequence[int],
    mask: Pixels,
    max_references: int,
    settings: AlbumMatchSettings = AlbumMatchSettings(),
    kept: Path | None = None,
) -> dict[tuple[int, int], Matches]:
    """Match the target with every reference, and the references that share most with it with each other.

    Args:
        photos: The target, then the references, [h, w, 3] uint8 sRGB as `shrink_for_matching` returns them.
        sides: Longer side of each photo at full size, pixels.
        mask: The target's hole at full size, [H, W] uint8, 255 = fill.
        max_references: How many references are kept: those with most matches with the target.
        settings: Sizes and matchers.
        kept: Folder in which matches among the references are kept for other targets; None to keep none.

    Returns:
        Matches of photos i < j by (i, j), the target being 0, in pixels of the full-size photos. None of them lies in
        the target's hole.

    Raises:
        ModelError: ALIKED's weights are not on this machine.
    """
    store = None if kept is None else MatchStore(kept, repr([code_fingerprint(__name__), settings]))
    with one_torch_thread():
        aliked = _MatcherAtSize(AlikedMatcher(settings.aliked), settings.aliked_side, photos, sides)
        sift = _MatcherAtSize(SiftMatcher(settings.sift), settings.sift_side, photos, sides)
        extract = [partial(view.extract, number) for view in (aliked, sift) for number in range(len(photos))]
        map_parallel(lambda task: task(), extract)
        references = range(1, len(photos))
        by_sift = _match_pairs(sift, [(0, number) for number in references])
        by_aliked = _match_turned(aliked, [(0, number) for number in references], settings)
        with_target = _join(by_aliked, by_sift)
        hole = cv2.dilate(mask, np.ones((settings.hole_dilation, settings.hole_dilation), np.uint8)) > 0
        with_target = {pair: matches[~matches.start_in(hole)] for pair, matches in with_target.items()}
        best = sorted(sorted(references, key=lambda number: -len(with_target[0, number]))[:max_references])
        among_references = _match_references(aliked, sift, list(itertools.combinations(best, 2)), store, settings)
    return {pair: matches for pair, matches in (with_target | among_references).items() if pair[1] in best}


Pairs = dict[tuple[int, int], Matches]


def _match_references(
    aliked: _MatcherAtSize,
    sift: _MatcherAtSize,
    pairs: Sequence[tuple[int, int]],
    store: MatchStore | None,
    settings: AlbumMatchSettings,
) -> Pairs:
    """Match references with each other, those pairs that the store lacks; of these it keeps the matches."""
    recalled = {} if store is None else {pair: store.read(*sift.shown(pair)) for pair in pairs}
    kept = {pair: matches for pair, matches in recalled.items() if matches is not None}
    by_sift = _match_pairs(sift, [pair for pair in pairs if pair not in kept])
    few = [pair for pair, matches in by_sift.items() if len(matches) < settings.enough_sift]
    matched = _join(_match_turned(aliked, few, settings), by_sift)
    if store is not None:
        for pair, matches in matched.items():
            store.keep(*sift.shown(pair), matches)
    return {pair: (kept | matched)[pair] for pair in pairs}


def _match_pairs(view: _MatcherAtSize, pairs: Sequence[tuple[int, int]]) -> Pairs:
    return dict(zip(pairs, map_parallel(lambda pair: view.match(*pair), pairs), strict=True))


def _match_turned(view: _MatcherAtSize, pairs: Sequence[tuple[int, int]], settings: AlbumMatchSettings) -> Pairs:
    """Match pairs, those of few matches with the first photo turned by quarters as well."""
    upright = _match_pairs(view, pairs)
    few = [
        pair for pair, matches in upright.items() if len(matches) < settings.few_aliked * view.fewer_keypoints(pair)
    ]
    turns = (1, 2, 3)
    map_parallel(lambda task: view.extract(*task), list(itertools.product(sorted({i for i, _ in few}), turns)))
    tasks = list(itertools.product(few, turns))
    turned = dict(zip(tasks, map_parallel(lambda task: view.match(*task[0], task[1]), tasks), strict=True))
    return upright | {pair: max(upright[pair], *(turned[pair, turn] for turn in turns), key=len) for pair in few}


def _join(by_aliked: Pairs, by_sift: Pairs) -> Pairs:
    """Join the matches of both matchers; pairs of photos may lack those of ALIKED."""
    return {
        pair: Matches.concatenate([by_aliked[pair], matches]) if pair in by_aliked else matches
        for pair, matches in by_sift.items()
    }


class _MatcherAtSize:
    """A matcher on all photos of an album at one size; features are extracted once, before photos are matched."""

    def __init__(self, matcher: Matcher[Any], side: int, photos: Sequence[Pixels], full_sides: Sequence[int]) -> None:
        self._matcher, self._photos, self._side, self._full_sides = matcher, photos, side, full_sides
        self._features: dict[tuple[int, int], Any] = {}  # by number and quarter turns
        self._enlargements = [max(1.0, full_side / side) for full_side in full_sides]

    def shown(self, pair: tuple[int, int]) -> tuple[list[Pixels], list[int]]:
        """Two photos as they were given, and the longer sides of them at full size, pixels."""
        return [self._photos[number] for number in pair], [self._full_sides[number] for number in pair]

    def fewer_keypoints(self, pair: tuple[int, int]) -> int:
        """The number of keypoints of that photo of a pair which has fewer; 0 where they could not be extracted."""
        shown = [self._features.get((number, 0)) for number in pair]
        return min(0 if keypoints is None else len(keypoints.points) for keypoints in shown)

    def extract(self, number: int, turns: int = 0) -> None:
        """Extract the features of a photo that is turned by a number of quarters, counterclockwise."""
        with skip_failing(f"{self._matcher.name} on {_name(number)}"):
            shown = np.ascontiguousarray(np.rot90(shrink_to(self._photos[number], self._side), turns))
            self._features[number, turns] = self._matcher.extract_features(shown)

    def match(self, i: int, j: int, turns: int = 0) -> Matches:
        """Match two photos, the first one turned, in pixels of the full-size photos as they are."""
        matches = Matches.empty()
        if {(i, turns), (j, 0)} <= self._features.keys():
            with skip_failing(f"{self._matcher.name} between {_name(i)} and {_name(j)}"):
                matches = self._matcher.match(self._features[i, turns], self._features[j, 0])
        points0, points1 = (
            (points + 0.5) * self._enlargements[number] - 0.5
            for number, points in ((i, self._turn_back(i, matches.points0, turns)), (j, matches.points1))
        )
        return Matches(points0, points1, matches.confidence)

    def _turn_back(self, number: int, points: np.ndarray, turns: int) -> np.ndarray:
        """Where points (x, y) [N, 2] of a photo turned by quarters lie in the photo itself."""
        if not turns:
            return points
        width, height = self._features[number, 0].size
        x, y = points.T
        places = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}
        return np.stack(places[turns], axis=1)


def _name(number: int) -> str:
    return f"reference {number}" if number else "the target"
