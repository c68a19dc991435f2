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
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.stats import spearmanr

from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.schemas import Candidate, Ranked
from realfill.album.store import (
    accepted_references,
    canvas_path,
    finished_photo,
    mask_path,
    read_document,
    read_rows,
    read_window,
)
from realfill.compositing.authenticity_map import NAMES
from realfill.compositing.multiband_blend import compose
from realfill.core.atomic_io import atomic_directory, atomic_write, write_json
from realfill.core.errors import AlbumError, StageError
from realfill.core.params import Params
from realfill.evaluation import baselines
from realfill.evaluation.metrics import (
    PROTOCOL,
    SIDE,
    Score,
    Scorer,
    shrink_to_protocol,
    squared_error,
    unavailable_metrics,
)
from realfill.evaluation.scores import Evaluation, Fill, Ranking
from realfill.evaluation.scores_table import format_measure
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png
from realfill.report.rendering import Picture, draw_hatched, render

_QUALITY = 88


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
    with atomic_directory(album.work("evaluate")) as folder:
        for name, picture in (
            ("truth", scorer.truth),
            ("hole", draw_hatched(scorer.truth, scorer.hole.astype(np.uint8) * 255)),
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
            unavailable_metrics=unavailable_metrics(),
        )
        write_json(folder / "evaluation.json", evaluation.to_json())
        write_json(folder / "metrics.json", evaluation.to_metrics())
        _write_rows(folder / "fills.parquet", evaluation)
        shows = {"evaluation": evaluation, "pictures": dict(pictures), "side": SIDE, "shown": format_measure}
        atomic_write(folder / "index.html", render("evaluation.html", ("img-comparison-slider.js",), **shows))
    return evaluation


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
    if "recall" not in unavailable_metrics():
        references = [shrink_to_protocol(read_srgb(path)) for path in accepted_references(album)]
        laid = baselines.one_homography(scorer.truth, scorer.hole, references)
        yield plain("one homography", "baseline", laid.picture)
    yield plain("Telea", "baseline", baselines.telea(scorer.truth, scorer.hole))
    yield plain("mean colour", "baseline", baselines.mean_color(scorer.truth, scorer.hole))


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
    from realfill.album.canvas import read_model_window
    from realfill.diffusion.base_model import load
    from realfill.diffusion.inpainting_sampler import sample_candidates

    model = load(params.base)
    image, mask = read_model_window(album, model.resolution)
    yield from sample_candidates(model, image, mask, count, params.sample, params.finetune.prompt).images


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
