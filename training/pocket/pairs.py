"""Training pairs of the UNet: a photo, and its masked image with an empty hole or with a placed reference."""

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
from safetensors.torch import save as serialize
from torch import Tensor

from networks import IMAGE_SIZE, VAE_SCALE_FACTOR
from realfill.core.atomic_io import atomic_write
from realfill.core.seeding import numpy_generator
from training_loop import SEED, autocast

REPAIR_SHARE = 0.7  # of the pairs, has a placed reference in the hole
TAPER = 28.0  # pixels from the rim over which the target of a repair changes from the photo to the displaced photo
RECIPE = 2  # version of what `draw_pair` draws; a stored bank of another version is not used
ENCODE_BATCH = 16  # pictures at a time
DRAW_BATCH = 32  # pairs at a time


@dataclass
class FrozenAutoencoder:
    """The frozen autoencoder, as the UNet's training uses it.

    Attributes:
        model: `AutoencoderKL`.
        tag: Digest of the encoder's weights.
    """

    model: Any
    tag: str

    @classmethod
    def load(cls, model_dir: Path, device: torch.device) -> FrozenAutoencoder:
        """Load the autoencoder of a model folder."""
        model = AutoencoderKL.from_pretrained(model_dir / "vae", torch_dtype=torch.float32)
        model = model.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
        weights = {name: tensor.cpu().contiguous() for name, tensor in model.encoder.state_dict().items()}
        return cls(model, hashlib.sha256(serialize(weights)).hexdigest())

    def encode(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] in [-1, 1] -> scaled latents [B, 4, H/4, W/4] float32."""
        device = next(self.model.parameters()).device
        with torch.no_grad(), autocast(device):
            batches = images.split(ENCODE_BATCH)
            means = [self.model.encode(batch.to(device)).latent_dist.mean for batch in batches]
        return torch.cat(means).float() * float(self.model.config.scaling_factor)

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents [B, 4, h, w] -> [B, 3, 4h, 4w] in [-1, 1]."""
        with torch.no_grad():
            images: Tensor = self.model.decode(latents / self.model.config.scaling_factor).sample
        return images.clamp(-1, 1)


@dataclass
class PairBank:
    """A finite bank of encoded pairs that is drawn anew in every epoch; the last one is stored in a file.

    Attributes:
        crops: Photos, [N, 256, 256, 3] uint8.
        autoencoder: Encodes the pairs.
        path: The file.
        count: Pairs in the bank.
        epoch: Epoch of `data`.
        data: The bank; None before it is used.
    """

    crops: Tensor
    autoencoder: FrozenAutoencoder
    path: Path
    count: int
    epoch: int = -1
    data: Tensor | None = None

    def get(self, epoch: int) -> Tensor:
        """The bank of an epoch: latents, mask, masked latents, [P, 64, 64, 9] float16."""
        if self.data is None or epoch != self.epoch:
            tag = f"{self.autoencoder.tag} {len(self.crops)} {self.count} {epoch} {RECIPE}"
            data = _load_or_build(self.path, tag, lambda: self._encode(epoch))
            self.data = data.to(self.crops.device).permute(0, 2, 3, 1).contiguous()
            self.epoch = epoch
        return self.data

    def _encode(self, epoch: int) -> Tensor:
        """Encoded pairs of random crops, [P, 9, 64, 64] float16."""
        batches = []
        with ThreadPoolExecutor() as pool:
            for first in range(0, self.count, DRAW_BATCH):
                numbers = range(first, min(first + DRAW_BATCH, self.count))
                generators = [numpy_generator(SEED, "pair", epoch, number) for number in numbers]
                pixels = self.crops[[int(rng.integers(len(self.crops))) for rng in generators]]  # [B, 256, 256, 3]
                shares = [REPAIR_SHARE] * len(generators)
                pairs = list(pool.map(draw_pair, pixels.cpu().numpy(), generators, shares))
                targets = self.autoencoder.encode(stack_images([pair.target for pair in pairs]))
                batches.append(torch.cat([targets, *encode_condition(pairs, self.autoencoder)], 1).half())
        return torch.cat(batches)


def encode_condition(pairs: list[Pair], autoencoder: FrozenAutoencoder) -> tuple[Tensor, Tensor]:
    """Masks [B, 1, 64, 64], sampled at the nearest pixel, and latents of the masked images [B, 4, 64, 64]."""
    step = VAE_SCALE_FACTOR
    masks = torch.stack([torch.from_numpy(pair.mask)[None, ::step, ::step] for pair in pairs])
    latents = autoencoder.encode(stack_images([pair.masked_image for pair in pairs]))
    return masks.to(latents.device), latents


def stack_images(images: list[np.ndarray]) -> Tensor:
    """Images [256, 256, 3] in [-1, 1] as a batch [B, 3, 256, 256]."""
    return torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images])


def _load_or_build(path: Path, tag: str, build: Callable[[], Tensor]) -> Tensor:
    """The tensor that `build` makes, stored in a file for the next start; `tag` says what it is made from."""
    if not path.exists() or _read_tag(path) != tag:
        atomic_write(path, serialize({"tensor": build().contiguous().cpu()}, {"tag": tag}))
    return load_file(path)["tensor"]


def _read_tag(path: Path) -> str:
    with safe_open(path, "pt") as file:
        return str(file.metadata()["tag"])


@dataclass(frozen=True)
class Pair:
    """What the UNet is conditioned on, and what it is to generate.

    Attributes:
        masked_image: [256, 256, 3] float32 in [-1, 1]; the hole is middle gray, or shows a placed reference.
        mask: [256, 256] float32, 1 = hole.
        target: [256, 256, 3] float32 in [-1, 1].
    """

    masked_image: np.ndarray
    mask: np.ndarray
    target: np.ndarray


def draw_pair(pixels: np.ndarray, rng: np.random.Generator, repair_share: float) -> Pair:
    """Draw a pair from a crop.

    How far a reference is displaced deep in the hole cannot be known, and the mean of all displacements is a blur. So
    the target there is the displaced photo in the photo's own light, and towards the rim the photo without
    displacement: a repair joins up at the rim, and keeps the content that it is given.

    Args:
        pixels: [256, 256, 3] uint8 sRGB.
        rng: Source of the draws.
        repair_share: Probability that the hole shows a reference.
    """
    image = pixels.astype(np.float32) / 127.5 - 1
    mask = _draw_mask(rng)
    if rng.random() >= repair_share:
        return Pair(np.where(mask[..., None] > 0, np.float32(0), image), mask, image)
    shift = _smooth_noise(rng, 2, int(rng.integers(3, 9))) * rng.uniform(0, 5)  # [256, 256, 2] pixels
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    depth = np.clip(distance / TAPER, 0, 1)
    target = _warp(image, shift * (depth**2 * (3 - 2 * depth))[..., None])
    reference = _degrade(_warp(image, shift), rng)
    return Pair(np.where(mask[..., None] > 0, reference, image), mask, target)


def _draw_mask(rng: np.random.Generator) -> np.ndarray:
    """A hole [256, 256] float32 of ones: boxes, bands at the borders, brush strokes, many small boxes, or all."""
    mask = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.float32)
    kind = rng.choice(["boxes", "bands", "strokes", "speckle", "all"], p=[0.4, 0.2, 0.2, 0.15, 0.05])
    if kind == "boxes":
        for _ in range(rng.integers(1, 4)):
            _draw_box(mask, rng, 0.15, 0.6)
    elif kind == "bands":
        for quarter in rng.choice(4, rng.integers(1, 3), replace=False):
            mask = np.rot90(mask, quarter)
            mask = np.ascontiguousarray(mask)
            mask[: int(IMAGE_SIZE * rng.uniform(0.15, 0.45))] = 1
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


def _draw_box(mask: np.ndarray, rng: np.random.Generator, min_side: float, max_side: float) -> None:
    height, width = (int(IMAGE_SIZE * rng.uniform(min_side, max_side)) for _ in range(2))
    y, x = rng.integers(IMAGE_SIZE - height + 1), rng.integers(IMAGE_SIZE - width + 1)
    mask[y : y + height, x : x + width] = 1


def _draw_stroke(mask: np.ndarray, rng: np.random.Generator) -> None:
    angles = np.cumsum(rng.normal(0, 0.8, rng.integers(3, 9))) + rng.uniform(0, 2 * np.pi)
    segments = rng.uniform(15, 60, len(angles))[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    points = rng.uniform(0, IMAGE_SIZE, 2) + np.cumsum(segments, 0)
    cv2.polylines(mask, [np.int32(points)], False, 1.0, int(rng.uniform(12, 50)))


def _warp(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Sample an image [256, 256, 3] at each pixel's position plus a shift [256, 256, 2] (x, y) in pixels."""
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE].astype(np.float32)
    positions = columns + shift[..., 0], rows + shift[..., 1]
    return np.asarray(cv2.remap(image, *positions, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)).clip(-1, 1)


def _degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A reference [256, 256, 3] float32 in [-1, 1] in other light, blurred, noisy, with gaps of middle gray, 0."""
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8)) if rng.random() < 0.4 else image
    light = ((image + 1) / 2).clip(0, 1) ** np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.15))
    image = light * np.exp(rng.normal(0, 0.05, 3)) * 2 - 1 + rng.normal(0, rng.uniform(0, 0.03), image.shape)
    gaps = _smooth_noise(rng, 1, int(rng.integers(4, 17)))[..., 0]
    image[gaps > np.quantile(gaps, 1 - rng.uniform(0, 0.3))] = 0
    reference: np.ndarray = image.clip(-1, 1).astype(np.float32)
    return reference


def _smooth_noise(rng: np.random.Generator, channels: int, nodes: int) -> np.ndarray:
    """Gaussian noise on `nodes` x `nodes` points, interpolated to [256, 256, channels] float32."""
    coarse = rng.normal(size=(nodes, nodes, channels)).astype(np.float32)
    noise: np.ndarray = cv2.resize(coarse, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_CUBIC)
    return noise.reshape(IMAGE_SIZE, IMAGE_SIZE, channels)
