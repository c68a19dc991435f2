"""Fixtures of the tests of the evaluation: a photo with a hole, a finished album, random weights of the networks."""

from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, ViTConfig, ViTModel

from realfill.album.layout import Album
from realfill.core.params import load_params
from realfill.evaluation.metrics import Scorer
from realfill.stages import export
from support.finished_album import finish


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A photo, [512, 512, 3] uint8."""
    photo: np.ndarray = data.astronaut()
    return photo


@pytest.fixture(scope="session")
def hole() -> np.ndarray:
    """A hole in it, [512, 512] bool."""
    mask = np.zeros((512, 512), bool)
    mask[40:300, 120:420] = True
    return mask


@pytest.fixture(scope="session")
def scorer(astronaut: np.ndarray, hole: np.ndarray) -> Scorer:
    """Scores against the photo, over the hole."""
    return Scorer(astronaut, hole.astype(np.uint8) * 255)


@pytest.fixture
def album(album_folder: Path) -> Album:
    """A finished album with a ground truth and three candidates, the second of which was delivered."""
    album = finish(album_folder)
    export.run(album, load_params())
    return album


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights of every network, laid out as the hub's cache and the authors' packages do."""
    torch.manual_seed(0)
    hub = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub))
    vgg, before = {}, 3
    widths = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)
    index = 0
    for width in widths:
        if width:
            vgg[f"features.{index}.weight"] = torch.randn(width, before, 3, 3) * (2 / (9 * before)) ** 0.5
            vgg[f"features.{index}.bias"] = torch.zeros(width)
            before = width
        index += 2 if width else 1
    save_file(vgg, _snapshot(hub, "timm/vgg16.tv_in1k", "3394518cba29aee1ea82a49d971be90d2dd1dab7"))
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    dino = _snapshot(hub, "facebook/dino-vits16", "a7a4d161f5c0bd70478c05ca5777ec7cd8848021")
    ViTModel(ViTConfig(**size), add_pooling_layer=False).save_pretrained(dino.parent)
    clip = _snapshot(hub, "openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41")
    CLIPVisionModelWithProjection(CLIPVisionConfig(**size, projection_dim=16)).save_pretrained(clip.parent)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((64, 128, 256, 512, 512))}
    _package(tmp_path, "lpips", "weights/v0.1/vgg.pth", heads)
    features = {name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")}
    _package(tmp_path, "DISTS_pytorch", "weights.pt", features)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    return hub


def _snapshot(hub: Path, repository: str, revision: str) -> Path:
    folder = hub / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    folder.mkdir(parents=True)
    return folder / "model.safetensors"


def _package(root: Path, name: str, file: str, values: dict[str, torch.Tensor]) -> None:
    path = root / "packages" / name / file
    path.parent.mkdir(parents=True)
    (root / "packages" / name / "__init__.py").write_text("raise ImportError('needs torchvision')")
    torch.save(values, path)
