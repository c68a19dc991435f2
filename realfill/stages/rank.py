"""Rank the candidates by verified correspondences with the references (RealFill, section 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.schemas import Candidate, Ranked, Verified, Window
from realfill.album.store import accepted_references, canvas_path, mask_path, read_rows, read_window, write_rows
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.core.params import Params
from realfill.matching.matchers import Matcher, load_matcher
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.selection.candidate_scores import Judgement, RankedReference, best_reference, judge, prepare_references
from realfill.selection.hole_view import SIDE, HoleView, scale_reference
from realfill.selection.match_drawing import draw_matches


@dataclass(frozen=True)
class RankResult:
    """What was ranked.

    Attributes:
        ranked: One row a candidate, best first.
        folder: Where the ranking and the picture of the matches lie.
    """

    ranked: tuple[Ranked, ...]
    folder: Path


def run(album: Album, params: Params) -> RankResult:
    """Order the candidates, the most authentic one first.

    Raises:
        StageError: `validate`, `masks` or `sample` has not run.
        ModelError: The matcher's weights are not on this machine.
        PhotoError: A reference cannot be read any more.
    """
    found = load_matcher(params.rank.matcher)
    window = read_window(album)
    view = HoleView.of(read_png(canvas_path(album)), read_png(mask_path(album)), window)
    images = {path.name: scale_reference(read_srgb(path), window) for path in accepted_references(album)}
    references = prepare_references(view, images, found)
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
    with atomic_directory(album.work("rank")) as folder:
        write_rows(folder / "ranking.parquet", Ranked, rows)
        write_rows(folder / "verified.parquet", Verified, _verified(judged, references, view, window))
        write_png(folder / "matches.png", drawing)
        metrics = {"score": rows[0].score, "inliers": rows[0].inliers, "candidates": len(rows)}
        write_json(folder / "metrics.json", metrics)
    return RankResult(tuple(rows), album.work("rank"))


def _verified(
    judged: Mapping[int, Judgement], references: Sequence[RankedReference], view: HoleView, window: Window
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


def _row(
    rank: int, number: int, judged: Judgement, references: Sequence[RankedReference], found: Matcher[Any]
) -> Ranked:
    best = best_reference(judged)
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
