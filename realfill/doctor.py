"""What works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from realfill import __version__
from realfill.core.errors import RealFillError
from realfill.core.params import BaseParams
from realfill.diffusion.model_files import locate_model
from realfill.diffusion.model_memory import estimate_memory, read_spec
from realfill.diffusion.model_registry import MODELS

PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate", "kornia", "pyarrow", "dvc", "prefect")


@dataclass(frozen=True)
class Finding:
    """One part of the installation.

    Attributes:
        part: What was checked.
        works: Whether it can be used.
        state: Version, path, or what is wrong.
        remedy: What to do about it; empty where it works.
        needed: Whether no album can be completed without it.
    """

    part: str
    works: bool
    state: str
    remedy: str = ""
    needed: bool = True


def examine(library: Path) -> list[Finding]:
    """Check the packages, device, base models, matchers, image formats, DVC and Prefect, and a library's results.

    Args:
        library: A folder in a library; any other one is ignored.
    """
    findings = [Finding("realfill", True, f"{__version__}, Python {sys.version.split()[0]}")]
    findings += [_package(name) for name in PACKAGES]
    findings += [_device(), *(_tried(f"model {name}", partial(_model, name), name == "pocket") for name in MODELS)]
    findings += [_tried(f"matcher {name}", partial(_matcher, name), False) for name in ("xfeat", "loftr", "sift")]
    findings += [_tried("matcher aliked", _aliked, True)]
    findings += [_tried("HEIC export", _heic, False), _command("git"), _command("dvc")]
    return findings + _results(library)


def examine_model(name: str) -> list[Finding]:
    """Check whether a base model is on this machine, and whether it fits into the memory of its device.

    Args:
        name: In the registry, or the absolute path of a folder or of a .safetensors checkpoint.
    """
    findings = [_device(), _tried(f"model {name}", partial(_located, name), True)]
    try:
        need = estimate_memory(read_spec(name))
    except RealFillError:
        return findings  # one of them says so
    kind, available = _available_memory()
    for work, gigabytes in (("sample", need.sampling), ("tune", need.tuning)):
        state = f"needs about {gigabytes:.1f} GB; there are {available:.1f} GB of {kind}"
        fits = gigabytes <= available
        remedy = "Set base.precision to nf4, or choose a smaller model." if kind.startswith("the GPU") else ""
        findings.append(Finding(f"memory to {work}", fits, state, "" if fits else remedy or "Use a GPU."))
    return findings


def _available_memory() -> tuple[str, float]:
    """Which memory a model runs in, and its size, 10^9 bytes; of the CPU's, what is free, at twice the precision."""
    import psutil
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return f"the GPU {properties.name}", properties.total_memory / 1e9
    return "free memory, half of which goes to weights of 32 bits", psutil.virtual_memory().available / 2e9


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", "Install realfill again, with all that it needs.")


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("device", True, f"CUDA: {torch.cuda.get_device_name()}, bf16")
    return Finding("device", True, f"CPU, {torch.get_num_threads()} threads, fp32; no CUDA device is visible")


def _tried(part: str, use: Callable[[], str], needed: bool) -> Finding:
    try:
        return Finding(part, True, use(), needed=needed)
    except RealFillError as error:
        place = f"{error.path}: " if error.path and error.path.is_file() else ""
        return Finding(part, False, place + error.problem, error.remedy, needed)


def _located(name: str) -> str:
    folder = str(locate_model(name).folder)
    read_spec(name)  # which fails if weights are damaged
    return folder


def _model(name: str) -> str:
    if name != BaseParams().model:
        return str(locate_model(name).folder)
    from realfill.diffusion.base_model import load_base_model

    model = load_base_model(BaseParams(device="cpu"))
    return f"{locate_model(name).folder}, {model.resolution} px, {model.digest[:12]}"


def _matcher(name: str) -> str:
    from realfill.matching.matchers import load_matcher

    load_matcher(name)
    return "loaded"


def _aliked() -> str:
    from realfill.matching.aliked import AlikedMatcher

    AlikedMatcher()
    return "loaded"


def _heic() -> str:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return f"libheif {pillow_heif.libheif_version()}"


def _results(folder: Path) -> list[Finding]:
    """Which of a library's results were made by other code than the installed one."""
    from realfill.library.engine import ENGINE, changed_stages, results_of_other_code
    from realfill.library.repository import Library

    library = Library.enclosing(folder)
    if library is None:
        return []
    renew = "Run `realfill engine`, then `dvc repro`, or wait for the night."
    changed = changed_stages(library)
    state = f"names other code for {', '.join(changed)}" if changed else "names the installed code"
    findings = [Finding(ENGINE, not changed, state, renew if changed else "", needed=False)]
    for stage, albums in results_of_other_code(library).items():
        names = ", ".join(albums[:5]) + (f" and {len(albums) - 5} more" if len(albums) > 5 else "")
        findings.append(Finding(f"results of {stage}", False, f"made by other code: {names}", renew, needed=False))
    return findings


def _command(name: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, False, "not on the PATH", f"Install {name}, or activate the environment.", needed=False)
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout
    return Finding(name, True, told.strip().splitlines()[0] if told.strip() else path, needed=False)
