import pytest
import torch

from realfill.core.params import SampleParams
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.denoising_run import DenoisingRun, advance, start_run


def predict(model_input: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    return torch.tanh(model_input) + timestep / 1e4


@pytest.mark.parametrize("scheduler", ["dpmsolver++", "unipc", "ddpm", "euler"])
def test_a_run_that_is_parted_and_joined_ends_as_if_it_had_not_been(model: BaseModel, scheduler: str) -> None:
    params = SampleParams.model_validate({"steps": 8, "scheduler": scheduler})

    def start() -> DenoisingRun:
        trajectory = model.process.trajectory(params, 64, model.device)
        return start_run([0, 1, 2], ("noise", 0), trajectory, None, torch.Size((4, 8, 8)))

    whole = advance(start(), 8, predict, None, lambda _: None).latents
    paused = advance(start(), 3, predict, None, lambda _: None)
    parted = [paused.select([row]) for row in (2, 0)]
    advance(parted[0], 8, predict, None, lambda _: None)  # which leaves it as it is
    joined = DenoisingRun.join(parted)
    assert joined.indices == (2, 0)
    ended = advance(joined, 8, predict, None, lambda _: None).latents
    assert torch.allclose(ended, whole[[2, 0]], atol=1e-5)
    alone = advance(parted[1], 8, predict, None, lambda _: None).latents
    assert torch.allclose(alone, whole[:1], atol=1e-5)
