"""How families of models add noise and take it away: denoising diffusion, and flow matching.

A process is the training side: times, noised latents, what the network is to predict. A trajectory is the sampling
side: one of diffusers' schedulers with its timesteps set. Latents are spatial everywhere, [B, C, h, w].
"""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from realfill.core.params import SampleParams


class Trajectory(ABC):
    """The steps from noise to clean latents, for one batch.

    Attributes:
        timesteps: [N], from noise to clean.
        scheduler: One of diffusers' schedulers with these timesteps set.
    """

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.timesteps: Tensor = scheduler.timesteps

    def begin(self, index: int) -> None:
        """Start at timestep number `index` instead of the first."""
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(index)

    def select(self, rows: Sequence[int]) -> Trajectory:
        """A copy for some samples of the batch."""
        return self._copy([self], rows)

    @staticmethod
    def join(trajectories: Sequence[Trajectory]) -> Trajectory:
        """A copy for the samples of several trajectories that have come equally far."""
        return trajectories[0]._copy(trajectories)

    def _copy(self, sources: Sequence[Trajectory], rows: Sequence[int] | None = None) -> Trajectory:
        """A copy whose scheduler remembers of single samples, in its tensors [B, C, h, w], what the sources' do."""

        def gather(values: Sequence[Any]) -> Any:
            if isinstance(values[0], list):
                return [gather(items) for items in zip(*values, strict=True)]
            if not isinstance(values[0], Tensor) or values[0].ndim != 4:
                return values[0]
            joined = torch.cat(list(values))
            return joined if rows is None else joined[list(rows)]

        copied = copy.copy(self)
        copied.scheduler = copy.copy(self.scheduler)
        for name in vars(self.scheduler):
            setattr(copied.scheduler, name, gather([vars(source.scheduler)[name] for source in sources]))
        return copied

    @abstractmethod
    def initial(self, noise: Tensor) -> Tensor:
        """Latents at the first timestep, of pure noise [B, C, h, w]."""

    @abstractmethod
    def noised(self, latents: Tensor, noise: Tensor, index: int) -> Tensor:
        """Clean latents [B, C, h, w] with the noise of timestep number `index`; clean beyond the last."""

    @abstractmethod
    def model_input(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """Latents at a timestep as the network takes them."""

    @abstractmethod
    def step(
        self, output: Tensor, timestep: Tensor, latents: Tensor, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """Latents at the next timestep.

        Args:
            output: [B, C, h, w] of the network.
            timestep: Scalar.
            latents: [B, C, h, w] at this timestep.
            generators: One of each sample, for schedulers that add noise.
        """

    @abstractmethod
    def clean(self, output: Tensor, timestep: Tensor, model_input: Tensor) -> Tensor:
        """The clean latents that an output of the network stands for, from the input that it had."""


class NoiseProcess(ABC):
    """How noise is added to latents, and what the network predicts."""

    @abstractmethod
    def draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """Random times for tuning, [count], as the network takes them."""

    @abstractmethod
    def noised(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Clean latents [B, C, h, w] with the noise of times [B]."""

    @abstractmethod
    def wanted(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What the network is to predict, [B, C, h, w]."""

    def scheduler_name(self, params: SampleParams) -> str:
        """Name of the scheduler that samples."""
        return params.scheduler

    @abstractmethod
    def trajectory(self, params: SampleParams, tokens: int, device: torch.device) -> Trajectory:
        """The steps of sampling.

        Args:
            params: Scheduler and number of steps.
            tokens: Number of image tokens that a transformer sees, on which the shift of flow matching depends.
            device: Of the latents.
        """


class DiffusionProcess(NoiseProcess):
    """Denoising diffusion (DDPM) of Stable Diffusion, which predicts noise or velocity.

    Args:
        config: Of any of diffusers' schedulers of this kind.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        from diffusers import DDPMScheduler

        self.config = config
        self._scheduler = DDPMScheduler.from_config(config)

    def draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform whole numbers, int64."""
        return torch.randint(self._scheduler.config.num_train_timesteps, (count,), generator=generator)

    def noised(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Clean latents [B, C, h, w] with the noise of times [B]."""
        noisy: Tensor = self._scheduler.add_noise(latents, noise, times)
        return noisy

    def wanted(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The noise, or the velocity, by the scheduler's prediction type."""
        if self._scheduler.config.prediction_type == "v_prediction":
            velocity: Tensor = self._scheduler.get_velocity(latents, noise, times)
            return velocity
        return noise

    def trajectory(self, params: SampleParams, tokens: int, device: torch.device) -> Trajectory:
        """The steps of the scheduler that the parameters name."""
        import diffusers

        options = {"algorithm_type": "dpmsolver++"} if params.scheduler == "dpmsolver++" else {}
        scheduler = getattr(diffusers, _SCHEDULERS[params.scheduler]).from_config(self.config, **options)
        scheduler.set_timesteps(params.steps, device=device)
        return DiffusionTrajectory(scheduler, self._scheduler)


_SCHEDULERS = {
    "ddpm": "DDPMScheduler",
    "unipc": "UniPCMultistepScheduler",
    "dpmsolver++": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
}


class DiffusionTrajectory(Trajectory):
    """Steps of denoising diffusion.

    Args:
        scheduler: One of diffusers' schedulers with its timesteps set.
        reference: The training scheduler, which knows the noise of each timestep.
    """

    def __init__(self, scheduler: Any, reference: Any) -> None:
        super().__init__(scheduler)
        self._reference = reference
        self._is_random = "generator" in inspect.signature(scheduler.step).parameters

    def initial(self, noise: Tensor) -> Tensor:
        """Noise, scaled as the scheduler wants it."""
        return noise * self.scheduler.init_noise_sigma

    def noised(self, latents: Tensor, noise: Tensor, index: int) -> Tensor:
        """Clean latents with the noise of timestep number `index`; clean beyond the last."""
        if index >= len(self.timesteps):
            return latents
        noisy: Tensor = self.scheduler.add_noise(latents, noise, self.timesteps[index : index + 1].expand(len(noise)))
        return noisy

    def model_input(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """Latents, scaled by Euler's scheduler alone."""
        scaled: Tensor = self.scheduler.scale_model_input(latents, timestep)
        return scaled

    def step(
        self, output: Tensor, timestep: Tensor, latents: Tensor, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """Latents at the next timestep."""
        options = {"generator": list(generators)} if self._is_random else {}
        previous: Tensor = self.scheduler.step(output, timestep, latents, **options).prev_sample
        return previous

    def clean(self, output: Tensor, timestep: Tensor, model_input: Tensor) -> Tensor:
        """Clean latents from the noise or the velocity that was predicted (Salimans and Ho, arXiv 2202.00512)."""
        alpha_cumprod = self._reference.alphas_cumprod.to(output)[timestep.round().long().cpu()]
        alpha, sigma = alpha_cumprod.sqrt(), (1 - alpha_cumprod).sqrt()
        if self._reference.config.prediction_type == "v_prediction":
            return alpha * model_input - sigma * output
        return (model_input - sigma * output) / alpha


class FlowProcess(NoiseProcess):
    """Flow matching of FLUX, which predicts noise minus clean latents. Times are 1000 times the share of noise.

    Args:
        config: Of `FlowMatchEulerDiscreteScheduler`.
        shift: Takes the number of image tokens and of steps to `mu`, by which times are shifted towards noise.
    """

    def __init__(self, config: dict[str, Any], shift: Callable[[int, int], float]) -> None:
        self.config, self._shift = config, shift
        self._scale = float(config.get("num_train_timesteps", 1000))

    def draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """Logit-normal times, float32 (Esser et al., arXiv 2403.03206, rf/lognorm(0, 1))."""
        return torch.sigmoid(torch.randn(count, generator=generator)) * self._scale

    def noised(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The point at these times on the straight line from clean latents to noise."""
        sigma = (times / self._scale).view(-1, 1, 1, 1).to(latents)
        return (1 - sigma) * latents + sigma * noise

    def wanted(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The direction of that line."""
        return noise - latents

    def scheduler_name(self, params: SampleParams) -> str:
        """Euler's, always."""
        return "euler"

    def trajectory(self, params: SampleParams, tokens: int, device: torch.device) -> Trajectory:
        """Euler's steps, whatever scheduler the parameters name."""
        from diffusers import FlowMatchEulerDiscreteScheduler

        scheduler = FlowMatchEulerDiscreteScheduler.from_config(self.config)
        sigmas = np.linspace(1.0, 1 / params.steps, params.steps)
        options = {"mu": self._shift(tokens, params.steps)} if scheduler.config.use_dynamic_shifting else {}
        scheduler.set_timesteps(sigmas=sigmas, device=device, **options)
        return FlowTrajectory(scheduler)


class FlowTrajectory(Trajectory):
    """Euler's steps of flow matching."""

    def initial(self, noise: Tensor) -> Tensor:
        """Noise as it is."""
        return noise

    def noised(self, latents: Tensor, noise: Tensor, index: int) -> Tensor:
        """The point at timestep number `index` on the line from clean latents to noise; clean beyond the last."""
        sigma = self.scheduler.sigmas[index]
        noisy: Tensor = (1 - sigma) * latents + sigma * noise
        return noisy

    def model_input(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """Latents as they are."""
        return latents

    def step(
        self, output: Tensor, timestep: Tensor, latents: Tensor, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """Latents at the next timestep."""
        previous: Tensor = self.scheduler.step(output, timestep, latents).prev_sample
        return previous

    def clean(self, output: Tensor, timestep: Tensor, model_input: Tensor) -> Tensor:
        """The end of the line through the input in the predicted direction."""
        return model_input - timestep / self.scheduler.config.num_train_timesteps * output
