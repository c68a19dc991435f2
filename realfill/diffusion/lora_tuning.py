"""FIXME DOCSTRING."""

from __future__ import annotations

import json
import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from realfill.core.atomic_io import atomic_write, write_json
from realfill.core.errors import TuningError
from realfill.core.params import FinetuneParams
from realfill.core.progress import Progress, Step
from realfill.core.seeding import key, torch_generator
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.training_bank import Bank

logger = logging.getLogger(__name__)
ATTENTION = ["to_k", "to_q", "to_v", "to_out.0"]
CONVOLUTIONS = ["conv1", "conv2", "conv_shortcut", "conv", "proj_in", "proj_out", "net.0.proj", "net.2"]
TEXT = ["q_proj", "k_proj", "v_proj"]


class Tuning:
    """LoRA layers on the base model, their optimiser, and the losses so far; a context manager.

    Args:
        model: The base model; it carries the layers inside the block and is as before after it.
        bank: Pre-encoded pairs.
        params: Layers, rank, rates, steps, seed.
    """

    def __init__(self, model: BaseModel, bank: Bank, params: FinetuneParams) -> None:
        self.model, self.bank, self.params = model, bank, params
        self.base = model.unet, model.text_encoder
        self.schedule = DDPMScheduler.from_config(model.scheduler)
        self.micro_batch = min(params.micro_batch, params.batch_size)
        self.losses: list[float] = []

    def __enter__(self) -> Tuning:
        torch.manual_seed(key("adapter", self.params.seed))
        model, params = self.model, self.params
        layers = model.layers if params.layers == "auto" else params.layers
        targets = ATTENTION + (CONVOLUTIONS if layers == "all" else [])
        common = {"r": params.rank, "lora_alpha": params.alpha, "lora_dropout": params.dropout}
        model.unet = get_peft_model(
            model.unet, LoraConfig(target_modules=targets, init_lora_weights="gaussian", **common)
        )
        model.text_encoder = get_peft_model(
            model.text_encoder, LoraConfig(target_modules=TEXT, init_lora_weights="gaussian", **common)
        )
        for part in (model.unet, model.text_encoder):
            part.to(model.device).train()
        self.weights = {
            f"{name}.{weight_name}": weight
            for name, part in (("unet", model.unet), ("text_encoder", model.text_encoder))
            for weight_name, weight in part.named_parameters()
            if weight.requires_grad
        }
        groups = [
            {"params": [w for n, w in self.weights.items() if n.startswith(part)], "lr": rate, "peak": rate}
            for part, rate in (("unet.", params.lr_unet), ("text_encoder.", params.lr_text))
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=params.weight_decay)
        return self

    def __exit__(self, *_: object) -> None:
        for part in (self.model.unet, self.model.text_encoder):
            if isinstance(part, PeftModel):
                part.unload()
        self.model.unet, self.model.text_encoder = self.base
        for part in self.base:
            part.eval()

    def go_on(self, checkpoints: Path, on_progress: Progress | None = None) -> None:
        """Take the steps that are left, with a checkpoint every so often.

        Raises:
            TuningError: The loss is no longer finite, or not even a single sample fits the memory.
        """
        started, done_before = time.monotonic(), len(self.losses)
        total = self.params.steps
        while len(self.losses) < total:
            self.losses.append(self.step(len(self.losses)))
            done = len(self.losses)
            if done % self.params.checkpoint_every == 0 or done == total:
                self._checkpoint(checkpoints)
            if on_progress:
                rate = (done - done_before) / (time.monotonic() - started)
                on_progress(Step("finetune", done, total, self.losses[-1], (total - done) / rate, rate))

    def step(self, step: int) -> float:
        """Take one optimiser step on the batch keyed by (seed, step); returns its loss."""
        warm = min(1.0, (step + 1) / max(1, self.params.warmup))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * warm
        while True:
            try:
                loss = self._accumulate(step)
                break
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                self._make_room(error)
        if not math.isfinite(loss):
            raise TuningError(
                f"The loss of step {step} is {loss}.", "Lower finetune.lr_unet and finetune.lr_text and run again."
            )
        self.optimizer.step()
        return loss

    def _make_room(self, error: Exception) -> None:
        if not _is_out_of_memory(error):
            raise error
        if self.micro_batch == 1:
            problem = "Not even one sample fits the memory."
            raise TuningError(problem, "Free memory, or choose a smaller base model.") from error
        self.micro_batch //= 2
        logger.warning("Out of memory: going on with %d samples a pass.", self.micro_batch)
        torch.cuda.empty_cache()

    def _accumulate(self, step: int) -> float:
        """Gradients of one batch, micro-batch by micro-batch; returns its loss."""
        batch = self.draw(step)
        size = self.params.batch_size
        self.optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for begin in range(0, size, self.micro_batch):
            torch.manual_seed(key("dropout", self.params.seed, step, begin))
            part = self.loss({name: value[begin : begin + self.micro_batch] for name, value in batch.items()})
            self.model.accelerator.backward(part / size)
            loss += float(part.detach()) / size
        return loss

    def draw(self, step: int) -> dict[str, Tensor]:
        """One batch, keyed by (seed, step)."""
        params, bank = self.params, self.bank
        generator = torch_generator("step", params.seed, step)
        rows = torch.randint(len(bank.mean), (params.batch_size,), generator=generator)
        shape = (params.batch_size, *bank.mean.shape[1:])

        def normal() -> Tensor:
            return torch.randn(shape, generator=generator)  # [B, 4, h, w]

        steps = self.schedule.config.num_train_timesteps
        return {
            "latents": bank.mean[rows] + bank.std[rows] * normal(),
            "masked": bank.masked_mean[rows] + bank.masked_std[rows] * normal(),
            "noise": normal(),
            "mask": bank.mask[rows],
            "weight": bank.weight[rows],
            "time": torch.randint(steps, (params.batch_size,), generator=generator),
            "prompted": (torch.rand(params.batch_size, generator=generator) >= params.prompt_dropout).long(),
        }

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Sum over the samples of the weighted mean squared error."""
        batch = {name: value.to(self.model.device) for name, value in batch.items()}
        noisy = self.schedule.add_noise(batch["latents"], batch["noise"], batch["time"])
        seen = torch.cat([noisy, batch["mask"], batch["masked"]], dim=1)  # [b, 9, h, w]
        with self.model.accelerator.autocast():
            both = self.model.embed(["", self.params.prompt])  # [2, L, D]
            predicted = self.model.unet(seen, batch["time"], both[batch["prompted"]]).sample  # [b, 4, h, w]
        error = (predicted.float() - self._wanted(batch)) ** 2 * batch["weight"]
        return error.mean(dim=(1, 2, 3)).sum()

    def _wanted(self, batch: dict[str, Tensor]) -> Tensor:
        if self.schedule.config.prediction_type == "v_prediction":
            velocity: Tensor = self.schedule.get_velocity(batch["latents"], batch["noise"], batch["time"])
            return velocity
        return batch["noise"]

    def _checkpoint(self, folder: Path) -> None:
        tensors = {f"weight.{name}": weight.detach().cpu().contiguous() for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            for moment, value in self.optimizer.state[weight].items():
                tensors[f"{moment}.{name}"] = value.detach().cpu().contiguous()
        tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        atomic_write(folder / "tuning.safetensors", save(tensors))

    def resume(self, folder: Path) -> None:
        """Take up weights, optimiser and losses from the checkpoint in `folder`, if there is one."""
        path = folder / "tuning.safetensors"
        if not path.is_file():
            return
        with safe_open(path, framework="pt") as stored:
            for name, weight in self.weights.items():
                weight.data.copy_(stored.get_tensor(f"weight.{name}"))
                moments = {m: stored.get_tensor(f"{m}.{name}") for m in ("step", "exp_avg", "exp_avg_sq")}
                self.optimizer.state[weight] = {
                    m: value if m == "step" else value.to(weight.device) for m, value in moments.items()
                }
            self.losses = stored.get_tensor("losses").tolist()
        logger.info("Going on after step %d.", len(self.losses))

    def save_adapter(self, folder: Path) -> None:
        """Write `unet/` and `text_encoder/` in PEFT's layout."""
        for name, part in (("unet", self.model.unet), ("text_encoder", self.model.text_encoder)):
            tensors = {k: v.detach().cpu().contiguous() for k, v in get_peft_model_state_dict(part).items()}
            atomic_write(folder / name / "adapter_model.safetensors", save(tensors))
            write_json(folder / name / "adapter_config.json", _plain(part.peft_config["default"]))


def _plain(config: LoraConfig) -> dict[str, Any]:
    """PEFT's adapter_config.json: sets in order and no folder of this machine, so equal settings give equal bytes."""
    values = {k: sorted(v) if isinstance(v, set) else v for k, v in config.to_dict().items()}
    values |= {"inference_mode": True, "base_model_name_or_path": None}
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
