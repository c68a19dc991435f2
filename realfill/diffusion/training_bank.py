"""A finite bank of pre-encoded pairs of a crop and a mask, from which the batches of tuning are drawn.

The autoencoder is frozen, so it encodes each pair once, before tuning, and does not run in the steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from realfill.album.canvas import read_model_window
from realfill.album.layout import Album
from realfill.album.schemas import Window
from realfill.album.store import accepted_references, read_window
from realfill.core.seeding import numpy_generator
from realfill.diffusion.base_model import BaseModel, mask_image
from realfill.diffusion.training_masks import RandomMaskSettings, random_mask
from realfill.imaging.ops import resize
from realfill.photo_io.color_management import read_srgb

if TYPE_CHECKING:
    from realfill.core.params import FinetuneParams


@dataclass(frozen=True)
class TrainingBankSettings:
    """How crops are cut and encoded.

    Attributes:
        smallest_crop: Side of the smallest crop of a reference, as a multiple of the window's share of the target's
            shorter side, so that references are learned at about the scale of the window. Set by hand.
        encode_batch: Crops that the autoencoder encodes at a time. Set by hand; limits memory.
        masks: Random masks.
    """

    smallest_crop: float = 0.8
    encode_batch: int = 8
    masks: RandomMaskSettings = RandomMaskSettings()


@dataclass(frozen=True)
class TrainingBank:
    """Pre-encoded pairs of a crop and a mask, float32 on the CPU; N pairs, h = w = resolution / vae_scale_factor.

    Attributes:
        latent_mean: [N, 4, h, w] mean of the posterior of the crop.
        latent_std: [N, 4, h, w] standard deviation of the posterior of the crop.
        masked_latent_mean: [N, 4, h, w] the same of the masked image.
        masked_latent_std: [N, 4, h, w] the same of the masked image.
        mask: [N, 1, h, w] 1 = masked.
        loss_weight: [N, 1, h, w] weight of the loss: 0 inside the target's hole, else 1.
    """

    latent_mean: Tensor
    latent_std: Tensor
    masked_latent_mean: Tensor
    masked_latent_std: Tensor
    mask: Tensor
    loss_weight: Tensor

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.latent_mean)


def encode_training_bank(
    album: Album, params: FinetuneParams, model: BaseModel, settings: TrainingBankSettings = TrainingBankSettings()
) -> TrainingBank:
    """Cut, mask and encode the pairs of an album's bank (RealFill, section 4.1).

    The references and the target take turns. References are learned in random crops under random masks, the target
    in the model's window under random masks joined with its own hole, without loss inside that hole. Pair i is
    determined by (seed, i) alone.

    Args:
        album: The album, after `validate` and `masks`.
        params: Number of pairs and seed.
        model: The base model, whose autoencoder encodes the pairs.
        settings: Sizes of crops and masks.

    Raises:
        StageError: `validate` or `masks` has not run.
    """
    window, resolution = read_window(album), model.resolution
    target, hole = read_model_window(album, resolution)  # [R, R, 3] uint8, [R, R] bool
    smallest = _smallest_crop(window, settings)
    references = [_shrink(read_srgb(path), resolution, smallest) for path in accepted_references(album)]
    crops, masks, holes = [], [], []
    for index in range(params.bank):
        generator = numpy_generator("bank", params.seed, index)
        mask = random_mask(generator, resolution, settings.masks)
        photo = index % (len(references) + 1)
        if photo == len(references):
            crops.append(target)
            masks.append(mask | hole)
            holes.append(hole)
            continue
        crops.append(_random_crop(generator, references[photo], resolution, smallest))
        masks.append(mask)
        holes.append(np.zeros_like(hole))
    return encode_crops(model, crops, masks, holes, settings)


def encode_crops(
    model: BaseModel,
    crops: list[np.ndarray],
    masks: list[np.ndarray],
    holes: list[np.ndarray],
    settings: TrainingBankSettings = TrainingBankSettings(),
) -> TrainingBank:
    """Encode crops and their masked images.

    Args:
        model: The base model, of resolution R.
        crops: N of [R, R, 3] uint8 sRGB.
        masks: N of [R, R] bool, True = masked.
        holes: N of [R, R] bool, True = no loss is taken.
        settings: How many are encoded at a time.
    """
    pieces: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for begin in range(0, len(crops), settings.encode_batch):
        batch = slice(begin, begin + settings.encode_batch)
        images = np.stack(crops[batch])  # [B, R, R, 3] uint8
        masked_images = mask_image(images, np.stack(masks[batch]))
        pieces.append((*model.encode(images), *model.encode(masked_images)))
    mean, std, masked_mean, masked_std = (torch.cat(column) for column in zip(*pieces, strict=True))  # [N, 4, h, w]
    mask, hole = (model.downsample_masks(np.stack(regions)) for regions in (masks, holes))  # [N, 1, h, w]
    return TrainingBank(mean, std, masked_mean, masked_std, mask, loss_weight=1 - hole)


def _smallest_crop(window: Window, settings: TrainingBankSettings) -> float:
    """Side of the smallest crop of a reference, as a share of the reference's shorter side."""
    return min(1.0, settings.smallest_crop * window.side / min(window.canvas_width, window.canvas_height))


def _shrink(photo: np.ndarray, resolution: int, smallest: float) -> np.ndarray:
    """Make a reference no larger than its smallest crop needs, to save memory."""
    scale = min(1.0, resolution / (smallest * min(photo.shape[:2])))
    return resize(photo, round(photo.shape[1] * scale), round(photo.shape[0] * scale))


def _random_crop(generator: np.random.Generator, photo: np.ndarray, resolution: int, smallest: float) -> np.ndarray:
    """A random square of a photo, [R, R, 3] uint8; the logarithm of its side is uniform."""
    height, width = photo.shape[:2]
    share = math.exp(generator.uniform(math.log(smallest), 0.0))
    side = max(1, round(share * min(height, width)))
    left = generator.integers(0, width - side + 1)
    top = generator.integers(0, height - side + 1)
    return resize(photo[top : top + side, left : left + side], resolution, resolution)
