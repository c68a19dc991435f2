"""The fills of an album's hole that are scored: the delivered photo, the candidates, and what they compete with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from realfill.album.canvas import read_model_window
from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.schemas import Candidate, RankedCandidate
from realfill.album.store import (
    accepted_references,
    canvas_path,
    mask_path,
    read_rows,
    read_window,
    read_working_profile,
)
from realfill.compositing.multiband_blend import Fill, complete_canvas
from realfill.evaluation.baselines import BaselineSettings, fill_mean_color, fill_one_homography, fill_telea
from realfill.evaluation.metrics import Scorer, shrink_to_protocol, unavailable_metrics
from realfill.evaluation.scores import ScoredFill
from realfill.imaging.ops import Pixels, to_uint8
from realfill.photo_io.color_management import convert_rgb, read_srgb
from realfill.photo_io.working_files import read_png

if TYPE_CHECKING:
    from realfill.core.params import Params


def score_fills(
    album: Album,
    params: Params,
    scorer: Scorer,
    result: Pixels,
    untuned: int,
    settings: BaselineSettings = BaselineSettings(),
) -> Iterator[tuple[ScoredFill, Pixels]]:
    """Score every fill.

    Args:
        album: A finished album.
        params: All parameters; `blend` and, for the untuned model, `base` and `sample` matter.
        scorer: Scores against the album's ground truth.
        result: The delivered photo, [H, W, 3] uint8 sRGB.
        untuned: How many fills to sample with the untuned base model.
        settings: How the baselines fill.

    Yields:
        The fill, and its picture of the whole canvas, [H, W, 3] uint8 sRGB of any size. The delivered photo is first.
    """

    def score(name: str, group: str, picture: Pixels) -> tuple[ScoredFill, Pixels]:
        return ScoredFill(name, group, None, "", False, None, None, scorer.score(picture)), picture

    yield score("result", "result", result)
    yield from _score_candidates(album, params, scorer, result)
    images = _sample_untuned(album, params, untuned)
    for number, picture in enumerate(blend_each(album, params, ((image, "noise") for image in images))):
        yield score(f"untuned {number}", "untuned", picture)
    for name, picture in _fill_baselines(album, scorer, settings):
        yield score(name, "baseline", picture)


def _score_candidates(
    album: Album, params: Params, scorer: Scorer, result: Pixels
) -> Iterator[tuple[ScoredFill, Pixels]]:
    """Every candidate, blended on its own; where nothing is generated, the only one is the result."""
    ranked = {row.candidate: row for row in read_rows(album.work("rank") / "ranking.parquet", RankedCandidate)}
    rows = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    images = ((read_png(album.work("sample") / row.file), row.kind) for row in rows)
    pictures = [result] if params.blend.generate == "never" else blend_each(album, params, images)
    for row, picture in zip(rows, pictures, strict=True):
        ranking = ranked[row.candidate]
        fill = ScoredFill(
            name=f"candidate {row.candidate}",
            group="candidate",
            number=row.candidate,
            kind=row.kind,
            tuned=bool(row.adapter_digest),
            rank=ranking.rank,
            rank_score=ranking.score,
            score=scorer.score(picture),
        )
        yield fill, picture


def blend_each(album: Album, params: Params, candidates: Iterable[tuple[Pixels, str]]) -> Iterator[Pixels]:
    """Blend candidates into the canvas, each on its own.

    Args:
        album: A finished album.
        params: All parameters; `blend` matters.
        candidates: Pictures [R, R, 3] uint8 in the working space, each with its kind, see `Candidate`.

    Yields:
        [H, W, 3] uint8 sRGB.
    """
    profile = read_working_profile(album)
    canvas = read_png(canvas_path(album)).astype(np.float32) / 255  # [H, W, 3]
    mask, window, proposal = read_png(mask_path(album)), read_window(album), read_proposal(album)
    for image, kind in candidates:
        completed = complete_canvas(canvas, mask, window, Fill(image, kind, proposal), params.blend)
        yield convert_rgb(to_uint8(completed), profile, None)


def _sample_untuned(album: Album, params: Params, count: int) -> Iterator[Pixels]:
    """Sample candidates [R, R, 3] uint8, in the working space, with the base model as it is."""
    if count == 0:
        return
    from realfill.diffusion.album_inputs import read_shown_references  # here, for they take seconds to import
    from realfill.diffusion.base_model import load_base_model
    from realfill.diffusion.inpainting_sampler import sample_candidates

    model = load_base_model(params.base)
    image, mask = read_model_window(album, model.resolution)
    references, prompt = read_shown_references(accepted_references(album), model), params.finetune.prompt
    images = sample_candidates(model, image, mask, count, params.sample, prompt, references=references).images
    yield from convert_rgb(images, None, read_working_profile(album))


def _fill_baselines(album: Album, scorer: Scorer, settings: BaselineSettings) -> Iterator[tuple[str, Pixels]]:
    """The baselines with their names; they see the ground truth's known part, at the size at which it is compared."""
    truth, hole = scorer.ground_truth, scorer.hole
    if "recall" not in unavailable_metrics():  # both need XFeat
        references = [shrink_to_protocol(read_srgb(path)) for path in accepted_references(album)]
        yield "one homography", fill_one_homography(truth, hole, references, settings).picture
    yield "Telea", fill_telea(truth, hole, settings)
    yield "mean color", fill_mean_color(truth, hole)
