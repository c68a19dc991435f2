"""How much memory base models need, told without loading them.

The weights are counted; what a step needs beside them was measured for each family at its full size (docs/models.md).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

from realfill.core.errors import ModelError
from realfill.diffusion.model_files import ModelLocation, locate_model, weights_patterns
from realfill.diffusion.model_registry import FAMILIES, MODELS, ModelSpec


@dataclass(frozen=True)
class MemoryNeed:
    """Memory of the GPU, 10^9 bytes.

    Attributes:
        sampling: One candidate at the model's resolution.
        tuning: One sample a pass, with gradient checkpointing where the family has it.
    """

    sampling: float
    tuning: float


def estimate_memory(spec: ModelSpec) -> MemoryNeed:
    """Memory of a model: its text encoders, which run first and alone, or its denoiser with what a step needs."""
    family, area = FAMILIES[spec.family], spec.scale**2
    return MemoryNeed(
        sampling=max(spec.text_gigabytes, spec.denoiser_gigabytes + area * family.sampling_gigabytes),
        tuning=max(spec.text_gigabytes, spec.denoiser_gigabytes + area * family.tuning_gigabytes),
    )


def read_spec(name: str) -> ModelSpec:
    """The registry's row of a model; of a folder or a checkpoint on disk, one with the sizes of its weights.

    Raises:
        ModelError: There is no such model on this machine.
    """
    if name in MODELS:
        return MODELS[name]
    location = locate_model(name)
    parts = FAMILIES[location.spec.family].parts
    weights = {part: _count_parameters(location, part) for part in parts}
    text_bytes = 4 if location.spec.family == "sd" else 2  # see `BaseModel.full_precision`
    text = sum(count for part, count in weights.items() if part.startswith("text_encoder"))
    denoiser = next(iter(weights.values()))
    return replace(location.spec, text_gigabytes=text * text_bytes / 1e9, denoiser_gigabytes=denoiser * 2 / 1e9)


def _count_parameters(location: ModelLocation, part: str) -> int:
    is_denoiser = part == FAMILIES[location.spec.family].denoiser
    if is_denoiser and location.checkpoint is not None:
        return _count_in_file(location.checkpoint)
    files = {
        path
        for variant in ("", "fp16")
        for pattern in weights_patterns(part, variant)
        for path in location.folder.glob(pattern)
        if path.suffix == ".safetensors"
    }
    return sum(map(_count_in_file, files))


def _count_in_file(path: Path) -> int:
    """Number of values in a .safetensors file, by its header: 8 bytes of length, then JSON.

    Raises:
        ModelError: The header is damaged.
    """
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except (ValueError, OverflowError, MemoryError) as error:
        raise ModelError("The weights are damaged.", "Copy or download the model again.", path) from error
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
