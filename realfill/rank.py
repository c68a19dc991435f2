"""Rank the candidates by verified correspondences with the references (RealFill, section 4.3)."""

from __future__ import annotations

import colorsys
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realfill.album import Album
from realfill.artifacts import (
    Candidate,
    Ranked,
    Verified,
    Window,
    accepted_references,
    canvas_path,
    mask_path,
    read_rows,
    read_window,
    write_rows,
)
from realfill.files import publishing, write_json
from realfill.images import read_png, read_srgb, resize, square, write_png
from realfill.matching import Geometry, Matcher, Matches, fit, matcher, verify
from realfill.params import Params
from realfill.proposal import CERTAIN, Proposal, read_proposal

SIDE = 640  # of the window, pixels
_LONGEST = 1024  # of a reference, pixels
_INSET = 8  # from the rim of the hole, pixels; closer by, a keypoint's descriptor sees both sides
_CELL = 8  # pixels
_REACH = 5  # cells
_REACH_COST = 0.3  # levels a cell
_FEWEST_CELLS = 50
_GAP = 8  # pixels
_WIDEST = 1600  # pixels


@dataclass(frozen=True)
class RankResult:
    """What was ranked.

    Attributes:
        ranked: One row a candidate, best first.
        folder: Where the ranking and the picture of the matches lie.
    """

    ranked: tuple[Ranked, ...]
    folder: Path


@dataclass(frozen=True)
class View:
    """The part of the window that lies on the canvas, at the scale at which the whole window has `SIDE` pixels.

    Attributes:
        known: [h, w, 3] uint8 sRGB; what is inside the hole is not looked at.
        hole: [h, w] bool.
        part: Rows and columns of the window at that scale.
    """

    known: np.ndarray
    hole: np.ndarray
    part: tuple[slice, slice]

    @classmethod
    def of(cls, canvas: np.ndarray, mask: np.ndarray, window: Window) -> View:
        """The view of a canvas [H, W, 3] uint8 sRGB whose mask [H, W] uint8 is 255 in the hole."""
        rows = slice(*_span(window.top, window.canvas_height, window.side))
        columns = slice(*_span(window.left, window.canvas_width, window.side))
        known = resize(square(canvas, window), SIDE, SIDE)[rows, columns]
        hole = resize(square(mask, window, fill=0), SIDE, SIDE)[rows, columns] > 0
        return cls(known, hole, (rows, columns))

    def complete(self, candidate: np.ndarray, proposal: Proposal | None = None, kind: str = "noise") -> np.ndarray:
        """The view [h, w, 3] with its hole filled from a candidate [R, R, 3], uint8 sRGB.

        Where a candidate of this kind shows the proposal, which is given at the view's scale, that is taken.
        """
        fill = resize(candidate, SIDE, SIDE)[self.part]
        if proposal is not None:
            weight = proposal.weight(kind)[self.part][..., None]
            fill = np.rint((1 - weight) * fill + weight * proposal.colours[self.part]).astype(np.uint8)
        return np.where(self.hole[..., None], fill, self.known)


@dataclass(frozen=True)
class Reference:
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
    geometry: Geometry | None
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


def run(album: Album, params: Params) -> RankResult:
    """Order the candidates, the most authentic one first.

    Raises:
        StageError: `validate`, `masks` or `sample` has not run.
        ModelError: The matcher's weights are not on this machine.
        PhotoError: A reference cannot be read any more.
    """
    found = matcher(params.rank.matcher)
    window = read_window(album)
    view = View.of(read_png(canvas_path(album)), read_png(mask_path(album)), window)
    images = {path.name: at_scale(read_srgb(path), window) for path in accepted_references(album)}
    references = refer(view, images, found)
    drawn = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    proposal = read_proposal(album)
    if proposal is not None:
        proposal = proposal.over(window.left, window.top, window.side, window.side).scaled(SIDE, SIDE)
    pictures = {
        row.candidate: view.complete(read_png(album.work("sample") / row.file), proposal, row.kind) for row in drawn
    }
    expected = None if proposal is None else (proposal.colours[view.part], proposal.confidence[view.part])
    judged = {number: judge(picture, view.hole, references, found, expected) for number, picture in pictures.items()}
    best, *_ = order = sorted(judged, key=lambda number: (-judged[number].score, number))
    rows = [_row(rank, number, judged[number], references, found) for rank, number in enumerate(order, start=1)]
    drawing = draw_matches(pictures[best], view.hole, references, judged[best], params.rank.pictured_matches)
    with publishing(album.work("rank")) as folder:
        write_rows(folder / "ranking.parquet", Ranked, rows)
        write_rows(folder / "verified.parquet", Verified, _verified(judged, references, view, window))
        write_png(folder / "matches.png", drawing)
        metrics = {"score": rows[0].score, "inliers": rows[0].inliers, "candidates": len(rows)}
        write_json(folder / "metrics.json", metrics)
    return RankResult(tuple(rows), album.work("rank"))


def at_scale(image: np.ndarray, window: Window) -> np.ndarray:
    """Scale a reference [H, W, 3] as the view is, as if it showed as much as the canvas; at most 1024 pixels long."""
    longest = min(_LONGEST, SIDE / window.side * max(window.canvas_width, window.canvas_height))
    scale = longest / max(image.shape)
    return resize(image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))


def refer(view: View, images: Mapping[str, np.ndarray], found: Matcher[Any]) -> list[Reference]:
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
        geometry = fit(matches[~_lie_in(near, matches.points0)])
        laid = None if geometry is None else _lay(image, geometry.homography, view.known, near)
        references.append(Reference(name, image, described, geometry, laid))
    return references


def judge(
    picture: np.ndarray,
    hole: np.ndarray,
    references: Sequence[Reference],
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


def _evidence(matches: Matches, geometry: Geometry | None, inside: np.ndarray) -> Evidence:
    verified = verify(matches) if geometry is None else geometry.agree(matches)
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


def _lay(image: np.ndarray, homography: np.ndarray, known: np.ndarray, near: np.ndarray) -> np.ndarray | None:
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


def _span(start: int, canvas: int, side: int) -> tuple[int, int]:
    """First and last + 1 of the window's pixels at `SIDE` that lie on the canvas, along one axis."""
    first, last = max(0, -start), min(side, canvas - start)
    return math.ceil(first * SIDE / side), math.floor(last * SIDE / side)


def _verified(
    judged: Mapping[int, Judgement], references: Sequence[Reference], view: View, window: Window
) -> list[Verified]:
    rows, columns = view.part
    scale = window.side / SIDE
    return [
        Verified(
            number,
            reference.name,
            round(float((x + columns.start + 0.5) * scale - 0.5 + window.left), 2),
            round(float((y + rows.start + 0.5) * scale - 0.5 + window.top), 2),
        )
        for number, judgement in judged.items()
        for reference, evidence in zip(references, judgement.evidence, strict=True)
        for x, y in evidence.matches.points0[evidence.verified]
    ]


def _row(rank: int, number: int, judged: Judgement, references: Sequence[Reference], found: Matcher[Any]) -> Ranked:
    best = _best(judged)
    return Ranked(
        rank=rank,
        candidate=number,
        score=round(judged.score, 6),
        inliers=judged.inliers,
        matches=judged.matches,
        rim_error=round(judged.rim_error, 3),
        reference_error=round(judged.reference_error, 3),
        best_reference=references[best].name if judged.evidence[best].verified.any() else "",
        matcher=found.name,
    )


def _best(judged: Judgement) -> int:
    return int(np.argmax([e.verified.sum() for e in judged.evidence]))


def draw_matches(
    picture: np.ndarray, hole: np.ndarray, references: Sequence[Reference], judged: Judgement, most: int
) -> np.ndarray:
    """Picture the verified matches of a completed view with the reference that has most of them.

    Args:
        picture: Completed view [h, w, 3] uint8 sRGB, drawn left.
        hole: [h, w] bool, outlined.
        references: The one with most verified matches is drawn right.
        judged: What was found.
        most: How many matches are drawn, spread evenly from top to bottom.

    Returns:
        [H, W, 3] uint8 sRGB, at most 1600 pixels wide.
    """
    best = _best(judged)
    image, evidence = references[best].image, judged.evidence[best]
    height = len(picture)
    scale = height / len(image)
    right = resize(image, max(1, round(image.shape[1] * scale)), height)
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    sheet = np.ascontiguousarray(np.concatenate([picture, gap, right], axis=1))
    outline, _ = cv2.findContours(hole.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(sheet, outline, -1, (255, 255, 255), 1, cv2.LINE_AA)
    found = evidence.matches[evidence.verified]
    downwards = np.argsort(found.points0[:, 1], kind="stable")
    found = found[downwards[np.linspace(0, len(found) - 1, min(most, len(found))).astype(int)]]
    starts = found.points0
    ends = (found.points1 + 0.5) * scale - 0.5 + [picture.shape[1] + _GAP, 0]
    overlay = sheet.copy()
    for start, end, colour in zip(starts, ends, _rainbow(len(found)), strict=True):
        (x0, y0), (x1, y1) = (np.rint(point * 16).astype(int).tolist() for point in (start, end))
        cv2.line(overlay, (x0, y0), (x1, y1), colour, 1, cv2.LINE_AA, shift=4)
        cv2.circle(overlay, (x0, y0), 3 * 16, colour, -1, cv2.LINE_AA, shift=4)
        cv2.circle(overlay, (x1, y1), 3 * 16, colour, -1, cv2.LINE_AA, shift=4)
    sheet = cv2.addWeighted(overlay, 0.8, sheet, 0.2, 0)
    fits = min(1.0, _WIDEST / sheet.shape[1])
    return resize(sheet, round(sheet.shape[1] * fits), round(height * fits))


def _rainbow(count: int) -> list[tuple[int, int, int]]:
    """Colours from red to blue."""
    hues = np.linspace(0, 2 / 3, count)
    return [(int(r * 255), int(g * 255), int(b * 255)) for r, g, b in (colorsys.hsv_to_rgb(h, 0.8, 1) for h in hues)]
