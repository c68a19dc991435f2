"""The files of base models on this machine: where they are, whether all are there, and their digests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from realfill.core.errors import ModelError
from realfill.core.hashing import digest_json
from realfill.diffusion.digest_cache import cached_digest
from realfill.diffusion.family_recognition import recognize_checkpoint, recognize_folder
from realfill.diffusion.model_registry import FAMILIES, INDEX, MODELS, FamilySpec, ModelSpec

MODEL_FILES = (  # of a plain model of the family "sd"; in the order of its digest
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
TOKENIZER_PATTERNS = ("*.json", "*.txt", "*.model", "*.jinja")


@dataclass(frozen=True)
class ModelLocation:
    """A base model on this machine.

    Attributes:
        folder: In diffusers' format.
        spec: Its registry row, or what is assumed of a folder or a file on disk.
        checkpoint: A single file that takes the place of the folder's denoiser, or None.
    """

    folder: Path
    spec: ModelSpec
    checkpoint: Path | None = None


def locate_model(name: str) -> ModelLocation:
    """Find a base model on this machine, without a network.

    Args:
        name: A name in `MODELS`, or the absolute path of a folder in diffusers' format, or of a .safetensors
            checkpoint. A checkpoint supplies the denoiser; the other parts are those of the registered model of its
            family.

    Raises:
        ModelError: It is not on this machine, incomplete, or of no known family; says how to get it.
    """
    spec = MODELS.get(name)
    if spec is None:
        return _locate_path(name)
    if spec.repository is None:
        remedy = "Install realfill again from a complete wheel, or unset REALFILL_MODELS."
        folder = _packaged_models() / name
    else:
        remedy = f"Run `realfill fetch {name}` where there is a network."
        folder = find_snapshot(spec)
    if not folder.is_dir():
        raise ModelError(f"The base model {name} is not on this machine.", remedy)
    list_files(folder, spec.family, remedy)
    return ModelLocation(folder, spec)


def list_files(
    folder: Path, family: str, remedy: str = "Choose a complete folder.", *, with_denoiser: bool = True
) -> list[str]:
    """The files of a model's folder that are read, relative to it, in the order of its digest.

    Args:
        folder: The model's.
        family: Name in `FAMILIES`.
        remedy: What the error says if one is missing.
        with_denoiser: Whether the denoiser's weights are among them; a checkpoint may supply them.

    Raises:
        ModelError: One of them is missing.
    """
    names, missing = list(MODEL_FILES), _find_missing(folder, MODEL_FILES)
    if family != "sd" or missing:  # which may have other names
        names = _list_parts(folder, FAMILIES[family], with_denoiser)
        missing = _find_missing(folder, names)
    if missing:
        raise ModelError(f"The base model lacks {missing[0]}.", remedy, folder)
    return names


def _find_missing(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if not (folder / name).is_file()]


@cache
def model_digest(location: ModelLocation) -> str:
    """SHA-256 over a model's files and their names, hex; computed once per process."""
    names = list_files(location.folder, location.spec.family, with_denoiser=location.checkpoint is None)
    digests = [[name, cached_digest(location.folder / name)] for name in names]
    if location.checkpoint is not None:
        digests.append(["checkpoint", cached_digest(location.checkpoint)])
    return digest_json(digests)


def find_snapshot(spec: ModelSpec) -> Path:
    """The folder of a repository's snapshot in the hub's cache; a folder that does not exist if it is not there."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(spec.repository), revision=spec.revision, local_files_only=True))
    except Exception:
        return Path("models") / str(spec.repository)


def weights_patterns(part: str, variant: str = "") -> list[str]:
    """Globs of a part's weights: one file, or shards with their index; of no other variant, and no pickles."""
    stem = f"{part}/{'model' if part.startswith('text_encoder') else 'diffusion_pytorch_model'}"
    suffix = f".{variant}" if variant else ""
    return [
        f"{stem}{suffix}.safetensors",
        f"{stem}{suffix}-*-of-*.safetensors",
        f"{stem}.safetensors.index{suffix}.json",
    ]


def find_variant(folder: Path, part: str) -> str:
    """Which weights of a part lie in a folder: "" for the plain ones, else "fp16"."""
    plain = any(next(folder.glob(pattern), None) for pattern in weights_patterns(part))
    return (
        "" if plain or not any(next(folder.glob(each), None) for each in weights_patterns(part, "fp16")) else "fp16"
    )


def _list_parts(folder: Path, family: FamilySpec, with_denoiser: bool) -> list[str]:
    names = [INDEX] if (folder / INDEX).is_file() else []
    for part in family.parts:
        if part == "scheduler":
            names.append("scheduler/scheduler_config.json")
        elif part.startswith("tokenizer"):
            listed = {name for pattern in TOKENIZER_PATTERNS for name in _glob(folder, f"{part}/{pattern}")}
            has_vocabulary = family.parts[part] != "CLIPTokenizer" or f"{part}/tokenizer.json" in listed
            needed = ["tokenizer_config.json", *([] if has_vocabulary else ["vocab.json", "merges.txt"])]
            names += sorted(listed | {f"{part}/{name}" for name in needed})
        elif part == family.denoiser and not with_denoiser:
            names.append(f"{part}/config.json")
        else:
            names += [f"{part}/config.json", *_list_weights(folder, part)]
    return names


def _list_weights(folder: Path, part: str) -> list[str]:
    """The weights of a part that are there, or the file that is missed; of shards, all that the index names.

    Raises:
        ModelError: The index of the shards cannot be read, or names none.
    """
    single, _, index = weights_patterns(part, find_variant(folder, part))
    if not (folder / index).is_file():
        return [single]
    shards = _read_json(folder / index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ModelError("The index names no weights.", "Copy or download the model again.", folder / index)
    return [index, *sorted({f"{part}/{name}" for name in shards.values()})]


def _glob(folder: Path, pattern: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.glob(pattern)]


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _packaged_models() -> Path:
    """The folder that holds the models that come with the package; the variable REALFILL_MODELS replaces it."""
    configured = os.environ.get("REALFILL_MODELS")
    return Path(configured) if configured else Path(__file__).resolve().parent


def _locate_path(name: str) -> ModelLocation:
    path = Path(name)
    remedy = f"Set base.model to one of {', '.join(MODELS)}, or to the absolute path of a diffusers folder."
    if not path.is_absolute():
        raise ModelError(f"There is no base model {name!r}.", remedy)
    if path.suffix == ".safetensors":
        return _locate_checkpoint(path)
    if not path.is_dir():
        problem = "is neither a folder nor a .safetensors checkpoint" if path.exists() else "is not there"
        raise ModelError(f"The base model {problem}.", remedy, path)
    family = recognize_folder(path)
    list_files(path, family, remedy)
    return ModelLocation(path, ModelSpec(family, lora_layers="attention", license="unknown"))


def _locate_checkpoint(path: Path) -> ModelLocation:
    family = recognize_checkpoint(path)
    base, base_spec = next((name, spec) for name, spec in MODELS.items() if spec.family == family)
    folder = find_snapshot(base_spec)
    remedy = f"Run `realfill fetch {base} --without-denoiser` where there is a network."
    try:
        list_files(folder, family, remedy, with_denoiser=False)
    except ModelError as error:
        problem = f"The checkpoint supplies the denoiser alone; the other parts are those of {base}. {error.problem}"
        raise ModelError(problem, remedy, path) from error
    return ModelLocation(folder, ModelSpec(family, base_spec.lora_layers, license="unknown"), path)
