"""FIXME DOCSTRING."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from realfill.album.placement import CERTAIN
from realfill.imaging.ops import resize
from realfill.matching.correspondences import Matches
from realfill.matching.matchers import Matcher
from realfill.matching.two_view import TwoViewGeometry, estimate_two_view_geometry, verify_matches
from realfill.selection.hole_view import HoleView

_INSET = 8  # from the rim of the hole, pixels; closer by, a keypoint's descriptor sees both sides
_CELL = 8  # pixels
_REACH = 5  # cells
_REACH_COST = 0.3  # levels a cell
_FEWEST_CELLS = 50


@dataclass(frozen=True)
class RankedReference:
    """A reference at about the scale of the view.

    Attributes:
        name: File name.
        image: [h, w, 3] uint8 sRGB.
        features: What the matcher detected in it.
        geometry: From the view to the reference, as the known part of the view tells; None where it cannot.
        laid: The reference laid over the view by its homography, in the known part's colours: [h / 8, w / 8, 3]
            float32 levels, infinite where it does not reach; None where that cannot be told.
    """

    name: str
    image: np.ndarray
    features: Any
    geometry: TwoViewGeometry | None
    laid: np.ndarray | None


@dataclass(frozen=True)
class Evidence:
    """What one reference says of one candidate.

    Attributes:
        matches: Those whose point in the view lies in the hole.
        verified: Which of them agree with the geometry of the two views, bool [N].
    """

    matches: Matches
    verified: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """How authentic one candidate is.

    Attributes:
        evidence: One a reference.
        rim_error: See `rim_error`.
        reference_error: See `placed_error` where what was placed is certain, else `reference_error`.
        loose: What was placed is certain nowhere: what is shown may have moved, so that right matches contradict the
            geometry of the known part.
    """

    evidence: tuple[Evidence, ...]
    rim_error: float
    reference_error: float
    loose: bool = False

    @property
    def inliers(self) -> int:
        """Verified matches inside the hole, over all references."""
        return sum(int(e.verified.sum()) for e in self.evidence)

    @property
    def matches(self) -> int:
        """Matches inside the hole, verified or not, over all references."""
        return sum(len(e.matches) for e in self.evidence)

    @property
    def score(self) -> float:
        """log(1 + n / 16) - (rim_error + reference_error) / 20.

        n counts the inliers, or, as in the paper, all matches where `loose`. They decide between fills that have any:
        twice as many are worth 0.7 at most, 14 levels of error. The few that come about by chance weigh little, and
        fills without any are told apart by their errors.
        """
        counted = self.matches if self.loose else self.inliers
        return math.log1p(counted / 16) - (self.rim_error + self.reference_error) / 20


def prepare_references(
    view: HoleView, images: Mapping[str, np.ndarray], found: Matcher[Any]
) -> list[RankedReference]:
    """Prepare references, [h, w, 3] uint8 sRGB by name, for judging candidates by them.

    The geometry is estimated from the known part alone: estimated with a fill's own matches, it would follow a fill
    that is right in itself but in the wrong place.
    """
    features = found.detect(view.known)
    near = cv2.dilate(view.hole.astype(np.uint8), np.ones((2 * _INSET + 1,) * 2)) > 0
    references = []
    for name, image in images.items():
        described = found.detect(image)
        matches = found.pair(features, described)
        geometry = estimate_two_view_geometry(matches[~_lie_in(near, matches.points0)])
        laid = None if geometry is None else _warp_coarse(image, geometry.homography, view.known, near)
        references.append(RankedReference(name, image, described, geometry, laid))
    return references


def judge(
    picture: np.ndarray,
    hole: np.ndarray,
    references: Sequence[RankedReference],
    found: Matcher[Any],
    expected: tuple[np.ndarray, np.ndarray] | None = None,
) -> Judgement:
    """Compare a completed view with the references, and with what is certain of them.

    Args:
        picture: [h, w, 3] uint8 sRGB.
        hole: [h, w] bool.
        references: As `refer` prepared them.
        found: The matcher.
        expected: What was placed, [h, w, 3] uint8 sRGB, and its confidence, [h, w] uint8.
    """
    features = found.detect(picture)
    certain = expected is not None and expected[1].max() >= CERTAIN
    inside = cv2.erode(hole.astype(np.uint8), np.ones((2 * _INSET + 1,) * 2)) > 0
    return Judgement(
        tuple(_evidence(found.pair(features, r.features), r.geometry, inside) for r in references),
        rim_error(picture, hole),
        placed_error(picture, hole, *expected)
        if expected is not None and certain
        else reference_error(picture, hole, [r.laid for r in references if r.laid is not None]),
        loose=expected is not None and not certain,
    )


def placed_error(picture: np.ndarray, hole: np.ndarray, placed: np.ndarray, confidence: np.ndarray) -> float:
    """Mean distance of the fill from what was placed, weighed by its confidence, in 8-bit levels.

    Args:
        picture: Completed view [h, w, 3] uint8 sRGB.
        hole: [h, w] bool.
        placed: [h, w, 3] uint8 sRGB.
        confidence: [h, w] uint8.
    """
    weight = np.where(hole, confidence, 0).astype(np.float64)
    apart = np.sqrt(((picture.astype(np.float32) - placed) ** 2).mean(axis=2))
    return float((apart * weight).sum() / max(weight.sum(), 1.0))


def _evidence(matches: Matches, geometry: TwoViewGeometry | None, inside: np.ndarray) -> Evidence:
    verified = verify_matches(matches) if geometry is None else geometry.agree(matches)
    here = _lie_in(inside, matches.points0)
    return Evidence(matches[here], verified[here])


def rim_error(picture: np.ndarray, hole: np.ndarray) -> float:
    """Mean absolute difference between neighbouring pixels on both sides of the hole's rim, in 8-bit levels.

    Args:
        picture: Completed view [h, w, 3] uint8 sRGB.
        hole: [h, w] bool.
    """
    total, pairs = 0.0, 0
    for axis in (0, 1):
        crossing = np.diff(hole, axis=axis)
        total += float(np.abs(np.diff(picture.astype(np.float32), axis=axis))[crossing].mean(axis=1).sum())
        pairs += int(crossing.sum())
    return total / max(pairs, 1)


def reference_error(picture: np.ndarray, hole: np.ndarray, laid: Sequence[np.ndarray]) -> float:
    """Mean distance of the fill from the references laid over the view, in 8-bit levels.

    Coarse, since a homography lays only a plane right: neighbourhoods of 5 x 5 cells of 8 pixels may lie up to 5
    cells elsewhere, at 0.3 levels a cell, and the most similar reference counts. 0 where no reference reaches.

    Args:
        picture: Completed view [h, w, 3] uint8 sRGB.
        hole: [h, w] bool.
        laid: See `Reference.laid`.
    """
    if not laid:
        return 0.0
    fill = _coarse(picture)  # [r, c, 3]
    rows, columns = fill.shape[:2]
    nearest = np.full((rows, columns), np.inf, np.float32)
    for reference in laid:
        reaches = np.isfinite(reference[..., 0])
        finite = np.where(reaches[..., None], reference, 0)
        padded = cv2.copyMakeBorder(finite, _REACH, _REACH, _REACH, _REACH, cv2.BORDER_REPLICATE)
        for down, right in itertools.product(range(2 * _REACH + 1), repeat=2):
            squared = ((fill - padded[down : down + rows, right : right + columns]) ** 2).mean(axis=2)
            distance = np.sqrt(cv2.blur(squared, (5, 5))) + _REACH_COST * math.hypot(down - _REACH, right - _REACH)
            nearest = np.where(reaches, np.minimum(nearest, distance), nearest)
    counted = (_coarse(hole.astype(np.float32)) > 0.5) & np.isfinite(nearest)
    return float(nearest[counted].mean()) if counted.any() else 0.0


def _warp_coarse(image: np.ndarray, homography: np.ndarray, known: np.ndarray, near: np.ndarray) -> np.ndarray | None:
    size, flags = known.shape[1::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = _coarse(cv2.warpPerspective(image, homography, size, flags=flags))
    reaches = _coarse(cv2.warpPerspective(np.ones(image.shape[:2], np.float32), homography, size, flags=flags)) > 0.99
    shared = reaches & (_coarse(near.astype(np.float32)) == 0)
    if shared.sum() < _FEWEST_CELLS:
        return None
    theirs, ours = laid[shared], _coarse(known)[shared]  # [N, 3]
    gain = np.clip(ours.std(axis=0) / (theirs.std(axis=0) + 1e-3), 0.5, 2)
    matched = (laid - theirs.mean(axis=0)) * gain + ours.mean(axis=0)
    return np.where(reaches[..., None], matched, np.inf).astype(np.float32)


def _coarse(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return resize(image.astype(np.float32), max(1, width // _CELL), max(1, height // _CELL))


def _lie_in(region: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which points [N, 2] xy lie in a region [h, w] bool, as bool [N]."""
    columns, rows = np.rint(points).astype(int).T
    return np.asarray(region[rows.clip(0, region.shape[0] - 1), columns.clip(0, region.shape[1] - 1)])


def best_reference(judged: Judgement) -> int:
    return int(np.argmax([e.verified.sum() for e in judged.evidence]))
