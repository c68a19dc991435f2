"""Compare a finished album with its ground truth, over the hole only. The truth is read here and nowhere else.

Protocol 2; `realfill.metrics` says what is measured and how. Scored are the delivered photo, every candidate blended
alone, fills by the base model as it is, and the baselines of `realfill.baselines`, which see the truth's known part.
The oracle is the candidate with the highest PSNR; without geometry is the best-ranked one of those that were drawn
from pure noise by the tuned model. Written to `work/evaluate/`:

evaluation.json   everything
metrics.json      its numbers, for `dvc metrics`
fills.parquet     one row a fill
index.html        a page with the pictures
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from rich.markup import escape
from rich.table import Table
from scipy.stats import spearmanr

from realfill import baselines
from realfill.album import Album
from realfill.artifacts import (
    Candidate,
    Ranked,
    accepted_references,
    canvas_path,
    finished_photo,
    mask_path,
    read_document,
    read_rows,
    read_window,
)
from realfill.authenticity import NAMES
from realfill.blend import compose
from realfill.errors import AlbumError, StageError
from realfill.files import publishing, write_json, write_whole
from realfill.images import Pixels, read_png, read_srgb
from realfill.metrics import PROTOCOL, SIDE, Score, Scorer, absent, scaled, squared_error
from realfill.page import Picture, hatched, render
from realfill.params import Params
from realfill.proposal import read_proposal

_QUALITY = 88


@dataclass(frozen=True)
class Fill:
    """One way to fill the hole, and how close it comes.

    Attributes:
        name: Unique within the album.
        group: "result", "candidate", "untuned" or "baseline".
        number: The candidate's; None for the others.
        kind: The candidate's kind, as `Candidate` says; empty for the others.
        tuned: Whether a tuned model drew it.
        rank: The candidate's place, 1 is the best; None for the others.
        rank_score: The ranker's score of the candidate; None for the others.
        score: How close it is to the truth.
    """

    name: str
    group: str
    number: int | None
    kind: str
    tuned: bool
    rank: int | None
    rank_score: float | None
    score: Score

    def to_row(self) -> dict[str, Any]:
        """The same without nesting."""
        row = asdict(self)
        return row | row.pop("score")


@dataclass(frozen=True)
class Ranking:
    """How well the ranker chose, by PSNR.

    Attributes:
        position: Where the best-ranked candidate lies between the candidates' mean (0) and their best (1); None
            where they are all alike.
        spearman: Rank correlation of the ranker's scores with PSNR, -1 to 1; None for fewer than three candidates.
    """

    position: float | None
    spearman: float | None


@dataclass(frozen=True)
class Evaluation:
    """An album's scores.

    Attributes:
        album: The album's name.
        protocol: Version of how they are measured; scores of different versions do not compare.
        hole: Share of the picture that is scored, 0 to 1.
        fills: Every fill that was scored, the delivered photo first.
        ranking: How well the ranker chose.
        authenticity: For each label of the authenticity map its share of the hole, 0 to 1, and the mean squared error
            of the delivered photo there, squared 8-bit levels; empty where there is no map.
        outside_max_difference: Largest difference between the delivered photo and the target outside of the hole and
            its blend band, at native size, 8-bit levels; 0 for lossless formats.
        absent: Measures that could not be taken, with the reason.
    """

    album: str
    protocol: int
    hole: float
    fills: tuple[Fill, ...]
    ranking: Ranking
    authenticity: dict[str, dict[str, float]]
    outside_max_difference: int
    absent: dict[str, str]

    @property
    def result(self) -> Score:
        """The delivered photo's score."""
        return self.fills[0].score

    @property
    def candidates(self) -> tuple[Fill, ...]:
        """The candidates by number."""
        return tuple(fill for fill in self.fills if fill.group == "candidate")

    @property
    def oracle(self) -> Fill:
        """The candidate with the highest PSNR."""
        return max(self.candidates, key=lambda fill: fill.score.psnr)

    @property
    def without_geometry(self) -> Fill | None:
        """What would have been delivered without geometry; None where nothing was drawn from pure noise and tuned."""
        drawn = [fill for fill in self.candidates if fill.kind == "noise" and fill.tuned]
        return min(drawn, key=lambda fill: fill.rank or 0) if drawn else None

    def summary(self) -> dict[str, Score]:
        """The scores that tell the story, by a caption."""
        groups = {group: [f.score for f in self.fills if f.group == group] for group in ("candidate", "untuned")}
        told = {
            "result": self.result,
            f"best candidate (#{self.oracle.number})": self.oracle.score,
            "candidates, mean": average(groups["candidate"]),
        }
        if self.without_geometry:
            told[f"without geometry (#{self.without_geometry.number})"] = self.without_geometry.score
        if groups["untuned"]:
            told["untuned base model, mean"] = average(groups["untuned"])
        return told | {fill.name: fill.score for fill in self.fills if fill.group == "baseline"}

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        return asdict(self) | {"fills": [fill.to_row() for fill in self.fills]}

    def to_metrics(self) -> dict[str, Any]:
        """The numbers, nested by what they tell; those that there are not are left out."""
        untuned = [fill.score for fill in self.fills if fill.group == "untuned"]
        scores = {
            "result": self.result,
            "oracle": self.oracle.score,
            "candidates_mean": average([fill.score for fill in self.candidates]),
            "without_geometry": self.without_geometry.score if self.without_geometry else None,
            "untuned_mean": average(untuned) if untuned else None,
        }
        scores |= {fill.name.replace(" ", "_").lower(): fill.score for fill in self.fills if fill.group == "baseline"}
        return {
            "protocol": self.protocol,
            "ranking": {name: value for name, value in asdict(self.ranking).items() if value is not None},
            "authenticity": self.authenticity,
            "outside_max_difference": self.outside_max_difference,
            **{name: score.measured() for name, score in scores.items() if score},
        }


def evaluate(album: Album, params: Params, untuned: int = 0) -> Evaluation:
    """Score an album's delivered photo, all its candidates and the baselines; write `work/evaluate/`.

    Args:
        album: A finished album with a truth.
        params: All parameters; `blend` and, for the untuned model, `base` and `sample` matter.
        untuned: How many fills to draw with the untuned base model for comparison.

    Raises:
        AlbumError: There is no truth, or it is no picture of the same canvas.
        StageError: The album is not finished.
        ModelError: The base model cannot be loaded.
    """
    scorer, result = _scorer(album), read_srgb(finished_photo(album))
    scored: list[Fill] = []
    pictures: list[tuple[str, Picture]] = []
    with publishing(album.work("evaluate")) as folder:
        for name, picture in (
            ("truth", scorer.truth),
            ("hole", hatched(scorer.truth, scorer.hole.astype(np.uint8) * 255)),
        ):
            pictures.append((name, _save(picture, folder / f"{name}.jpg")))
        for fill, picture in _fills(album, params, scorer, result, untuned):
            scored.append(fill)
            file = folder / f"{fill.name.replace(' ', '-').lower()}.jpg"
            pictures.append((fill.name, _save(scorer.fitted(picture), file)))
        evaluation = Evaluation(
            album=album.name,
            protocol=PROTOCOL,
            hole=round(float(scorer.hole.mean()), 4),
            fills=tuple(scored),
            ranking=_ranking([fill for fill in scored if fill.group == "candidate"]),
            authenticity=_authenticity(album, scorer, result),
            outside_max_difference=_outside(album, result),
            absent=absent(),
        )
        write_json(folder / "evaluation.json", evaluation.to_json())
        write_json(folder / "metrics.json", evaluation.to_metrics())
        _write_rows(folder / "fills.parquet", evaluation)
        shows = {"evaluation": evaluation, "pictures": dict(pictures), "side": SIDE, "shown": shown}
        write_whole(folder / "index.html", render("evaluation.html", ("img-comparison-slider.js",), **shows))
    return evaluation


def average(scores: Sequence[Score]) -> Score:
    """Mean of one or more scores, measure by measure."""
    means = {}
    for field in fields(Score):
        values = [value for score in scores if (value := getattr(score, field.name)) is not None]
        means[field.name] = round(float(np.mean(values)), 3) if values else None
    return Score(**means)  # type: ignore[arg-type]


def table(evaluations: Sequence[Evaluation]) -> Table:
    """The scores of albums as a table, a line a fill; measures that no album has are left out."""
    measures = [f.name for f in fields(Score) if any(f.name in e.result.measured() for e in evaluations)]
    rendered = Table(title=f"Scores over the hole, at {SIDE} px (protocol {PROTOCOL})")
    for heading in ("album", "fill"):
        rendered.add_column(heading)
    for measure in measures:
        rendered.add_column("PSNR dB" if measure == "psnr" else measure, justify="right")
    for evaluation in evaluations:
        for number, (name, score) in enumerate(evaluation.summary().items()):
            cells = (shown(measure, getattr(score, measure)) for measure in measures)
            rendered.add_row("" if number else escape(evaluation.album), name, *cells)
        rendered.add_section()
    return rendered


def remarks(evaluations: Sequence[Evaluation]) -> list[str]:
    """What is to be said of the rankings, the authenticity maps, and the measures that are absent, as sentences."""
    said = [f"{evaluation.album}: {remark}" for evaluation in evaluations for remark in _remarks(evaluation)]
    why = {name: reason for evaluation in evaluations for name, reason in evaluation.absent.items()}
    return said + [f"{name} is absent: {reason}" for name, reason in why.items()]


def _remarks(evaluation: Evaluation) -> Iterator[str]:
    ranking = evaluation.ranking
    if ranking.position is not None:
        spearman = "" if ranking.spearman is None else f"; Spearman {ranking.spearman:.2f}"
        place = f"{ranking.position:.2f} of the way from the candidates' mean PSNR to their best"
        yield f"the best-ranked candidate lies {place}{spearman}."
    for name, part in evaluation.authenticity.items():
        yield f"{name.replace('_', ' ')} on {part['share']:.1%} of the hole, mean squared error {part['mse']:.0f}."


def shown(measure: str, value: float | None) -> str:
    """A measure's value as it is printed."""
    return "–" if value is None else f"{value:.{2 if measure in ('psnr', 'recall') else 3}f}"


def _scorer(album: Album) -> Scorer:
    if album.truth is None:
        raise AlbumError(
            "There is no ground truth to compare with.", "Add it as target/gt.jpg or gt.png.", album.root
        )
    if not album.provenance.is_file():
        raise StageError("The album is not finished.", "Run `realfill complete` first.", album.root)
    truth, mask = read_srgb(album.truth), read_png(mask_path(album))
    if abs(truth.shape[1] * mask.shape[0] / (truth.shape[0] * mask.shape[1]) - 1) > 0.01:
        raise AlbumError(
            f"The truth has {truth.shape[1]} x {truth.shape[0]} pixels, the photo {mask.shape[1]} x {mask.shape[0]}.",
            "Give a truth of the same extent.",
            album.truth,
        )
    return Scorer(truth, mask)


def _fills(
    album: Album, params: Params, scorer: Scorer, result: Pixels, untuned: int
) -> Iterator[tuple[Fill, Pixels]]:
    """Every fill with its picture of the whole canvas, at any size."""

    def plain(name: str, group: str, picture: Pixels) -> tuple[Fill, Pixels]:
        return Fill(name, group, None, "", False, None, None, scorer.score(picture)), picture

    yield plain("result", "result", result)
    ranked = {row.candidate: row for row in read_rows(album.work("rank") / "ranking.parquet", Ranked)}
    rows = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    shown = ((read_png(album.work("sample") / row.file), row.kind) for row in rows)
    for row, picture in zip(rows, _completed(album, params, shown), strict=True):
        place = ranked[row.candidate]
        name, number, drawn = f"candidate {row.candidate}", row.candidate, bool(row.adapter_digest)
        score = scorer.score(picture)
        yield Fill(name, "candidate", number, row.kind, drawn, place.rank, place.score, score), picture
    for number, picture in enumerate(
        _completed(album, params, ((fill, "noise") for fill in _untuned(album, params, untuned)))
    ):
        yield plain(f"untuned {number}", "untuned", picture)
    if "recall" not in absent():
        references = [scaled(read_srgb(path)) for path in accepted_references(album)]
        laid = baselines.one_homography(scorer.truth, scorer.hole, references)
        yield plain("one homography", "baseline", laid.picture)
    yield plain("Telea", "baseline", baselines.telea(scorer.truth, scorer.hole))
    yield plain("mean colour", "baseline", baselines.mean_colour(scorer.truth, scorer.hole))


def _completed(album: Album, params: Params, candidates: Iterator[tuple[Pixels, str]]) -> Iterator[Pixels]:
    """Candidates [R, R, 3] of a kind, each alone in the canvas at its native size, [H, W, 3] uint8 sRGB."""
    canvas, mask, window = read_png(canvas_path(album)), read_png(mask_path(album)), read_window(album)
    proposal = read_proposal(album)
    for candidate, kind in candidates:
        photo = compose(canvas.astype(np.float32) / 255, mask, window, candidate, params.blend, proposal, kind)
        yield np.rint(photo.clip(0, 1) * 255).astype(np.uint8)


def _untuned(album: Album, params: Params, count: int) -> Iterator[Pixels]:
    if count == 0:
        return
    from realfill.basemodel import load
    from realfill.sample import draw, window_of

    model = load(params.base)
    image, mask = window_of(album, model.resolution)
    yield from draw(model, image, mask, count, params.sample, params.finetune.prompt).images


def _ranking(candidates: Sequence[Fill]) -> Ranking:
    scores, psnrs = np.array([(fill.rank_score, fill.score.psnr) for fill in candidates], np.float64).T
    chosen = min(candidates, key=lambda fill: fill.rank or 0).score.psnr
    room = psnrs.max() - psnrs.mean()
    position = round(float((chosen - psnrs.mean()) / room), 3) if room > 0.005 else None
    if len(candidates) < 3 or min(np.ptp(scores), np.ptp(psnrs)) == 0:
        return Ranking(position, None)
    return Ranking(position, round(float(spearmanr(scores, psnrs).statistic), 3))


def _authenticity(album: Album, scorer: Scorer, result: Pixels) -> dict[str, dict[str, float]]:
    path = album.work("blend") / "authenticity.png"
    if not path.is_file():
        return {}
    labels, picture = scorer.nearest(read_png(path)), scorer.fitted(result)
    classes = {}
    for label, name in NAMES.items():
        here = scorer.hole & (labels == label)
        if here.any():
            share = round(float(here.sum() / scorer.hole.sum()), 4)
            classes[name] = {"share": share, "mse": round(squared_error(picture[here], scorer.truth[here]), 1)}
    return classes


def _outside(album: Album, result: Pixels) -> int:
    canvas, mask = read_png(canvas_path(album)), read_png(mask_path(album))
    if result.shape != canvas.shape:
        raise AlbumError("The delivered photo has another size than the canvas.", "Run the album again.")
    reach = int(read_document(album.work("blend") / "blend.json")["feather"]) + 1
    near = cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    return int(np.abs(result.astype(np.int16) - canvas)[~near].max(initial=0))


def _write_rows(path: Path, evaluation: Evaluation) -> None:
    schema = pa.schema(
        [
            ("album", pa.string()),
            ("protocol", pa.int64()),
            ("name", pa.string()),
            ("group", pa.string()),
            ("number", pa.int64()),
            ("kind", pa.string()),
            ("tuned", pa.bool_()),
            ("rank", pa.int64()),
            ("rank_score", pa.float64()),
            *((field.name, pa.float64()) for field in fields(Score)),
        ]
    )
    same = {"album": evaluation.album, "protocol": evaluation.protocol}
    pq.write_table(pa.Table.from_pylist([same | fill.to_row() for fill in evaluation.fills], schema=schema), path)


def _save(picture: Pixels, path: Path) -> Picture:
    """Write a picture as JPEG from bare pixels, so that no metadata of the photos is in it."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=_QUALITY, progressive=True)
    path.write_bytes(data.getvalue())
    return Picture(path.name, picture.shape[1], picture.shape[0])
