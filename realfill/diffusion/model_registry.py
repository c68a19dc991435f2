"""FIXME DOCSTRING."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from realfill.core.errors import ModelError
from realfill.core.hashing import digest, digest_json

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
FILES = (
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "scheduler/scheduler_config.json",
)


@dataclass(frozen=True)
class ModelSpec:
    """A base model that can be named in the parameters.

    Attributes:
        layers: Which layers LoRA tunes best: "attention", or "all" with the convolutions.
        repairs: Whether it was trained to mend what is placed in the hole of the masked image.
        licence: SPDX identifier or name of the weights' licence.
        repository: Hub repository; None for a model that comes with the project.
        revision: Commit of the repository.
        gigabytes: Size of the download.
    """

    layers: Literal["attention", "all"]
    licence: str
    repository: str | None = None
    revision: str | None = None
    gigabytes: float = 0.0
    repairs: bool = False


MODELS = {
    "pocket": ModelSpec(layers="all", licence="Apache-2.0", repairs=True),
    "sd2-inpainting": ModelSpec(
        layers="attention",
        licence="CreativeML Open RAIL++-M",
        repository="sd2-community/stable-diffusion-2-inpainting",
        revision="5f74973cbb64c8568780732c17f43eb269d63a0d",
        gigabytes=5.2,
    ),
}


def spec(name: str) -> ModelSpec:
    """The registry's entry, or a plain one for a diffusers folder on disk."""
    return MODELS.get(name, ModelSpec(layers="attention", licence="unknown"))


def locate(name: str) -> Path:
    """Find a base model on this machine without any network.

    Args:
        name: A name in `MODELS`, or the absolute path of a diffusers folder.

    Raises:
        ModelError: It is not here; says how to get it.
    """
    entry = MODELS.get(name)
    if entry is None:
        remedy = f"Set base.model to one of {', '.join(MODELS)}, or to the absolute path of a diffusers folder."
        if not Path(name).is_absolute():
            raise ModelError(f"There is no base model {name!r}.", remedy)
        return _complete(Path(name), remedy)
    if entry.repository is None:
        return _complete(
            _embedded() / name, "Install realfill again from a complete wheel, or unset REALFILL_MODELS."
        )
    return _complete(_snapshot(entry, offline=True), f"Run `realfill fetch {name}` where there is a network.")


def fetch(name: str) -> Path:
    """Download a base model of the registry: its pinned revision, and only the files that are needed.

    Raises:
        ModelError: It is unknown, or it cannot be downloaded from here.
    """
    entry = MODELS.get(name)
    if entry is None:
        raise ModelError(f"There is no base model {name!r}.", f"Choose one of: {', '.join(MODELS)}.")
    if entry.repository is not None:
        _snapshot(entry, offline=False)
    return locate(name)


@cache
def model_digest(folder: Path) -> str:
    """SHA-256 over the model's files, hex."""
    return digest_json([[name, digest(folder / name)] for name in FILES])


def _embedded() -> Path:
    configured = os.environ.get("REALFILL_MODELS")
    return Path(configured) if configured else Path(__file__).resolve().parent


def _snapshot(entry: ModelSpec, *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download

    try:
        path: str = snapshot_download(
            str(entry.repository), revision=entry.revision, allow_patterns=list(FILES), local_files_only=offline
        )
    except Exception as error:
        if offline:
            return Path("models") / str(entry.repository)
        problem = f"The model hub does not give {entry.repository} ({type(error).__name__}: {error})."
        raise ModelError(problem, f"Try again with a network; {entry.gigabytes} GB are downloaded.") from error
    return Path(path)


def _complete(folder: Path, remedy: str) -> Path:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"The base model lacks {missing[0]}.", remedy, folder)
    return folder
