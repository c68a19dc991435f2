"""RealBench, the benchmark of RealFill (arXiv 2309.16668, section 5): the scores of one scene.

A scene is an album with a ground truth. As in the paper, PSNR, SSIM and LPIPS are of the hole alone, DreamSim, DINO
and CLIP of the whole picture; the samples are the candidates from pure noise, each blended on its own. The delivered
photo is scored beside them. The paper does not tell at what size it compares: here it is that of its base model, 512
px on the longer side.

`work/realbench/scores.json` keeps the scores, and a digest of all that decides them: they are not computed again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from realfill.album.layout import Album
from realfill.album.schemas import Candidate
from realfill.album.store import finished_photo, read_document, read_rows
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.core.failures import require_finite, skip_failing
from realfill.core.fingerprint import code_fingerprint
from realfill.core.hashing import digest, digest_json
from realfill.evaluation.evaluate import EvaluationSettings, open_scorer
from realfill.evaluation.fills import blend_each
from realfill.evaluation.metrics import Scorer, ScorerSettings, psnr, ssim_map
from realfill.evaluation.perceptual import load_perceptual_metrics
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png

if TYPE_CHECKING:
    from realfill.core.params import Params

_NETWORK_METRICS = ("lpips", "dreamsim", "dino", "clip")


@dataclass(frozen=True)
class RealBenchSettings:
    """How a scene is scored.

    Attributes:
        side: Longer side at which pictures are compared, pixels. Set by hand: the resolution of the paper's base
            model.
        outpainted_side: A scene is outpainted where one side of its picture lies in the hole with this share of its
            pixels or more. Set by hand.
    """

    side: int = 512
    outpainted_side: float = 0.99


@dataclass(frozen=True)
class PictureScore:
    """How close one picture is to the ground truth.

    A metric is None where `missing_metrics` says why, and where its computation failed.

    Attributes:
        psnr: Of the hole, dB; higher is better.
        ssim: Of the hole, -1 to 1; higher is better.
        lpips: Of the hole, 0 upwards; lower is better.
        dreamsim: Of the whole picture, 0 upwards; lower is better.
        dino: Of the whole picture, -1 to 1; higher is better.
        clip: Of the whole picture, -1 to 1; higher is better.
    """

    psnr: float
    ssim: float
    lpips: float | None = None
    dreamsim: float | None = None
    dino: float | None = None
    clip: float | None = None


@dataclass(frozen=True)
class SceneScores:
    """The scores of one scene.

    Attributes:
        scene: Name of its folder.
        group: "outpainting" or "inpainting".
        setup: Base model, tuning steps, scheduler and denoising steps, in words; empty if there are no samples.
        samples: One for each candidate from pure noise, by number.
        delivered: That of the finished photo.
    """

    scene: str
    group: str
    setup: str
    samples: tuple[PictureScore, ...]
    delivered: PictureScore

    def to_json(self) -> dict[str, Any]:
        """All values as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> SceneScores:
        """The scores that `to_json` wrote."""
        samples = tuple(PictureScore(**sample) for sample in document["samples"])
        return cls(**document | {"samples": samples, "delivered": PictureScore(**document["delivered"])})


def score_scene(album: Album, params: Params, settings: RealBenchSettings = RealBenchSettings()) -> SceneScores:
    """Score the samples and the finished photo of a scene, or read the scores if nothing changed since.

    Args:
        album: A finished album with a ground truth.
        params: All parameters; `blend` matters.
        settings: How it is scored.

    Raises:
        AlbumError: There is no ground truth, or it does not show the same extent.
        StageError: The album is not finished.
    """
    scorer = open_scorer(album, EvaluationSettings(scorer=ScorerSettings(side=settings.side)))
    inputs = _digest_inputs(album, params, settings)
    kept = album.work("realbench") / "scores.json"
    if kept.is_file() and (document := read_document(kept))["inputs"] == inputs:
        return SceneScores.from_json(document["scores"])
    rows = [row for row in read_rows(album.work("sample") / "candidates.parquet", Candidate) if row.kind == "noise"]
    images = ((read_png(album.work("sample") / row.file), row.kind) for row in rows)
    scores = SceneScores(
        scene=album.name,
        group="outpainting" if _is_outpainted(scorer.hole, settings) else "inpainting",
        setup=_describe_setup(album, rows[0]) if rows else "",
        samples=tuple(_score_picture(scorer, picture) for picture in blend_each(album, params, images)),
        delivered=_score_picture(scorer, read_srgb(finished_photo(album))),
    )
    with atomic_directory(kept.parent) as folder:
        write_json(folder / kept.name, {"inputs": inputs, "scores": scores.to_json()})
    return scores


def missing_metrics() -> dict[str, str]:
    """The metrics of the protocol that cannot be computed on this machine, with the reason and the remedy."""
    reasons = load_perceptual_metrics()[1]
    return {name: reasons[name] for name in _NETWORK_METRICS if name in reasons}


def _digest_inputs(album: Album, params: Params, settings: RealBenchSettings) -> str:
    """Digest of all that decides the scores."""
    assert album.ground_truth is not None  # `open_scorer` has read it
    folders = ("masks", "align", "finetune", "sample", "blend")
    return digest_json(
        {
            "code": code_fingerprint(__name__),
            "settings": asdict(settings),
            "blend": params.section("blend"),
            "missing": sorted(missing_metrics()),
            "scene": album.name,
            "truth": digest(album.ground_truth),
            "stages": [digest(album.work(name)) for name in folders],
            "photo": digest(finished_photo(album)),
        }
    )


def _is_outpainted(hole: Pixels, settings: RealBenchSettings) -> bool:
    """Whether a whole side of the picture lies in the hole, [h, w] bool."""
    return any(side.mean() >= settings.outpainted_side for side in (hole[0], hole[-1], hole[:, 0], hole[:, -1]))


def _describe_setup(album: Album, sample: Candidate) -> str:
    tuned = read_document(album.work("finetune") / "metrics.json")["steps"]
    return f"{sample.model}, {tuned} tuning steps, {sample.scheduler} with {sample.steps} steps"


def _score_picture(scorer: Scorer, picture: Pixels) -> PictureScore:
    """Score a picture of the whole canvas, [H, W, 3] uint8 sRGB of any size."""
    picture, truth, hole = scorer.resize(picture), scorer.ground_truth, scorer.hole
    measured: dict[str, float] = {}
    metrics = load_perceptual_metrics()[0]
    for name in _NETWORK_METRICS:
        if name in metrics:
            with skip_failing(f"The metric {name}"):
                value = metrics[name](picture, truth, hole)
                require_finite(value=value)
                measured[name] = round(value, 4)
    return PictureScore(
        psnr=round(psnr(picture[hole], truth[hole]), 3),
        ssim=round(float(np.mean(ssim_map(picture, truth)[hole])), 4),
        **measured,
    )
