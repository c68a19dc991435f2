"""Network weights that lie on this machine; nothing is downloaded here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from realfill.core.errors import ModelError


def locate_package(name: str, matcher: str, remedy: str) -> Path:
    """Return the folder of an installed Python package that ships weights; the package is not imported.

    Args:
        name: Import name of the package.
        matcher: Matcher that needs the weights, for the message.
        remedy: What to do if the package is missing.

    Raises:
        ModelError: The package is not installed.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModelError(f"The weights of the matcher '{matcher}' are not on this machine.", remedy)
    return Path(spec.origin).parent


def read_weights(path: Path) -> dict[str, Any]:
    """Read a PyTorch checkpoint onto the CPU; only tensors and plain containers are unpickled."""
    weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
