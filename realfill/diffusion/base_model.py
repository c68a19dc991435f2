"""Base models: inpainting diffusion models in diffusers' folder format, all loaded by the same code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, UNet2DConditionModel
from peft import PeftModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from realfill.core.errors import ModelError
from realfill.core.params import BaseParams
from realfill.diffusion.model_registry import locate, model_digest, spec


@dataclass
class BaseModel:
    """An inpainting diffusion model in memory, frozen, in evaluation mode.

    Attributes:
        name: As in the parameters.
        digest: Digest of its files, hex.
        layers: Which layers LoRA tunes: "attention" or "all".
        repairs: Whether it mends what is placed in the hole of the masked image.
        unet: 9 input channels: noisy latents 4, mask 1 (1 = fill), latents of the masked image 4.
        vae: Image <-> 4-channel latents.
        text_encoder: CLIP text encoder.
        tokenizer: Its tokenizer.
        scheduler: Configuration of the noise schedule.
        accelerator: Device and precision.
    """

    name: str
    digest: str
    layers: Literal["attention", "all"]
    repairs: bool
    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: dict[str, Any]
    accelerator: Accelerator

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def factor(self) -> int:
        """Pixels of the image per latent, along a side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def resolution(self) -> int:
        """Side of the square images it was trained on, pixels."""
        return int(self.unet.config.sample_size) * self.factor

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Encode images.

        Args:
            images: [B, R, R, 3] uint8 sRGB.

        Returns:
            Mean and standard deviation of the posterior, each [B, 4, R/f, R/f] float32 on the CPU, in the
            scale that the UNet sees.
        """
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device)  # [B, 3, R, R]
        with self.accelerator.autocast():
            posterior = self.vae.encode(batch.float() / 127.5 - 1).latent_dist
        scale = self.vae.config.scaling_factor
        return (posterior.mean * scale).float().cpu(), (posterior.std * scale).float().cpu()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Decode latents [B, 4, h, w], in the scale that the UNet sees, to [B, f h, f w, 3] uint8 sRGB."""
        with self.accelerator.autocast():
            images = self.vae.decode(latents.to(self.device) / self.vae.config.scaling_factor).sample
        levels = ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        array: np.ndarray = levels.permute(0, 2, 3, 1).cpu().numpy()
        return array

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Text embeddings [len(prompts), L, D]; differentiable in whatever LoRA the text encoder carries."""
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        embeddings: Tensor = self.text_encoder(tokens.input_ids.to(self.device))[0]
        return embeddings

    @contextmanager
    def adapted(self, folder: Path | None) -> Iterator[None]:
        """Carry the LoRA adapter in `folder` (unet/, text_encoder/) inside the block; None: as it is."""
        if folder is None:
            yield
            return
        base = self.unet, self.text_encoder
        try:
            self.unet = PeftModel.from_pretrained(base[0], folder / "unet").eval()
            self.text_encoder = PeftModel.from_pretrained(base[1], folder / "text_encoder").eval()
            yield
        finally:
            for adapted in (self.unet, self.text_encoder):
                if isinstance(adapted, PeftModel):
                    adapted.unload()
            self.unet, self.text_encoder = base


def load(params: BaseParams) -> BaseModel:
    """The base model that the parameters name; loaded once a process.

    Raises:
        ModelError: It is not on this machine, is incomplete or of the wrong kind, or there is no such device.
    """
    return _load(params.model, params.device, params.precision)


@cache
def _load(name: str, device: str, precision: str) -> BaseModel:
    folder = locate(name)
    accelerator = _accelerator(device, precision)
    transformers_logging.disable_progress_bar()
    parts = {
        "unet": UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32),
        "vae": AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32),
        "text_encoder": CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32),
    }
    if parts["unet"].config.in_channels != 9:
        problem = f"The UNet has {parts['unet'].config.in_channels} input channels; inpainting needs 9."
        raise ModelError(problem, "Choose an inpainting model.", folder)
    for part in parts.values():
        part.requires_grad_(False).eval().to(accelerator.device, memory_format=torch.channels_last)
    return BaseModel(
        name=name,
        digest=model_digest(folder),
        layers=spec(name).layers,
        repairs=spec(name).repairs,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=read_scheduler(folder),
        accelerator=accelerator,
        **parts,
    )


def read_scheduler(folder: Path) -> dict[str, Any]:
    """The noise schedule's configuration of a model folder."""
    from diffusers import DDPMScheduler

    return dict(DDPMScheduler.load_config(folder / "scheduler"))


def _accelerator(device: str, precision: str) -> Accelerator:
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise ModelError("No CUDA device is visible.", "Set base.device to auto or cpu, or mend the driver.")
    on_cpu = device == "cpu" or not has_cuda
    chosen = precision if precision != "auto" else ("no" if on_cpu else "bf16")
    return Accelerator(cpu=on_cpu, mixed_precision=chosen)
