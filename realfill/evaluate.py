"""Compare a finished album with its ground truth, over the hole only. The truth is read here and nowhere else.

Protocol 1: everything at 1024 px on the longer side (Lanczos), uint8 sRGB. PSNR over all channels; SSIM (Wang et
al., 2004) of the luma, 11 px Gaussian window; recall = share of the truth's XFeat keypoints (4096 a picture) inside
the hole that the fill matches (mutual nearest neighbours, cosine above 0.7) within 6 px. Blur gains PSNR but loses
recall, invention loses both: read them together.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from rich.table import Table

from realfill.album import Album
from realfill.artifacts import (
    Candidate,
    Ranked,
    Window,
    canvas_path,
    mask_path,
    read_document,
    read_rows,
    read_window,
)
from realfill.blend import compose
from realfill.errors import AlbumError, ModelError, StageError
from realfill.files import write_json
from realfill.images import Pixels, read_png, read_srgb
from realfill.matching import xfeat
from realfill.params import Params

logger = logging.getLogger(__name__)

PROTOCOL = 1
SIDE = 1024
_KEYPOINTS = 4096
_COSINE = 0.7
_REACH = 6.0  # pixels
_TELEA = 5  # pixels


@dataclass(frozen=True)
class Score:
    """How close one fill is to the truth.

    Attributes:
        psnr: dB; higher is better.
        ssim: -1 to 1; higher is better.
        recall: 0 to 1; None where the truth has no keypoint in the hole, or XFeat's weights are not installed.
    """

    psnr: float
    ssim: float
    recall: float | None


@dataclass(frozen=True)
class Evaluation:
    """An album's scores.

    Attributes:
        album: The album's name.
        protocol: Version of how they are measured; scores of different versions do not compare.
        hole: Share of the picture that is scored, 0 to 1.
        result: The delivered photo.
        candidates: Every candidate by its number, blended alone.
        mean: The hole filled with the mean colour of the known part.
        telea: The hole filled by OpenCV's Telea inpainting.
        untuned: Fills drawn with the base model as it is.
        ranked: Numbers of the candidates, the best-ranked first.
        outside_max_difference: Largest difference between the delivered photo and the target outside of the hole and
            its blend band, at native size, 8-bit levels; 0 for lossless formats.
    """

    album: str
    protocol: int
    hole: float
    result: Score
    candidates: dict[int, Score]
    mean: Score
    telea: Score
    untuned: list[Score]
    ranked: list[int]
    outside_max_difference: int

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON types."""
        values = asdict(self)
        values["candidates"] = {str(number): score for number, score in values["candidates"].items()}
        return values


def evaluate(album: Album, params: Params, untuned: int = 0) -> Evaluation:
    """Score the delivered photo, all candidates and the baselines; write them to `work/evaluate/metrics.json`.

    Args:
        album: A finished album with a truth.
        params: All parameters; `blend` and, for the untuned model, `base` and `sample` matter.
        untuned: How many fills to draw with the untuned base model for comparison.

    Raises:
        AlbumError: There is no truth, or it is no picture of the same canvas.
        StageError: The album is not finished.
        ModelError: The base model cannot be loaded.
    """
    if album.truth is None:
        raise AlbumError(
            "There is no ground truth to compare with.", "Add it as target/gt.jpg or gt.png.", album.root
        )
    document = album.completed / f"{album.name}.json"
    if not document.is_file():
        raise StageError("The album is not finished.", "Run `realfill complete` first.", album.root)
    result = read_srgb(album.completed / str(read_document(document)["photo"]))
    canvas, mask, window = read_png(canvas_path(album)), read_png(mask_path(album)), read_window(album)
    truth = read_srgb(album.truth)
    if abs(truth.shape[1] * mask.shape[0] / (truth.shape[0] * mask.shape[1]) - 1) > 0.01:
        raise AlbumError(
            f"The truth has {truth.shape[1]} x {truth.shape[0]} pixels, the photo {mask.shape[1]} x {mask.shape[0]}.",
            "Give a truth of the same extent.",
            album.truth,
        )
    scorer = Scorer(truth, mask)
    pictures = _pictures(album)
    evaluation = Evaluation(
        album=album.name,
        protocol=PROTOCOL,
        hole=round(float(scorer.hole.mean()), 4),
        result=scorer.score(result),
        candidates={
            number: scorer.score(_completed(canvas, mask, window, picture, params)) for number, picture in pictures
        },
        mean=scorer.score(scorer.mean_fill()),
        telea=scorer.score(scorer.telea_fill()),
        untuned=[
            scorer.score(_completed(canvas, mask, window, picture, params))
            for picture in _untuned(album, params, untuned)
        ],
        ranked=[row.candidate for row in read_rows(album.work("rank") / "ranking.parquet", Ranked)],
        outside_max_difference=_outside(
            result, canvas, mask, int(read_document(album.work("blend") / "blend.json")["feather"])
        ),
    )
    write_json(album.work("evaluate") / "metrics.json", evaluation.to_json())
    return evaluation


class Scorer:
    """Protocol 1 for one truth and one hole.

    Args:
        truth: [H, W, 3] uint8 sRGB.
        mask: [h, w] uint8, 255 = hole, of the same extent at any size.
    """

    def __init__(self, truth: Pixels, mask: Pixels) -> None:
        self.truth = _scaled(truth)  # [h, w, 3]
        height, width = self.truth.shape[:2]
        scaled = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
        self.hole = np.asarray(scaled) > 127  # [h, w]
        if not self.hole.any():
            raise AlbumError("The hole vanishes at 1024 pixels.", "There is nothing that can be scored.")
        self._wanted = _keypoints(self.truth)

    def score(self, picture: Pixels) -> Score:
        """Score a picture of the same extent, [H, W, 3] uint8 sRGB of any size."""
        height, width = self.truth.shape[:2]
        picture = _scaled(picture)
        if picture.shape != self.truth.shape:
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        return Score(
            psnr=round(psnr(picture[self.hole], self.truth[self.hole]), 2),
            ssim=round(float(ssim_map(picture, self.truth)[self.hole].mean()), 3),
            recall=self._recall(picture),
        )

    def mean_fill(self) -> Pixels:
        """The truth with its hole filled with the mean colour of the known part."""
        return np.where(self.hole[..., None], self.truth[~self.hole].mean(axis=0), self.truth).astype(np.uint8)

    def telea_fill(self) -> Pixels:
        """The truth with its hole filled by OpenCV's Telea inpainting, radius 5 px."""
        known = np.where(self.hole[..., None], np.uint8(255), self.truth)
        filled: Pixels = cv2.inpaint(known, self.hole.astype(np.uint8) * 255, _TELEA, cv2.INPAINT_TELEA)
        return filled

    def _recall(self, picture: Pixels) -> float | None:
        if self._wanted is None:
            return None
        points, descriptors = self._wanted
        columns, rows = points.numpy().astype(int).clip(0, (self.hole.shape[1] - 1, self.hole.shape[0] - 1)).T
        inside = self.hole[rows, columns]
        found = _keypoints(picture)
        if found is None or not inside.any():
            return None
        if not len(found[0]):
            return 0.0
        similarity = descriptors @ found[1].T  # [N, M]
        nearest, back = similarity.argmax(1), similarity.argmax(0)
        each = torch.arange(len(nearest))
        apart = torch.linalg.vector_norm(points - found[0][nearest], dim=1)
        again = (back[nearest] == each) & (similarity[each, nearest] > _COSINE) & (apart <= _REACH)
        return round(float(again.numpy()[inside].mean()), 3)


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio of two uint8 arrays of the same shape, dB; 100 where they are equal."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return min(100.0, 10 * float(np.log10(255**2 / max(error, 1e-12))))


def ssim_map(a: Pixels, b: Pixels) -> Pixels:
    """Structural similarity at every pixel (Wang et al., 2004) of the luma of two [H, W, 3] uint8 pictures."""
    x, y = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) for image in (a, b))

    def blur(values: Pixels) -> Pixels:
        blurred: Pixels = cv2.GaussianBlur(values, (11, 11), 1.5)
        return blurred

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    similarity: Pixels = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return similarity


def table(evaluations: Sequence[Evaluation]) -> Table:
    """The scores of albums as a table, a line a fill."""
    rendered = Table(title=f"Scores over the hole, at {SIDE} px (protocol {PROTOCOL})")
    for heading in ("album", "fill", "PSNR dB", "SSIM", "recall"):
        rendered.add_column(heading, justify="left" if heading in ("album", "fill") else "right")
    for evaluation in evaluations:
        for number, (name, score) in enumerate(_fills(evaluation)):
            recall = "–" if score.recall is None else f"{score.recall:.2f}"
            album = "" if number else evaluation.album
            rendered.add_row(album, name, f"{score.psnr:.2f}", f"{score.ssim:.3f}", recall)
        rendered.add_section()
    return rendered


def _fills(evaluation: Evaluation) -> Iterator[tuple[str, Score]]:
    yield "result", evaluation.result
    if evaluation.candidates:
        number, best = max(evaluation.candidates.items(), key=lambda item: item[1].psnr)
        yield f"best candidate (#{number})", best
        yield "candidates, mean", _average(list(evaluation.candidates.values()))
    if evaluation.untuned:
        yield "untuned base model, mean", _average(evaluation.untuned)
    yield "Telea", evaluation.telea
    yield "mean colour", evaluation.mean


def _average(scores: Sequence[Score]) -> Score:
    recalls = [score.recall for score in scores if score.recall is not None]
    return Score(
        psnr=float(np.mean([score.psnr for score in scores])),
        ssim=float(np.mean([score.ssim for score in scores])),
        recall=float(np.mean(recalls)) if recalls else None,
    )


def _scaled(picture: Pixels) -> Pixels:
    image = Image.fromarray(picture)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.array(image)


def _pictures(album: Album) -> Iterator[tuple[int, Pixels]]:
    for row in read_rows(album.work("sample") / "candidates.parquet", Candidate):
        yield row.candidate, read_png(album.work("sample") / row.file)


def _completed(canvas: Pixels, mask: Pixels, window: Window, picture: Pixels, params: Params) -> Pixels:
    photo = compose(canvas.astype(np.float32) / 255, mask, window, picture, params.blend)
    completed: Pixels = np.rint(photo.clip(0, 1) * 255).astype(np.uint8)
    return completed


def _untuned(album: Album, params: Params, count: int) -> Iterator[Pixels]:
    if count == 0:
        return
    from realfill.basemodel import load
    from realfill.sample import draw, window_of

    model = load(params.base)
    image, mask = window_of(album, model.resolution)
    yield from draw(model, image, mask, count, params.sample, params.finetune.prompt).images


def _outside(result: Pixels, canvas: Pixels, mask: Pixels, feather: int) -> int:
    reach = feather + 1
    near = cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    if result.shape != canvas.shape:
        raise AlbumError("The delivered photo has another size than the canvas.", "Run the album again.")
    return int(np.abs(result.astype(np.int16) - canvas)[~near].max(initial=0))


def _keypoints(picture: Pixels) -> tuple[torch.Tensor, torch.Tensor] | None:
    """XFeat's keypoints [N, 2] xy and their descriptors [N, 64]; None where its weights are not installed."""
    network = _network()
    if network is None:
        return None
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255  # [1, 3, H, W]
    found = network.detectAndCompute(pixels)[0]
    return found["keypoints"], found["descriptors"]


@lru_cache(maxsize=1)
def _network() -> Any:
    try:
        return xfeat(_KEYPOINTS)
    except ModelError as error:
        logger.warning("Keypoint recall is not measured: %s", error)
        return None
