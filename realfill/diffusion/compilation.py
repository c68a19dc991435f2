"""Compilation of the networks that are tuned (torch.compile), on CUDA."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
from dataclasses import dataclass

import torch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompilationSettings:
    """When networks are compiled, and passes captured.

    Attributes:
        min_steps: Fewest steps of a tuning whose denoiser is compiled. At Stable Diffusion 2's size and batch 16 on
            an H200, compiling took 133 s and a step .129 s instead of .140 s (`bench/limit.py`): it pays from about
            12,800 steps on. A model that looks at references has several shapes to compile for.
        uses_graphs: Whether passes are captured as CUDA graphs, where no activations are computed again. A step of
            that size took .140 s instead of .231 s (H200 and H100), one of SDXL's .10 s instead of .85 s (H200).
    """

    min_steps: int = 13_000
    uses_graphs: bool = True


def wants_compilation(
    device: torch.device, steps: int, settings: CompilationSettings = CompilationSettings()
) -> bool:
    """Whether compiling pays, and is possible; what is missing for it is said in a warning.

    Args:
        device: Where the networks are.
        steps: How many steps they are tuned.
        settings: When compiling pays.
    """
    if device.type != "cuda" or steps < settings.min_steps:
        return False
    missing = missing_compiler()
    if missing:
        logger.warning("The tuning is not compiled and so is slower: %s is not installed on this machine.", missing)
    return not missing


def missing_compiler() -> str:
    """What torch.compile needs on CUDA and this machine lacks; empty where nothing is missing."""
    if importlib.util.find_spec("triton") is None:
        return "Triton (pip install triton)"
    compilers = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    if not any(shutil.which(compiler) for compiler in compilers if compiler):
        return "a C compiler (apt-get install gcc)"
    return ""


def compile_network(network: torch.nn.Module) -> None:
    """Let calls of a network run compiled code, made at the first call of each shape."""
    network.compile(dynamic=False)


def discard_compilation(network: torch.nn.Module) -> None:
    """Let calls of a network run as written again."""
    network._compiled_call_impl = None
