"""Sample candidates for a hole from the inpainting model (RealFill, arXiv 2309.16668, section 4.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler
from torch import Tensor

from realfill.core.errors import ModelError
from realfill.core.failures import require_finite, skip_failing
from realfill.core.seeding import torch_generator
from realfill.diffusion.base_model import BaseModel, mask_image
from realfill.diffusion.guide import Guide, GuideSettings, restore_detail
from realfill.imaging.ops import to_uint8

if TYPE_CHECKING:
    from realfill.core.params import SampleParams

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SampledImages:
    """Candidates in memory.

    Attributes:
        images: [K, R, R, 3] uint8 sRGB, those whose pixels are finite.
        draws: Number of each among all that were sampled, [K].
        count: How many were sampled, those included that were left out.
        batch_size: How many were sampled in one pass in the end.
    """

    images: np.ndarray
    draws: tuple[int, ...]
    count: int
    batch_size: int


def sample_candidates(
    model: BaseModel,
    image: np.ndarray,
    mask: np.ndarray,
    count: int,
    params: SampleParams,
    prompt: str,
    on_step: Callable[[int], None] = lambda _: None,
    guide: Guide | None = None,
    settings: GuideSettings = GuideSettings(),
) -> SampledImages:
    """Sample candidates with the model and the adapter that it has.

    Candidate k has a generator of its own, seeded by (kind, seed, k), so it depends neither on how many others are
    sampled nor on the batch size, except for rounding. One whose pixels are not finite is left out with a warning.

    Args:
        model: The base model.
        image: [R, R, 3] uint8 sRGB, R the model's resolution; pixels inside the hole are ignored.
        mask: [R, R] bool, True = fill.
        count: Number of candidates.
        params: Scheduler, steps, guidance scale, seed, batch size.
        prompt: The prompt that was tuned.
        on_step: Called after each denoising step with the number of candidates in it.
        guide: What sampling starts from and keeps; None to start from pure noise.
        settings: How the detail of placed pixels is restored.

    Raises:
        ModelError: Not even one candidate fits into memory.
    """
    batch_size = min(params.batch_size, count)
    images: dict[int, np.ndarray] = {}
    done = 0
    while done < count:
        indices = range(done, min(done + batch_size, count))
        try:
            images |= _sample_batch(model, image, mask, indices, params, prompt, on_step, guide, settings)
            done = indices.stop
        except torch.OutOfMemoryError as error:
            if batch_size == 1:
                raise ModelError(
                    "Not even one candidate fits into memory.", "Free memory, or choose a smaller base model."
                ) from error
            batch_size //= 2
            logger.warning("Out of memory: continuing with %d candidates per pass.", batch_size)
            torch.cuda.empty_cache()
    pixels = np.stack(list(images.values())) if images else np.empty((0, *image.shape), np.uint8)
    return SampledImages(pixels, tuple(images), count, batch_size)


@torch.no_grad()
def _sample_batch(
    model: BaseModel,
    image: np.ndarray,
    mask: np.ndarray,
    indices: range,
    params: SampleParams,
    prompt: str,
    on_step: Callable[[int], None],
    guide: Guide | None,
    settings: GuideSettings,
) -> dict[int, np.ndarray]:
    """Sample the candidates with these indices in one pass; returns those that are finite, [R, R, 3] uint8 sRGB."""
    kind = "guided" if guide else "noise"
    generators = [torch_generator(kind, params.seed, index) for index in indices]
    scheduler = _create_scheduler(params, model)
    condition = _encode_condition(model, image, mask, guide)  # [1, 5, h, w]
    latent_shape = condition[0, 1:].shape  # [4, h, w]
    noise = torch.stack([torch.randn(latent_shape, generator=generator) for generator in generators])
    noise = noise.to(model.device)  # [B, 4, h, w]
    init = None if guide is None else _InitLatents.encode(model, guide)
    with model.accelerator.autocast():
        prompt_embeds = model.encode_prompts([prompt, ""])  # [2, L, D]
    step_options = {} if params.scheduler == "unipc" else {"generator": generators}

    def denoise(latents: Tensor, timestep: Tensor) -> Tensor:
        scaled = scheduler.scale_model_input(latents, timestep)
        unet_input = torch.cat([scaled, condition.expand(len(latents), -1, -1, -1)], dim=1)  # [B, 9, h, w]
        output = _predict(model, unet_input, timestep, prompt_embeds, params.guidance)
        previous: Tensor = scheduler.step(output, timestep, latents, **step_options).prev_sample
        on_step(len(latents))
        return previous

    latents = _run_denoising(scheduler, noise, init, denoise)
    candidates = {}
    for index, decoded in zip(indices, model.decode(latents), strict=True):
        with skip_failing(f"The candidate {index} from {'placed pixels' if guide else 'pure noise'}"):
            require_finite(picture=decoded)
            candidates[index] = to_uint8(decoded)
    if guide is None or init is None:
        return candidates
    decoded_init = model.decode(init.latents)[0]  # [R, R, 3] float32
    with skip_failing("The restoring of placed detail"):
        require_finite(picture=decoded_init)
        lossy = to_uint8(decoded_init)
        return {index: restore_detail(image, guide, lossy, mask, settings) for index, image in candidates.items()}
    return candidates


def _encode_condition(model: BaseModel, image: np.ndarray, mask: np.ndarray, guide: Guide | None) -> Tensor:
    """Mask and latents of the masked image, [1, 1 + 4, h, w]; with placed pixels in it if the model accepts them."""
    masked_image = mask_image(image, mask)
    if guide and model.accepts_composite:
        masked_image = mask_image(guide.init_image, mask & ~guide.placed_mask)
    masked_latents, _ = model.encode(masked_image[None])  # [1, 4, h, w]
    return torch.cat([model.downsample_masks(mask[None]), masked_latents], dim=1).to(model.device)


@dataclass(frozen=True)
class _InitLatents:
    """What sampling starts from instead of pure noise.

    Attributes:
        latents: [1, 4, h, w] float32, of the initial image.
        keep_weight: [1, 1, h, w] float32, 0 to 1: how far they are kept.
        strength: Share of the noise that sampling starts with, 0 to 1.
    """

    latents: Tensor
    keep_weight: Tensor
    strength: float

    @classmethod
    def encode(cls, model: BaseModel, guide: Guide) -> _InitLatents:
        latents = model.encode(guide.init_image[None])[0].to(model.device)
        keep_weight = torch.from_numpy(guide.keep_weight)[None, None]  # [1, 1, R, R]
        smallest = -torch.nn.functional.max_pool2d(-keep_weight, model.vae_scale_factor)  # [1, 1, h, w]
        return cls(latents, smallest.to(model.device), guide.strength)


def _run_denoising(
    scheduler: Any, noise: Tensor, init: _InitLatents | None, denoise: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Denoise latents from the first timestep, or the one that the strength says, to the last.

    Args:
        scheduler: One of diffusers' schedulers, with its timesteps set.
        noise: [B, 4, h, w] float32.
        init: What sampling starts from and keeps; None for pure noise.
        denoise: Takes latents [B, 4, h, w] from one timestep to the next.
    """
    timesteps = scheduler.timesteps
    if init is None:
        latents = noise * scheduler.init_noise_sigma
        for timestep in timesteps:
            latents = denoise(latents, timestep)
        return latents
    t_start = min(len(timesteps) - 1, round((1 - init.strength) * len(timesteps)))
    timesteps = timesteps[t_start:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(t_start)
    init_latents = init.latents.expand_as(noise)
    latents = scheduler.add_noise(init_latents, noise, timesteps[:1].expand(len(noise)))
    for index, timestep in enumerate(timesteps):
        latents = denoise(latents, timestep)
        kept = init_latents
        if index + 1 < len(timesteps):
            kept = scheduler.add_noise(kept, noise, timesteps[index + 1 : index + 2].expand(len(noise)))
        latents = init.keep_weight * kept + (1 - init.keep_weight) * latents
    return latents


def _predict(
    model: BaseModel, unet_input: Tensor, timestep: Tensor, prompt_embeds: Tensor, guidance_scale: float
) -> Tensor:
    """Model output with classifier-free guidance, unless its scale is 1 (Ho and Salimans, arXiv 2207.12598).

    Args:
        model: The base model.
        unet_input: [B, 9, h, w] float32.
        timestep: Scalar.
        prompt_embeds: [2, L, D] of the prompt and of the empty prompt.
        guidance_scale: 1 = none.

    Returns:
        [B, 4, h, w] float32.
    """

    def run_unet(embeds: Tensor) -> Tensor:
        with model.accelerator.autocast():
            output: Tensor = model.unet(unet_input, timestep, embeds.expand(len(unet_input), -1, -1)).sample
        return output.float()

    prompted = run_unet(prompt_embeds[:1])
    if guidance_scale == 1.0:
        return prompted
    unprompted = run_unet(prompt_embeds[1:])
    return unprompted + guidance_scale * (prompted - unprompted)


def _create_scheduler(params: SampleParams, model: BaseModel) -> Any:
    """One of diffusers' schedulers with its timesteps set."""
    if params.scheduler == "ddpm":
        scheduler = DDPMScheduler.from_config(model.scheduler_config)
    elif params.scheduler == "unipc":
        scheduler = UniPCMultistepScheduler.from_config(model.scheduler_config)
    else:
        scheduler = DPMSolverMultistepScheduler.from_config(model.scheduler_config, algorithm_type="dpmsolver++")
    scheduler.set_timesteps(params.steps, device=model.device)
    return scheduler
