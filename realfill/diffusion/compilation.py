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
    """When networks are compiled.

    Attributes:
        min_steps: Fewest steps of a tuning whose denoiser is compiled. Compiling takes about a minute for each shape
            of the input, of which a model that looks at references has several. Set by hand; `bench/step.py` tells
            the seconds of compiling and of steps with and without.
    """

    min_steps: int = 1000


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
