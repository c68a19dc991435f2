"""The losses that the networks are trained with."""

from __future__ import annotations

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

    Noisier timesteps are likelier.

    Args:
        model: The UNet.
        data: Latents, mask, masked latents: [B, 9, h, w].
        prompt_embeds: [B, 77, D].
        generator: Source of timesteps and noise.
    """
    latents, mask, masked_latents = data.split([4, 1, 4], 1)
    noise_scheduler = DDPMScheduler(**SCHEDULER_CONFIG)
    timesteps = (1000 * torch.rand(len(data), generator=generator, device=data.device).sqrt()).long()  # [B]
    noise = torch.randn(latents.shape, generator=generator, device=data.device)
    noisy_latents = noise_scheduler.add_noise(latents, noise, timesteps)
    unet_input = torch.cat([noisy_latents, mask, masked_latents], 1).contiguous(memory_format=torch.channels_last)
    with autocast(data.device):
        output = model(unet_input, timesteps, prompt_embeds).sample
    weight = 1 + (HOLE_WEIGHT - 1) * mask
    error = (output.float() - noise_scheduler.get_velocity(latents, noise, timesteps)).square()
    loss: Tensor = (weight * error).mean() / weight.mean()
    return loss
