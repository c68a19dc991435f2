"""Train the pocket base model: a small inpainting diffusion model in diffusers' folder format.

The steps, in order; every one can be stopped at any time and run again:

    python training/pocket/train.py fetch     the photographs, out of Debian packages
    python training/pocket/train.py prepare   square crops of them
    python training/pocket/train.py vae       the autoencoder
    python training/pocket/train.py export    the folder that realfill loads (again after `unet`)
    python training/pocket/train.py unet      the denoiser, on latents of the exported autoencoder
    python training/pocket/train.py samples   a picture and figures on photos held out of the training

The UNet learns two skills and tells them apart by its input alone: to fill a hole that is empty (grey) in the
masked image, and to mend a hole that carries a roughly placed reference. Noise: v-prediction with zero terminal
SNR (Lin et al., arXiv 2305.08891).
"""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor

from pairs import Encoder, Pairs, condition, draw_pair, stacked
from parts import SCHEDULE, autoencoder, denoiser, embed, publish, write_frame
from photos import cut_all, load_crops, sources, to_images, windows
from realfill.core.atomic_io import atomic_directory
from realfill.core.seeding import numpy_generator
from training import SEED, Training, autocast, averaged, device_here, draws_for, last, train

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE.parents[1] / "realfill" / "diffusion" / "pocket"  # package data: what realfill loads
EMPTY_PROMPTS = 0.2
HOLE_WEIGHT = 4.0

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
WorkDir = Annotated[Path, typer.Option(help="Crops, checkpoints, logs and pictures of the training.")]
ModelDir = Annotated[Path, typer.Option(help="The diffusers folder.")]
Minutes = Annotated[float, typer.Option(help="Stop with a checkpoint after so many minutes.")]


@app.command()
def fetch(packages_dir: Annotated[Path, typer.Option(help="Where to put the photos, a folder a package.")]) -> None:
    """Download the Debian packages that `sources.json` names, and keep their photos and statements of licence."""
    packages = {source["package"] for source in sources()} - {"scikit-image"}
    for package in sorted(packages):
        if (packages_dir / package).exists():
            continue
        wanted = [source["path"] for source in sources() if source["package"] == package]
        with atomic_directory(packages_dir / package) as folder, TemporaryDirectory() as scratch:
            subprocess.run(["apt-get", "download", package], check=True, cwd=scratch)
            (archive,) = Path(scratch).glob("*.deb")
            subprocess.run(["dpkg", "-x", archive, scratch], check=True)
            for path in [*wanted, f"usr/share/doc/{package}/copyright"]:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(scratch) / path, folder / path)


@app.command()
def prepare(
    packages_dir: Annotated[Path, typer.Option(help="Where `fetch` unpacked the packages.")],
    work_dir: WorkDir,
    crops: Annotated[int, typer.Option(help="Crops of a photo for every doubling of its size over 256 px.")] = 12,
) -> None:
    """Cut the photos into square crops of 256 px, from closer ones to whole-photo downscales.

    Writes crops.npy and heldout.npy, [N, 256, 256, 3] uint8 sRGB.
    """
    training, heldout = cut_all(packages_dir, crops, SEED)
    work_dir.mkdir(parents=True, exist_ok=True)
    np.save(work_dir / "crops.npy", np.stack(training))
    np.save(work_dir / "heldout.npy", np.stack(heldout))
    typer.echo(f"{len(training)} crops to train on, {len(heldout)} held out")


@app.command()
def vae(
    work_dir: WorkDir,
    steps: int = 6000,
    batch: int = 8,
    side: Annotated[int, typer.Option(help="Pixels along the windows that it trains on.")] = 96,
    rate: float = 1e-3,
    width: Annotated[int, typer.Option(help="Channels at full resolution.")] = 16,
    decoder_only: Annotated[bool, typer.Option(help="Keep the encoder, so that the UNet's latents stay.")] = False,
    minutes: Minutes = math.inf,
    every: Annotated[float, typer.Option(help="Minutes between checkpoints.")] = 4.0,
) -> None:
    """Train the autoencoder: 4 pixels a latent, 4 channels."""
    device = device_here()
    crops = load_crops(work_dir / "crops.npy", device)
    heldout = load_crops(work_dir / "heldout.npy", device)
    torch.manual_seed(SEED)
    training = Training.start(autoencoder(width), device, work_dir / "vae")
    if decoder_only:
        for name in ("encoder", "quant_conv"):
            kept = getattr(training.average, name).state_dict()
            getattr(training.model, name).requires_grad_(False).load_state_dict(kept)

    def loss_at(step: int) -> Tensor:
        draws = draws_for(device, "vae", step)
        images = to_images(windows(crops, batch, side, draws))  # [B, 3, S, S]
        with autocast(device):
            posterior = training.model.encode(images).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=draws, device=device)
            output = training.model.decode(posterior.mean + noise * (posterior.std + 0.03)).sample
        divergence: Tensor = posterior.kl().mean() / posterior.mean[0].numel()
        return _reconstruction_loss(output.float(), images) + 1e-5 * divergence

    train(
        training,
        loss_at,
        name="vae",
        work_dir=work_dir,
        steps=steps,
        rate=rate,
        minutes=minutes,
        every=every,
        on_checkpoint=lambda: typer.echo(f"held-out photos: {_round_trip(training.average, heldout):.2f} dB"),
    )


def _reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """Squares (twelvefold), L1 of values, of gradients (half) and of 2-, 4- and 8-fold averages, on [B, 3, H, W]."""
    error = output - target
    loss = (
        12 * error.square().mean()
        + error.abs().mean()
        + 0.5 * (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean())
    )
    for factor in (2, 4, 8):
        loss = loss + F.avg_pool2d(error, factor).abs().mean()
    return loss


@torch.no_grad()
def _round_trip(model: Any, crops: Tensor) -> float:
    """Mean PSNR in dB of crops encoded and decoded."""
    decibels = []
    for pixels in crops.split(8):
        images = to_images(pixels)
        output = model.decode(model.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
        decibels.append(_psnr(output, images, torch.ones_like(images[:, :1])))
    return float(torch.cat(decibels).mean())


def _psnr(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """PSNR in dB a photo [B] inside the mask [B, 1, H, W]; images [B, 3, H, W] in [-1, 1]."""
    squares = ((output - target) / 2).square().mean(1, keepdim=True) * mask
    return -10 * torch.log10(squares.sum((1, 2, 3)) / mask.sum((1, 2, 3)))


@app.command()
def unet(
    work_dir: WorkDir,
    model_dir: ModelDir = WEIGHTS,
    steps: int = 6000,
    batch: int = 16,
    window: Annotated[int, typer.Option(help="Latents along the windows that it trains on; 64: whole crops.")] = 64,
    rate: float = 1e-3,
    width: Annotated[int, typer.Option(help="Channels at full resolution.")] = 32,
    bank: Annotated[int, typer.Option(help="Pairs of a photo and its masked image, encoded ahead.")] = 1024,
    refresh: Annotated[int, typer.Option(help="Steps after which there are new pairs.")] = 1500,
    minutes: Minutes = math.inf,
    every: Annotated[float, typer.Option(help="Minutes between checkpoints.")] = 4.0,
    pictures: Annotated[bool, typer.Option(help="Sample held-out photos at every checkpoint.")] = True,
) -> None:
    """Train the denoiser on latents of the exported autoencoder."""
    device = device_here()
    encoder = Encoder.load(model_dir, device)
    crops = load_crops(work_dir / "crops.npy", device)
    torch.manual_seed(SEED)
    training = Training.start(denoiser(width), device, work_dir / "unet")
    prompts = embed(model_dir).to(device)  # [2, 77, D]
    pairs = Pairs(crops, encoder, work_dir / "bank.safetensors", bank)

    def loss_at(step: int) -> Tensor:
        draws = draws_for(device, "unet", step)
        data = windows(pairs.at(step // refresh), batch, window, draws).permute(0, 3, 1, 2).float()
        empty = torch.rand(batch, generator=draws, device=device) < EMPTY_PROMPTS
        return _denoising_loss(training.model, data, prompts[empty.long()], draws)

    def show() -> None:
        if pictures:
            _picture(training.average, encoder, prompts, work_dir, f"step-{training.step:07d}", count=4, steps=8)

    train(
        training,
        loss_at,
        name="unet",
        work_dir=work_dir,
        steps=steps,
        rate=rate,
        minutes=minutes,
        every=every,
        on_checkpoint=show,
    )


def _denoising_loss(model: Any, data: Tensor, prompts: Tensor, draws: torch.Generator) -> Tensor:
    """Weighted square error of the predicted velocity (Salimans & Ho, arXiv 2202.00512, appendix D).

    Args:
        model: The UNet.
        data: Latents, mask, masked latents: [B, 9, h, w].
        prompts: Text embeddings [B, 77, D].
        draws: Timesteps and noise come from here.
    """
    latents, mask, masked = data.split([4, 1, 4], 1)
    scheduler = DDPMScheduler(**SCHEDULE)
    steps = (
        1000 * torch.rand(len(data), generator=draws, device=data.device).sqrt()
    ).long()  # the noisier, the likelier
    noise = torch.randn(latents.shape, generator=draws, device=data.device)
    noisy = scheduler.add_noise(latents, noise, steps)
    inputs = torch.cat([noisy, mask, masked], 1).contiguous(memory_format=torch.channels_last)
    with autocast(data.device):
        output = model(inputs, steps, prompts).sample
    weight = 1 + (HOLE_WEIGHT - 1) * mask
    error = (output.float() - scheduler.get_velocity(latents, noise, steps)).square()
    loss: Tensor = (weight * error).mean() / weight.mean()
    return loss


@app.command()
def export(
    work_dir: WorkDir,
    model_dir: ModelDir = WEIGHTS,
    denoiser_too: Annotated[bool, typer.Option("--denoiser/--no-denoiser", help="Write the denoiser too.")] = True,
) -> None:
    """Write the diffusers folder, in float16, from the averaged weights of the checkpoints that are there."""
    write_frame(model_dir)
    trained = last(work_dir / "vae")
    if trained:
        codec = averaged(trained, "encoder.conv_in.weight", autoencoder)
        codec.register_to_config(scaling_factor=1.0)
        crops = load_crops(work_dir / "crops.npy", torch.device("cpu"))[::16]
        deviation = Encoder(codec, "")(to_images(crops)).std()
        codec.register_to_config(scaling_factor=round(1 / float(deviation), 4))
        publish(codec.half(), model_dir / "vae")
    trained = last(work_dir / "unet")
    if denoiser_too and trained:
        publish(averaged(trained, "conv_in.weight", denoiser).half(), model_dir / "unet")


@app.command()
def samples(
    work_dir: WorkDir,
    model_dir: ModelDir = WEIGHTS,
    count: Annotated[int, typer.Option(help="Held-out crops.")] = 8,
    steps: Annotated[int, typer.Option(help="Steps of the sampler.")] = 20,
) -> None:
    """Complete held-out photos with the exported folder: samples.png in the work folder, figures on screen."""
    device = device_here()
    model = UNet2DConditionModel.from_pretrained(model_dir / "unet", torch_dtype=torch.float32)
    model = model.eval().to(device, memory_format=torch.channels_last)
    encoder = Encoder.load(model_dir, device)
    figures = _picture(model, encoder, embed(model_dir).to(device), work_dir, "samples", count, steps)
    for name, value in figures.items():
        typer.echo(f"{name:28} {value:.2f} dB")


def _picture(
    model: Any, encoder: Encoder, prompts: Tensor, work_dir: Path, name: str, count: int, steps: int = 20
) -> dict[str, float]:
    """A row a held-out photo: photo, round trip, empty hole, its fill, placed reference, its repair.

    Returns:
        Mean PSNR in dB: of the round trip, and inside the hole of each of the last four.
    """
    heldout = load_crops(work_dir / "heldout.npy", prompts.device)
    chosen = np.linspace(0, len(heldout) - 1, count).round().astype(int).tolist()
    photos = to_images(heldout[chosen])
    columns = {"photo": photos, "round trip": encoder.decode(encoder(photos))}
    figures = {"round trip": float(_psnr(columns["round trip"], photos, torch.ones_like(photos[:, :1])).mean())}
    for skill, repairs in (("fill", 0.0), ("repair", 1.0)):
        drawn = [
            draw_pair(heldout[crop].cpu().numpy(), numpy_generator(SEED, "sample", crop), repairs) for crop in chosen
        ]
        masked = stacked([pair.masked for pair in drawn]).to(photos.device)
        masks = torch.stack([torch.from_numpy(pair.mask)[None] for pair in drawn]).to(photos.device)
        fills = encoder.decode(_sample(model, *condition(drawn, encoder), prompts[:1], steps))
        for label, images in ((f"{skill}: before", masked), (f"{skill}: after", fills)):
            columns[label] = torch.where(masks > 0, images, photos)
            figures[label] = float(_psnr(images, photos, masks).mean())
    sheet = torch.cat([torch.cat(list(images), 1) for images in columns.values()], 2)  # [3, rows H, columns W]
    levels = ((sheet + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    Image.fromarray(levels.permute(1, 2, 0).cpu().numpy()).save(work_dir / f"{name}.png")
    return figures


@torch.no_grad()
def _sample(model: Any, mask: Tensor, masked: Tensor, prompt: Tensor, steps: int) -> Tensor:
    """Sample latents [B, 4, h, w] for a mask [B, 1, h, w] and masked latents [B, 4, h, w]."""
    scheduler = DPMSolverMultistepScheduler.from_config(SCHEDULE, algorithm_type="dpmsolver++")
    scheduler.set_timesteps(steps, device=masked.device)
    latents = torch.randn(masked.shape, generator=draws_for(masked.device, "noise"), device=masked.device)
    for step in scheduler.timesteps:
        inputs = torch.cat([latents, mask, masked], 1)
        output = model(inputs, step, prompt.expand(len(masked), -1, -1)).sample
        latents = scheduler.step(output, step, latents).prev_sample
    return latents


if __name__ == "__main__":
    app()
