"""Download base models of the registry: what is said and checked before, what is checked after."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from realfill.core.errors import ModelError, SpaceError
from realfill.diffusion.digest_cache import cached_digest
from realfill.diffusion.model_files import (
    MODEL_FILES,
    TOKENIZER_PATTERNS,
    list_files,
    locate_model,
    weights_patterns,
)
from realfill.diffusion.model_registry import FAMILIES, INDEX, MODELS, ModelSpec

SPARE = 2.0  # 10^9 bytes that stay free on the disk
_SHA256 = re.compile("[0-9a-f]{64}")


def fetch_model(name: str, announce: Callable[[str], None] = lambda _: None, *, with_denoiser: bool = True) -> Path:
    """Download the pinned revision of a base model of the registry, only the files that are needed.

    Files that are there already, also parts of a download that was interrupted, are not downloaded again.

    Args:
        name: In `MODELS`.
        announce: Is told the license, the size and the place before anything is downloaded.
        with_denoiser: Whether the denoiser's weights are needed; a checkpoint may supply them.

    Returns:
        The model's folder.

    Raises:
        ModelError: The name is unknown; the model is gated and this machine has no access; it cannot be downloaded
            from here; or what was downloaded is damaged.
        SpaceError: It does not fit on the disk.
    """
    spec = MODELS.get(name)
    if spec is None:
        raise ModelError(f"There is no base model {name!r}.", f"Choose one of: {', '.join(MODELS)}.")
    if spec.repository is None:
        return locate_model(name).folder
    _require_access(name, spec)
    announce(f"{spec.repository}, license {spec.license}{', gated' if spec.is_gated else ''}")
    patterns = allowed_patterns(spec, with_denoiser=with_denoiser)
    folder, missing = _plan(name, spec, patterns)
    announce(f"{missing / 1e9:.1f} GB to download to {folder}")
    _require_space(name, folder, missing)
    folder = Path(_download(name, spec, patterns))
    _verify(folder)
    list_files(folder, spec.family, "Fetch the model again.", with_denoiser=with_denoiser)
    return folder


def allowed_patterns(spec: ModelSpec, *, with_denoiser: bool = True) -> list[str]:
    """Globs of the files of a repository that are downloaded: safetensors of one variant, and small text files."""
    if spec.family == "sd":
        return list(MODEL_FILES)
    patterns = [INDEX]
    for part in FAMILIES[spec.family].parts:
        if part == "scheduler":
            patterns.append("scheduler/scheduler_config.json")
        elif part.startswith("tokenizer"):
            patterns += [f"{part}/{pattern}" for pattern in TOKENIZER_PATTERNS]
        elif part == FAMILIES[spec.family].denoiser and not with_denoiser:
            patterns.append(f"{part}/config.json")
        else:
            patterns += [f"{part}/config.json", *weights_patterns(part, spec.variant)]
    return patterns


def _require_access(name: str, spec: ModelSpec) -> None:
    from huggingface_hub import get_token

    if spec.is_gated and not get_token():
        raise _gated_error(name, spec)


def _gated_error(name: str, spec: ModelSpec) -> ModelError:
    problem = f"The base model {name} is gated: its license ({spec.license}) has to be accepted first."
    page = f"https://huggingface.co/{spec.repository}"
    remedy = f"Accept it at {page}, then run `hf auth login`, or set HF_TOKEN, and `realfill fetch {name}` again."
    return ModelError(problem, remedy)


def _plan(name: str, spec: ModelSpec, patterns: list[str]) -> tuple[Path, int]:
    """The hub's cache, and the bytes that are not in it yet."""
    from huggingface_hub import constants

    files = _download(name, spec, patterns, dry_run=True)
    return Path(constants.HF_HUB_CACHE), sum(file.file_size for file in files if file.will_download)


def _require_space(name: str, folder: Path, missing: int) -> None:
    existing = next(place for place in (folder, *folder.parents) if place.is_dir())
    free = shutil.disk_usage(existing).free
    if missing and missing + SPARE * 1e9 > free:
        problem = f"{name} needs {missing / 1e9:.1f} GB more, and {free / 1e9:.1f} GB of the disk are free."
        raise SpaceError(problem, "Free some space, or set HF_HUB_CACHE to a folder on another disk.", folder)


def _download(name: str, spec: ModelSpec, patterns: list[str], **options: Any) -> Any:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # not each of its retries: what fails is told once
    try:
        return snapshot_download(str(spec.repository), revision=spec.revision, allow_patterns=patterns, **options)
    except GatedRepoError as error:
        raise _gated_error(name, spec) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        problem = f"{spec.repository} cannot be downloaded from the model hub ({type(error).__name__}: {reason})."
        remedy = f"Try again with a network; what is there already is kept. {spec.gigabytes} GB are needed in all."
        raise ModelError(problem, remedy) from error


def _verify(folder: Path) -> None:
    """Compare large files with the digests that the hub names them by; a damaged one is removed.

    Raises:
        ModelError: A file is damaged.
    """
    for path in sorted(folder.rglob("*")):
        blob = Path(os.path.realpath(path))
        if path.is_file() and path.is_symlink() and _SHA256.fullmatch(blob.name) and cached_digest(blob) != blob.name:
            blob.unlink()
            path.unlink()
            raise ModelError("The downloaded file is damaged and was removed.", "Fetch the model again.", path)
