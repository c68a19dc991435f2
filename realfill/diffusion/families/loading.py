"""Load a base model of any family from its files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from realfill.core.errors import ModelError
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.devices import memory_format
from realfill.diffusion.families.flux2_klein import Flux2Klein
from realfill.diffusion.families.flux_fill import FluxFill
from realfill.diffusion.families.sd import StableDiffusion
from realfill.diffusion.families.sdxl import StableDiffusionXL
from realfill.diffusion.family_recognition import read_config
from realfill.diffusion.model_files import ModelLocation, find_variant, locate_model, model_digest
from realfill.diffusion.model_registry import FAMILIES, INDEX

_COPY_AGAIN = "Copy or download the model again."

CLASSES: dict[str, type[BaseModel]] = {
    "sd": StableDiffusion,
    "sdxl": StableDiffusionXL,
    "flux_fill": FluxFill,
    "flux2_klein": Flux2Klein,
}


def load_model(name: str, accelerator: Any, precision: str) -> BaseModel:
    """Make a base model whose parts are loaded when they are first used.

    Args:
        name: As in the parameters.
        accelerator: Device and precision.
        precision: "nf4" for a denoiser of 4-bit weights; else the accelerator's.

    Raises:
        ModelError: It is not on this machine, incomplete, or of the wrong kind.
    """
    if precision == "nf4":
        _quantization()  # which fails now instead of at the first step
    location = locate_model(name)
    family, folder = FAMILIES[location.spec.family], location.folder
    configs = {"scheduler": read_config(folder / "scheduler" / "scheduler_config.json")}
    configs["model_index"] = read_config(folder / INDEX) if (folder / INDEX).is_file() else {}
    cls = CLASSES[location.spec.family]
    makers: dict[str, Callable[[], Any]] = {
        part: partial(load_part, location, part, accelerator, cls.dtype(part, accelerator), precision)
        for part in family.parts
        if part != "scheduler"
    }
    model = cls(
        name=name,
        digest=model_digest(location),
        lora_layers=location.spec.lora_layers,
        accepts_composite=location.spec.accepts_composite,
        accelerator=accelerator,
        makers=makers,
        configs=configs,
    )
    try:
        _ = model.process
    except Exception as error:  # of any kind, by diffusers' schedulers
        path = folder / "scheduler" / "scheduler_config.json"
        raise ModelError(f"The configuration cannot be used ({_shorten(error)}).", _COPY_AGAIN, path) from error
    return model


def load_part(location: ModelLocation, part: str, accelerator: Any, dtype: torch.dtype, precision: str) -> Any:
    """Load a network or a tokenizer, by safetensors alone.

    Args:
        location: The model's files.
        part: Folder of the part.
        accelerator: Its device.
        dtype: Of the weights.
        precision: "nf4" for a denoiser of 4-bit weights.

    Raises:
        ModelError: Its files are damaged.
    """
    import diffusers
    import transformers
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
    family = FAMILIES[location.spec.family]
    is_text = part.startswith(("text_encoder", "tokenizer"))
    cls = getattr(transformers if is_text else diffusers, family.parts[part])
    folder = location.folder / part
    options: dict[str, Any] = {"dtype" if is_text else "torch_dtype": dtype}
    is_denoiser = part == family.denoiser
    is_quantized = is_denoiser and precision == "nf4"
    if is_quantized:
        options["quantization_config"] = _quantization()
    checkpoint = location.checkpoint if is_denoiser else None
    try:
        if part.startswith("tokenizer"):
            return cls.from_pretrained(folder)
        if checkpoint is not None:
            network = cls.from_single_file(str(checkpoint), config=str(folder), local_files_only=True, **options)
        else:
            variant = find_variant(location.folder, part) or None
            network = cls.from_pretrained(folder, variant=variant, use_safetensors=True, **options)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # of any kind, by diffusers, transformers and tokenizers, if a file is damaged
        problem = f"This part of the model cannot be loaded ({_shorten(error)})."
        raise ModelError(problem, _COPY_AGAIN, checkpoint or folder) from error
    network.requires_grad_(False).eval()
    if is_quantized:
        return network  # which lies on the GPU already
    return network.to(accelerator.device, memory_format=memory_format(accelerator.device))


def _shorten(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _quantization() -> Any:
    """4-bit weights by bitsandbytes.

    Raises:
        ModelError: bitsandbytes is not installed, or there is no GPU.
    """
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None or not torch.cuda.is_available():
        problem = "Weights of 4 bits need the package bitsandbytes and a CUDA device."
        raise ModelError(problem, "Run `pip install bitsandbytes`, or set base.precision to auto.")
    from diffusers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
