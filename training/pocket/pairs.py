"""Training pairs of the UNet: a photo, and its masked image with an empty hole or with placed references."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from holes import depth_in_hole, draw_events, draw_holes
from networks import VAE_SCALE_FACTOR
from photos import to_images
from references import fill_gaps, place_references, warp
from training_loop import autocast, create_generator

REPAIR_SHARE = 0.75  # of the pairs, has placed references in the hole
TAPER = 28  # pixels from the rim over which the target of a repair changes from the photo to the displaced photo
ENCODE_BATCH = 64  # pictures at a time


@dataclass
class FrozenAutoencoder:
    """The frozen autoencoder, as the UNet's training uses it.

    Attributes:
        model: `AutoencoderKL`.
    """

    model: Any

    @classmethod
    def load(cls, model_dir: Path, device: torch.device) -> FrozenAutoencoder:
        """Load the autoencoder of a model folder."""
        model = AutoencoderKL.from_pretrained(model_dir / "vae", torch_dtype=torch.float32)
        return cls(model.requires_grad_(False).eval().to(device, memory_format=torch.channels_last))

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


@dataclass(frozen=True)
class Pairs:
    """What the UNet is conditioned on, what it is to generate, and what sampling starts from.

    Attributes:
        masked_images: [B, 3, 256, 256] in [-1, 1]; the hole is middle gray, or shows placed references.
        masks: [B, 1, 256, 256] float32, 1 = hole.
        targets: [B, 3, 256, 256] in [-1, 1].
        init_images: [B, 3, 256, 256] in [-1, 1]: the references without gaps; the target where the hole is gray.
    """

    masked_images: Tensor
    masks: Tensor
    targets: Tensor
    init_images: Tensor


def draw_pairs(images: Tensor, generator: torch.Generator, repair_share: float = REPAIR_SHARE) -> Pairs:
    """Draw a pair from each photo.

    How far references are displaced deep in the hole cannot be known, and the mean of all displacements is a blur. So
    the target there is the photo with the references' smooth displacement, and towards the rim the photo without: a
    repair joins up at the rim, keeps the content that it is given, and mends all other errors.

    Args:
        images: Photos [B, 3, 256, 256] in [-1, 1].
        generator: Source of the draws; on the device of the photos.
        repair_share: Probability that the hole shows references.
    """
    masks = draw_holes(len(images), generator)
    references = place_references(images, generator)
    is_repair = draw_events(len(images), repair_share, generator)
    depth = depth_in_hole(masks, TAPER) / TAPER
    targets = warp(images, references.shift * (depth**2 * (3 - 2 * depth) * is_repair))
    targets = torch.where((masks > 0) & is_repair, targets, images)
    filled = fill_gaps(references, images, generator)
    return Pairs(
        masked_images=torch.where(masks > 0, references.images * is_repair, images),
        masks=masks,
        targets=targets,
        init_images=torch.where((masks > 0) & is_repair, filled, targets),
    )


def encode_pairs(pairs: Pairs, autoencoder: FrozenAutoencoder) -> Tensor:
    """Latents of targets 4, masks 1, latents of masked images 4 and of initial images 4: [B, 13, 64, 64]."""
    step = VAE_SCALE_FACTOR
    pictures = torch.cat([pairs.targets, pairs.masked_images, pairs.init_images])
    targets, masked, init = autoencoder.encode(pictures).chunk(3)
    return torch.cat([targets, pairs.masks[..., ::step, ::step].to(targets), masked, init], 1)


class PairBank:
    """Encoded pairs in memory, of which the oldest are replaced again and again.

    Encoding is not cheap, so each pair is used for several batches, with other noise. What the bank holds is a
    function of the seed and the step.

    Args:
        crops: Photos, [N, 256, 256, 3] uint8.
        autoencoder: Encodes the pairs.
        count: Pairs in the bank, rounded up to whole groups.
        batch: Pairs of a batch; two batches are a group, which is drawn at a time.
        uses: Number of batches that a pair is used for, on average.
    """

    def __init__(self, crops: Tensor, autoencoder: FrozenAutoencoder, count: int, batch: int, uses: int) -> None:
        self._crops, self._autoencoder = crops, autoencoder
        self._group, self._steps = 2 * batch, 2 * uses
        self._slots = -(-count // self._group)
        self._data: Tensor | None = None
        self._last = 0

    def draw_batch(self, step: int, count: int, generator: torch.Generator) -> Tensor:
        """Random pairs of the bank at a step, [B, 13, 64, 64] float32."""
        last = step // self._steps
        first = last - self._slots + 1 if self._data is None else max(self._last + 1, last - self._slots + 1)
        for number in range(first, last + 1):
            encoded = self._encode(number).half()
            if self._data is None:
                self._data = encoded.new_zeros(self._slots, *encoded.shape)
            self._data[number % self._slots] = encoded
        self._last = last
        assert self._data is not None
        rows = torch.randint(self._slots * self._group, (count,), generator=generator, device=generator.device)
        return self._data.flatten(0, 1)[rows].float()

    @torch.no_grad()
    def _encode(self, number: int) -> Tensor:
        """The pairs of a group, [G, 13, 64, 64] float32."""
        device = self._crops.device
        generator = create_generator(device, "pairs", number)
        rows = torch.randint(len(self._crops), (self._group,), generator=generator, device=device)
        return encode_pairs(draw_pairs(to_images(self._crops[rows]), generator), self._autoencoder)
