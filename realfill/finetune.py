"""Fine-tune a LoRA adapter of the base model on one album (RealFill, arXiv 2309.16668, section 4.1).

The references are learned under random masks, the target under random masks joined with its own hole, and
no loss is taken inside that hole. The frozen autoencoder does not run in the steps: a finite bank of
(crop, mask) pairs is encoded once, and the batches are drawn from it.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from realfill.album import Album
from realfill.artifacts import (
    Window,
    accepted_references,
    canvas_path,
    mask_path,
    read_inputs,
    read_placed,
    read_window,
)
from realfill.basemodel import BaseModel, load
from realfill.errors import TuningError
from realfill.files import digest, digest_json, publishing, write_json, write_whole
from realfill.images import read_png, read_srgb, resize, square
from realfill.params import FinetuneParams, Params
from realfill.progress import Progress, Step
from realfill.randomness import key, numpy_generator, torch_generator

logger = logging.getLogger(__name__)

ATTENTION = ["to_k", "to_q", "to_v", "to_out.0"]
CONVOLUTIONS = ["conv1", "conv2", "conv_shortcut", "conv", "proj_in", "proj_out", "net.0.proj", "net.2"]
TEXT = ["q_proj", "k_proj", "v_proj"]


@dataclass(frozen=True)
class FinetuneResult:
    """What tuning wrote.

    Attributes:
        adapter: Folder with `unet/` and `text_encoder/` in PEFT's layout; None where no step was asked for.
        steps: Optimiser steps.
        final_loss: Mean loss of the last tenth of the steps; None where no step was asked for.
    """

    adapter: Path | None
    steps: int
    final_loss: float | None


@dataclass(frozen=True)
class Bank:
    """Pre-encoded (crop, mask) pairs, float32 on the CPU; N pairs, h = w = resolution / factor.

    Attributes:
        mean: [N, 4, h, w] posterior mean of the crop.
        std: [N, 4, h, w] posterior standard deviation of the crop.
        masked_mean: [N, 4, h, w] the same of the crop with its masked part grey.
        masked_std: [N, 4, h, w]
        mask: [N, 1, h, w] 1 = masked.
        weight: [N, 1, h, w] weight of the loss, 0 inside the target's hole.
    """

    mean: Tensor
    std: Tensor
    masked_mean: Tensor
    masked_std: Tensor
    mask: Tensor
    weight: Tensor


def run(album: Album, params: Params, on_progress: Progress | None = None) -> FinetuneResult:
    """Tune, going on from the last checkpoint of the very same inputs, and publish the adapter.

    Less is tuned, or nothing, where the placed references leave little to generate: see `shortened`.

    Raises:
        TuningError: The loss is no longer finite, or not even a single sample fits the memory.
        StageError: `validate`, `masks` or `align` has not run.
        ModelError: The base model cannot be loaded.
    """
    folder = album.work("finetune")
    params = params.model_copy(update={"finetune": shortened(params.finetune, read_placed(album).certain)})
    if params.finetune.steps == 0:
        with publishing(folder) as beside:
            _write_log(beside, [], params.finetune)
        return FinetuneResult(None, 0, None)
    model = load(params.base)
    checkpoints = album.out / "work" / ".checkpoints" / _content_key(album, params, model)
    bank = encode_bank(album, params.finetune, model)
    with Tuning(model, bank, params.finetune) as tuning:
        tuning.resume(checkpoints)
        tuning.go_on(checkpoints, on_progress)
        with publishing(folder) as beside:
            tuning.save_adapter(beside)
            _write_log(beside, tuning.losses, params.finetune)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return FinetuneResult(folder, params.finetune.steps, _final(tuning.losses))


def shortened(params: FinetuneParams, certain: float) -> FinetuneParams:
    """The same with the steps that are worth their time.

    With `when: auto` none where the placed references are certain of `params.certain` of the hole; below it twice the
    uncertain share of the steps, and all of them where no more than half of the hole is certain.

    Args:
        params: What is asked for.
        certain: Share of the hole that the placed references are certain of, 0 to 1.
    """
    if params.when == "always":
        return params
    share = 0.0 if certain >= params.certain else min(1.0, 2 * (1 - certain))
    return params.model_copy(update={"steps": math.ceil(share * params.steps)})


def random_mask(generator: np.random.Generator, side: int) -> np.ndarray:
    """The public implementations' recipe: up to 29 rectangles, inverted half of the time, all ones at 10 %.

    Returns:
        [side, side] bool, True = masked.
    """
    if generator.random() < 0.1:
        return np.ones((side, side), bool)
    mask = np.zeros((side, side), bool)
    shortest, longest, margin = (int(share * side) for share in (0.03, 0.25, 0.01))
    for _ in range(generator.integers(1, 30)):
        width, height = generator.integers(max(shortest, 1), longest, size=2)
        left = generator.integers(margin, side - margin - width + 1)
        top = generator.integers(margin, side - margin - height + 1)
        mask[top : top + height, left : left + width] = True
    return ~mask if generator.random() < 0.5 else mask


def encode_bank(album: Album, params: FinetuneParams, model: BaseModel) -> Bank:
    """Cut, mask and encode the bank's pairs; pair i is keyed by (seed, i) alone."""
    window = read_window(album)
    target, hole = _target(album, window, model.resolution)
    scene = [_shrunk(read_srgb(path), model.resolution, window) for path in accepted_references(album)]
    crops, masks, holes = [], [], []
    for number in range(params.bank):
        generator = numpy_generator("bank", params.seed, number)
        mask = random_mask(generator, model.resolution)
        which = number % (len(scene) + 1)
        if which == len(scene):
            crops.append(target)
            masks.append(mask | hole)
            holes.append(hole)
            continue
        crops.append(_random_crop(generator, scene[which], model.resolution, window))
        masks.append(mask)
        holes.append(np.zeros_like(hole))
    return encode_crops(model, crops, masks, holes)


def _target(album: Album, window: Window, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """The window of the canvas [R, R, 3] uint8, and its hole [R, R] bool, which covers what lies beyond too."""
    crop = square(read_png(canvas_path(album)), window)
    mask = square(read_png(mask_path(album)), window, fill=255)
    hole = resize(mask, resolution, resolution) > 0
    return resize(crop, resolution, resolution), hole


def _shrunk(photo: np.ndarray, resolution: int, window: Window) -> np.ndarray:
    """A reference no larger than its smallest crop needs, to save memory."""
    share = _smallest_crop(window)
    scale = min(1.0, resolution / (share * min(photo.shape[:2])))
    return resize(photo, round(photo.shape[1] * scale), round(photo.shape[0] * scale))


def _smallest_crop(window: Window) -> float:
    """Side of the smallest crop as a share of the shorter side, so that references show the window's scale."""
    return min(1.0, 0.8 * window.side / min(window.canvas_width, window.canvas_height))


def _random_crop(generator: np.random.Generator, photo: np.ndarray, resolution: int, window: Window) -> np.ndarray:
    height, width = photo.shape[:2]
    share = math.exp(generator.uniform(math.log(_smallest_crop(window)), 0.0))
    side = max(1, round(share * min(height, width)))
    left = generator.integers(0, width - side + 1)
    top = generator.integers(0, height - side + 1)
    return resize(photo[top : top + side, left : left + side], resolution, resolution)


def encode_crops(
    model: BaseModel, crops: list[np.ndarray], masks: list[np.ndarray], holes: list[np.ndarray], batch: int = 8
) -> Bank:
    """Encode crops [R, R, 3] uint8 under masks [R, R] bool; no loss in holes [R, R] bool; `batch` at a time."""
    pieces: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for begin in range(0, len(crops), batch):
        images = np.stack(crops[begin : begin + batch])  # [b, R, R, 3]
        masked = np.where(np.stack(masks[begin : begin + batch])[..., None], np.uint8(128), images)
        pieces.append((*model.encode(images), *model.encode(masked)))
    mean, std, masked_mean, masked_std = (torch.cat(column) for column in zip(*pieces, strict=True))
    return Bank(
        mean,
        std,
        masked_mean,
        masked_std,
        mask=latent_mask(np.stack(masks), model.factor),
        weight=1 - latent_mask(np.stack(holes), model.factor),
    )


def latent_mask(masks: np.ndarray, factor: int) -> Tensor:
    """[B, R, R] bool -> [B, 1, R/f, R/f] float32: 1 where any pixel of the latent's patch is set."""
    return torch.nn.functional.max_pool2d(torch.from_numpy(masks).float()[:, None], factor)


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
        write_whole(folder / "tuning.safetensors", save(tensors))

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
            write_whole(folder / name / "adapter_model.safetensors", save(tensors))
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


def _content_key(album: Album, params: Params, model: BaseModel) -> str:
    references = [row.digest for row in read_inputs(album) if row.role == "reference" and row.verdict == "accepted"]
    settings = params.finetune.model_dump(mode="json", exclude={"checkpoint_every"})
    inputs = [digest(canvas_path(album)), digest(mask_path(album)), *references]
    return digest_json([model.digest, settings, params.section("base"), inputs])[:32]


def _final(losses: list[float]) -> float | None:
    if not losses:
        return None
    last = losses[-max(1, len(losses) // 10) :]
    return sum(last) / len(last)


def _write_log(folder: Path, losses: list[float], params: FinetuneParams) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "loss", "lr"])
    for step, loss in enumerate(losses):
        rate = params.lr_unet * min(1.0, (step + 1) / max(1, params.warmup))
        writer.writerow([step, f"{loss:.6f}", f"{rate:.3e}"])
    write_whole(folder / "loss.csv", text.getvalue())
    write_json(folder / "metrics.json", {"steps": len(losses), "final_loss": _final(losses)})
