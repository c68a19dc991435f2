"""Compare a finished album with its ground truth, over the hole only. No other module reads the ground truth.

Protocol 2: `metrics` defines what is measured and how. Scored are the delivered photo, every candidate blended on its
own, fills by the untuned base model, and the baselines of `baselines`, which see the known part of the ground truth.
The oracle is the candidate with the highest PSNR; without geometry is the best-ranked candidate that the tuned model
sampled from pure noise. Written to `work/evaluate/`:

evaluation.json   everything
metrics.json      its numbers, for `dvc metrics`
fills.parquet     one row per fill
index.html        a page with the pictures
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from realfill.album.layout import Album
from realfill.album.schemas import AuthenticityClass
from realfill.album.store import canvas_path, find_provenance, finished_photo, mask_path, read_document
from realfill.core.atomic_io import atomic_directory, atomic_write, write_json
from realfill.core.errors import AlbumError, StageError
from realfill.evaluation.baselines import BaselineSettings
from realfill.evaluation.fills import score_fills
from realfill.evaluation.metrics import (
    PROTOCOL,
    Score,
    Scorer,
    ScorerSettings,
    squared_error,
    unavailable_metrics,
)
from realfill.evaluation.scores import Evaluation, RankingSettings, ScoredFill, judge_ranking
from realfill.evaluation.scores_table import format_metric
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png
from realfill.report.pictures import Picture, draw_hatched, save_picture
from realfill.report.rendering import render

if TYPE_CHECKING:
    from realfill.core.params import Params


@dataclass(frozen=True)
class EvaluationSettings:
    """How an album is evaluated.

    Attributes:
        max_aspect_error: Largest relative difference of the aspect ratios of ground truth and photo. Set by hand.
        jpeg_quality: Quality of the pictures on the page, 1 to 95. Set by hand.
        scorer: At what size pictures are compared.
        baselines: How the baselines fill.
        ranking: When the ranking can be judged.
    """

    max_aspect_error: float = 0.01
    jpeg_quality: int = 88
    scorer: ScorerSettings = ScorerSettings()
    baselines: BaselineSettings = BaselineSettings()
    ranking: RankingSettings = RankingSettings()


def evaluate(
    album: Album, params: Params, untuned: int = 0, settings: EvaluationSettings = EvaluationSettings()
) -> Evaluation:
    """Score an album's delivered photo, all its candidates and the baselines; write `work/evaluate/`.

    Args:
        album: A finished album with a ground truth.
        params: All parameters; `blend` and, for the untuned model, `base` and `sample` matter.
        untuned: How many fills to sample with the untuned base model for comparison.
        settings: How it is compared.

    Raises:
        AlbumError: There is no ground truth, or it does not show the same extent.
        StageError: The album is not finished.
        ModelError: The base model cannot be loaded.
    """
    scorer = open_scorer(album, settings)
    result = read_srgb(finished_photo(album))
    fills: list[ScoredFill] = []
    with atomic_directory(album.work("evaluate")) as folder:
        pictures = _save_truth(scorer, folder, settings)
        for fill, picture in score_fills(album, params, scorer, result, untuned, settings.baselines):
            fills.append(fill)
            path = folder / f"{fill.name.replace(' ', '-').lower()}.jpg"
            pictures[fill.name] = _save(scorer.resize(picture), path, settings)
        evaluation = Evaluation(
            album=album.name,
            protocol=PROTOCOL,
            hole=round(float(scorer.hole.mean()), 4),
            fills=tuple(fills),
            ranking=judge_ranking([fill for fill in fills if fill.group == "candidate"], settings.ranking),
            authenticity=_judge_authenticity(album, scorer, result),
            outside_max_difference=_outside_max_difference(album, result),
            unavailable_metrics=unavailable_metrics(settings.scorer),
        )
        _write(evaluation, pictures, folder, settings)
    return evaluation


def open_scorer(album: Album, settings: EvaluationSettings) -> Scorer:
    """Read the ground truth of a finished album.

    Args:
        album: The album.
        settings: How it is evaluated.

    Raises:
        AlbumError: There is no ground truth, or it does not show the same extent.
        StageError: The album is not finished.
    """
    if album.ground_truth is None:
        raise AlbumError(
            "There is no ground truth to compare with.", "Add it as target/gt.jpg or gt.png.", album.root
        )
    if not find_provenance(album).is_file():
        raise StageError("The album is not finished.", "Run `realfill complete` first.", album.root)
    truth, mask = read_srgb(album.ground_truth), read_png(mask_path(album))
    (height, width), (mask_height, mask_width) = truth.shape[:2], mask.shape
    if abs(width * mask_height / (height * mask_width) - 1) > settings.max_aspect_error:
        raise AlbumError(
            f"The ground truth has {width} x {height} pixels, the photo {mask_width} x {mask_height}.",
            "Give a ground truth of the same extent.",
            album.ground_truth,
        )
    return Scorer(truth, mask, settings.scorer)


def _save_truth(scorer: Scorer, folder: Path, settings: EvaluationSettings) -> dict[str, Picture]:
    """Save the ground truth, and the same with its hole hatched."""
    hatched = draw_hatched(scorer.ground_truth, scorer.hole.astype(np.uint8) * 255)
    pictures = {"truth": scorer.ground_truth, "hole": hatched}
    return {name: _save(picture, folder / f"{name}.jpg", settings) for name, picture in pictures.items()}


def _save(picture: Pixels, path: Path, settings: EvaluationSettings) -> Picture:
    return save_picture(picture, path, max_side=settings.scorer.side, jpeg_quality=settings.jpeg_quality)


def _judge_authenticity(album: Album, scorer: Scorer, result: Pixels) -> dict[str, dict[str, float]]:
    """Share of the hole and mean squared error of the result for each label of the authenticity map."""
    path = album.work("blend") / "authenticity.png"
    if not path.is_file():
        return {}
    labels, picture = scorer.resize_labels(read_png(path)), scorer.resize(result)
    authenticity = {}
    for label in AuthenticityClass:
        region = scorer.hole & (labels == label)  # [h, w] bool
        if region.any():
            share = round(float(region.sum() / scorer.hole.sum()), 4)
            error = round(squared_error(picture[region], scorer.ground_truth[region]), 1)
            authenticity[label.key] = {"share": share, "mse": error}
    return authenticity


def _outside_max_difference(album: Album, result: Pixels) -> int:
    """Largest difference between the result and the canvas beyond the blend band, 8-bit levels."""
    canvas, mask = read_srgb(canvas_path(album)), read_png(mask_path(album))
    if result.shape != canvas.shape:
        raise AlbumError("The delivered photo has another size than the canvas.", "Run the album again.")
    reach = int(read_document(album.work("blend") / "blend.json")["feather"]) + 1  # pixels
    is_near = cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    return int(np.abs(result.astype(np.int16) - canvas)[~is_near].max(initial=0))


def _write(evaluation: Evaluation, pictures: dict[str, Picture], folder: Path, settings: EvaluationSettings) -> None:
    write_json(folder / "evaluation.json", evaluation.to_json())
    write_json(folder / "metrics.json", evaluation.to_metrics())
    rows = [{"album": evaluation.album, "protocol": evaluation.protocol} | fill.to_row() for fill in evaluation.fills]
    _write_rows(folder / "fills.parquet", rows)
    values = {"evaluation": evaluation, "pictures": pictures, "side": settings.scorer.side, "shown": format_metric}
    atomic_write(folder / "index.html", render("evaluation.html", ("img-comparison-slider.js",), **values))


def _write_rows(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write the fills as Parquet, with types that do not depend on which values are None."""
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
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
