"""What a failing computation costs: the part of the method that it belongs to, with a warning, and never the album.

Errors that a user can act on (`RealFillError`), a broken installation (`ImportError`), files and a full disk
(`OSError`), interrupts, and mistakes of other types in the code are not of this kind and pass.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

logger = logging.getLogger(__name__)


class NumericalError(ArithmeticError):
    """A computation gave values that are not finite, or a process that computes ended without a result."""


NUMERICAL_ERRORS = (
    ArithmeticError,  # overflow, division by zero, `NumericalError`
    ValueError,  # NumPy, SciPy: empty or infinite arrays, arrays that are too big; np.linalg.LinAlgError
    IndexError,  # NumPy: elements of empty arrays
    RuntimeError,  # SciPy: singular sparse matrices, Qhull; PyTorch: singular matrices, lack of memory
    MemoryError,
    cv2.error,
)


@contextmanager
def skip_failing(part: str) -> Iterator[None]:
    """Leave a part of the method out if its computation fails: log a warning and go on after the block.

    Args:
        part: What is left out, the subject of the warning's sentence.
    """
    try:
        yield
    except NUMERICAL_ERRORS as error:
        reason = " ".join([type(error).__name__, *str(error).split()])[:300]
        logger.warning("%s failed and is left out (%s).", part, reason)
        logger.info("%s failed here:", part, exc_info=error)


def require_finite(**values: np.ndarray | float) -> None:
    """Check what was computed.

    Args:
        values: Arrays or numbers by name.

    Raises:
        NumericalError: One of them is infinite or not a number; names the first such.
    """
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise NumericalError(f"{name} is not finite")
