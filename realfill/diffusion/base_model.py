"""Load an inpainting diffusion model from a folder in diffusers' format, and encode and decode with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from peft import PeftModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from realfill.core.errors import ModelError
from realfill.diffusion.model_registry import get_model_spec, locate_model, model_digest
from realfill.imaging.ops import UNKNOWN_LEVEL

if TYPE_CHECKING:
    from realfill.core.params import BaseParams

UNET_CHANNELS = 9  # of Stable Diffusion's inpainting UNet: noisy latents 4, mask 1, latents of the masked image 4


@dataclass
class BaseModel:
    """An inpainting diffusion model in memory, frozen, in evaluation mode.

    Attributes:
        name: Name in the registry, or the path of its folder, as in the parameters.
        digest: SHA-256 over its files, hex.
        lora_layers: Which layers LoRA tunes: "attention", or "all" with the convolutions.
        accepts_composite: Whether its masked image may show content inside the hole, which the model then adapts.
        unet: `UNet2DConditionModel` with 9 input channels: noisy latents 4, mask 1 (1 = fill), latents of the masked
            image 4.
        vae: `AutoencoderKL` with 4 latent channels.
        text_encoder: `CLIPTextModel`.
        tokenizer: `CLIPTokenizer`.
        scheduler_config: Configuration of the noise scheduler.
        accelerator: Device and precision.
    """

    name: str
    digest: str
    lora_layers: Literal["attention", "all"]
    accepts_composite: bool
    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler_config: dict[str, Any]
    accelerator: Accelerator

    @property
    def device(self) -> torch.device:
        """Device that the model is on."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def vae_scale_factor(self) -> int:
        """Pixels of the image per latent, along a side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def resolution(self) -> int:
        """Side of the square images it was trained on, pixels."""
        return int(self.unet.config.sample_size) * self.vae_scale_factor

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Encode images to latents.

        Args:
            images: [B, R, R, 3] uint8 sRGB.

        Returns:
            Mean and standard deviation of the posterior, each [B, 4, R/f, R/f] float32 on the CPU, multiplied by the
            autoencoder's scaling factor, as the UNet takes them; f is `vae_scale_factor`.
        """
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device)  # [B, 3, R, R] uint8
        with self.accelerator.autocast():
            posterior = self.vae.encode(batch.float() / 127.5 - 1).latent_dist
        scale = self.vae.config.scaling_factor
        return (posterior.mean * scale).float().cpu(), (posterior.std * scale).float().cpu()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Decode latents.

        Args:
            latents: [B, 4, h, w] float32, multiplied by the autoencoder's scaling factor.

        Returns:
            [B, f h, f w, 3] float32 sRGB, mostly in 0..1; f is `vae_scale_factor`. Not finite where the model failed.
        """
        with self.accelerator.autocast():
            images = self.vae.decode(latents.to(self.device) / self.vae.config.scaling_factor).sample
        array: np.ndarray = ((images.float() + 1) / 2).permute(0, 2, 3, 1).cpu().numpy()
        return array

    def downsample_masks(self, masks: np.ndarray) -> Tensor:
        """[B, R, R] bool -> [B, 1, R/f, R/f] float32 on the CPU: 1 where any pixel of the latent's patch is set."""
        return torch.nn.functional.max_pool2d(torch.from_numpy(masks).float()[:, None], self.vae_scale_factor)

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Embed prompts.

        Returns:
            [len(prompts), L, D], differentiable in the LoRA weights that the text encoder has.
        """
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        prompt_embeds: Tensor = self.text_encoder(tokens.input_ids.to(self.device))[0]
        return prompt_embeds

    @contextmanager
    def use_adapter(self, folder: Path | None) -> Iterator[None]:
        """Add a LoRA adapter inside the block.

        Args:
            folder: The adapter in PEFT's format, with unet/ and text_encoder/; None to use the model as it is.
        """
        if folder is None:
            yield
            return
        base = self.unet, self.text_encoder
        try:
            self.unet = PeftModel.from_pretrained(base[0], folder / "unet").eval()
            self.text_encoder = PeftModel.from_pretrained(base[1], folder / "text_encoder").eval()
            yield
        finally:
            for part in (self.unet, self.text_encoder):
                if isinstance(part, PeftModel):
                    part.unload()
            self.unet, self.text_encoder = base


def mask_image(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Make the masked image that the UNet is conditioned on.

    Args:
        image: [..., H, W, 3] uint8 sRGB.
        mask: [..., H, W] bool, True = masked.

    Returns:
        [..., H, W, 3] uint8 sRGB, middle gray where it is masked.
    """
    return np.where(mask[..., None], np.uint8(UNKNOWN_LEVEL), image)


def load_base_model(params: BaseParams) -> BaseModel:
    """Load the base model that the parameters name, once per process.

    Raises:
        ModelError: It is not on this machine, is incomplete or of the wrong kind, or there is no such device.
    """
    return _load(params.model, params.device, params.precision)


@cache
def _load(name: str, device: str, precision: str) -> BaseModel:
    folder, spec = locate_model(name), get_model_spec(name)
    accelerator = _create_accelerator(device, precision)
    transformers_logging.disable_progress_bar()
    parts = {
        "unet": UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32),
        "vae": AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32),
        "text_encoder": CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32),
    }
    channels = parts["unet"].config.in_channels
    if channels != UNET_CHANNELS:
        problem = f"The UNet has {channels} input channels; inpainting needs {UNET_CHANNELS}."
        raise ModelError(problem, "Choose an inpainting model.", folder)
    for part in parts.values():
        part.requires_grad_(False).eval().to(accelerator.device, memory_format=torch.channels_last)
    return BaseModel(
        name=name,
        digest=model_digest(folder),
        lora_layers=spec.lora_layers,
        accepts_composite=spec.accepts_composite,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler_config=dict(DDPMScheduler.load_config(folder / "scheduler")),
        accelerator=accelerator,
        **parts,
    )


def _create_accelerator(device: str, precision: str) -> Accelerator:
    """Choose device and precision; "auto" is bfloat16 on CUDA and float32 on the CPU."""
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise ModelError("No CUDA device is visible.", "Set base.device to auto or cpu, or repair the driver.")
    on_cpu = device == "cpu" or not has_cuda
    mixed_precision = precision if precision != "auto" else ("no" if on_cpu else "bf16")
    return Accelerator(cpu=on_cpu, mixed_precision=mixed_precision)
