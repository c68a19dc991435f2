"""The photographs that the pocket model learns from, and square crops of them."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from realfill.core.seeding import numpy_generator

HERE = Path(__file__).resolve().parent
SIDE = 256  # pixels along a crop


def sources() -> list[dict[str, Any]]:
    """The photographs: package, path in it, author, license, and whether it is held out."""
    listed: list[dict[str, Any]] = json.loads((HERE / "sources.json").read_text())
    return listed


def cut_all(packages_dir: Path, per_doubling: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Crops to train on and held-out crops, each [256, 256, 3] uint8 sRGB.

    Args:
        packages_dir: Where the packages are unpacked, a folder each.
        per_doubling: Crops of a photo for every doubling of its shorter side over 256 px, and as many again.
        seed: Of the draws.
    """
    training: list[np.ndarray] = []
    heldout: list[np.ndarray] = []
    for source in sources():
        photo = _open(source, packages_dir)
        count = per_doubling + round(per_doubling * math.log2(min(photo.size) / SIDE))
        crops = [_crop(photo, numpy_generator(seed, "crop", source["path"], i)) for i in range(count)]
        if source.get("heldout"):
            heldout.extend(crops[:8])
        else:
            training.extend(crops)
    return training, heldout


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


def load_crops(path: Path, device: torch.device) -> Tensor:
    """All crops, [N, 256, 256, 3] uint8, on the device; on the CPU they stay on disk until they are read."""
    return torch.from_numpy(np.load(path, mmap_mode="c")).to(device)


def windows(crops: Tensor, batch: int, side: int, draws: torch.Generator) -> Tensor:
    """Random windows [B, side, side, C] of random crops [N, H, W, C]."""
    indices = torch.randint(len(crops), (batch,), generator=draws, device=crops.device).tolist()
    offsets = torch.randint(crops.shape[1] - side + 1, (batch, 2), generator=draws, device=crops.device).tolist()
    return torch.stack([crops[i, y : y + side, x : x + side] for i, (y, x) in zip(indices, offsets, strict=True)])


def to_images(pixels: Tensor) -> Tensor:
    """[B, H, W, 3] uint8 sRGB -> [B, 3, H, W] float32 in [-1, 1]."""
    return (pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
