"""A training loop whose every step is a function of the seed and the step number, and can be resumed exactly."""

from __future__ import annotations

import csv
import math
import shutil
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import typer
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from realfill.core.atomic_io import atomic_directory
from realfill.core.seeding import key

SEED = 0
SHARD = "15MB"  # at most, of a file of a checkpoint: they have to travel


@dataclass
class Training:
    """A model in training, with everything that its next step depends on."""

    model: Any
    average: Any
    optimizer: torch.optim.AdamW
    step: int

    @classmethod
    def start(cls, model: Any, device: torch.device, checkpoints: Path) -> Training:
        """Begin anew, or go on from the last checkpoint in a folder if there is one."""
        model = model.to(device, memory_format=torch.channels_last).train()
        average = deepcopy(model).requires_grad_(False).eval()
        training = cls(model, average, torch.optim.AdamW(model.parameters(), weight_decay=0.01), 0)
        checkpoint = last(checkpoints)
        if checkpoint:
            training._load(checkpoint)
        return training

    def save(self, checkpoints: Path) -> None:
        """Write a checkpoint in small files, whole or not at all, and remove those before it."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            tensors |= {f"{slot}.{name}": value for slot, value in self.optimizer.state[parameter].items()}
        with atomic_directory(checkpoints / f"step-{self.step:07d}") as folder:
            save_torch_state_dict(tensors, folder, max_shard_size=SHARD)
        for older in sorted(checkpoints.glob("step-*"))[:-1]:
            shutil.rmtree(older)

    def _load(self, checkpoint: Path) -> None:
        tensors = read(checkpoint)
        for name, module in (("model", self.model), ("average", self.average)):
            prefix = f"{name}."
            found = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            module.load_state_dict(found)
        for name, parameter in self.model.named_parameters():
            self.optimizer.state[parameter] = {
                "step": tensors[f"step.{name}"],
                "exp_avg": torch.empty_like(parameter).copy_(tensors[f"exp_avg.{name}"]),
                "exp_avg_sq": torch.empty_like(parameter).copy_(tensors[f"exp_avg_sq.{name}"]),
            }
        self.step = int(checkpoint.name.removeprefix("step-"))

    def advance(self, loss: Tensor, rate: float, decay: float) -> None:
        """Take one optimizer step."""
        self.optimizer.param_groups[0]["lr"] = rate
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        decay = min(decay, self.step / (self.step + 9))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)


def train(
    training: Training,
    loss_at: Callable[[int], Tensor],
    *,
    name: str,
    work_dir: Path,
    steps: int,
    rate: float,
    minutes: float,
    every: float,
    on_checkpoint: Callable[[], None],
) -> None:
    """Train up to `steps`: warm-up, then a cosine down to 2 % of `rate`; a checkpoint `every` so many minutes."""
    started = saved = time.monotonic()
    logged, losses = training.step, torch.zeros(())
    while training.step < steps:
        step = training.step
        loss = loss_at(step)
        warm = min(1.0, (step + 1) / 100)
        training.advance(loss, rate * warm * (0.51 + 0.49 * math.cos(math.pi * step / steps)), 0.999)
        losses = losses.to(loss.device) + loss.detach()
        now = time.monotonic()
        over = now - started > 60 * minutes or training.step == steps
        if training.step % 25 == 0 or over:
            mean = losses.item() / (training.step - logged)
            _log(work_dir / f"{name}.csv", training.step, mean, now - started)
            logged, losses = training.step, torch.zeros(())
        if over or now - saved > 60 * every:
            training.save(work_dir / name)
            saved = now
            on_checkpoint()
        if over:
            break


def _log(path: Path, step: int, loss: float, seconds: float) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["step", "loss", "seconds"])
        writer.writerow([step, f"{loss:.5f}", f"{seconds:.1f}"])
    typer.echo(f"step {step:6d}  loss {loss:.4f}  {seconds / 60:5.1f} min")


def last(checkpoints: Path) -> Path | None:
    """The last checkpoint in a folder, if there is one."""
    return max(checkpoints.glob("step-*"), default=None)


def read(checkpoint: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint."""
    files = sorted(checkpoint.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def averaged(checkpoint: Path, first: str, build: Callable[[int], Any]) -> Any:
    """The averaged model in a checkpoint; `build` takes the width, the length of the tensor called `first`."""
    prefix = "average."
    tensors = {
        name.removeprefix(prefix): tensor for name, tensor in read(checkpoint).items() if name.startswith(prefix)
    }
    model = build(len(tensors[first]))
    model.load_state_dict(tensors)
    return model.requires_grad_(False).eval()


def device_here() -> torch.device:
    """The CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA, float32 on the CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def draws_for(device: torch.device, *parts: int | str) -> torch.Generator:
    """A generator on the device, keyed by `parts`."""
    return torch.Generator(device).manual_seed(key(SEED, *parts))
