"""The state of candidates between two steps of sampling: they can be set aside, parted, and joined anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from realfill.core.seeding import torch_generator
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.condition import Condition, Embeddings
from realfill.diffusion.noise_process import Trajectory


@dataclass(frozen=True)
class InitLatents:
    """What sampling starts from instead of pure noise, and what it is held to.

    Attributes:
        latents: [1, C, h, w] float32, of the initial image.
        keep_weight: [1, 1, h, w] float32, 0 to 1: how far they are kept.
        strength: Share of the noise that sampling starts with, 0 to 1.
    """

    latents: Tensor
    keep_weight: Tensor
    strength: float


@dataclass(frozen=True)
class DenoisingRun:
    """Candidates of one batch between two steps.

    Attributes:
        indices: Numbers of the candidates, [B].
        trajectory: Its steps, with what its scheduler remembers of the steps so far.
        generators: One a candidate.
        noise: [B, C, h, w] that each started with.
        latents: [B, C, h, w] at the next timestep.
        clean: [B, C, h, w] clean latents as the last step foresaw them; None before the first step.
        done: Number of the next timestep.
    """

    indices: tuple[int, ...]
    trajectory: Trajectory
    generators: tuple[torch.Generator, ...]
    noise: Tensor
    latents: Tensor
    clean: Tensor | None
    done: int

    def select(self, rows: Sequence[int]) -> DenoisingRun:
        """A copy with some of the candidates, which goes on as if they had been alone from the beginning."""
        rows = list(rows)
        return DenoisingRun(
            indices=tuple(self.indices[row] for row in rows),
            trajectory=self.trajectory.select(rows),
            generators=tuple(self.generators[row].clone_state() for row in rows),
            noise=self.noise[rows],
            latents=self.latents[rows],
            clean=None if self.clean is None else self.clean[rows],
            done=self.done,
        )

    @classmethod
    def join(cls, runs: Sequence[DenoisingRun]) -> DenoisingRun:
        """A copy with the candidates of several runs that have come equally far."""
        return cls(
            indices=tuple(index for run in runs for index in run.indices),
            trajectory=Trajectory.join([run.trajectory for run in runs]),
            generators=tuple(generator.clone_state() for run in runs for generator in run.generators),
            noise=torch.cat([run.noise for run in runs]),
            latents=torch.cat([run.latents for run in runs]),
            clean=torch.cat([run.clean for run in runs if run.clean is not None])
            if runs[0].clean is not None
            else None,
            done=runs[0].done,
        )


def start_run(
    indices: Sequence[int], key: tuple[str, int], trajectory: Trajectory, init: InitLatents | None, shape: torch.Size
) -> DenoisingRun:
    """Draw the noise of candidates.

    Args:
        indices: Their numbers.
        key: Kind and seed; candidate k is determined by them and k.
        trajectory: The steps, at the first timestep.
        init: What sampling starts from and keeps; None for pure noise.
        shape: [C, h, w] of the latents.
    """
    generators = tuple(torch_generator(*key, index) for index in indices)
    noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
    noise = noise.to(trajectory.timesteps.device)  # [B, C, h, w]
    if init is None:
        return DenoisingRun(tuple(indices), trajectory, generators, noise, trajectory.initial(noise), None, 0)
    count = len(trajectory.timesteps)
    first = min(count - 1, round((1 - init.strength) * count))
    trajectory.begin(first)
    latents = trajectory.noised(init.latents.expand_as(noise), noise, first)
    return DenoisingRun(tuple(indices), trajectory, generators, noise, latents, None, first)


def advance(
    run: DenoisingRun,
    stop: int,
    predict: Callable[[Tensor, Tensor], Tensor],
    init: InitLatents | None,
    on_step: Callable[[int], None],
) -> DenoisingRun:
    """Denoise a copy of a run up to, but without, timestep number `stop`.

    Args:
        run: Where to go on; stays as it is.
        stop: Number of a timestep, or of timesteps in all to finish.
        predict: The network's output for a scaled input [B, C, h, w] and a timestep.
        init: What the latents are held to after each step; None for nothing.
        on_step: Called after each step with the number of candidates.
    """
    run = run.select(range(len(run.indices)))
    trajectory, latents, clean = run.trajectory, run.latents, run.clean
    for number in range(run.done, stop):
        timestep = trajectory.timesteps[number]
        model_input = trajectory.model_input(latents, timestep)
        output = predict(model_input, timestep)
        clean = trajectory.clean(output, timestep, model_input)
        latents = trajectory.step(output, timestep, latents, run.generators)
        on_step(len(latents))
        if init is not None:
            kept = trajectory.noised(init.latents.expand_as(run.noise), run.noise, number + 1)
            latents = init.keep_weight * kept + (1 - init.keep_weight) * latents
            clean = init.keep_weight * init.latents + (1 - init.keep_weight) * clean
    return replace(run, latents=latents, clean=clean, done=max(run.done, stop))


def predict_guided(
    model: BaseModel,
    model_input: Tensor,
    timestep: Tensor,
    condition: Condition,
    embeddings: Embeddings,
    scale: float,
) -> Tensor:
    """The denoiser's output with guidance of its kind (classifier-free: Ho and Salimans, arXiv 2207.12598).

    Args:
        model: The base model.
        model_input: [B, C, h, w] float32.
        timestep: Scalar.
        condition: Of one sample.
        embeddings: Of the prompt and of the empty prompt, each [2, ...].
        scale: Guidance scale; 1 = none, or, of a denoiser that has it as an input, the value it is tuned with.

    Returns:
        [B, C, h, w] float32.
    """
    count = len(model_input)
    condition = condition.expand(count)
    embedded = model.tuning_guidance if scale == 1.0 else scale

    def predict(row: int) -> Tensor:
        prompt = {name: value[row : row + 1].expand(count, *value.shape[1:]) for name, value in embeddings.items()}
        return model.predict(model_input, timestep, condition, prompt, embedded)

    prompted = predict(0)
    if scale == 1.0 or model.guidance_kind != "classifier-free":
        return prompted
    unprompted = predict(1)
    return unprompted + scale * (prompted - unprompted)
