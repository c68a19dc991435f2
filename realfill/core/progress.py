"""Progress reports of long stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressUpdate:
    """State of a stage after one step of tuning or sampling.

    Attributes:
        stage: Name of the stage.
        done: Number of steps completed, including those that a resumed run took from its checkpoint.
        total: Number of steps in all.
        loss: Mean squared error of the step; None while sampling.
        seconds_left: Estimated from the steps of this run.
        steps_per_second: Measured over the steps of this run.
    """

    stage: str
    done: int
    total: int
    loss: float | None
    seconds_left: float
    steps_per_second: float


ProgressCallback = Callable[[ProgressUpdate], None]
"""Called after each step."""
