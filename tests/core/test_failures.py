import errno
import logging
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import scipy.spatial
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from realfill.core.errors import PhotoError, SpaceError, StageError
from realfill.core.failures import NumericalError, require_finite, skip_failing

COMPUTATIONS: dict[str, Callable[[], object]] = {
    "singular matrix": lambda: np.linalg.inv(np.zeros((2, 2))),
    "singular sparse matrix": lambda: splu(csc_array(np.zeros((2, 2)))),
    "degenerate triangulation": lambda: scipy.spatial.Delaunay(np.zeros((5, 2))),
    "points that are no numbers": lambda: scipy.spatial.cKDTree(np.full((5, 2), np.nan)),
    "unallocatable array": lambda: np.zeros((2**30, 2**30), np.uint8),
    "array that is too big": lambda: np.zeros(2**70),
    "least of nothing": lambda: np.zeros(0).min(),
    "last of nothing": lambda: np.zeros(0)[-1],
    "division by zero": lambda: 1 / 0.0,
    "overflow": lambda: float(10**400),
    "empty picture": lambda: cv2.resize(np.zeros((0, 0), np.uint8), (2, 2)),
    "not finite": lambda: require_finite(depth=np.array([0.0, np.nan])),
}


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_a_failing_computation_costs_its_part_and_is_told(caplog: pytest.LogCaptureFixture, name: str) -> None:
    went_on = False
    with skip_failing("The grain"):
        COMPUTATIONS[name]()
        went_on = True
    assert not went_on
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.name.startswith("realfill.")
    assert record.getMessage().startswith("The grain failed and is left out (")
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize(
    "error",
    [
        PhotoError("It is damaged.", "Replace it."),
        StageError("It has not run.", "Run it."),
        SpaceError("The disk is full.", "Free some space."),
        OSError(errno.ENOSPC, "No space left on device"),
        ImportError("pycolmap"),
        TypeError("a mistake in the code"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_all_else_passes(caplog: pytest.LogCaptureFixture, error: BaseException) -> None:
    with pytest.raises(type(error)), skip_failing("The grain"):
        raise error
    assert not caplog.records


def test_what_succeeds_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    with skip_failing("The grain"):
        require_finite(depth=np.zeros(3), residual=0.5)
    assert not caplog.records


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_value_that_is_not_finite_is_named(value: float) -> None:
    with pytest.raises(NumericalError, match="residual"):
        require_finite(depth=np.zeros(3), residual=value)
