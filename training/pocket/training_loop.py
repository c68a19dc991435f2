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
from realfill.core.seeding import derive_seed

SEED = 0
MAX_SHARD_SIZE = "15MB"  # of a file of a checkpoint, so that checkpoints can be copied between machines
WARMUP_STEPS = 100
EMA_DECAY = 0.999
MAX_SKIPPED = 10  # steps in a row whose gradient is not finite, after which training is given up
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of a weight


@dataclass
class TrainingState:
    """A model in training, with everything that its next step depends on.

    Attributes:
        model: The model.
        ema_model: Running average of its weights.
        optimizer: AdamW over its weights.
        step: Steps that were taken or skipped.
        skipped: Steps that were skipped since the start or the last resumption.
        skipped_in_row: Those of them since the last step that was taken.
    """

    model: Any
    ema_model: Any
    optimizer: torch.optim.AdamW
    step: int
    skipped: int = 0
    skipped_in_row: int = 0

    @classmethod
    def start_or_resume(cls, model: Any, device: torch.device, checkpoints: Path) -> TrainingState:
        """Resume from the last checkpoint in a folder if there is one, else start."""
        model = model.to(device, memory_format=torch.channels_last).train()
        ema_model = deepcopy(model).requires_grad_(False).eval()
        fused = device.type == "cuda"
        state = cls(model, ema_model, torch.optim.AdamW(model.parameters(), weight_decay=0.01, fused=fused), 0)
        checkpoint = find_last_checkpoint(checkpoints)
        if checkpoint:
            state._load(checkpoint)
        return state

    def save(self, checkpoints: Path) -> None:
        """Write a checkpoint in small files, whole or not at all, and remove those before it."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.ema_model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            tensors |= {f"{moment}.{name}": value for moment, value in self.optimizer.state[parameter].items()}
        with atomic_directory(checkpoints / f"step-{self.step:07d}") as folder:
            save_torch_state_dict(tensors, folder, max_shard_size=MAX_SHARD_SIZE)
        for older in sorted(checkpoints.glob("step-*"))[:-1]:
            shutil.rmtree(older)

    def _load(self, checkpoint: Path) -> None:
        tensors = read_checkpoint(checkpoint)
        self.model.load_state_dict(_select(tensors, "model."))
        self.ema_model.load_state_dict(_select(tensors, "average."))
        for name, parameter in self.model.named_parameters():
            step, *averages = (tensors[f"{moment}.{name}"] for moment in MOMENTS)
            device = parameter.device if self.optimizer.defaults["fused"] else step.device
            values = (step.to(device), *(torch.empty_like(parameter).copy_(average) for average in averages))
            self.optimizer.state[parameter] = dict(zip(MOMENTS, values, strict=True))
        self.step = int(checkpoint.name.removeprefix("step-"))

    def take_step(self, loss: Tensor, learning_rate: float) -> None:
        """Take one optimizer step and update the running average; skip both where the gradient is not finite.

        Raises:
            SystemExit: `MAX_SKIPPED` steps in a row were skipped. The last checkpoint stays.
        """
        self.optimizer.param_groups[0]["lr"] = learning_rate
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.step += 1
        if (loss.detach() + norm).isfinite():
            self.optimizer.step()
            self._average()
            self.skipped_in_row = 0
        else:
            self.skipped += 1
            self.skipped_in_row += 1
        self.optimizer.zero_grad()
        if self.skipped_in_row == MAX_SKIPPED:
            raise SystemExit(f"The gradient was not finite in {MAX_SKIPPED} steps in a row, up to step {self.step}.")

    def _average(self) -> None:
        decay = min(EMA_DECAY, self.step / (self.step + 9))
        averages, weights = list(self.ema_model.parameters()), list(self.model.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - decay)


def train(
    state: TrainingState,
    compute_loss: Callable[[int], Tensor],
    *,
    name: str,
    work_dir: Path,
    steps: int,
    learning_rate: float,
    minutes: float,
    checkpoint_minutes: float,
    on_checkpoint: Callable[[], None],
    seconds: float = math.inf,
) -> None:
    """Train with a linear warm-up, then a cosine down to 2 % of the learning rate.

    The cosine follows the steps, or the clock where less of its time is left: a run on a machine that is lent for a
    while ends with a low learning rate, but not in the same bytes as another.

    Args:
        state: The model in training.
        compute_loss: The loss of a step, by its number.
        name: Name of the log and of the folder of checkpoints in `work_dir`.
        work_dir: Folder of all that belongs to the training.
        steps: Number of the step to stop at.
        learning_rate: Its highest value.
        minutes: Stop with a checkpoint after so many minutes.
        checkpoint_minutes: Minutes between checkpoints.
        on_checkpoint: Called after each checkpoint.
        seconds: Stop after so many seconds, at the end of the cosine.
    """
    started = saved = now = time.monotonic()
    losses: list[Tensor] = []
    while state.step < steps:
        step = state.step
        loss = compute_loss(step)
        warmup = min(1.0, (step + 1) / WARMUP_STEPS)
        progress = min(1.0, max(step / steps, (now - started) / seconds))
        state.take_step(loss, learning_rate * warmup * (0.51 + 0.49 * math.cos(math.pi * progress)))
        if not state.skipped_in_row:
            losses.append(loss.detach())
        now = time.monotonic()
        is_over = now - started > min(60 * minutes, seconds) or state.step == steps
        if state.step % 25 == 0 or is_over:
            mean = float(torch.stack(losses).mean()) if losses else math.nan
            _log(work_dir / f"{name}.csv", state.step, mean, now - started, state.skipped)
            losses = []
        if is_over or now - saved > 60 * checkpoint_minutes:
            state.save(work_dir / name)
            saved = now
            on_checkpoint()
        if is_over:
            break


def _log(path: Path, step: int, loss: float, seconds: float, skipped: int) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["step", "loss", "seconds", "skipped"])
        writer.writerow([step, f"{loss:.5f}", f"{seconds:.1f}", skipped])
    typer.echo(f"step {step:6d}  loss {loss:.4f}  {seconds / 60:5.1f} min")


def find_last_checkpoint(checkpoints: Path) -> Path | None:
    """The last checkpoint in a folder, if there is one."""
    return max(checkpoints.glob("step-*"), default=None)


def read_checkpoint(checkpoint: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint."""
    files = sorted(checkpoint.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def load_ema_model(checkpoint: Path, first_layer: str, create: Callable[[int], Any]) -> Any:
    """Load the running average from a checkpoint.

    Args:
        checkpoint: Folder of the checkpoint.
        first_layer: Name of a tensor whose length is the model's width.
        create: Makes the model, by its width.
    """
    tensors = _select(read_checkpoint(checkpoint), "average.")
    model = create(len(tensors[first_layer]))
    model.load_state_dict(tensors)
    return model.requires_grad_(False).eval()


def _select(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names have this prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def select_device() -> torch.device:
    """The CUDA device if there is one, else the CPU.

    cuDNN chooses its algorithms by their speed. Its attention is off: the backward pass is NaN where the scores of a
    query are very low (PyTorch 2.11, https://github.com/pytorch/pytorch/issues/196678), which ended a training.
    """
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.enable_cudnn_sdp(False)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA, float32 on the CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def create_generator(device: torch.device, *key: int | str) -> torch.Generator:
    """A random generator on the device with the seed of a key."""
    return torch.Generator(device).manual_seed(derive_seed(SEED, *key))
