"""How many steps tuning takes, and with what learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realfill.core.params import FinetuneParams


@dataclass(frozen=True)
class StepScalingSettings:
    """How the number of steps depends on what is left to generate.

    Attributes:
        steps_per_uncertain: Share of the steps that are taken for each share of the hole that is not certain, up to
            all steps: with 2, all are taken where no more than half of the hole is certain. Set by hand.
    """

    steps_per_uncertain: float = 2


def scale_steps(
    params: FinetuneParams, certain: float, settings: StepScalingSettings = StepScalingSettings()
) -> FinetuneParams:
    """Reduce the steps where placed references leave little to generate.

    With `when: auto` there are none where `params.certain` of the hole or more is certain.

    Args:
        params: Parameters with the full number of steps.
        certain: Share of the hole where the placed references are certain, 0 to 1.
        settings: How the steps are scaled.

    Returns:
        The same parameters with the scaled number of steps, rounded up.
    """
    if params.when == "always":
        return params
    share = 0.0 if certain >= params.certain else min(1.0, settings.steps_per_uncertain * (1 - certain))
    return params.model_copy(update={"steps": math.ceil(share * params.steps)})


def warmup_factor(step: int, params: FinetuneParams) -> float:
    """Factor of the learning rate at a step, from 0: rises linearly to 1 over the warm-up and stays there."""
    return min(1.0, (step + 1) / max(1, params.warmup))
