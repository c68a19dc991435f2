"""The losses that the networks are trained with."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from torch import Tensor

from model_folder import SCHEDULER_CONFIG
from training_loop import autocast

LATENT_NOISE = 0.03  # standard deviation of the noise on the latents while the autoencoder is trained
KL_WEIGHT = 1e-5
HOLE_WEIGHT = 4.0  # of the denoising loss inside the hole
NOISIER_SHARE = 0.4  # of the samples, whose timesteps are likelier the noisier they are; the others' are below
LITTLE_NOISE = 300  # of 1000: the timesteps of the others, where guided sampling takes place
START_SHARE = 0.7  # of the samples at little noise, starts from placed references as guided sampling does
START_TIMES = 600  # of 1000


def autoencoder_loss(model: Any, images: Tensor, generator: torch.Generator) -> Tensor:
    """Reconstruction loss of images [B, 3, H, W] in [-1, 1] with noise on their latents, and a KL divergence."""
    with autocast(images.device):
        posterior = model.encode(images).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator, device=images.device)
        output = model.decode(posterior.mean + noise * (posterior.std + LATENT_NOISE)).sample
    divergence: Tensor = posterior.kl().mean() / posterior.mean[0].numel()
    return _reconstruction_loss(output.float(), images) + KL_WEIGHT * divergence


def _reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """Squares (twelvefold), L1 of values, of gradients (half) and of 2-, 4- and 8-fold averages, of [B, 3, H, W]."""
    error = output - target
    loss = (
        12 * error.square().mean()
        + error.abs().mean()
        + 0.5 * (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean())
    )
    for factor in (2, 4, 8):
        loss = loss + F.avg_pool2d(error, factor).abs().mean()
    return loss


def denoising_loss(model: Any, data: Tensor, prompt_embeds: Tensor, generator: torch.Generator) -> Tensor:
    """Weighted square error of the predicted velocity (Salimans and Ho, arXiv 2202.00512, appendix D).

    Most of the samples at less noise than `START_TIMES` start, as guided sampling does, from the placed references or
    from a mixture of them and the target: the velocity is the one that leads to the target all the same.

    Args:
        model: The UNet.
        data: Latents, mask, masked latents, initial latents: [B, 13, h, w].
        prompt_embeds: [B, 77, D].
        generator: Source of timesteps and noise.
    """
    latents, mask, masked_latents, init_latents = data.split([4, 1, 4, 4], 1)
    count, device = len(data), data.device
    uniform, kind, mixture, started = torch.rand(4, count, generator=generator, device=device)  # [B] each
    times = torch.where(kind < NOISIER_SHARE, 1000 * uniform.sqrt(), LITTLE_NOISE * uniform)  # [B]
    times = times.long().clamp(max=999)
    noise = torch.randn(latents.shape, generator=generator, device=device)
    alpha, sigma = (level[times, None, None, None] for level in _levels(device))
    is_started = (started < START_SHARE) & (times < START_TIMES)
    offset = (is_started * mixture)[:, None, None, None] * (init_latents - latents)
    noisy_latents = alpha * (latents + offset) + sigma * noise
    velocity = alpha * noise - sigma * latents + alpha.square() / sigma * offset
    unet_input = torch.cat([noisy_latents, mask, masked_latents], 1).contiguous(memory_format=torch.channels_last)
    with autocast(device):
        output = model(unet_input, times, prompt_embeds).sample
    sample_weight = torch.where(is_started[:, None, None, None], (2 * sigma).square().clamp(max=1), 1)
    weight = 1 + (HOLE_WEIGHT - 1) * mask
    loss: Tensor = (sample_weight * weight * (output.float() - velocity).square()).mean() / weight.mean()
    return loss


@cache
def _levels(device: torch.device) -> tuple[Tensor, Tensor]:
    """How much of the clean latents and of the noise the noisy latents of each timestep have, [1000] each."""
    alphas_cumprod = DDPMScheduler(**SCHEDULER_CONFIG).alphas_cumprod.to(device)
    return alphas_cumprod.sqrt(), (1 - alphas_cumprod).sqrt()
