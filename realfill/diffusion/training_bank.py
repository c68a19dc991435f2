"""A finite bank of pre-encoded pairs of a crop and a mask, from which the batches of tuning are drawn.

The autoencoder is frozen, so it encodes each pair once, before tuning, and does not run in the steps.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from realfill.diffusion.base_model import BaseModel, mask_image
from realfill.diffusion.training_masks import RandomMaskSettings


@dataclass(frozen=True)
class TrainingBankSettings:
    """How crops are cut, encoded and kept.

    Attributes:
        smallest_crop: Side of the smallest crop of a reference, as a multiple of the window's share of the target's
            shorter side, so that references are learned at about the scale of the window. Set by hand.
        encode_batch: Crops that the autoencoder encodes at a time. Set by hand; limits memory.
        max_bytes: A larger bank lies on the disk, mapped into memory, where a folder for it is given. Set by hand.
        reference_dropout: Probability that a photo which the denoiser could look at is left out of a step, so that
            the model also learns the scene by heart. Set by hand.
        masks: Random masks.
    """

    smallest_crop: float = 0.8
    encode_batch: int = 8
    max_bytes: int = 2_000_000_000
    reference_dropout: float = 0.2
    masks: RandomMaskSettings = RandomMaskSettings()


@dataclass(frozen=True)
class TrainingBank:
    """Pre-encoded pairs of a crop and a mask, on the CPU; N pairs, R the resolution, h = w = R / vae_scale_factor.

    Attributes:
        latent_mean: [N, C, h, w] float32 mean of the posterior of the crop.
        latent_std: [N, C, h, w] float32 standard deviation of the posterior of the crop.
        masked_latent_mean: [N, C, h, w] float32 the same of the masked image.
        masked_latent_std: [N, C, h, w] float32 the same of the masked image.
        mask: [N, 1, R, R] bool, True = masked.
        loss_weight: [N, 1, h, w] float32 weight of the loss: 0 inside the target's hole, else 1.
        photo: [N] int64 number of the reference that the crop is of; -1 for the target.
        references: [P, C, h', w'] float32 latents of whole references, for models that look at them; else P = 0.
        reference_dropout: Probability that one of them is left out of a step.
    """

    latent_mean: Tensor
    latent_std: Tensor
    masked_latent_mean: Tensor
    masked_latent_std: Tensor
    mask: Tensor
    loss_weight: Tensor
    photo: Tensor
    references: Tensor
    reference_dropout: float = 0.0

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.latent_mean)

    def draw_references(self, rows: Tensor, most: int, generator: torch.Generator) -> Tensor:
        """Choose the references that the denoiser looks at for a batch: as many for each sample, never its own photo.

        A model that saw the photo which a crop is of would learn to copy it.

        Args:
            rows: [B] int64, the batch's pairs.
            most: How many the model takes.
            generator: Source of the draws.

        Returns:
            [B, K, C, h', w'] float32 with K from 0 to `most`.
        """
        available = len(self.references)
        own = self.photo[rows].tolist()  # B
        count = min(most, available - any(0 <= photo < available for photo in own))
        if count <= 0:
            return self.references.new_zeros(len(rows), 0, *self.references.shape[1:])
        count = int((torch.rand(count, generator=generator) >= self.reference_dropout).sum())
        orders = [torch.randperm(available, generator=generator).tolist() for _ in own]
        chosen = [
            [number for number in order if number != photo][:count] for photo, order in zip(own, orders, strict=True)
        ]
        return self.references[torch.tensor(chosen, dtype=torch.int64).reshape(len(rows), count)]


def encode_crops(
    model: BaseModel,
    crops: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    holes: Sequence[np.ndarray],
    settings: TrainingBankSettings = TrainingBankSettings(),
    *,
    photos: Sequence[int] | None = None,
    references: Sequence[np.ndarray] = (),
    composites: Mapping[int, tuple[np.ndarray, np.ndarray]] | None = None,
    folder: Path | None = None,
) -> TrainingBank:
    """Encode crops and their masked images.

    Args:
        model: The base model, of resolution R.
        crops: N of [R, R, 3] uint8 sRGB.
        masks: N of [R, R] bool, True = masked.
        holes: N of [R, R] bool, True = no loss is taken.
        settings: How many are encoded at a time, and where they are kept.
        photos: Number of the reference that each crop is of, -1 for the target; all are of the target by default.
        references: P of [H, W, 3] uint8 sRGB, whole photos that the denoiser may look at.
        composites: By number of the pair, what the masked image shows instead of gray, [R, R, 3] uint8 sRGB, and
            where it does, bool [R, R].
        folder: Where a bank that does not fit into memory may lie; None to keep any bank in memory.
    """
    stored: list[Tensor] = []  # latents of crops and of masked images, mean and standard deviation
    for begin in range(0, len(crops), settings.encode_batch):
        batch = slice(begin, begin + settings.encode_batch)
        images = np.stack(crops[batch])  # [B, R, R, 3] uint8
        masked_images = mask_image(images, np.stack(masks[batch]))
        for row, mask in enumerate(masks[batch]):
            if composites and begin + row in composites:
                colors, known = composites[begin + row]
                masked_images[row][mask & known] = colors[mask & known]
        encoded = (*model.encode(images), *model.encode(masked_images))  # each [B, C, h, w]
        if not stored:
            shape = (len(crops), *encoded[0].shape[1:])
            stored = [_allocate(shape, settings, folder) for _ in encoded]
        for whole, piece in zip(stored, encoded, strict=True):
            whole[batch] = piece
    whole_masks, hole = (torch.from_numpy(np.stack(regions))[:, None] for regions in (masks, holes))  # [N, 1, R, R]
    latent_mean, latent_std, masked_latent_mean, masked_latent_std = stored
    return TrainingBank(
        latent_mean,
        latent_std,
        masked_latent_mean,
        masked_latent_std,
        mask=whole_masks,
        loss_weight=1 - model.downsample_masks(hole.float()),
        photo=torch.tensor([-1] * len(crops) if photos is None else list(photos)),
        references=encode_references(model, references),
        reference_dropout=settings.reference_dropout,
    )


def encode_references(model: BaseModel, references: Sequence[np.ndarray]) -> Tensor:
    """Latents [P, C, h', w'] float32 of whole photos, P of [H, W, 3] uint8 of one size; one at a time."""
    latents = [model.encode(image[None])[0] for image in references]
    return torch.cat(latents) if latents else torch.zeros(0, 1, 1, 1)


def _allocate(shape: tuple[int, ...], settings: TrainingBankSettings, folder: Path | None) -> Tensor:
    """A float32 tensor in memory; where the bank's four are too large, in a file that goes when nothing uses it."""
    size = math.prod(shape)
    if folder is None or 4 * 4 * size <= settings.max_bytes:
        return torch.empty(shape)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        return torch.from_file(file.name, shared=True, size=size).reshape(shape)
