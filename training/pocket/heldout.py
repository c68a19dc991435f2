"""How well the networks do on photos that are held out of the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler
from PIL import Image
from torch import Tensor

from model_folder import SCHEDULER_CONFIG
from pairs import FrozenAutoencoder, draw_pair, encode_condition, stack_images
from photos import load_crops, to_images
from realfill.core.seeding import numpy_generator
from training_loop import SEED, create_generator


@torch.no_grad()
def round_trip_psnr(model: Any, crops: Tensor) -> float:
    """Mean PSNR of crops [N, H, W, 3] uint8 that are encoded and decoded, dB."""
    values = []
    for pixels in crops.split(8):
        images = to_images(pixels)
        output = model.decode(model.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
        values.append(_psnr(output, images, torch.ones_like(images[:, :1])))
    return float(torch.cat(values).mean())


def _psnr(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """PSNR [B] in dB inside the mask [B, 1, H, W]; images [B, 3, H, W] in [-1, 1]."""
    squares = ((output - target) / 2).square().mean(1, keepdim=True) * mask
    return -10 * torch.log10(squares.sum((1, 2, 3)) / mask.sum((1, 2, 3)))


def draw_samples(
    model: Any,
    autoencoder: FrozenAutoencoder,
    prompt_embeds: Tensor,
    work_dir: Path,
    name: str,
    count: int,
    steps: int,
) -> dict[str, float]:
    """Write a picture with one row per photo: photo, round trip, empty hole, its fill, placed reference, its repair.

    Args:
        model: The UNet.
        autoencoder: The autoencoder.
        prompt_embeds: [1 or more, 77, D], the first is used.
        work_dir: Folder of heldout.npy and of the picture.
        name: Name of the picture, without .png.
        count: Number of photos.
        steps: Denoising steps.

    Returns:
        Mean PSNR in dB: of the round trip, and inside the hole of each of the last four.
    """
    heldout = load_crops(work_dir / "heldout.npy", prompt_embeds.device)
    chosen = np.linspace(0, len(heldout) - 1, count).round().astype(int).tolist()
    photos = to_images(heldout[chosen])
    columns = {"photo": photos, "round trip": autoencoder.decode(autoencoder.encode(photos))}
    whole = torch.ones_like(photos[:, :1])
    psnrs = {"round trip": float(_psnr(columns["round trip"], photos, whole).mean())}
    for skill, repair_share in (("fill", 0.0), ("repair", 1.0)):
        generators = [numpy_generator(SEED, "sample", crop) for crop in chosen]
        pixels = [heldout[crop].cpu().numpy() for crop in chosen]
        pairs = [draw_pair(image, rng, repair_share) for image, rng in zip(pixels, generators, strict=True)]
        masked_images = stack_images([pair.masked_image for pair in pairs]).to(photos.device)
        masks = torch.stack([torch.from_numpy(pair.mask)[None] for pair in pairs]).to(photos.device)
        fills = autoencoder.decode(_sample(model, *encode_condition(pairs, autoencoder), prompt_embeds[:1], steps))
        for label, images in ((f"{skill}: before", masked_images), (f"{skill}: after", fills)):
            columns[label] = torch.where(masks > 0, images, photos)
            psnrs[label] = float(_psnr(images, photos, masks).mean())
    _write_columns(list(columns.values()), work_dir / f"{name}.png")
    return psnrs


def _write_columns(columns: list[Tensor], path: Path) -> None:
    """Write batches [B, 3, H, W] in [-1, 1] as the columns of one picture."""
    sheet = torch.cat([torch.cat(list(images), 1) for images in columns], 2)  # [3, rows H, columns W]
    levels = ((sheet + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    Image.fromarray(levels.permute(1, 2, 0).cpu().numpy()).save(path)


@torch.no_grad()
def _sample(model: Any, mask: Tensor, masked_latents: Tensor, prompt_embeds: Tensor, steps: int) -> Tensor:
    """Sample latents [B, 4, h, w] for a mask [B, 1, h, w] and masked latents [B, 4, h, w]."""
    scheduler = DPMSolverMultistepScheduler.from_config(SCHEDULER_CONFIG, algorithm_type="dpmsolver++")
    device = masked_latents.device
    scheduler.set_timesteps(steps, device=device)
    latents = torch.randn(masked_latents.shape, generator=create_generator(device, "noise"), device=device)
    for timestep in scheduler.timesteps:
        unet_input = torch.cat([latents, mask, masked_latents], 1)
        output = model(unet_input, timestep, prompt_embeds.expand(len(masked_latents), -1, -1)).sample
        latents = scheduler.step(output, timestep, latents).prev_sample
    return latents
