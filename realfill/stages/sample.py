"""Draw candidates for the hole from the tuned model (RealFill, section 4.2)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from realfill import __version__
from realfill.album.canvas import read_model_window
from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.schemas import Candidate
from realfill.album.store import read_document, read_window, write_rows
from realfill.core.atomic_io import atomic_directory
from realfill.core.hashing import digest
from realfill.core.params import Params, SampleParams
from realfill.core.progress import Progress, Step
from realfill.diffusion.base_model import load
from realfill.diffusion.inpainting_sampler import Guide, SampledImages, sample_candidates
from realfill.photo_io.working_files import write_png


@dataclass(frozen=True)
class SampleResult:
    """What was drawn.

    Attributes:
        candidates: One row a candidate.
        folder: Where their pictures lie.
    """

    candidates: tuple[Candidate, ...]
    folder: Path


def run(album: Album, params: Params, on_progress: Progress | None = None) -> SampleResult:
    """Draw `params.sample.candidates` candidates with the album's adapter.

    Raises:
        StageError: `masks` or `finetune` has not run.
        ModelError: The base model cannot be loaded, or not even one candidate fits the memory.
    """
    model = load(params.base)
    image, mask = read_model_window(album, model.resolution)
    guide = guide_of(album, model.resolution, params.sample)
    adapter = _adapter(album)
    held = guide is not None and guide.hold.any()
    counts = {"noise": params.sample.candidates, "guided": params.sample.guided if held else 0}
    total = sum(counts.values())
    report = _reporter(on_progress, total * params.sample.steps)
    drawn: list[tuple[str, SampledImages]] = []
    with model.adapted(adapter):
        for kind, count in counts.items():
            if count:
                start = guide if kind == "guided" else None
                drawn.append(
                    (
                        kind,
                        sample_candidates(
                            model, image, mask, count, params.sample, params.finetune.prompt, report, start
                        ),
                    )
                )
    if guide:
        drawn.insert(1, ("placed", SampledImages(guide.start[None], 1)))
    common = {
        "seed": params.sample.seed,
        "guidance": params.sample.guidance,
        "count": total,
        "resolution": model.resolution,
        "model": model.name,
        "model_digest": model.digest,
        "versions": json.dumps({"realfill": __version__} | {n: version(n) for n in ("torch", "diffusers", "peft")}),
    }
    rows: list[Candidate] = []
    pictures: list[np.ndarray] = []
    for kind, images in drawn:
        generated = kind != "placed"
        for number, picture in enumerate(images.images):
            rows.append(
                Candidate(
                    candidate=len(rows),
                    file=f"{len(rows):03d}.png",
                    kind=kind,
                    draw=number,
                    scheduler=params.sample.scheduler if generated else "",
                    steps=params.sample.steps if generated else 0,
                    batch_size=images.batch_size,
                    adapter_digest=digest(adapter) if adapter and generated else "",
                    **common,  # type: ignore[arg-type]
                )
            )
            pictures.append(picture)
    folder = album.work("sample")
    with atomic_directory(folder) as beside:
        for row, picture in zip(rows, pictures, strict=True):
            write_png(beside / row.file, picture)
        write_rows(beside / "candidates.parquet", Candidate, rows)
    return SampleResult(tuple(rows), folder)


def guide_of(album: Album, resolution: int, params: SampleParams) -> Guide | None:
    """What `align` placed, in the window at the base model's resolution; None where it placed nothing.

    The picture shows the proposal around the hole too, so that blending can tell its colours from the photo's.

    Raises:
        StageError: `masks` or `align` has not run.
    """
    proposal = read_proposal(album)
    if proposal is None:
        return None
    window = read_window(album)
    image, mask = read_model_window(album, resolution)
    seen = proposal.over(window.left, window.top, window.side, window.side).scaled(resolution, resolution)
    placed = seen.confidence > 0
    shown = np.where(placed[..., None], seen.colours, image)
    missing = (mask & ~placed).astype(np.uint8)
    start = cv2.inpaint(shown, missing, 3, cv2.INPAINT_TELEA) if missing.any() else shown
    return Guide(start, placed, seen.weight("guided") * mask, params.strength)


def _adapter(album: Album) -> Path | None:
    folder = album.work("finetune")
    steps = read_document(folder / "metrics.json")["steps"]
    return folder if steps else None


def _reporter(on_progress: Progress | None, total: int) -> Callable[[int], None]:
    started, done = time.monotonic(), 0

    def report(steps: int) -> None:
        nonlocal done
        done += steps
        if on_progress:
            rate = done / (time.monotonic() - started)
            on_progress(Step("sample", min(done, total), total, None, max(0, total - done) / rate, rate))

    return report
