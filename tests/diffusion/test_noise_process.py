import pytest
import torch

from realfill.core.params import SampleParams
from realfill.diffusion.noise_process import DiffusionProcess, FlowProcess, NoiseProcess

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PROCESSES = {
    "noise": DiffusionProcess(SCHEDULE),
    "velocity": DiffusionProcess(SCHEDULE | {"prediction_type": "v_prediction"}),
    "flow": FlowProcess({"use_dynamic_shifting": True}, lambda tokens, steps: 0.5),
}


@pytest.fixture(params=PROCESSES)
def process(request: pytest.FixtureRequest) -> NoiseProcess:
    return PROCESSES[request.param]


def draw(seed: int) -> torch.Tensor:
    return torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_what_is_wanted_leads_back_to_the_clean_latents(process: NoiseProcess) -> None:
    latents, noise = draw(0), draw(1)
    trajectory = process.trajectory(SampleParams(steps=10), 64, torch.device("cpu"))
    timestep = trajectory.timesteps[4]
    noisy = trajectory.model_input(trajectory.noised(latents, noise, 4), timestep)
    wanted = process.wanted(latents, noise, timestep.expand(3))
    assert torch.allclose(trajectory.clean(wanted, timestep, noisy), latents, atol=1e-4)


def test_tuning_and_sampling_add_the_same_noise(process: NoiseProcess) -> None:
    latents, noise = draw(0), draw(1)
    trajectory = process.trajectory(SampleParams(steps=10), 64, torch.device("cpu"))
    timestep = trajectory.timesteps[4]
    assert torch.allclose(
        trajectory.noised(latents, noise, 4), process.noised(latents, noise, timestep.expand(3)), atol=1e-5
    )
    assert torch.equal(trajectory.noised(latents, noise, 10), latents), "none beyond the last step"


def test_times_are_drawn_from_all_of_the_schedule(process: NoiseProcess) -> None:
    generator = torch.Generator().manual_seed(0)
    times = process.draw_times(1000, generator).float()
    assert 0 <= float(times.min()) < 100
    assert 900 < float(times.max()) <= 1000
    assert 450 < float(times.mean()) < 550


@pytest.mark.parametrize("name", PROCESSES)
def test_a_perfect_denoiser_ends_at_the_clean_latents(name: str) -> None:
    process, latents, noise = PROCESSES[name], draw(0), draw(1)
    trajectory = process.trajectory(SampleParams(steps=10), 64, torch.device("cpu"))
    trajectory.begin(3)
    noisy = trajectory.noised(latents, noise, 3)
    for timestep in trajectory.timesteps[3:]:
        output = process.wanted(latents, noise, timestep.expand(3))
        noisy = trajectory.step(output, timestep, noisy, [torch.Generator()] * 3)
    assert torch.allclose(noisy, latents, atol=0.05)
