"""Pairs of a photo and its masked image, as the UNet sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors import safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor

from parts import FACTOR
from photos import SIDE
from realfill.core.atomic_io import atomic_write
from realfill.core.seeding import numpy_generator
from training import SEED, autocast

REPAIRS = 0.7  # share of the pairs whose hole carries a placed reference
TAPER = 28.0  # pixels from the rim over which a repair passes from the photo's place to the reference's
RECIPE = 2  # of what `draw_pair` draws; a bank drawn otherwise is drawn anew


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
        weights = {name: tensor.cpu().contiguous() for name, tensor in model.encoder.state_dict().items()}
        return cls(model, hashlib.sha256(serialise(weights)).hexdigest())

    def __call__(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] in [-1, 1] -> scaled latents [B, 4, H/4, W/4] float32."""
        device = next(self.model.parameters()).device
        with torch.no_grad(), autocast(device):
            means = [self.model.encode(part.to(device)).latent_dist.mean for part in images.split(16)]
        return torch.cat(means).float() * float(self.model.config.scaling_factor)

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents [B, 4, h, w] -> [B, 3, 4h, 4w] in [-1, 1]."""
        with torch.no_grad():
            images: Tensor = self.model.decode(latents / self.model.config.scaling_factor).sample
        return images.clamp(-1, 1)


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
            tag = f"{self.encoder.tag} {len(self.crops)} {self.count} {epoch} {RECIPE}"
            data = _cached(self.path, tag, lambda: _make_pairs(self.crops, self.encoder, self.count, epoch))
            self.data = data.to(self.crops.device).permute(0, 2, 3, 1).contiguous()
            self.epoch = epoch
        return self.data


def _make_pairs(crops: Tensor, encoder: Encoder, count: int, epoch: int) -> Tensor:
    """Encoded pairs of random crops: latents, mask, latents of the masked image, [P, 9, 64, 64] float16."""
    parts = []
    with ThreadPoolExecutor() as pool:
        for first in range(0, count, 32):
            generators = [numpy_generator(SEED, "pair", epoch, i) for i in range(first, min(first + 32, count))]
            pixels = crops[[int(rng.integers(len(crops))) for rng in generators]]  # [B, 256, 256, 3]
            drawn = list(pool.map(draw_pair, pixels.cpu().numpy(), generators, [REPAIRS] * len(generators)))
            wanted = encoder(stacked([pair.wanted for pair in drawn]))
            parts.append(torch.cat([wanted, *condition(drawn, encoder)], 1).half())
    return torch.cat(parts)


def condition(drawn: list[Pair], encoder: Encoder) -> tuple[Tensor, Tensor]:
    """Masks [B, 1, 64, 64], taken at the nearest pixel, and latents of the masked images [B, 4, 64, 64]."""
    masks = torch.stack([torch.from_numpy(pair.mask)[None, ::FACTOR, ::FACTOR] for pair in drawn])
    latents = encoder(stacked([pair.masked for pair in drawn]))
    return masks.to(latents.device), latents


def stacked(pictures: list[np.ndarray]) -> Tensor:
    """Pictures [256, 256, 3] in [-1, 1] as a batch [B, 3, 256, 256]."""
    return torch.stack([torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures])


def _cached(path: Path, tag: str, build: Callable[[], Tensor]) -> Tensor:
    """The tensor that `build` makes, kept in a file for the next start; `tag` says what it was made from."""
    if not path.exists() or _tag(path) != tag:
        atomic_write(path, serialise({"tensor": build().contiguous().cpu()}, {"tag": tag}))
    return load_file(path)["tensor"]


def _tag(path: Path) -> str:
    with safe_open(path, "pt") as file:
        return str(file.metadata()["tag"])


@dataclass(frozen=True)
class Pair:
    """What the UNet is shown and what it is to make of it.

    Attributes:
        masked: [256, 256, 3] float32 in [-1, 1]; the hole is mid-grey, or carries a placed reference.
        mask: [256, 256] float32, 1 = hole.
        wanted: [256, 256, 3] float32 in [-1, 1].
    """

    masked: np.ndarray
    mask: np.ndarray
    wanted: np.ndarray


def draw_pair(pixels: np.ndarray, rng: np.random.Generator, repairs: float) -> Pair:
    """A pair of a crop [256, 256, 3] uint8; `repairs` is the share of those whose hole carries a reference.

    How far a reference is displaced deep in the hole cannot be known, and the mean of all places is a blur. So what
    is wanted there is the photo where the reference has it, in the photo's light, and towards the rim the photo where
    it is: a repair joins up, and keeps what it is given.
    """
    image = pixels.astype(np.float32) / 127.5 - 1
    mask = _draw_mask(rng)
    if rng.random() >= repairs:
        return Pair(np.where(mask[..., None] > 0, np.float32(0), image), mask, image)
    shift = _smooth_noise(rng, 2, int(rng.integers(3, 9))) * rng.uniform(0, 5)  # [256, 256, 2] pixels
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    near = np.clip(inside / TAPER, 0, 1)
    wanted = _moved(image, shift * (near**2 * (3 - 2 * near))[..., None])
    reference = _relit(_moved(image, shift), rng)
    return Pair(np.where(mask[..., None] > 0, reference, image), mask, wanted)


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


def _moved(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """An image [256, 256, 3] whose pixels are taken as far away as `shift` [256, 256, 2] says, columns and rows."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    places = columns + shift[..., 0], rows + shift[..., 1]
    return np.asarray(cv2.remap(image, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)).clip(-1, 1)


def _relit(placed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A reference [256, 256, 3] float32 in [-1, 1] in other light, noisy, with gaps of mid-grey, 0."""
    placed = cv2.GaussianBlur(placed, (0, 0), rng.uniform(0.3, 0.8)) if rng.random() < 0.4 else placed
    light = ((placed + 1) / 2).clip(0, 1) ** np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.15))
    placed = light * np.exp(rng.normal(0, 0.05, 3)) * 2 - 1 + rng.normal(0, rng.uniform(0, 0.03), placed.shape)
    unknown = _smooth_noise(rng, 1, int(rng.integers(4, 17)))[..., 0]
    placed[unknown > np.quantile(unknown, 1 - rng.uniform(0, 0.3))] = 0
    reference: np.ndarray = placed.clip(-1, 1).astype(np.float32)
    return reference


def _smooth_noise(rng: np.random.Generator, channels: int, nodes: int) -> np.ndarray:
    """Gaussian noise on `nodes` x `nodes`, interpolated to [256, 256, channels] float32."""
    coarse = rng.normal(size=(nodes, nodes, channels)).astype(np.float32)
    noise: np.ndarray = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return noise.reshape(SIDE, SIDE, channels)
