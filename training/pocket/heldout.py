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
from pairs import FrozenAutoencoder, draw_pairs, encode_pairs
from photos import load_crops, to_images
from training_loop import SEED

STRENGTHS = (0.5, 0.25, 0.125)  # shares of noise that guided sampling starts with


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
    """Complete photos, and write a picture with a row for each.

    Its columns: photo, round trip, empty hole, its fill, placed references, what is sampled around them from pure
    noise and from each of `STRENGTHS`.

    Args:
        model: The UNet.
        autoencoder: The autoencoder.
        prompt_embeds: [1 or more, 77, D], the first is used.
        work_dir: Folder of heldout.npy and of the picture.
        name: Name of the picture, without .png.
        count: Number of photos.
        steps: Denoising steps.

    Returns:
        Mean PSNR in dB: of the round trip, and inside the hole of each of the others.
    """
    heldout = load_crops(work_dir / "heldout.npy", torch.device("cpu"))
    chosen = np.linspace(0, len(heldout) - 1, count).round().astype(int).tolist()
    photos, device = to_images(heldout[chosen]), prompt_embeds.device
    columns = {"photo": photos, "round trip": autoencoder.decode(autoencoder.encode(photos)).cpu()}
    psnrs = {"round trip": float(_psnr(columns["round trip"], photos, torch.ones_like(photos[:, :1])).mean())}
    for skill, repair_share in (("fill", 0.0), ("repair", 1.0)):
        pairs = draw_pairs(photos, torch.Generator().manual_seed(SEED), repair_share)  # the same ones on any device
        _, mask, masked, init = encode_pairs(pairs, autoencoder).to(device).split([4, 1, 4, 4], 1)
        images = {"before": pairs.init_images if repair_share else pairs.masked_images}
        for strength in (1.0, *STRENGTHS) if repair_share else (1.0,):
            latents = _sample(model, mask, masked, init, strength, prompt_embeds[:1], steps)
            images[f"strength {strength}"] = autoencoder.decode(latents).cpu()
        for label, image in images.items():
            columns[f"{skill}, {label}"] = torch.where(pairs.masks > 0, image, photos)
            psnrs[f"{skill}, {label}"] = float(_psnr(image, photos, pairs.masks).mean())
    _write_columns(list(columns.values()), work_dir / f"{name}.png")
    return psnrs


def _write_columns(columns: list[Tensor], path: Path) -> None:
    """Write batches [B, 3, H, W] in [-1, 1] as the columns of one picture."""
    sheet = torch.cat([torch.cat(list(images), 1) for images in columns], 2)  # [3, rows H, columns W]
    levels = ((sheet + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    Image.fromarray(levels.permute(1, 2, 0).cpu().numpy()).save(path)


@torch.no_grad()
def _sample(
    model: Any, mask: Tensor, masked_latents: Tensor, init: Tensor, strength: float, prompt_embeds: Tensor, steps: int
) -> Tensor:
    """Sample latents [B, 4, h, w] from latents `init` with a share of noise; for a mask [B, 1, h, w]."""
    scheduler = DPMSolverMultistepScheduler.from_config(SCHEDULER_CONFIG, algorithm_type="dpmsolver++")
    scheduler.set_timesteps(steps, device=init.device)
    first = min(steps - 1, round((1 - strength) * steps))
    scheduler.set_begin_index(first)
    noise = torch.randn(init.shape, generator=torch.Generator().manual_seed(SEED)).to(init.device)
    latents = scheduler.add_noise(init, noise, scheduler.timesteps[first : first + 1].expand(len(init)))
    for timestep in scheduler.timesteps[first:]:
        unet_input = torch.cat([latents, mask, masked_latents], 1)
        output = model(unet_input, timestep, prompt_embeds.expand(len(init), -1, -1)).sample
        latents = scheduler.step(output, timestep, latents).prev_sample
    return latents
