"""FIXME DOCSTRING."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler
from torch import Tensor

from realfill.core.errors import ModelError
from realfill.core.params import SampleParams
from realfill.core.seeding import torch_generator
from realfill.diffusion.base_model import BaseModel
from realfill.imaging.ncc import ncc
from realfill.imaging.ops import gray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SampledImages:
    """Candidates in memory.

    Attributes:
        images: [K, R, R, 3] uint8 sRGB.
        batch_size: How many were drawn in one pass in the end.
    """

    images: np.ndarray
    batch_size: int


@dataclass(frozen=True)
class Guide:
    """What sampling starts from and keeps.

    Attributes:
        start: The window with its hole filled by what was placed, the rest of it inpainted, [R, R, 3] uint8 sRGB.
        placed: Where something was placed, [R, R] bool.
        hold: How much of it is kept, [R, R] float32, 0 to 1.
        strength: Share of the noise that sampling starts with, 0 to 1.
    """

    start: np.ndarray
    placed: np.ndarray
    hold: np.ndarray
    strength: float


def sample_candidates(
    model: BaseModel,
    image: np.ndarray,
    mask: np.ndarray,
    count: int,
    params: SampleParams,
    prompt: str,
    report: Callable[[int], None] = lambda _: None,
    guide: Guide | None = None,
) -> SampledImages:
    """Draw candidates with whatever adapter the model carries.

    Candidate k has generators of its own, keyed by (seed, kind, k), so it does not depend on how many others are
    drawn, or how many at a time, as far as floating point allows.

    Args:
        model: The base model.
        image: [R, R, 3] uint8 sRGB, R the model's resolution; what is inside the hole is not looked at.
        mask: [R, R] bool, True = fill.
        count: How many.
        params: Sampler, steps, guidance, seed, batch size.
        prompt: The prompt that was tuned.
        report: Called after each denoising step with the number of candidates in it.
        guide: Where sampling starts and what it keeps; None for pure noise.

    Raises:
        ModelError: Not even one candidate fits the memory.
    """
    size = min(params.batch_size, count)
    images: list[np.ndarray] = []
    while len(images) < count:
        numbers = range(len(images), min(len(images) + size, count))
        try:
            images += list(_sample_batch(model, image, mask, numbers, params, prompt, report, guide))
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise ModelError(
                    "Not even one candidate fits the memory.", "Free memory, or choose a smaller base model."
                ) from error
            size //= 2
            logger.warning("Out of memory: going on with %d candidates a pass.", size)
            torch.cuda.empty_cache()
    return SampledImages(np.stack(images), size)


@torch.no_grad()
def _sample_batch(
    model: BaseModel,
    image: np.ndarray,
    mask: np.ndarray,
    numbers: range,
    params: SampleParams,
    prompt: str,
    report: Callable[[int], None],
    guide: Guide | None,
) -> np.ndarray:
    kind = "guided" if guide else "noise"
    generators = [torch_generator(kind, params.seed, number) for number in numbers]
    schedule = _schedule(params, model)
    empty = mask & ~guide.placed if guide and model.repairs else mask
    seen = guide.start if guide and model.repairs else image
    masked, _ = model.encode(np.where(empty[..., None], np.uint8(128), seen)[None])  # [1, 4, h, w]
    small = torch.nn.functional.max_pool2d(torch.from_numpy(mask).float()[None, None], model.factor)
    known = torch.cat([small, masked], dim=1).to(model.device)  # [1, 5, h, w]
    noise = torch.stack([torch.randn(masked.shape[1:], generator=generator) for generator in generators])
    noise = noise.to(model.device)  # [b, 4, h, w]
    moments = schedule.timesteps
    latents, hold = noise * schedule.init_noise_sigma, None
    if guide:
        begin = min(len(moments) - 1, round((1 - guide.strength) * len(moments)))
        moments = moments[begin:]
        schedule.set_begin_index(begin) if hasattr(schedule, "set_begin_index") else None
        start = model.encode(guide.start[None])[0].to(model.device)  # [1, 4, h, w]
        hold = _latent_weight(guide.hold, model.factor).to(model.device)  # [1, 1, h, w]
        latents = schedule.add_noise(start.expand_as(noise), noise, moments[:1].expand(len(noise)))
    with model.accelerator.autocast():
        embeddings = model.embed([prompt, ""])  # [2, L, D]
    noisy = {} if params.scheduler == "unipc" else {"generator": generators}
    for place, moment in enumerate(moments):
        scaled = schedule.scale_model_input(latents, moment)
        inputs = torch.cat([scaled, known.expand(len(latents), -1, -1, -1)], dim=1)  # [b, 9, h, w]
        predicted = _predict(model, inputs, moment, embeddings, params.guidance)
        latents = schedule.step(predicted, moment, latents, **noisy).prev_sample
        if hold is not None:
            kept = start.expand_as(latents)
            if place + 1 < len(moments):
                kept = schedule.add_noise(kept, noise, moments[place + 1 : place + 2].expand(len(noise)))
            latents = hold * kept + (1 - hold) * latents
        report(len(latents))
    pictures = model.decode(latents)  # [b, R, R, 3]
    if guide is None:
        return pictures
    passed = model.decode(start)[0]  # [R, R, 3]
    return np.stack([_sharpened(picture, guide, passed, mask) for picture in pictures])


def _sharpened(picture: np.ndarray, guide: Guide, passed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give a fill back what the autoencoder loses of the placed reference, as far as it still shows the same.

    Args:
        picture: [R, R, 3] uint8.
        guide: What was placed.
        passed: That as it comes out of the autoencoder, [R, R, 3] uint8.
        mask: [R, R] bool, True = fill.
    """
    lost = guide.start.astype(np.float32) - passed
    same = ncc(gray(picture), gray(passed))
    weight = cv2.GaussianBlur(same * (mask & guide.placed), (0, 0), 1.0)[..., None]
    return np.rint((picture + weight * lost).clip(0, 255)).astype(np.uint8)


def _latent_weight(weight: np.ndarray, factor: int) -> Tensor:
    """[R, R] float32 -> [1, 1, R/f, R/f]: the least weight in each latent's patch."""
    return -torch.nn.functional.max_pool2d(-torch.from_numpy(weight)[None, None], factor)


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
