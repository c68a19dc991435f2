"""FIXME DOCSTRING."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from realfill.album.canvas import crop_window
from realfill.album.layout import Album
from realfill.album.schemas import Window
from realfill.album.store import accepted_references, canvas_path, mask_path, read_window
from realfill.core.params import FinetuneParams
from realfill.core.seeding import numpy_generator
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.training_masks import random_mask
from realfill.imaging.ops import resize
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png


@dataclass(frozen=True)
class Bank:
    """Pre-encoded (crop, mask) pairs, float32 on the CPU; N pairs, h = w = resolution / factor.

    Attributes:
        mean: [N, 4, h, w] posterior mean of the crop.
        std: [N, 4, h, w] posterior standard deviation of the crop.
        masked_mean: [N, 4, h, w] the same of the crop with its masked part grey.
        masked_std: [N, 4, h, w]
        mask: [N, 1, h, w] 1 = masked.
        weight: [N, 1, h, w] weight of the loss, 0 inside the target's hole.
    """

    mean: Tensor
    std: Tensor
    masked_mean: Tensor
    masked_std: Tensor
    mask: Tensor
    weight: Tensor


def encode_bank(album: Album, params: FinetuneParams, model: BaseModel) -> Bank:
    """Cut, mask and encode the bank's pairs; pair i is keyed by (seed, i) alone."""
    window = read_window(album)
    target, hole = _target(album, window, model.resolution)
    scene = [_shrunk(read_srgb(path), model.resolution, window) for path in accepted_references(album)]
    crops, masks, holes = [], [], []
    for number in range(params.bank):
        generator = numpy_generator("bank", params.seed, number)
        mask = random_mask(generator, model.resolution)
        which = number % (len(scene) + 1)
        if which == len(scene):
            crops.append(target)
            masks.append(mask | hole)
            holes.append(hole)
            continue
        crops.append(_random_crop(generator, scene[which], model.resolution, window))
        masks.append(mask)
        holes.append(np.zeros_like(hole))
    return encode_crops(model, crops, masks, holes)


def _target(album: Album, window: Window, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """The window of the canvas [R, R, 3] uint8, and its hole [R, R] bool, which covers what lies beyond too."""
    crop = crop_window(read_png(canvas_path(album)), window)
    mask = crop_window(read_png(mask_path(album)), window, fill=255)
    hole = resize(mask, resolution, resolution) > 0
    return resize(crop, resolution, resolution), hole


def _shrunk(photo: np.ndarray, resolution: int, window: Window) -> np.ndarray:
    """A reference no larger than its smallest crop needs, to save memory."""
    share = _smallest_crop(window)
    scale = min(1.0, resolution / (share * min(photo.shape[:2])))
    return resize(photo, round(photo.shape[1] * scale), round(photo.shape[0] * scale))


def _smallest_crop(window: Window) -> float:
    """Side of the smallest crop as a share of the shorter side, so that references show the window's scale."""
    return min(1.0, 0.8 * window.side / min(window.canvas_width, window.canvas_height))


def _random_crop(generator: np.random.Generator, photo: np.ndarray, resolution: int, window: Window) -> np.ndarray:
    height, width = photo.shape[:2]
    share = math.exp(generator.uniform(math.log(_smallest_crop(window)), 0.0))
    side = max(1, round(share * min(height, width)))
    left = generator.integers(0, width - side + 1)
    top = generator.integers(0, height - side + 1)
    return resize(photo[top : top + side, left : left + side], resolution, resolution)


def encode_crops(
    model: BaseModel, crops: list[np.ndarray], masks: list[np.ndarray], holes: list[np.ndarray], batch: int = 8
) -> Bank:
    """Encode crops [R, R, 3] uint8 under masks [R, R] bool; no loss in holes [R, R] bool; `batch` at a time."""
    pieces: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for begin in range(0, len(crops), batch):
        images = np.stack(crops[begin : begin + batch])  # [b, R, R, 3]
        masked = np.where(np.stack(masks[begin : begin + batch])[..., None], np.uint8(128), images)
        pieces.append((*model.encode(images), *model.encode(masked)))
    mean, std, masked_mean, masked_std = (torch.cat(column) for column in zip(*pieces, strict=True))
    return Bank(
        mean,
        std,
        masked_mean,
        masked_std,
        mask=latent_mask(np.stack(masks), model.factor),
        weight=1 - latent_mask(np.stack(holes), model.factor),
    )


def latent_mask(masks: np.ndarray, factor: int) -> Tensor:
    """[B, R, R] bool -> [B, 1, R/f, R/f] float32: 1 where any pixel of the latent's patch is set."""
    return torch.nn.functional.max_pool2d(torch.from_numpy(masks).float()[:, None], factor)
