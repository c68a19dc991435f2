import pytest
from hypothesis import given
from hypothesis import strategies as st

from realfill.core.params import FinetuneParams
from realfill.diffusion.lora_schedule import StepScalingSettings, scale_steps, warmup_factor


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_more_is_certain_the_less_is_tuned(one: float, other: float) -> None:
    params = FinetuneParams(steps=160, when="auto", certain=0.95)
    steps = [scale_steps(params, certain).steps for certain in sorted((one, other))]
    assert 160 >= steps[0] >= steps[1] >= 0
    assert scale_steps(params, 0.3).steps == 160
    assert scale_steps(params, 0.8).steps == 64
    assert scale_steps(params, 0.95).steps == 0
    assert scale_steps(params.model_copy(update={"when": "always"}), 0.99).steps == 160


def test_how_fast_tuning_gets_less_can_be_set() -> None:
    params = FinetuneParams(steps=100, when="auto", certain=0.95)
    assert scale_steps(params, 0.5, StepScalingSettings(steps_per_uncertain=1)).steps == 50


def test_nothing_but_the_steps_is_changed() -> None:
    params = FinetuneParams(steps=100, seed=7, rank=3)
    assert scale_steps(params, 0.9).model_copy(update={"steps": 100}) == params


def test_the_learning_rate_rises_linearly_and_stays() -> None:
    params = FinetuneParams(warmup=4)
    assert [warmup_factor(step, params) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    assert warmup_factor(0, FinetuneParams(warmup=0)) == 1
