"""Tune LoRA layers of the base model on an album's bank of crops (RealFill, arXiv 2309.16668, section 4.1)."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from realfill.core.errors import TuningError
from realfill.core.failures import NumericalError
from realfill.core.progress import ProgressCallback, ProgressUpdate
from realfill.core.seeding import derive_seed, torch_generator
from realfill.diffusion import devices
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.compilation import (
    CompilationSettings,
    compile_network,
    discard_compilation,
    wants_compilation,
)
from realfill.diffusion.condition import Condition, Embeddings
from realfill.diffusion.graphed_pass import CaptureError, GraphedPasses
from realfill.diffusion.lora_files import read_checkpoint, write_checkpoint
from realfill.diffusion.lora_layers import add_lora_layers
from realfill.diffusion.lora_schedule import warmup_factor
from realfill.diffusion.norms import norms_in_type_of_weights
from realfill.diffusion.training_bank import TrainingBank

if TYPE_CHECKING:
    from realfill.core.params import FinetuneParams

logger = logging.getLogger(__name__)
TEXT_ENCODER_MODULES = ["q_proj", "k_proj", "v_proj"]  # as in the public implementations of RealFill


class LoraTrainer:
    """LoRA layers on the base model, their optimizer, and the losses so far.

    A context manager: the model has the layers inside the block and is as before after it.

    Attributes:
        losses: Loss of each step that was taken.
        checkpoints_gradients: Whether the backward pass computes activations again, instead of keeping them.

    Args:
        model: The base model.
        bank: Pre-encoded pairs of a crop and a mask.
        params: Layers, rank, learning rates, steps, seed.
        settings: When the networks are compiled, and passes captured.
    """

    def __init__(
        self,
        model: BaseModel,
        bank: TrainingBank,
        params: FinetuneParams,
        settings: CompilationSettings = CompilationSettings(),
    ) -> None:
        self.losses: list[float] = []
        self._model, self._bank, self._params = model, bank, params
        self._micro_batch = min(params.micro_batch, params.batch_size)
        self._wants_graphs = settings.uses_graphs and model.device.type == "cuda"
        self.checkpoints_gradients = False
        self._graphs: GraphedPasses | None = None
        self._is_compiled = wants_compilation(model.device, params.steps, settings)
        self._drawn: tuple[int, dict[str, Tensor]] | None = None  # a step, and its batch on the device
        self._prompts: Embeddings | None = None  # where no step changes them

    def __enter__(self) -> LoraTrainer:
        with ExitStack() as stack:
            self._prepare(stack)
            self._context = stack.pop_all()
        return self

    def _prepare(self, stack: ExitStack) -> None:
        """Add LoRA layers, make their optimizer, and enter what holds while the model is tuned."""
        model, params = self._model, self._params
        if not model.tunes_text:
            model.embed(["", params.prompt])  # before the denoiser takes its memory
        self._frozen = {name: model.part(name) for name in model.tuned_parts}
        stack.callback(self._restore_parts)
        stack.enter_context(devices.deterministic_algorithms(model.device))
        stack.enter_context(norms_in_type_of_weights(self._frozen[model.denoiser]))
        layers = model.lora_layers if params.layers == "auto" else params.layers
        torch.manual_seed(derive_seed("adapter", params.seed))
        for name, part in self._frozen.items():
            targets = model.lora_targets(layers) if name == model.denoiser else TEXT_ENCODER_MODULES
            tuned = add_lora_layers(part, targets, params)
            tuned.to(model.device, memory_format=devices.memory_format(model.device)).train()
            if name == "text_encoder" and not params.lr_text:
                tuned.requires_grad_(False)
            if self._is_compiled and name == model.denoiser:
                compile_network(part)
            model.replace_part(name, tuned)
        if model.activation_gigabytes and not devices.has_room(model.device, self._activation_gigabytes()):
            self.checkpoint_gradients()
        self._weights: dict[str, Tensor] = {
            f"{name}.{weight_name}": weight
            for name in self._frozen
            for weight_name, weight in model.part(name).named_parameters()
            if weight.requires_grad
        }
        groups = [
            {
                "params": [weight for name, weight in self._weights.items() if name.startswith(f"{part}.")],
                "peak_lr": params.lr_unet if part == model.denoiser else params.lr_text,
            }
            for part in self._frozen
        ]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=params.weight_decay, fused=True)

    def __exit__(self, *_: object) -> None:
        self._graphs = None
        self._context.close()
        torch.cuda.empty_cache()  # for the other processes on this GPU

    def _restore_parts(self) -> None:
        for name, part in self._frozen.items():
            tuned = self._model.part(name)
            if tuned is not part:
                tuned.unload()
            self._model.replace_part(name, part)
            discard_compilation(part)
            part.eval()
        if self.checkpoints_gradients:
            self._frozen[self._model.denoiser].disable_gradient_checkpointing()

    def _activation_gigabytes(self) -> float:
        """What a pass keeps for its backward pass, 10^9 bytes."""
        return self._model.activation_gigabytes * (self._model.resolution / 1024) ** 2 * self._micro_batch

    def checkpoint_gradients(self) -> None:
        """From now on compute activations again in the backward pass: more time, less memory, the same result."""
        self._frozen[self._model.denoiser].enable_gradient_checkpointing()
        self.checkpoints_gradients, self._wants_graphs = True, False

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
        """Take one optimizer step on the batch of this step; where memory is short, as `_save_memory` says.

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
                mean = self._accumulate_gradients(step)
                break
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                self._save_memory(error)
            torch.cuda.empty_cache()  # the error held the tensors of its pass
        self._optimizer.step()
        self._drawn = step + 1, devices.move_batch(self.draw_batch(step + 1), self._model.device)  # meanwhile
        loss = float(mean)
        if not math.isfinite(loss):
            raise NumericalError(f"the loss of step {step} is {loss}")
        return loss

    def _save_memory(self, error: Exception) -> None:
        """Take fewer samples a pass after one ran out of memory; if it had a single one, keep no activations."""
        if not devices.is_out_of_memory(error):
            raise error
        if self._micro_batch > 1:
            self._micro_batch //= 2
            logger.warning("Out of memory: continuing with %d samples per pass.", self._micro_batch)
        elif not self.checkpoints_gradients:
            self.checkpoint_gradients()
            logger.warning("Out of memory: continuing with activations that are computed again, which takes longer.")
        else:
            problem = "Not even one sample fits into memory."
            raise TuningError(problem, "Free memory, or choose a smaller base model.") from error
        self._graphs = None

    def _accumulate_gradients(self, step: int) -> Tensor:
        """Compute the gradients of one batch, micro-batch by micro-batch; returns its mean loss, on the device."""
        if self._drawn is None or self._drawn[0] != step:
            self._drawn = step, devices.move_batch(self.draw_batch(step), self._model.device)
        micro_batches = devices.split_batch(self._drawn[1], self._micro_batch)
        graphs = self._capture(micro_batches)
        self._optimizer.zero_grad(set_to_none=graphs is None)
        loss = torch.zeros((), device=self._model.device)
        for number, micro_batch in enumerate(micro_batches):
            torch.manual_seed(derive_seed("dropout", self._params.seed, step, number * self._micro_batch))
            loss += graphs.replay(micro_batch) if graphs else self._run_pass(micro_batch)
        return loss

    def _capture(self, micro_batches: Sequence[Mapping[str, Tensor]]) -> GraphedPasses | None:
        """The passes of these micro-batches as graphs, or None where they are run as written."""
        if not self._wants_graphs:
            return None
        if self._graphs is None:
            self._graphs = GraphedPasses(self._run_pass)
            for weight in self._weights.values():
                weight.grad = torch.zeros_like(weight)
        try:
            for micro_batch in micro_batches:
                self._graphs.capture(micro_batch)
        except CaptureError as error:
            logger.warning("A step is slower than it could be: it cannot be captured as a CUDA graph (%s).", error)
            self._wants_graphs, self._graphs = False, None
        return self._graphs

    def _run_pass(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Add the gradients of a micro-batch; returns its share of the batch's mean loss, on the device."""
        loss = self.compute_loss(batch) / self._params.batch_size
        self._model.accelerator.backward(loss)
        return loss.detach()

    def draw_batch(self, step: int) -> dict[str, Tensor]:
        """Draw the batch of a step, which is determined by (seed, step) alone.

        Returns:
            latents, masked_latents, noise: [B, C, h, w] float32; mask: [B, 1, R, R] bool; loss_weight:
            [B, 1, h, w] float32; times: [B]; prompt_index: [B] int64, 0 for the empty prompt, 1 for the scene's;
            references: [B, K, C, h', w'] float32, of other photos than each sample's own.
        """
        bank, size, process = self._bank, self._params.batch_size, self._model.process
        generator = torch_generator("step", self._params.seed, step)
        rows = torch.randint(len(bank), (size,), generator=generator)
        shape = (size, *bank.latent_mean.shape[1:])  # [B, C, h, w]

        def draw_normal() -> Tensor:
            return torch.randn(shape, generator=generator)

        return {
            "latents": bank.latent_mean[rows] + bank.latent_std[rows] * draw_normal(),
            "masked_latents": bank.masked_latent_mean[rows] + bank.masked_latent_std[rows] * draw_normal(),
            "noise": draw_normal(),
            "mask": bank.mask[rows],
            "loss_weight": bank.loss_weight[rows],
            "times": process.draw_times(size, generator),
            "prompt_index": (torch.rand(size, generator=generator) >= self._params.prompt_dropout).long(),
            "references": bank.draw_references(rows, self._model.max_references, generator),
        }

    def compute_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Weighted mean squared error, summed over the samples of a batch as `draw_batch` returns it; a scalar."""
        model = self._model
        batch = {name: value.to(model.device) for name, value in batch.items()}
        noisy = model.process.noised(batch["latents"], batch["noise"], batch["times"])
        condition = Condition(batch["mask"].float(), batch["masked_latents"], batch["references"])
        prompts = self._embed_prompts()
        embeddings = {name: value[batch["prompt_index"]] for name, value in prompts.items()}  # each [b, ...]
        prediction = model.predict(noisy, batch["times"], condition, embeddings, model.tuning_guidance)
        error = (prediction - self._wanted(batch)) ** 2 * batch["loss_weight"]  # [b, C, h, w]
        return error.mean(dim=(1, 2, 3)).sum()

    def _embed_prompts(self) -> Embeddings:
        """The empty prompt and the scene's, each [2, ...]; the text encoder runs only where it is tuned."""
        if self._prompts is not None:
            return self._prompts
        prompts = self._model.embed(["", self._params.prompt])
        if not (self._model.tunes_text and self._params.lr_text):
            self._prompts = prompts
        return prompts

    def _wanted(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What the denoiser is to predict, [b, C, h, w]."""
        return self._model.process.wanted(batch["latents"], batch["noise"], batch["times"])
