"""The photographs that the pocket model is trained on, and square crops of them."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from networks import IMAGE_SIZE
from realfill.core.seeding import numpy_generator

SOURCES = Path(__file__).resolve().parent / "sources.json"
HELDOUT_CROPS = 8  # of each photo that is held out


def read_sources() -> list[dict[str, Any]]:
    """The photographs: package, path in it, author, license, and whether it is held out."""
    sources: list[dict[str, Any]] = json.loads(SOURCES.read_text())
    return sources


def cut_crops(packages_dir: Path, crops_per_octave: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Cut all photos into crops.

    Args:
        packages_dir: Where the packages are unpacked, one folder each.
        crops_per_octave: Crops of a photo for every doubling of its shorter side over 256 px, and as many again.
        seed: Seed of the random crops.

    Returns:
        Crops to train on, and crops that are held out, [256, 256, 3] uint8 sRGB each.
    """

    def cut(source: dict[str, Any]) -> list[np.ndarray]:
        photo = _open_photo(source, packages_dir)
        count = crops_per_octave + round(crops_per_octave * math.log2(min(photo.size) / IMAGE_SIZE))
        count = HELDOUT_CROPS if source.get("heldout") else count
        return [_random_crop(photo, numpy_generator(seed, "crop", source["path"], i)) for i in range(count)]

    sources = read_sources()
    with ThreadPoolExecutor() as pool:
        crops = list(pool.map(cut, sources))
    training, heldout = (
        [
            crop
            for source, cut in zip(sources, crops, strict=True)
            if bool(source.get("heldout")) == held
            for crop in cut
        ]
        for held in (False, True)
    )
    return training, heldout


def _open_photo(source: dict[str, Any], packages_dir: Path) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(packages_dir / source["package"] / source["path"])).convert("RGB")


def _random_crop(photo: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """One square of the photo, mirrored half of the time, [256, 256, 3] uint8."""
    shortest = min(photo.size)
    side = min(shortest, IMAGE_SIZE * (shortest / IMAGE_SIZE) ** rng.uniform(0.2, 1.2))
    x, y = (rng.uniform(0, length - side) for length in photo.size)
    size, box = (IMAGE_SIZE, IMAGE_SIZE), (x, y, x + side, y + side)
    pixels = np.asarray(photo.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3))
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def load_crops(path: Path, device: torch.device) -> Tensor:
    """Load crops, [N, 256, 256, 3] uint8, to a device; on the CPU they are read from disk when they are used."""
    return torch.from_numpy(np.load(path, mmap_mode="c")).to(device)


def random_windows(images: Tensor, batch: int, side: int, generator: torch.Generator) -> Tensor:
    """Random windows [B, side, side, C] of random images [N, H, W, C]."""
    device = images.device
    indices = torch.randint(len(images), (batch,), generator=generator, device=device).tolist()
    offsets = torch.randint(images.shape[1] - side + 1, (batch, 2), generator=generator, device=device).tolist()
    return torch.stack([images[i, y : y + side, x : x + side] for i, (y, x) in zip(indices, offsets, strict=True)])


def to_images(pixels: Tensor) -> Tensor:
    """[B, H, W, 3] uint8 sRGB -> [B, 3, H, W] float32 in [-1, 1]."""
    return (pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
