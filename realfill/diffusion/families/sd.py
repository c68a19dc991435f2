"""Stable Diffusion 2 inpainting and models of its classes, such as `pocket`: a UNet with mask channels, CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.condition import Condition, Embeddings, LoraTargets
from realfill.diffusion.noise_process import DiffusionProcess

if TYPE_CHECKING:
    from realfill.diffusion.noise_process import NoiseProcess

# PEFT's target modules: layers whose names end so. Attention as in diffusers' LoRA examples, convolutions and
# feed-forward layers as `UNet2DConditionModel` names them.
ATTENTION_MODULES = ["to_k", "to_q", "to_v", "to_out.0"]
CONVOLUTION_MODULES = ["conv1", "conv2", "conv_shortcut", "conv", "proj_in", "proj_out", "net.0.proj", "net.2"]


class UNetModel(BaseModel):
    """A model whose denoiser is a `UNet2DConditionModel` with 9 input channels.

    They are: noisy latents 4, mask 1 (1 = fill), latents of the masked image 4.
    """

    denoiser = "unet"

    @property
    def resolution(self) -> int:
        """Side of the square images it was trained on, pixels."""
        return int(self.part("unet").config.sample_size) * self.vae_scale_factor

    @cached_property
    def process(self) -> NoiseProcess:
        """Denoising diffusion by the model's own schedule."""
        return DiffusionProcess(dict(self.configs["scheduler"]))

    def lora_targets(self, layers: Literal["attention", "all"]) -> LoraTargets:
        """Attention, and convolutions and feed-forward layers where all are asked for."""
        return ATTENTION_MODULES + (CONVOLUTION_MODULES if layers == "all" else [])

    def encode_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents [B, 4, h, w] of images [B, 3, H, W], -1 to 1."""
        vae = self.part("vae")
        posterior, scale = vae.encode(pixels).latent_dist, vae.config.scaling_factor
        return posterior.mean * scale, posterior.std * scale

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Images [B, 3, H, W], -1 to 1, of latents [B, 4, h, w]."""
        vae = self.part("vae")
        images: Tensor = vae.decode(latents / vae.config.scaling_factor).sample
        return images

    def join_channels(self, noisy: Tensor, condition: Condition) -> Tensor:
        """The UNet's input, [B, 9, h, w]."""
        return torch.cat([noisy, self.downsample_masks(condition.mask), condition.masked_latents], dim=1)


class StableDiffusion(UNetModel):
    """Stable Diffusion: the text encoder is small and is tuned, too, as in RealFill."""

    tunes_text = True
    full_precision = ("vae", "text_encoder")
    activation_gigabytes = 0.0

    def encode_prompts(self, prompts: Sequence[str]) -> Embeddings:
        """Embed prompts: "prompt", [len(prompts), L, D]."""
        return {"prompt": self.part("text_encoder")(self.tokenize("tokenizer", prompts).input_ids)[0]}

    def denoise(
        self, noisy: Tensor, times: Tensor, condition: Condition, embeddings: Embeddings, guidance: float
    ) -> Tensor:
        """The UNet's output, [B, 4, h, w]."""
        output: Tensor = self.part("unet")(self.join_channels(noisy, condition), times, embeddings["prompt"]).sample
        return output
