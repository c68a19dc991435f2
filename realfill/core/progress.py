"""What a long stage tells about itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step of tuning or sampling.

    Attributes:
        stage: Name of the stage.
        done: Steps done, counting those a resumed run found done.
        total: Steps in all.
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


Progress = Callable[[Step], None]
