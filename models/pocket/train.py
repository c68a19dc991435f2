"""Train the pocket base model: a small inpainting diffusion model in diffusers' folder format.

The steps, in order; every one can be stopped at any time and run again:

    python models/pocket/train.py fetch     the photographs, out of Debian packages
    python models/pocket/train.py prepare   square crops of them
    python models/pocket/train.py vae       the autoencoder
    python models/pocket/train.py export    the folder that realfill loads (again after `unet`)
    python models/pocket/train.py unet      the denoiser, on latents of the exported autoencoder
    python models/pocket/train.py samples   a picture and figures on photos held out of the training

The UNet learns two skills and tells them apart by its input alone: to fill a hole that is empty (grey) in the
masked image, and to mend a hole that carries a roughly placed reference. Noise: v-prediction with zero terminal
SNR (Lin et al., arXiv 2305.08891).
"""

from __future__ import annotations

import csv
import json
import math
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import cv2
import diffusers
import numpy as np
import torch
import torch.nn.functional as F
import typer
from diffusers import AutoencoderKL, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from PIL import Image, ImageOps
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from realfill.files import digest, publishing, write_json
from realfill.randomness import key, numpy_generator

HERE = Path(__file__).resolve().parent
SIDE = 256  # pixels along a crop
FACTOR = 4  # pixels a latent
SEED = 0
PROMPTS = ("a photo", "")
EMPTY_PROMPTS = 0.2
REPAIRS = 0.5  # share of the pairs whose hole carries a placed reference
HOLE_WEIGHT = 2.0
CARRIER = 4.0
WORDS = ("a", "photo", "of", "sks", "the", "picture", "image", "in", "and", "with", "on", "at")
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "steps_offset": 1,
}

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
WorkDir = Annotated[Path, typer.Option(help="Crops, checkpoints, logs and pictures of the training.")]
ModelDir = Annotated[Path, typer.Option(help="The diffusers folder.")]
Minutes = Annotated[float, typer.Option(help="Stop with a checkpoint after so many minutes.")]


# Photographs


@app.command()
def fetch(packages_dir: Annotated[Path, typer.Option(help="Where to unpack the packages.")]) -> None:
    """Download and unpack the Debian packages that `sources.json` names."""
    packages = {source["package"] for source in _sources()} - {"scikit-image"}
    for package in sorted(packages):
        if (packages_dir / package).exists():
            continue
        with publishing(packages_dir / package) as folder:
            subprocess.run(["apt-get", "download", package], check=True, cwd=folder)
            for archive in folder.glob("*.deb"):
                subprocess.run(["dpkg", "-x", archive, folder], check=True)
                archive.unlink()


@app.command()
def prepare(
    packages_dir: Annotated[Path, typer.Option(help="Where `fetch` unpacked the packages.")],
    work_dir: WorkDir,
    crops: Annotated[int, typer.Option(help="Crops of a photo for every doubling of its size over 256 px.")] = 12,
) -> None:
    """Cut the photos into square crops of 256 px, from closer ones to whole-photo downscales.

    Writes crops.npy and heldout.npy, [N, 256, 256, 3] uint8 sRGB.
    """
    training, heldout = [], []
    for source in _sources():
        photo = _open(source, packages_dir)
        count = crops + round(crops * math.log2(min(photo.size) / SIDE))
        draws = [_crop(photo, numpy_generator(SEED, "crop", source["path"], i)) for i in range(count)]
        if source.get("heldout"):
            heldout.extend(draws[:8])
        else:
            training.extend(draws)
    work_dir.mkdir(parents=True, exist_ok=True)
    np.save(work_dir / "crops.npy", np.stack(training))
    np.save(work_dir / "heldout.npy", np.stack(heldout))
    typer.echo(f"{len(training)} crops to train on, {len(heldout)} held out")


def _sources() -> list[dict[str, Any]]:
    sources: list[dict[str, Any]] = json.loads((HERE / "sources.json").read_text())
    return sources


def _open(source: dict[str, Any], packages_dir: Path) -> Image.Image:
    root = packages_dir / source["package"]
    if source["package"] == "scikit-image":
        spec = find_spec("skimage")
        assert spec is not None and spec.origin is not None
        root = Path(spec.origin).parent
    return ImageOps.exif_transpose(Image.open(root / source["path"])).convert("RGB")


def _crop(photo: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """One square of the photo, half of the time mirrored: [256, 256, 3] uint8."""
    shortest = min(photo.size)
    side = min(shortest, SIDE * (shortest / SIDE) ** rng.uniform(0.2, 1.2))
    x, y = (rng.uniform(0, length - side) for length in photo.size)
    square = photo.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (x, y, x + side, y + side), reducing_gap=3)
    pixels = np.asarray(square)
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


# Training in general


@dataclass
class Training:
    """A model in training, with everything that its next step depends on."""

    model: Any
    average: Any
    optimizer: torch.optim.AdamW
    step: int

    @classmethod
    def start(cls, model: Any, device: torch.device, checkpoint: Path) -> Training:
        """Begin anew, or go on from the checkpoint if there is one."""
        model = model.to(device, memory_format=torch.channels_last).train()
        average = deepcopy(model).requires_grad_(False).eval()
        training = cls(model, average, torch.optim.AdamW(model.parameters(), weight_decay=0.01), 0)
        if checkpoint.exists():
            training._load(checkpoint)
        return training

    def save(self, checkpoint: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            tensors |= {f"{slot}.{name}": value for slot, value in self.optimizer.state[parameter].items()}
        _save(checkpoint, tensors, step=str(self.step))

    def _load(self, checkpoint: Path) -> None:
        tensors = load_file(checkpoint)
        for name, module in (("model", self.model), ("average", self.average)):
            prefix = f"{name}."
            found = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            module.load_state_dict(found)
        for name, parameter in self.model.named_parameters():
            self.optimizer.state[parameter] = {
                "step": tensors[f"step.{name}"],
                "exp_avg": torch.empty_like(parameter).copy_(tensors[f"exp_avg.{name}"]),
                "exp_avg_sq": torch.empty_like(parameter).copy_(tensors[f"exp_avg_sq.{name}"]),
            }
        self.step = int(_metadata(checkpoint)["step"])

    def advance(self, loss: Tensor, rate: float, decay: float) -> None:
        """Take one optimizer step."""
        self.optimizer.param_groups[0]["lr"] = rate
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        decay = min(decay, self.step / (self.step + 9))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)


def _train(
    training: Training,
    loss_at: Callable[[int], Tensor],
    *,
    name: str,
    work_dir: Path,
    steps: int,
    rate: float,
    minutes: float,
    every: float,
    on_checkpoint: Callable[[], None],
) -> None:
    """Train up to `steps`: warm-up, then a cosine down to 2 % of `rate`; a checkpoint `every` so many minutes."""
    checkpoint = work_dir / f"{name}.safetensors"
    started = saved = time.monotonic()
    logged, losses = training.step, torch.zeros(())
    while training.step < steps:
        step = training.step
        loss = loss_at(step)
        warm = min(1.0, (step + 1) / 100)
        training.advance(loss, rate * warm * (0.51 + 0.49 * math.cos(math.pi * step / steps)), 0.999)
        losses = losses.to(loss.device) + loss.detach()
        now = time.monotonic()
        over = now - started > 60 * minutes or training.step == steps
        if training.step % 25 == 0 or over:
            mean = losses.item() / (training.step - logged)
            _log(work_dir / f"{name}.csv", training.step, mean, now - started)
            logged, losses = training.step, torch.zeros(())
        if over or now - saved > 60 * every:
            training.save(checkpoint)
            saved = now
            on_checkpoint()
        if over:
            break


def _log(path: Path, step: int, loss: float, seconds: float) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["step", "loss", "seconds"])
        writer.writerow([step, f"{loss:.5f}", f"{seconds:.1f}"])
    typer.echo(f"step {step:6d}  loss {loss:.4f}  {seconds / 60:5.1f} min")


def _save(path: Path, tensors: dict[str, Tensor], **metadata: str) -> None:
    beside = path.with_name(f".{path.name}.partial")
    save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, beside, metadata)
    beside.replace(path)


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        metadata: dict[str, str] = file.metadata()
    return metadata


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _draws(device: torch.device, *parts: int | str) -> torch.Generator:
    return torch.Generator(device).manual_seed(key(SEED, *parts))


# The autoencoder


@app.command()
def vae(
    work_dir: WorkDir,
    steps: int = 6000,
    batch: int = 8,
    side: Annotated[int, typer.Option(help="Pixels along the windows that it trains on.")] = 96,
    rate: float = 1e-3,
    width: Annotated[int, typer.Option(help="Channels at full resolution.")] = 16,
    minutes: Minutes = math.inf,
    every: Annotated[float, typer.Option(help="Minutes between checkpoints.")] = 4.0,
) -> None:
    """Train the autoencoder: 4 pixels a latent, 4 channels."""
    device = _device()
    crops = _crops(work_dir / "crops.npy", device)
    heldout = _crops(work_dir / "heldout.npy", device)
    torch.manual_seed(SEED)
    training = Training.start(_autoencoder(width), device, work_dir / "vae.safetensors")

    def loss_at(step: int) -> Tensor:
        draws = _draws(device, "vae", step)
        images = _images(_windows(crops, batch, side, draws))  # [B, 3, S, S]
        with _autocast(device):
            posterior = training.model.encode(images).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=draws, device=device)
            output = training.model.decode(posterior.mean + noise * (posterior.std + 0.05)).sample
        return _reconstruction_loss(output.float(), images) + 1e-5 * posterior.kl().mean() / posterior.mean[0].numel()

    _train(
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


def _autoencoder(width: int) -> Any:
    """An autoencoder that starts as 4-fold averaging and bilinear interpolation of the colours.

    The first three channels carry the colours all the way. Group normalisation would lose their level and range,
    so in their group there are also a large constant and the negatives of all four: the mean is 0 and the
    deviation nearly fixed.
    """
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(width, 2 * width, 4 * width),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=2,
        mid_block_add_attention=False,
        sample_size=SIDE,
    )
    for name, module in model.named_modules():
        if name.endswith("conv2"):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        elif name.endswith("conv_shortcut"):
            _pass_on(module, 1.0, channels=8)
        elif name.endswith("downsamplers.0.conv"):
            _pass_on(module, torch.tensor([0.5, 0.5, 0.0]), channels=8)
        elif name.endswith("upsamplers.0.conv"):
            _pass_on(module, torch.tensor([0.25, 0.5, 0.25]), channels=8)
    for conv in (model.encoder.conv_in, model.decoder.conv_in):
        _start_channels(conv)
    for half in (model.encoder, model.decoder):
        _linearise(half.conv_norm_out, half.conv_out)
    for conv in (model.quant_conv, model.post_quant_conv):
        nn.init.dirac_(conv.weight)
        nn.init.zeros_(conv.bias)
    nn.init.zeros_(model.encoder.conv_out.weight[4:])
    nn.init.constant_(model.encoder.conv_out.bias[4:], -6.0)
    return model


@torch.no_grad()
def _start_channels(conv: Any) -> None:
    """Make a convolution give the three colours, the constant, and the negatives of the four."""
    conv.weight[:8] = 0
    conv.bias[:8] = 0
    for i in range(3):
        conv.weight[i, i, 1, 1] = 1
    conv.bias[3] = CARRIER
    conv.weight[4:8] = -conv.weight[:4]
    conv.bias[4:8] = -conv.bias[:4]


@torch.no_grad()
def _pass_on(conv: Any, taps: Tensor | float, channels: int) -> None:
    """Make a convolution hand on its first channels, smoothed by `taps`, and the constant to no other."""
    kernel = torch.outer(taps, taps) if isinstance(taps, Tensor) else torch.tensor(taps)
    conv.weight[:channels] = 0
    conv.bias[:channels] = 0
    conv.weight[:, [3, 7]] = 0
    for i in range(channels):
        conv.weight[i, i] = kernel


@torch.no_grad()
def _linearise(norm: Any, conv: Any) -> None:
    """Make normalisation, SiLU and the last convolution together hand on the three colours."""
    deviation = CARRIER * math.sqrt(2 * norm.num_groups / norm.num_channels)
    lift = 2.5  # SiLU is almost straight around here: value 2.310, slope 1.086
    norm.weight[:3] = deviation
    norm.bias[:3] = lift
    _pass_on(conv, torch.tensor([0.0, 1.0, 0.0]), channels=3)
    conv.weight[:3] /= 1.086
    conv.bias[:3] = -2.310 / 1.086


def _crops(path: Path, device: torch.device) -> Tensor:
    """All crops, [N, 256, 256, 3] uint8, on the device; on the CPU they stay on disk until they are read."""
    return torch.from_numpy(np.load(path, mmap_mode="c")).to(device)


def _windows(crops: Tensor, batch: int, side: int, draws: torch.Generator) -> Tensor:
    """Random windows [B, side, side, C] of random crops [N, H, W, C]."""
    indices = torch.randint(len(crops), (batch,), generator=draws, device=crops.device).tolist()
    offsets = torch.randint(crops.shape[1] - side + 1, (batch, 2), generator=draws, device=crops.device).tolist()
    return torch.stack([crops[i, y : y + side, x : x + side] for i, (y, x) in zip(indices, offsets, strict=True)])


def _images(pixels: Tensor) -> Tensor:
    """[B, H, W, 3] uint8 sRGB -> [B, 3, H, W] float32 in [-1, 1]."""
    return (pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 of values, of gradients (half) and of 2-, 4- and 8-fold averages, on [B, 3, H, W]."""
    error = output - target
    loss = error.abs().mean() + 0.5 * (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean())
    for factor in (2, 4, 8):
        loss = loss + F.avg_pool2d(error, factor).abs().mean()
    return loss


@torch.no_grad()
def _round_trip(model: Any, crops: Tensor) -> float:
    """Mean PSNR in dB of crops encoded and decoded."""
    decibels = []
    for pixels in crops.split(8):
        images = _images(pixels)
        output = model.decode(model.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
        decibels.append(_psnr(output, images, torch.ones_like(images[:, :1])))
    return float(torch.cat(decibels).mean())


def _psnr(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """PSNR in dB a photo [B] inside the mask [B, 1, H, W]; images [B, 3, H, W] in [-1, 1]."""
    squares = ((output - target) / 2).square().mean(1, keepdim=True) * mask
    return -10 * torch.log10(squares.sum((1, 2, 3)) / mask.sum((1, 2, 3)))


# Pairs of a photo and its masked image


def _draw_mask(rng: np.random.Generator) -> np.ndarray:
    """A hole [256, 256] float32 of ones: boxes, bands at the borders, brush strokes, many small boxes or all."""
    mask = np.zeros((SIDE, SIDE), np.float32)
    kind = rng.choice(["boxes", "bands", "strokes", "speckle", "all"], p=[0.4, 0.2, 0.2, 0.15, 0.05])
    if kind == "boxes":
        for _ in range(rng.integers(1, 4)):
            _draw_box(mask, rng, 0.15, 0.6)
    elif kind == "bands":
        for quarter in rng.choice(4, rng.integers(1, 3), replace=False):
            mask = np.rot90(mask, quarter)
            mask = np.ascontiguousarray(mask)
            mask[: int(SIDE * rng.uniform(0.15, 0.45))] = 1
    elif kind == "strokes":
        for _ in range(rng.integers(1, 5)):
            _draw_stroke(mask, rng)
    elif kind == "speckle":
        for _ in range(rng.integers(5, 30)):
            _draw_box(mask, rng, 0.03, 0.25)
        mask = 1 - mask if rng.random() < 0.5 else mask
    else:
        mask[:] = 1
    return mask


def _draw_box(mask: np.ndarray, rng: np.random.Generator, least: float, most: float) -> None:
    height, width = (int(SIDE * rng.uniform(least, most)) for _ in range(2))
    y, x = rng.integers(SIDE - height + 1), rng.integers(SIDE - width + 1)
    mask[y : y + height, x : x + width] = 1


def _draw_stroke(mask: np.ndarray, rng: np.random.Generator) -> None:
    turns = np.cumsum(rng.normal(0, 0.8, rng.integers(3, 9))) + rng.uniform(0, 2 * np.pi)
    strides = rng.uniform(15, 60, len(turns))[:, None] * np.stack([np.cos(turns), np.sin(turns)], 1)
    points = rng.uniform(0, SIDE, 2) + np.cumsum(strides, 0)
    cv2.polylines(mask, [np.int32(points)], False, 1.0, int(rng.uniform(12, 50)))


def _place_reference(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The photo as another view of the scene would place it: misaligned, in other light, noisy, with gaps.

    Takes and returns [256, 256, 3] float32 in [-1, 1]; what no reference shows is mid-grey, 0.
    """
    shift = _smooth_noise(rng, 2, int(rng.integers(3, 9))) * rng.uniform(0, 5)  # [256, 256, 2] pixels
    grid = np.mgrid[:SIDE, :SIDE].astype(np.float32)[::-1].transpose(1, 2, 0) + shift
    placed = cv2.remap(image, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    placed = cv2.GaussianBlur(placed, (0, 0), rng.uniform(0.3, 1.5)) if rng.random() < 0.6 else placed
    light = ((placed + 1) / 2).clip(0, 1) ** np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.15))
    placed = light * np.exp(rng.normal(0, 0.05, 3)) * 2 - 1 + rng.normal(0, rng.uniform(0, 0.03), image.shape)
    unknown = _smooth_noise(rng, 1, int(rng.integers(4, 17)))[..., 0]
    placed[unknown > np.quantile(unknown, 1 - rng.uniform(0, 0.3))] = 0
    return placed.clip(-1, 1).astype(np.float32)


def _smooth_noise(rng: np.random.Generator, channels: int, nodes: int) -> np.ndarray:
    """Gaussian noise on `nodes` x `nodes`, interpolated to [256, 256, channels] float32."""
    coarse = rng.normal(size=(nodes, nodes, channels)).astype(np.float32)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).reshape(SIDE, SIDE, channels)


def _pair(pixels: np.ndarray, rng: np.random.Generator, repairs: float) -> tuple[np.ndarray, np.ndarray]:
    """Masked image [256, 256, 3] in [-1, 1] and mask [256, 256], float32, of a crop [256, 256, 3] uint8."""
    image = pixels.astype(np.float32) / 127.5 - 1
    mask = _draw_mask(rng)
    filling = _place_reference(image, rng) if rng.random() < repairs else np.zeros_like(image)
    return np.where(mask[..., None] > 0, filling, image), mask


@dataclass
class Encoder:
    """The frozen autoencoder, as the UNet's training uses it."""

    model: Any
    tag: str

    @classmethod
    def load(cls, model_dir: Path, device: torch.device) -> Encoder:
        """The exported autoencoder."""
        model = AutoencoderKL.from_pretrained(model_dir / "vae", torch_dtype=torch.float32)
        model = model.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
        return cls(model, digest(model_dir / "vae" / "diffusion_pytorch_model.safetensors"))

    def __call__(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] in [-1, 1] -> scaled latents [B, 4, H/4, W/4] float32."""
        device = next(self.model.parameters()).device
        with torch.no_grad(), _autocast(device):
            means = [self.model.encode(part.to(device)).latent_dist.mean for part in images.split(16)]
        return torch.cat(means).float() * float(self.model.config.scaling_factor)

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents [B, 4, h, w] -> [B, 3, 4h, 4w] in [-1, 1]."""
        with torch.no_grad():
            images: Tensor = self.model.decode(latents / self.model.config.scaling_factor).sample
        return images.clamp(-1, 1)


def _make_pairs(crops: Tensor, encoder: Encoder, count: int, epoch: int) -> Tensor:
    """Encoded pairs of random crops: latents, mask, latents of the masked image, [P, 9, 64, 64] float16."""
    parts = []
    with ThreadPoolExecutor() as pool:
        for first in range(0, count, 32):
            generators = [numpy_generator(SEED, "pair", epoch, i) for i in range(first, min(first + 32, count))]
            pixels = crops[[int(rng.integers(len(crops))) for rng in generators]]  # [B, 256, 256, 3]
            drawn = list(pool.map(_pair, pixels.cpu().numpy(), generators, [REPAIRS] * len(generators)))
            parts.append(torch.cat([encoder(_images(pixels)), *_condition(drawn, encoder)], 1).half())
    return torch.cat(parts)


def _condition(drawn: list[tuple[np.ndarray, np.ndarray]], encoder: Encoder) -> tuple[Tensor, Tensor]:
    """Masks [B, 1, 64, 64], taken at the nearest pixel, and latents of the masked images [B, 4, 64, 64]."""
    masked = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image, _ in drawn])
    masks = torch.stack([torch.from_numpy(mask)[None, ::FACTOR, ::FACTOR] for _, mask in drawn])
    latents = encoder(masked)
    return masks.to(latents.device), latents


def _cached(path: Path, tag: str, build: Callable[[], Tensor]) -> Tensor:
    """The tensor that `build` makes, kept in a file for the next start; `tag` says what it was made from."""
    if not path.exists() or _metadata(path)["tag"] != tag:
        _save(path, {"tensor": build()}, tag=tag)
    return load_file(path)["tensor"]


# The denoiser


@app.command()
def unet(
    work_dir: WorkDir,
    model_dir: ModelDir = HERE,
    steps: int = 6000,
    batch: int = 16,
    window: Annotated[int, typer.Option(help="Latents along the windows that it trains on; 64: whole crops.")] = 64,
    rate: float = 1e-3,
    width: Annotated[int, typer.Option(help="Channels at full resolution.")] = 32,
    bank: Annotated[int, typer.Option(help="Pairs of a photo and its masked image, encoded ahead.")] = 1024,
    refresh: Annotated[int, typer.Option(help="Steps after which there are new pairs.")] = 1500,
    minutes: Minutes = math.inf,
    every: Annotated[float, typer.Option(help="Minutes between checkpoints.")] = 4.0,
    pictures: Annotated[bool, typer.Option(help="Sample held-out photos at every checkpoint.")] = False,
) -> None:
    """Train the denoiser on latents of the exported autoencoder."""
    device = _device()
    encoder = Encoder.load(model_dir, device)
    crops = _crops(work_dir / "crops.npy", device)
    torch.manual_seed(SEED)
    training = Training.start(_denoiser(width), device, work_dir / "unet.safetensors")
    prompts = _embed(model_dir).to(device)  # [2, 77, D]
    pairs = Pairs(crops, encoder, work_dir / "bank.safetensors", bank)

    def loss_at(step: int) -> Tensor:
        draws = _draws(device, "unet", step)
        data = _windows(pairs.at(step // refresh), batch, window, draws).permute(0, 3, 1, 2).float()
        empty = torch.rand(batch, generator=draws, device=device) < EMPTY_PROMPTS
        return _denoising_loss(training.model, data, prompts[empty.long()], draws)

    def show() -> None:
        if pictures:
            _picture(training.average, encoder, prompts, work_dir, f"step-{training.step:06d}", 4)

    _train(
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


def _denoiser(width: int) -> Any:
    model = UNet2DConditionModel(
        sample_size=SIDE // FACTOR,
        in_channels=9,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(width, 2 * width, 4 * width, 6 * width),
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=8,
        norm_num_groups=16,
        use_linear_projection=True,
    )
    nn.init.zeros_(model.conv_out.weight)
    return model


@dataclass
class Pairs:
    """A finite bank of encoded pairs that is renewed now and then; the last one lies in a file."""

    crops: Tensor
    encoder: Encoder
    path: Path
    count: int
    epoch: int = -1
    data: Tensor | None = None

    def at(self, epoch: int) -> Tensor:
        """The bank of an epoch: latents, mask, masked latents, [P, 64, 64, 9] float16."""
        if self.data is None or epoch != self.epoch:
            tag = f"{self.encoder.tag} {len(self.crops)} {self.count} {epoch}"
            data = _cached(self.path, tag, lambda: _make_pairs(self.crops, self.encoder, self.count, epoch))
            self.data = data.to(self.crops.device).permute(0, 2, 3, 1).contiguous()
            self.epoch = epoch
        return self.data


def _denoising_loss(model: Any, data: Tensor, prompts: Tensor, draws: torch.Generator) -> Tensor:
    """Weighted square error of the predicted velocity (Salimans & Ho, arXiv 2202.00512, appendix D).

    Args:
        model: The UNet.
        data: Latents, mask, masked latents: [B, 9, h, w].
        prompts: Text embeddings [B, 77, D].
        draws: Timesteps and noise come from here.
    """
    latents, mask, masked = data.split([4, 1, 4], 1)
    scheduler = DDPMScheduler(**SCHEDULER)
    steps = torch.randint(1000, (len(data),), generator=draws, device=data.device)
    noise = torch.randn(latents.shape, generator=draws, device=data.device)
    noisy = scheduler.add_noise(latents, noise, steps)
    inputs = torch.cat([noisy, mask, masked], 1).contiguous(memory_format=torch.channels_last)
    with _autocast(data.device):
        output = model(inputs, steps, prompts).sample
    weight = 1 + (HOLE_WEIGHT - 1) * mask
    error = (output.float() - scheduler.get_velocity(latents, noise, steps)).square()
    return (weight * error).mean() / weight.mean()


# The folder


@app.command()
def export(
    work_dir: WorkDir,
    model_dir: ModelDir = HERE,
) -> None:
    """Write the diffusers folder, in float16, from the averaged weights of the checkpoints that are there."""
    write_json(
        model_dir / "model_index.json",
        {
            "_class_name": "StableDiffusionInpaintPipeline",
            "_diffusers_version": diffusers.__version__,
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", "DDPMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    _publish(DDPMScheduler(**SCHEDULER), model_dir / "scheduler")
    tokenizer = _write_tokenizer(model_dir / "tokenizer")
    _publish(_text_encoder(len(tokenizer)), model_dir / "text_encoder")
    if (work_dir / "vae.safetensors").exists():
        autoencoder = _averaged(work_dir / "vae.safetensors", "encoder.conv_in.weight", _autoencoder)
        autoencoder.register_to_config(scaling_factor=1.0)
        crops = _crops(work_dir / "crops.npy", torch.device("cpu"))[::16]
        deviation = Encoder(autoencoder, "")(_images(crops)).std()
        autoencoder.register_to_config(scaling_factor=round(1 / float(deviation), 4))
        _publish(autoencoder.half(), model_dir / "vae")
    if (work_dir / "unet.safetensors").exists():
        denoiser = _averaged(work_dir / "unet.safetensors", "conv_in.weight", _denoiser)
        _publish(denoiser.half(), model_dir / "unet")


def _averaged(checkpoint: Path, first: str, build: Callable[[int], Any]) -> Any:
    prefix = "average."
    tensors = {
        name.removeprefix(prefix): tensor for name, tensor in load_file(checkpoint).items() if name.startswith(prefix)
    }
    model = build(len(tensors[first]))
    model.load_state_dict(tensors)
    return model.requires_grad_(False).eval()


def _publish(part: Any, folder: Path) -> None:
    """Save a part of the pipeline beside, then rename its files into place: none is ever seen half."""
    beside = folder.with_name(f".{folder.name}.partial")
    part.save_pretrained(beside)
    folder.mkdir(parents=True, exist_ok=True)
    for file in beside.iterdir():
        file.replace(folder / file.name)
    beside.rmdir()


def _write_tokenizer(folder: Path) -> Any:
    """A byte-level BPE vocabulary in CLIP's layout that knows a few words whole and spells out the others."""
    symbols = _byte_symbols()
    vocabulary = [*symbols, *(f"{symbol}</w>" for symbol in symbols)]
    merges: list[str] = []
    for word in WORDS:
        start = word[0]
        for i, letter in enumerate(word[1:], 2):
            piece = f"{letter}</w>" if i == len(word) else letter
            merge = f"{start} {piece}"
            start += piece
            if merge not in merges:
                merges.append(merge)
                vocabulary.append(start)
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "vocab.json", {symbol: i for i, symbol in enumerate(vocabulary)})
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    special |= {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special},
    )
    return CLIPTokenizer.from_pretrained(folder)


def _byte_symbols() -> list[str]:
    """The printable characters that stand for the 256 bytes in a byte-level BPE (GPT-2)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def _text_encoder(vocabulary: int) -> Any:
    """A tiny CLIP text encoder with fixed random weights."""
    torch.manual_seed(SEED)
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=256,
        projection_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
        initializer_factor=10.0,
    )
    return CLIPTextModel(config).eval()


@torch.no_grad()
def _embed(model_dir: Path) -> Tensor:
    """Embeddings of `PROMPTS`, [2, 77, D] float32."""
    tokenizer = CLIPTokenizer.from_pretrained(model_dir / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(model_dir / "text_encoder", dtype=torch.float32)
    tokens = tokenizer(list(PROMPTS), padding="max_length", max_length=77, return_tensors="pt")
    embeddings: Tensor = encoder(tokens.input_ids)[0]
    return embeddings


# Pictures and figures


@app.command()
def samples(
    work_dir: WorkDir,
    model_dir: ModelDir = HERE,
    count: Annotated[int, typer.Option(help="Held-out crops.")] = 8,
    steps: Annotated[int, typer.Option(help="Steps of the sampler.")] = 20,
) -> None:
    """Complete held-out photos with the exported folder: samples.png in the work folder, figures on screen."""
    device = _device()
    model = UNet2DConditionModel.from_pretrained(model_dir / "unet", torch_dtype=torch.float32)
    model = model.eval().to(device, memory_format=torch.channels_last)
    encoder = Encoder.load(model_dir, device)
    figures = _picture(model, encoder, _embed(model_dir).to(device), work_dir, "samples", count, steps)
    for name, value in figures.items():
        typer.echo(f"{name:28} {value:.2f} dB")


def _picture(
    model: Any, encoder: Encoder, prompts: Tensor, work_dir: Path, name: str, count: int, steps: int = 20
) -> dict[str, float]:
    """A row a held-out photo: photo, round trip, empty hole, its fill, placed reference, its repair.

    Returns:
        Mean PSNR in dB: of the round trip, and inside the hole of each of the last four.
    """
    heldout = _crops(work_dir / "heldout.npy", prompts.device)
    chosen = np.linspace(0, len(heldout) - 1, count).round().astype(int).tolist()
    photos = _images(heldout[chosen])
    columns = {"photo": photos, "round trip": encoder.decode(encoder(photos))}
    figures = {"round trip": float(_psnr(columns["round trip"], photos, torch.ones_like(photos[:, :1])).mean())}
    for skill, repairs in (("fill", 0.0), ("repair", 1.0)):
        drawn = [
            _pair(heldout[crop].cpu().numpy(), numpy_generator(SEED, "sample", crop), repairs) for crop in chosen
        ]
        masked = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image, _ in drawn]).to(photos.device)
        masks = torch.stack([torch.from_numpy(mask)[None] for _, mask in drawn]).to(photos.device)
        fills = encoder.decode(_sample(model, *_condition(drawn, encoder), prompts[:1], steps))
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
    scheduler = DPMSolverMultistepScheduler.from_config(SCHEDULER, algorithm_type="dpmsolver++")
    scheduler.set_timesteps(steps, device=masked.device)
    latents = torch.randn(masked.shape, generator=_draws(masked.device, "noise"), device=masked.device)
    for step in scheduler.timesteps:
        inputs = torch.cat([latents, mask, masked], 1)
        output = model(inputs, step, prompt.expand(len(masked), -1, -1)).sample
        latents = scheduler.step(output, step, latents).prev_sample
    return latents


if __name__ == "__main__":
    app()
