"""Tune LoRA layers of the base model on an album's bank of crops (RealFill, arXiv 2309.16668, section 4.1)."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers import DDPMScheduler
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor

from realfill.core.errors import TuningError
from realfill.core.failures import NumericalError
from realfill.core.progress import ProgressCallback, ProgressUpdate
from realfill.core.seeding import derive_seed, torch_generator
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.lora_files import read_checkpoint, write_checkpoint
from realfill.diffusion.lora_schedule import warmup_factor
from realfill.diffusion.training_bank import TrainingBank

if TYPE_CHECKING:
    from realfill.core.params import FinetuneParams

logger = logging.getLogger(__name__)
# PEFT's target modules: layers whose names end so. Attention as in diffusers' LoRA examples, the text encoder as in
# the public implementations of RealFill, convolutions and feed-forward layers as `UNet2DConditionModel` names them.
ATTENTION_MODULES = ["to_k", "to_q", "to_v", "to_out.0"]
CONVOLUTION_MODULES = ["conv1", "conv2", "conv_shortcut", "conv", "proj_in", "proj_out", "net.0.proj", "net.2"]
TEXT_ENCODER_MODULES = ["q_proj", "k_proj", "v_proj"]


class LoraTrainer:
    """LoRA layers on the base model, their optimizer, and the losses so far.

    A context manager: the model has the layers inside the block and is as before after it.

    Attributes:
        losses: Loss of each step that was taken.

    Args:
        model: The base model.
        bank: Pre-encoded pairs of a crop and a mask.
        params: Layers, rank, learning rates, steps, seed.
    """

    def __init__(self, model: BaseModel, bank: TrainingBank, params: FinetuneParams) -> None:
        self.losses: list[float] = []
        self._model, self._bank, self._params = model, bank, params
        self._frozen = model.unet, model.text_encoder
        self._noise_scheduler = DDPMScheduler.from_config(model.scheduler_config)
        self._micro_batch = min(params.micro_batch, params.batch_size)

    def __enter__(self) -> LoraTrainer:
        torch.manual_seed(derive_seed("adapter", self._params.seed))
        model, params = self._model, self._params
        layers = model.lora_layers if params.layers == "auto" else params.layers
        model.unet = self._add_lora(model.unet, ATTENTION_MODULES + (CONVOLUTION_MODULES if layers == "all" else []))
        model.text_encoder = self._add_lora(model.text_encoder, TEXT_ENCODER_MODULES)
        for part in (model.unet, model.text_encoder):
            part.to(model.device).train()
        self._weights: dict[str, Tensor] = {
            f"{name}.{weight_name}": weight
            for name, part in (("unet", model.unet), ("text_encoder", model.text_encoder))
            for weight_name, weight in part.named_parameters()
            if weight.requires_grad
        }
        groups = [
            {"params": [weight for name, weight in self._weights.items() if name.startswith(part)], "peak_lr": lr}
            for part, lr in (("unet.", params.lr_unet), ("text_encoder.", params.lr_text))
        ]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=params.weight_decay)
        return self

    def _add_lora(self, part: torch.nn.Module, target_modules: list[str]) -> PeftModel:
        params = self._params
        config = LoraConfig(
            r=params.rank,
            lora_alpha=params.alpha,
            lora_dropout=params.dropout,
            target_modules=target_modules,
            init_lora_weights="gaussian",
        )
        return get_peft_model(part, config)

    def __exit__(self, *_: object) -> None:
        for part in (self._model.unet, self._model.text_encoder):
            if isinstance(part, PeftModel):
                part.unload()
        self._model.unet, self._model.text_encoder = self._frozen
        for part in self._frozen:
            part.eval()

    def train(self, checkpoints: Path, on_progress: ProgressCallback | None = None) -> None:
        """Take the steps that are left after the last checkpoint, and write checkpoints.

        Args:
            checkpoints: Folder of the checkpoints of this very tuning.
            on_progress: Called after each step.

        Raises:
            TuningError: Not even a single sample fits into memory.
            NumericalError: The loss is no longer finite, or the tuned weights are not.
        """
        self.losses = read_checkpoint(checkpoints, self._weights, self._optimizer)
        if self.losses:
            logger.info("Resuming after step %d.", len(self.losses))
        started, resumed = time.monotonic(), len(self.losses)
        total = self._params.steps
        while len(self.losses) < total:
            self.losses.append(self.train_step(len(self.losses)))
            done = len(self.losses)
            if done % self._params.checkpoint_every == 0 or done == total:
                write_checkpoint(checkpoints, self._weights, self._optimizer, self.losses)
            if on_progress:
                rate = (done - resumed) / (time.monotonic() - started)
                on_progress(ProgressUpdate("finetune", done, total, self.losses[-1], (total - done) / rate, rate))
        if not all(bool(torch.isfinite(weight).all()) for weight in self._weights.values()):
            raise NumericalError(f"the weights after step {total - 1} are not finite")

    def train_step(self, step: int) -> float:
        """Take one optimizer step on the batch of this step, with a smaller micro-batch where memory is short.

        Returns:
            Mean loss of the batch.

        Raises:
            TuningError: Not even a single sample fits into memory.
            NumericalError: The loss is not finite.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak_lr"] * warmup_factor(step, self._params)
        while True:
            try:
                loss = self._accumulate_gradients(step)
                break
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                self._halve_micro_batch(error)
        if not math.isfinite(loss):
            raise NumericalError(f"the loss of step {step} is {loss}")
        self._optimizer.step()
        return loss

    def _halve_micro_batch(self, error: Exception) -> None:
        if not _is_out_of_memory(error):
            raise error
        if self._micro_batch == 1:
            problem = "Not even one sample fits into memory."
            raise TuningError(problem, "Free memory, or choose a smaller base model.") from error
        self._micro_batch //= 2
        logger.warning("Out of memory: continuing with %d samples per pass.", self._micro_batch)
        torch.cuda.empty_cache()

    def _accumulate_gradients(self, step: int) -> float:
        """Compute the gradients of one batch, micro-batch by micro-batch; returns its mean loss."""
        batch = self.draw_batch(step)
        size = self._params.batch_size
        self._optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for begin in range(0, size, self._micro_batch):
            torch.manual_seed(derive_seed("dropout", self._params.seed, step, begin))
            end = begin + self._micro_batch
            summed = self.compute_loss({name: value[begin:end] for name, value in batch.items()})
            self._model.accelerator.backward(summed / size)
            loss += float(summed.detach()) / size
        return loss

    def draw_batch(self, step: int) -> dict[str, Tensor]:
        """Draw the batch of a step, which is determined by (seed, step) alone.

        Returns:
            latents, masked_latents, noise: [B, 4, h, w] float32; mask, loss_weight: [B, 1, h, w] float32;
            timesteps: [B] int64; prompt_index: [B] int64, 0 for the empty prompt, 1 for the scene's.
        """
        bank, size = self._bank, self._params.batch_size
        generator = torch_generator("step", self._params.seed, step)
        rows = torch.randint(len(bank), (size,), generator=generator)
        shape = (size, *bank.latent_mean.shape[1:])  # [B, 4, h, w]

        def draw_normal() -> Tensor:
            return torch.randn(shape, generator=generator)

        train_timesteps = self._noise_scheduler.config.num_train_timesteps
        return {
            "latents": bank.latent_mean[rows] + bank.latent_std[rows] * draw_normal(),
            "masked_latents": bank.masked_latent_mean[rows] + bank.masked_latent_std[rows] * draw_normal(),
            "noise": draw_normal(),
            "mask": bank.mask[rows],
            "loss_weight": bank.loss_weight[rows],
            "timesteps": torch.randint(train_timesteps, (size,), generator=generator),
            "prompt_index": (torch.rand(size, generator=generator) >= self._params.prompt_dropout).long(),
        }

    def compute_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Weighted mean squared error, summed over the samples of a batch as `draw_batch` returns it; a scalar."""
        batch = {name: value.to(self._model.device) for name, value in batch.items()}
        noisy_latents = self._noise_scheduler.add_noise(batch["latents"], batch["noise"], batch["timesteps"])
        unet_input = torch.cat([noisy_latents, batch["mask"], batch["masked_latents"]], dim=1)  # [b, 9, h, w]
        with self._model.accelerator.autocast():
            prompt_embeds = self._model.encode_prompts(["", self._params.prompt])  # [2, L, D]
            embeds = prompt_embeds[batch["prompt_index"]]  # [b, L, D]
            prediction = self._model.unet(unet_input, batch["timesteps"], embeds).sample  # [b, 4, h, w]
        error = (prediction.float() - self._target(batch)) ** 2 * batch["loss_weight"]
        return error.mean(dim=(1, 2, 3)).sum()

    def _target(self, batch: dict[str, Tensor]) -> Tensor:
        """What the UNet is to predict, by the scheduler's prediction type, [b, 4, h, w]."""
        if self._noise_scheduler.config.prediction_type == "v_prediction":
            velocity: Tensor = self._noise_scheduler.get_velocity(
                batch["latents"], batch["noise"], batch["timesteps"]
            )
            return velocity
        return batch["noise"]


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)  # PyTorch's on the CPU
