"""Rank the candidates by verified correspondences with the references (RealFill, section 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.schemas import Candidate, RankedCandidate, VerifiedMatch
from realfill.album.store import accepted_references, canvas_path, mask_path, read_rows, read_window, write_rows
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.core.failures import skip_failing
from realfill.core.parallel import map_parallel
from realfill.matching.base_matcher import one_torch_thread
from realfill.matching.matchers import load_matcher
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.selection.candidate_scores import Judgment, PreparedReference, judge_candidate, prepare_references
from realfill.selection.hole_view import HoleView, scale_reference
from realfill.selection.match_drawing import draw_matches

if TYPE_CHECKING:
    from realfill.core.params import Params


@dataclass(frozen=True)
class RankResult:
    """The ranking.

    Attributes:
        ranked: One row per candidate, best first.
        folder: Where the ranking and the drawing of the matches lie.
    """

    ranked: tuple[RankedCandidate, ...]
    folder: Path


def run(album: Album, params: Params) -> RankResult:
    """Order the candidates, the most authentic one first.

    Raises:
        StageError: `validate`, `masks`, `align` or `sample` has not run.
        ModelError: The matcher's weights are not on this machine.
        PhotoError: A reference cannot be read any more.
    """
    matcher = load_matcher(params.rank.matcher)
    window = read_window(album)
    view = HoleView.from_canvas(read_srgb(canvas_path(album)), read_png(mask_path(album)), window)
    paths = accepted_references(album)
    scaled = map_parallel(lambda path: scale_reference(read_srgb(path), window), paths)
    images = {path.name: image for path, image in zip(paths, scaled, strict=True)}
    candidates = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    is_shown = params.blend.generate == "never"  # the picture shows what is certain
    proposal = None if is_shown else read_proposal(album, read_srgb)
    if proposal is not None:
        proposal = view.crop_proposal(proposal)
    completed = {
        row.candidate: view.complete(read_srgb(album.work("sample") / row.file), row.kind, proposal)
        for row in candidates
    }
    with one_torch_thread():
        references = prepare_references(view, images, matcher)
        judged = map_parallel(
            lambda image: judge_candidate(image, view, references, matcher, proposal), completed.values()
        )
    judgments = dict(zip(completed, judged, strict=True))
    best, *_ = order = sorted(judgments, key=lambda number: (-judgments[number].score, number))
    rows = [
        _rank_row(rank, number, judgments[number], references, matcher.name)
        for rank, number in enumerate(order, start=1)
    ]
    drawing = completed[best]
    with skip_failing("The drawing of the matches"):
        drawing = draw_matches(drawing, view.hole, references, judgments[best], params.rank.pictured_matches)
    with atomic_directory(album.work("rank")) as folder:
        write_rows(folder / "ranking.parquet", RankedCandidate, rows)
        write_rows(folder / "verified.parquet", VerifiedMatch, _verified_rows(judgments, references, view))
        write_png(folder / "matches.png", drawing)
        metrics = {"score": rows[0].score, "inliers": rows[0].inliers, "candidates": len(rows)}
        write_json(folder / "metrics.json", metrics)
    return RankResult(tuple(rows), album.work("rank"))


def _verified_rows(
    judgments: Mapping[int, Judgment], references: Sequence[PreparedReference], view: HoleView
) -> list[VerifiedMatch]:
    """One row per verified match of any candidate, in pixels of the canvas."""
    return [
        VerifiedMatch(number, reference.name, round(float(x), 2), round(float(y), 2))
        for number, judgment in judgments.items()
        for reference, evidence in zip(references, judgment.evidence, strict=True)
        for x, y in view.to_canvas(evidence.matches.points0[evidence.verified])
    ]


def _rank_row(
    rank: int, number: int, judgment: Judgment, references: Sequence[PreparedReference], matcher: str
) -> RankedCandidate:
    best = judgment.best_reference
    return RankedCandidate(
        rank=rank,
        candidate=number,
        score=round(judgment.score, 6),
        inliers=judgment.inliers,
        matches=judgment.matches,
        rim_error=round(judgment.rim_error, 3),
        reference_error=round(judgment.reference_error, 3),
        best_reference=references[best].name if judgment.evidence[best].verified.any() else "",
        matcher=matcher,
    )
