"""Draw candidates for the hole from the tuned model (RealFill, section 4.2)."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler
from torch import Tensor

from realfill import __version__
from realfill.album import Album
from realfill.artifacts import Candidate, canvas_path, mask_path, read_document, read_window, write_rows
from realfill.basemodel import BaseModel, load
from realfill.errors import ModelError
from realfill.files import digest, publishing
from realfill.images import read_png, resize, square, write_png
from realfill.params import Params, SampleParams
from realfill.progress import Progress, Step
from realfill.randomness import torch_generator

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SampleResult:
    """What was drawn.

    Attributes:
        candidates: One row a candidate.
        folder: Where their pictures lie.
    """

    candidates: tuple[Candidate, ...]
    folder: Path


@dataclass(frozen=True)
class Drawn:
    """Candidates in memory.

    Attributes:
        images: [K, R, R, 3] uint8 sRGB.
        batch_size: How many were drawn in one pass in the end.
    """

    images: np.ndarray
    batch_size: int


def run(album: Album, params: Params, on_progress: Progress | None = None) -> SampleResult:
    """Draw `params.sample.candidates` candidates with the album's adapter.

    Raises:
        StageError: `masks` or `finetune` has not run.
        ModelError: The base model cannot be loaded, or not even one candidate fits the memory.
    """
    model = load(params.base)
    image, mask = window_of(album, model.resolution)
    adapter = _adapter(album)
    with model.adapted(adapter):
        drawn = draw(model, image, mask, params.sample.candidates, params.sample, params.finetune.prompt, on_progress)
    common = {
        "kind": "noise",
        "seed": params.sample.seed,
        "scheduler": params.sample.scheduler,
        "steps": params.sample.steps,
        "guidance": params.sample.guidance,
        "batch_size": drawn.batch_size,
        "count": params.sample.candidates,
        "resolution": model.resolution,
        "model": model.name,
        "model_digest": model.digest,
        "adapter_digest": digest(adapter) if adapter else "",
        "versions": json.dumps({"realfill": __version__} | {n: version(n) for n in ("torch", "diffusers", "peft")}),
    }
    rows = [
        Candidate(candidate=number, file=f"{number:03d}.png", **common)  # type: ignore[arg-type]
        for number in range(len(drawn.images))
    ]
    folder = album.work("sample")
    with publishing(folder) as beside:
        for row, picture in zip(rows, drawn.images, strict=True):
            write_png(beside / row.file, picture)
        write_rows(beside / "candidates.parquet", Candidate, rows)
    return SampleResult(tuple(rows), folder)


def window_of(album: Album, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """The window at the base model's resolution: image [R, R, 3] uint8 sRGB, hole [R, R] bool.

    Raises:
        StageError: `masks` has not run.
    """
    window = read_window(album)
    image = resize(square(read_png(canvas_path(album)), window), resolution, resolution)
    mask = resize(square(read_png(mask_path(album)), window, fill=255), resolution, resolution)
    return image, mask > 0


def draw(
    model: BaseModel,
    image: np.ndarray,
    mask: np.ndarray,
    count: int,
    params: SampleParams,
    prompt: str,
    on_progress: Progress | None = None,
) -> Drawn:
    """Draw candidates with whatever adapter the model carries.

    Candidate k has generators of its own, keyed by (seed, k), so it does not depend on how many others are
    drawn, or how many at a time, as far as floating point allows.

    Args:
        model: The base model.
        image: [R, R, 3] uint8 sRGB, R the model's resolution; what is inside the hole is not looked at.
        mask: [R, R] bool, True = fill.
        count: How many.
        params: Sampler, steps, guidance, seed, batch size.
        prompt: The prompt that was tuned.
        on_progress: Called after each denoising step.

    Raises:
        ModelError: Not even one candidate fits the memory.
    """
    size = min(params.batch_size, count)
    images: list[np.ndarray] = []
    report = _reporter(on_progress, count * params.steps)
    while len(images) < count:
        numbers = range(len(images), min(len(images) + size, count))
        try:
            images += list(_draw_batch(model, image, mask, numbers, params, prompt, report))
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise ModelError(
                    "Not even one candidate fits the memory.", "Free memory, or choose a smaller base model."
                ) from error
            size //= 2
            logger.warning("Out of memory: going on with %d candidates a pass.", size)
            torch.cuda.empty_cache()
    return Drawn(np.stack(images), size)


@torch.no_grad()
def _draw_batch(
    model: BaseModel,
    image: np.ndarray,
    mask: np.ndarray,
    numbers: range,
    params: SampleParams,
    prompt: str,
    report: Callable[[int], None],
) -> np.ndarray:
    generators = [torch_generator("candidate", params.seed, number) for number in numbers]
    schedule = _schedule(params, model)
    masked, _ = model.encode(np.where(mask[..., None], np.uint8(128), image)[None])  # [1, 4, h, w]
    small = torch.nn.functional.max_pool2d(torch.from_numpy(mask).float()[None, None], model.factor)
    known = torch.cat([small, masked], dim=1).to(model.device)  # [1, 5, h, w]
    noise = torch.stack([torch.randn(masked.shape[1:], generator=generator) for generator in generators])
    latents = noise.to(model.device) * schedule.init_noise_sigma  # [b, 4, h, w]
    with model.accelerator.autocast():
        embeddings = model.embed([prompt, ""])  # [2, L, D]
    noisy = {} if params.scheduler == "unipc" else {"generator": generators}
    for moment in schedule.timesteps:
        scaled = schedule.scale_model_input(latents, moment)
        seen = torch.cat([scaled, known.expand(len(latents), -1, -1, -1)], dim=1)  # [b, 9, h, w]
        predicted = _predict(model, seen, moment, embeddings, params.guidance)
        latents = schedule.step(predicted, moment, latents, **noisy).prev_sample
        report(len(latents))
    return model.decode(latents)


def _predict(model: BaseModel, seen: Tensor, moment: Tensor, embeddings: Tensor, guidance: float) -> Tensor:
    """Model output [b, 4, h, w] float32, with classifier-free guidance where the scale is not 1."""

    def predict(embedding: Tensor) -> Tensor:
        with model.accelerator.autocast():
            output: Tensor = model.unet(seen, moment, embedding.expand(len(seen), -1, -1)).sample
        return output.float()

    prompted = predict(embeddings[:1])
    if guidance == 1.0:
        return prompted
    empty = predict(embeddings[1:])
    return empty + guidance * (prompted - empty)


def _schedule(params: SampleParams, model: BaseModel) -> Any:
    if params.scheduler == "ddpm":
        schedule = DDPMScheduler.from_config(model.scheduler)
    elif params.scheduler == "unipc":
        schedule = UniPCMultistepScheduler.from_config(model.scheduler)
    else:
        schedule = DPMSolverMultistepScheduler.from_config(model.scheduler, algorithm_type="dpmsolver++")
    schedule.set_timesteps(params.steps, device=model.device)
    return schedule


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
