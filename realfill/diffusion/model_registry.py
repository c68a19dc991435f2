"""The base models that can be named in the parameters, where their files are, and how to download them.

The model `pocket` comes with the package, in the folder `pocket/` beside this module. Its training code and its model
card are in `training/pocket/` of the source repository.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from realfill.core.errors import ModelError
from realfill.core.hashing import digest, digest_json

MODEL_FILES = (  # of a folder in diffusers' format; the only files that are read, hashed and downloaded
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
        lora_layers: Which layers LoRA tunes best: "attention", or "all" with the convolutions.
        license: SPDX identifier or name of the license of the weights.
        repository: Repository on the Hugging Face hub; None for a model that comes with the package.
        revision: Commit of the repository.
        gigabytes: Size of the download, 10^9 bytes.
        accepts_composite: Whether it was trained with content placed in the hole of the masked image.
    """

    lora_layers: Literal["attention", "all"]
    license: str
    repository: str | None = None
    revision: str | None = None
    gigabytes: float = 0.0
    accepts_composite: bool = False


MODELS = {
    # With a pilot of this model (one album at 256 px, tuned for 4 minutes): 11.1 dB untuned, 12.1 dB with LoRA on
    # attention, 14.1 dB with LoRA of rank 64 on attention and convolutions.
    "pocket": ModelSpec(lora_layers="all", license="Apache-2.0", accepts_composite=True),
    "sd2-inpainting": ModelSpec(
        lora_layers="attention",
        license="CreativeML Open RAIL++-M",
        repository="sd2-community/stable-diffusion-2-inpainting",
        revision="5f74973cbb64c8568780732c17f43eb269d63a0d",
        gigabytes=5.2,
    ),
}


def get_model_spec(name: str) -> ModelSpec:
    """The registry's entry of that name, or default values for a diffusers folder on disk."""
    return MODELS.get(name, ModelSpec(lora_layers="attention", license="unknown"))


def locate_model(name: str) -> Path:
    """Find the folder of a base model on this machine, without a network.

    Args:
        name: A name in `MODELS`, or the absolute path of a diffusers folder.

    Raises:
        ModelError: It is not on this machine or incomplete; says how to get it.
    """
    spec = MODELS.get(name)
    if spec is None:
        remedy = f"Set base.model to one of {', '.join(MODELS)}, or to the absolute path of a diffusers folder."
        if not Path(name).is_absolute():
            raise ModelError(f"There is no base model {name!r}.", remedy)
        return _require_complete(Path(name), remedy)
    if spec.repository is None:
        remedy = "Install realfill again from a complete wheel, or unset REALFILL_MODELS."
        return _require_complete(_packaged_models() / name, remedy)
    return _require_complete(
        _get_snapshot(spec, offline=True), f"Run `realfill fetch {name}` where there is a network."
    )


def fetch_model(name: str) -> Path:
    """Download the pinned revision of a base model of the registry, only the files that are needed.

    Returns:
        The model's folder.

    Raises:
        ModelError: The name is unknown, or the model cannot be downloaded from here.
    """
    spec = MODELS.get(name)
    if spec is None:
        raise ModelError(f"There is no base model {name!r}.", f"Choose one of: {', '.join(MODELS)}.")
    if spec.repository is not None:
        _get_snapshot(spec, offline=False)
    return locate_model(name)


@cache
def model_digest(folder: Path) -> str:
    """SHA-256 over a model's files and their names, hex; computed once per process."""
    return digest_json([[name, digest(folder / name)] for name in MODEL_FILES])


def _packaged_models() -> Path:
    """The folder that holds the models that come with the package; the variable REALFILL_MODELS replaces it."""
    configured = os.environ.get("REALFILL_MODELS")
    return Path(configured) if configured else Path(__file__).resolve().parent


def _get_snapshot(spec: ModelSpec, *, offline: bool) -> Path:
    """The folder of a repository's snapshot in the hub's cache; a folder that does not exist if it is not cached."""
    from huggingface_hub import snapshot_download

    try:
        path: str = snapshot_download(
            str(spec.repository),
            revision=spec.revision,
            allow_patterns=list(MODEL_FILES),
            local_files_only=offline,
        )
    except Exception as error:
        if offline:
            return Path("models") / str(spec.repository)
        problem = f"{spec.repository} cannot be downloaded from the model hub ({type(error).__name__}: {error})."
        raise ModelError(problem, f"Try again with a network; {spec.gigabytes} GB are downloaded.") from error
    return Path(path)


def _require_complete(folder: Path, remedy: str) -> Path:
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"The base model lacks {missing[0]}.", remedy, folder)
    return folder
