"""The table of a run of RealBench, beside the published results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from realfill.core.atomic_io import atomic_directory, atomic_write
from realfill.evaluation.realbench import PictureScore, SceneScores
from realfill.evaluation.scores_table import format_metric

SCENES, SAMPLES = 33, 64  # of RealBench, and of each in the paper
PUBLISHED = {  # over all scenes; the means of 64 samples of each
    "RealFill (Tang et al., 2024)": PictureScore(14.78, 0.424, 0.431, 0.077),
    "GeoComplete (NeurIPS 2025)": PictureScore(17.32, 0.578, 0.197, 0.036),
}
_METRICS = tuple(field.name for field in fields(PictureScore))
_HEADINGS = {"psnr": "PSNR dB ↑", "ssim": "SSIM ↑", "lpips": "LPIPS ↓"} | {
    "dreamsim": "DreamSim ↓",
    "dino": "DINO ↑",
    "clip": "CLIP ↑",
}
_COMPARABLE = (
    "PSNR, SSIM and LPIPS are of the hole alone, DreamSim, DINO and CLIP of the whole picture; the mean of a scene's "
    "pictures, then of the scenes. Implementations differ in SSIM and LPIPS: only PSNR should be compared with the "
    "published rows."
)


@dataclass(frozen=True)
class TableRow:
    """One row of the table.

    Attributes:
        method: What was scored: "samples" (candidates from pure noise, the paper's protocol) or "delivered" (the
            finished photo), of a group of scenes.
        group: "all", "outpainting" or "inpainting".
        scenes: Number of scenes.
        pictures: Fewest and most pictures of a scene.
        psnr: Mean of the scenes' means, dB.
        ssim: The same.
        lpips: The same; None if it was not measured.
        dreamsim: The same.
        dino: The same.
        clip: The same.
    """

    method: str
    group: str
    scenes: int
    pictures: tuple[int, int]
    psnr: float | None
    ssim: float | None
    lpips: float | None
    dreamsim: float | None
    dino: float | None
    clip: float | None


def summarize(scenes: Sequence[SceneScores]) -> list[TableRow]:
    """The rows of samples and of delivered photos, for all scenes and for each group that has some."""
    rows = []
    methods: dict[str, Callable[[SceneScores], Sequence[PictureScore]]] = {
        "samples": lambda scene: scene.samples,
        "delivered": lambda scene: (scene.delivered,),
    }
    for group in ("all", "outpainting", "inpainting"):
        members = [scene for scene in scenes if group in ("all", scene.group)]
        for method, pictures in methods.items():
            scored = [pictures(scene) for scene in members if pictures(scene)]
            if scored:
                counts = [len(each) for each in scored]
                means = mean_scores([mean_scores([asdict(score) for score in each]) for each in scored])
                rows.append(TableRow(method, group, len(scored), (min(counts), max(counts)), **means))
    return rows


def mean_scores(scores: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Mean of each metric, of the scores that have it; None if none has."""
    means: dict[str, float | None] = {}
    for metric in _METRICS:
        values = [value for score in scores if (value := score[metric]) is not None]
        means[metric] = sum(values) / len(values) if values else None
    return means


def write_realbench(
    folder: Path, scenes: Sequence[SceneScores], failed: Mapping[str, str], missing: Mapping[str, str]
) -> Path:
    """Write a run of RealBench: realbench.md, scenes.csv (a row a scene) and samples.parquet (a row a picture).

    Args:
        folder: The folder to create or replace.
        scenes: The scores, scene by scene.
        failed: Why the other scenes have none, by their names.
        missing: Why metrics could not be computed, by their names.

    Returns:
        The Markdown document.
    """
    with atomic_directory(folder) as partial:
        atomic_write(partial / "realbench.md", render_markdown(scenes, failed, missing))
        pq.write_table(_pictures_table(scenes), partial / "samples.parquet")
        pa.csv.write_csv(_scenes_table(scenes, failed), partial / "scenes.csv")
    return folder / "realbench.md"


def render_markdown(scenes: Sequence[SceneScores], failed: Mapping[str, str], missing: Mapping[str, str]) -> str:
    """The document: the table beside the published rows, what limits the comparison, and each scene."""
    lines = ["# RealBench", "", _head("method", "scenes", "pictures a scene")]
    lines += [_line(name, SCENES, SAMPLES, score=asdict(score)) for name, score in PUBLISHED.items()]
    for row in summarize(scenes):
        name = f"realfill, {row.method}" + ("" if row.group == "all" else f", {row.group}")
        lines.append(_line(name, row.scenes, "–".join(map(str, sorted(set(row.pictures)))), score=asdict(row)))
    lines += [
        "",
        _COMPARABLE,
        "",
        "*samples* are candidates from pure noise, as in the paper; *delivered* is the photo",
    ]
    lines += ["that realfill chose, one a scene, which no published row is the like of.", ""]
    lines += [f"* {remark}" for remark in _remarks(scenes, failed, missing)]
    lines += ["", "## Scenes", "", _head("scene", "group", "pictures")]
    for scene in scenes:
        if scene.samples:
            score = mean_scores([asdict(sample) for sample in scene.samples])
            lines.append(_line(f"{scene.scene}, samples", scene.group, len(scene.samples), score=score))
        lines.append(_line(f"{scene.scene}, delivered", scene.group, 1, score=asdict(scene.delivered)))
    return "\n".join(lines) + "\n"


def _remarks(scenes: Sequence[SceneScores], failed: Mapping[str, str], missing: Mapping[str, str]) -> list[str]:
    """What keeps the table from being comparable with the published rows."""
    remarks = [f"made with {setup}." for setup in sorted({scene.setup for scene in scenes if scene.setup})]
    if len(scenes) != SCENES:
        remarks.append(f"{len(scenes)} scenes were scored; RealBench has {SCENES}.")
    few = sum(len(scene.samples) != SAMPLES for scene in scenes)
    if few:
        remarks.append(f"{few} scenes have another number of samples than the paper's {SAMPLES}.")
    remarks += [f"{_HEADINGS[name][:-2]} is missing: {reason}" for name, reason in missing.items()]
    return remarks + [f"scene {name} failed: {' '.join(reason.split())}" for name, reason in failed.items()]


def _head(*names: str) -> str:
    headings = (*names, *_HEADINGS.values())
    return f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}"


def _line(*cells: object, score: Mapping[str, Any]) -> str:
    shown = (*(str(cell).replace("|", r"\|") for cell in cells), *(format_metric(m, score[m]) for m in _METRICS))
    return f"| {' | '.join(shown)} |"


def _pictures_table(scenes: Sequence[SceneScores]) -> pa.Table:
    """A row a picture; `sample` is null for the delivered photo."""
    rows: list[dict[str, Any]] = []
    for scene in scenes:
        known = {"scene": scene.scene, "group": scene.group}
        rows.append(known | {"sample": None} | asdict(scene.delivered))
        rows += [known | {"sample": number} | asdict(score) for number, score in enumerate(scene.samples)]
    columns = [("scene", pa.string()), ("group", pa.string()), ("sample", pa.int64())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*columns, *((name, pa.float64()) for name in _METRICS)]))


def _scenes_table(scenes: Sequence[SceneScores], failed: Mapping[str, str]) -> pa.Table:
    """A row a scene, with the mean of its samples and the delivered photo; those that failed have a reason alone."""
    rows: list[dict[str, Any]] = []
    for scene in scenes:
        means = mean_scores([asdict(sample) for sample in scene.samples])
        delivered = {f"delivered_{name}": value for name, value in asdict(scene.delivered).items()}
        known = {"scene": scene.scene, "group": scene.group, "samples": len(scene.samples), "failed": None}
        rows.append(known | means | delivered)
    rows += [{"scene": name, "failed": reason} for name, reason in failed.items()]
    columns = [("scene", pa.string()), ("group", pa.string()), ("samples", pa.int64()), ("failed", pa.string())]
    scores = [(f"{prefix}{name}", pa.float64()) for prefix in ("", "delivered_") for name in _METRICS]
    return pa.Table.from_pylist(rows, schema=pa.schema(columns + scores))
