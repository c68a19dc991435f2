"""Train the pocket base model: a small inpainting diffusion model in diffusers' folder format.

The steps, in order; each can be stopped at any time and run again:

    python training/pocket/train.py fetch     download the photographs, out of Debian packages
    python training/pocket/train.py prepare   cut them into square crops
    python training/pocket/train.py vae       train the autoencoder
    python training/pocket/train.py export    write the folder that realfill loads (again after `unet`)
    python training/pocket/train.py unet      train the UNet, on latents of the exported autoencoder
    python training/pocket/train.py samples   complete photos that are held out of the training

The UNet learns two skills, which its input alone tells apart: to fill a hole that is empty (gray) in the masked
image, and to repair a hole that shows a roughly placed reference. It predicts v with zero terminal SNR (Lin et al.,
arXiv 2305.08891).
"""

from __future__ import annotations

import math
import shutil
import subprocess
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from heldout import draw_samples, round_trip_psnr
from losses import autoencoder_loss, denoising_loss
from model_folder import encode_prompts, write_part, write_untrained_parts
from networks import create_autoencoder, create_unet, load_unet
from pairs import FrozenAutoencoder, PairBank
from photos import cut_crops, load_crops, random_windows, read_sources, to_images
from realfill.core.atomic_io import atomic_directory
from training_loop import (
    MAX_SHARD_SIZE,
    SEED,
    TrainingState,
    create_generator,
    find_last_checkpoint,
    load_ema_model,
    select_device,
    train,
)

WEIGHTS = (
    Path(__file__).resolve().parents[2] / "realfill" / "diffusion" / "pocket"
)  # package data: what realfill loads
EMPTY_PROMPT_SHARE = 0.2

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
WorkDir = Annotated[Path, typer.Option(help="Folder of crops, checkpoints, logs and pictures of the training.")]
ModelDir = Annotated[Path, typer.Option(help="Model folder in diffusers' format.")]
LearningRate = Annotated[float, typer.Option(help="Learning rate at its highest.")]
Width = Annotated[int, typer.Option(help="Channels at full resolution.")]
Minutes = Annotated[float, typer.Option(help="Stop with a checkpoint after so many minutes.")]
CheckpointMinutes = Annotated[float, typer.Option(help="Minutes between checkpoints.")]


@app.command()
def fetch(packages_dir: Annotated[Path, typer.Option(help="Where to put the photos, a folder a package.")]) -> None:
    """Download the Debian packages that `sources.json` names, and keep their photos and license statements."""
    for package in sorted({source["package"] for source in read_sources()}):
        if (packages_dir / package).exists():
            continue
        photos = [source["path"] for source in read_sources() if source["package"] == package]
        with atomic_directory(packages_dir / package) as folder, TemporaryDirectory() as scratch:
            if package == "scikit-image":
                spec = find_spec("skimage")
                assert spec is not None and spec.origin is not None
                unpacked = Path(spec.origin).parent
            else:
                unpacked = Path(scratch)
                photos.append(f"usr/share/doc/{package}/copyright")
                subprocess.run(["apt-get", "download", package], check=True, cwd=scratch)
                (archive,) = unpacked.glob("*.deb")
                subprocess.run(["dpkg", "-x", archive, scratch], check=True)
            for path in photos:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(unpacked / path, folder / path)


@app.command()
def prepare(
    packages_dir: Annotated[Path, typer.Option(help="Where `fetch` put the photos.")],
    work_dir: WorkDir,
    crops: Annotated[int, typer.Option(help="Crops of a photo for every doubling of its size over 256 px.")] = 12,
) -> None:
    """Cut the photos into square crops of 256 px, from details to whole photos.

    Writes crops.npy and heldout.npy, [N, 256, 256, 3] uint8 sRGB.
    """
    training, heldout = cut_crops(packages_dir, crops, SEED)
    work_dir.mkdir(parents=True, exist_ok=True)
    np.save(work_dir / "crops.npy", np.stack(training))
    np.save(work_dir / "heldout.npy", np.stack(heldout))
    typer.echo(f"{len(training)} crops to train on, {len(heldout)} held out")


@app.command()
def vae(
    work_dir: WorkDir,
    steps: int = 6000,
    batch: int = 8,
    window_size: Annotated[int, typer.Option(help="Side of the windows that it is trained on, pixels.")] = 96,
    learning_rate: LearningRate = 1e-3,
    width: Width = 16,
    decoder_only: Annotated[bool, typer.Option(help="Keep the encoder, so that the UNet's latents stay.")] = False,
    minutes: Minutes = math.inf,
    checkpoint_minutes: CheckpointMinutes = 4.0,
) -> None:
    """Train the autoencoder: 4 pixels per latent, 4 channels."""
    device = select_device()
    crops = load_crops(work_dir / "crops.npy", device)
    heldout = load_crops(work_dir / "heldout.npy", device)
    torch.manual_seed(SEED)
    state = TrainingState.start_or_resume(create_autoencoder(width), device, work_dir / "vae")
    if decoder_only:
        for name in ("encoder", "quant_conv"):
            weights = getattr(state.ema_model, name).state_dict()
            getattr(state.model, name).requires_grad_(False).load_state_dict(weights)

    def compute_loss(step: int) -> Tensor:
        generator = create_generator(device, "vae", step)
        images = to_images(random_windows(crops, batch, window_size, generator))  # [B, 3, S, S]
        return autoencoder_loss(state.model, images, generator)

    train(
        state,
        compute_loss,
        name="vae",
        work_dir=work_dir,
        steps=steps,
        learning_rate=learning_rate,
        minutes=minutes,
        checkpoint_minutes=checkpoint_minutes,
        on_checkpoint=lambda: typer.echo(f"held-out photos: {round_trip_psnr(state.ema_model, heldout):.2f} dB"),
    )


@app.command()
def unet(
    work_dir: WorkDir,
    model_dir: ModelDir = WEIGHTS,
    steps: int = 6000,
    batch: int = 16,
    learning_rate: LearningRate = 1e-3,
    width: Width = 32,
    pairs: Annotated[int, typer.Option(help="Pairs of a photo and its masked image that are encoded ahead.")] = 1024,
    uses: Annotated[int, typer.Option(help="Batches that a pair is used for, on average.")] = 4,
    start: Annotated[Path | None, typer.Option(help="Model folder whose UNet is trained further.")] = None,
    compile_unet: Annotated[bool, typer.Option("--compile/--no-compile", help="Compile it, for GPUs.")] = False,
    seconds: Annotated[
        float, typer.Option(help="Time in which the learning rate falls, if steps are slow.")
    ] = math.inf,
    minutes: Minutes = math.inf,
    checkpoint_minutes: CheckpointMinutes = 4.0,
    average_dir: Annotated[
        Path | None, typer.Option(help="Where each checkpoint's UNet is also exported to.")
    ] = None,
    pictures: Annotated[bool, typer.Option(help="Sample held-out photos at every checkpoint.")] = True,
) -> None:
    """Train the UNet on latents of the exported autoencoder."""
    device = select_device()
    autoencoder = FrozenAutoencoder.load(model_dir, device)
    crops = load_crops(work_dir / "crops.npy", device)
    torch.manual_seed(SEED)
    model = load_unet(start) if start else create_unet(width)
    state = TrainingState.start_or_resume(model, device, work_dir / "unet")
    prompt_embeds = encode_prompts(model_dir).to(device)  # [2, 77, D]
    bank = PairBank(crops, autoencoder, pairs, batch, uses)
    if compile_unet:
        state.model.compile()

    def compute_loss(step: int) -> Tensor:
        generator = create_generator(device, "unet", step)
        data = bank.draw_batch(step, batch, generator)  # [B, 13, h, w]
        is_empty = torch.rand(batch, generator=generator, device=device) < EMPTY_PROMPT_SHARE
        return denoising_loss(state.model, data, prompt_embeds[is_empty.long()], generator)

    def report() -> None:
        name = f"step-{state.step:07d}"
        if average_dir:
            write_part(deepcopy(state.ema_model).half(), average_dir, MAX_SHARD_SIZE)
        if pictures:
            draw_samples(state.ema_model, autoencoder, prompt_embeds, work_dir, name, count=4, steps=8)

    train(
        state,
        compute_loss,
        name="unet",
        work_dir=work_dir,
        steps=steps,
        learning_rate=learning_rate,
        minutes=minutes,
        checkpoint_minutes=checkpoint_minutes,
        on_checkpoint=report,
        seconds=seconds,
    )


@app.command()
def export(
    work_dir: WorkDir,
    model_dir: ModelDir = WEIGHTS,
    include_unet: Annotated[bool, typer.Option("--unet/--no-unet", help="Whether to write the UNet.")] = True,
) -> None:
    """Write the model folder, in float16, from the running averages in the last checkpoints."""
    write_untrained_parts(model_dir)
    checkpoint = find_last_checkpoint(work_dir / "vae")
    if checkpoint:
        autoencoder = load_ema_model(checkpoint, "encoder.conv_in.weight", create_autoencoder)
        autoencoder.register_to_config(scaling_factor=1.0)
        crops = load_crops(work_dir / "crops.npy", torch.device("cpu"))[::16]
        deviation = FrozenAutoencoder(autoencoder).encode(to_images(crops)).std()
        autoencoder.register_to_config(scaling_factor=round(1 / float(deviation), 4))
        write_part(autoencoder.half(), model_dir / "vae")
    checkpoint = find_last_checkpoint(work_dir / "unet")
    if include_unet and checkpoint:
        write_part(load_ema_model(checkpoint, "conv_in.weight", create_unet).half(), model_dir / "unet")


@app.command()
def samples(
    work_dir: WorkDir,
    model_dir: ModelDir = WEIGHTS,
    count: Annotated[int, typer.Option(help="Number of held-out crops.")] = 8,
    steps: Annotated[int, typer.Option(help="Denoising steps.")] = 20,
) -> None:
    """Complete held-out photos with the exported model: samples.png in the work folder, PSNR on screen."""
    device = select_device()
    model = load_unet(model_dir).eval().to(device, memory_format=torch.channels_last)
    autoencoder = FrozenAutoencoder.load(model_dir, device)
    prompt_embeds = encode_prompts(model_dir).to(device)
    psnrs = draw_samples(model, autoencoder, prompt_embeds, work_dir, "samples", count, steps)
    for name, value in psnrs.items():
        typer.echo(f"{name:28} {value:.2f} dB")


if __name__ == "__main__":
    app()
