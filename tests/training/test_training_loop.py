import copy
import csv
import math
from pathlib import Path

import pytest
import torch

from training_loop import TrainingState, find_last_checkpoint, load_ema_model, train


def create(width: int = 3) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(2, width)


def run(work_dir: Path, steps: int, **options: float) -> TrainingState:
    """Train a linear layer to output ones."""
    state = TrainingState.start_or_resume(create(), torch.device("cpu"), work_dir / "line")

    def compute_loss(step: int) -> torch.Tensor:
        inputs = torch.rand(8, 2, generator=torch.Generator().manual_seed(step))
        loss: torch.Tensor = (state.model(inputs) - 1).square().mean()
        return loss

    train(
        state,
        compute_loss,
        name="line",
        work_dir=work_dir,
        steps=steps,
        learning_rate=0.05,
        minutes=options.get("minutes", 10),
        checkpoint_minutes=10,
        on_checkpoint=lambda: None,
        seconds=options.get("seconds", math.inf),
    )
    return state


def test_the_loss_falls_and_is_logged(tmp_path: Path) -> None:
    run(tmp_path, steps=300)
    with (tmp_path / "line.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(25, 301, 25))
    assert float(rows[-1]["loss"]) < 0.1 * float(rows[0]["loss"])


def test_the_clock_can_end_the_training_with_a_low_learning_rate(tmp_path: Path) -> None:
    state = run(tmp_path, steps=10**9, seconds=0.3)
    assert find_last_checkpoint(tmp_path / "line") is not None
    assert 5 < state.step < 10**6
    assert state.optimizer.param_groups[0]["lr"] < 0.2 * 0.05


def test_steps_without_a_finite_gradient_are_skipped_and_ten_in_a_row_end_the_training() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    state = TrainingState(model, copy.deepcopy(model), torch.optim.AdamW(model.parameters()), 0)

    def step(factor: float) -> None:
        state.take_step((model(torch.ones(1, 2)) * factor).mean(), 0.1)

    step(1)
    weights = {name: tensor.clone() for name, tensor in model.named_parameters()}
    for factor in (math.nan, math.inf):
        step(factor)
    assert (state.step, state.skipped, state.skipped_in_row) == (3, 2, 2)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.named_parameters())
    step(1)
    assert (state.skipped, state.skipped_in_row) == (2, 0)
    assert all(bool(tensor.isfinite().all()) for tensor in [*model.parameters(), *state.ema_model.parameters()])
    assert not torch.equal(model.weight, weights["weight"])
    with pytest.raises(SystemExit, match="10 steps in a row, up to step 14"):
        for _ in range(20):
            step(math.nan)


def test_only_the_last_checkpoint_is_kept_and_training_resumes_there(tmp_path: Path) -> None:
    assert find_last_checkpoint(tmp_path) is None
    run(tmp_path, steps=300, minutes=0)
    state = run(tmp_path, steps=300, minutes=0)
    assert state.step == 2
    checkpoint = find_last_checkpoint(tmp_path / "line")
    assert checkpoint is not None
    assert [path.name for path in (tmp_path / "line").iterdir()] == ["step-0000002"] == [checkpoint.name]


def test_the_running_average_lags_behind_and_can_be_loaded(tmp_path: Path) -> None:
    state = run(tmp_path, steps=50)
    checkpoint = find_last_checkpoint(tmp_path / "line")
    assert checkpoint is not None
    loaded = load_ema_model(checkpoint, "weight", create)
    assert torch.equal(loaded.weight, state.ema_model.weight)
    assert not torch.equal(state.ema_model.weight, state.model.weight)
    start = create().weight
    distance = [float((weight - start).detach().norm()) for weight in (state.ema_model.weight, state.model.weight)]
    assert distance[0] == pytest.approx(distance[1], rel=0.8)
