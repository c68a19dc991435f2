"""FLUX.1 Fill: a transformer whose tokens also hold the masked image and the mask, T5 and CLIP, flow matching."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.condition import Condition, Embeddings, LoraTargets
from realfill.diffusion.noise_process import FlowProcess

if TYPE_CHECKING:
    from realfill.diffusion.noise_process import NoiseProcess

T5_TOKENS = 512
# As in diffusers' examples of LoRA for FLUX.1.
ATTENTION_MODULES = [
    *(f"attn.{name}" for name in ("to_k", "to_q", "to_v", "to_out.0")),
    *(f"attn.{name}" for name in ("add_k_proj", "add_q_proj", "add_v_proj", "to_add_out")),
]
FEED_FORWARD_MODULES = ["ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2"]


class FluxFill(BaseModel):
    """FLUX.1 Fill: 16 latent channels, packed 2x2 to tokens inside `denoise`; guidance is its input."""

    denoiser = "transformer"
    activation_gigabytes = 27.0
    text_parts = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
    tuning_guidance = 30.0  # the value that the model's pipeline samples with

    @property
    def resolution(self) -> int:
        """Side of the square images it was trained on, pixels."""
        return int(self.part("vae").config.sample_size)

    @cached_property
    def process(self) -> NoiseProcess:
        """Flow matching; times are shifted by the number of tokens."""
        config = dict(self.configs["scheduler"])
        return FlowProcess(config, lambda tokens, steps: _shift(config, tokens))

    @property
    def guidance_kind(self) -> Literal["classifier-free", "embedded", "none"]:
        """An input of the denoiser."""
        return "embedded"

    def tokens(self, height: int, width: int) -> int:
        """Number of 2x2 patches of latents."""
        return (height // 2) * (width // 2)

    def lora_targets(self, layers: Literal["attention", "all"]) -> LoraTargets:
        """Attention, and feed-forward layers where all are asked for."""
        return ATTENTION_MODULES + (FEED_FORWARD_MODULES if layers == "all" else [])

    def encode_prompts(self, prompts: Sequence[str]) -> Embeddings:
        """Embed prompts: "prompt" [n, 512, 4096] of T5, "pooled" [n, 768] of CLIP."""
        outputs = {}
        for suffix, length in (("", None), ("_2", T5_TOKENS)):
            tokens = self.tokenize(f"tokenizer{suffix}", prompts, length)
            outputs[suffix] = self.part(f"text_encoder{suffix}")(tokens.input_ids)
        return {"prompt": outputs["_2"][0].float(), "pooled": outputs[""].pooler_output.float()}

    def encode_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents [B, 16, h, w] of images [B, 3, H, W], -1 to 1."""
        vae = self.part("vae")
        posterior = vae.encode(pixels.to(vae.dtype)).latent_dist
        scale = vae.config.scaling_factor
        return (posterior.mean - vae.config.shift_factor) * scale, posterior.std * scale

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Images [B, 3, H, W], -1 to 1, of latents [B, 16, h, w]."""
        vae = self.part("vae")
        latents = latents / vae.config.scaling_factor + vae.config.shift_factor
        images: Tensor = vae.decode(latents.to(vae.dtype)).sample
        return images

    def denoise(
        self, noisy: Tensor, times: Tensor, condition: Condition, embeddings: Embeddings, guidance: float
    ) -> Tensor:
        """The transformer's output, [B, 16, h, w]."""
        count, _, height, width = noisy.shape
        mask = pixel_unshuffle(condition.mask, self.vae_scale_factor)  # [B, f * f, h, w]
        channels = torch.cat([_pack(noisy), _pack(condition.masked_latents), _pack(mask)], dim=2)  # [B, T, 384]
        rows, columns = (torch.arange(side // 2, device=noisy.device).float() for side in (height, width))
        positions = torch.cartesian_prod(torch.zeros(1, device=noisy.device), rows, columns)  # [T, 3]
        transformer = self.part("transformer")
        scale = torch.full((count,), guidance, device=noisy.device) if transformer.config.guidance_embeds else None
        output = transformer(
            hidden_states=channels,
            timestep=(times / 1000).expand(count),
            guidance=scale,
            pooled_projections=embeddings["pooled"],
            encoder_hidden_states=embeddings["prompt"],
            txt_ids=torch.zeros(embeddings["prompt"].shape[1], 3, device=noisy.device),
            img_ids=positions,
            return_dict=False,
        )[0]  # [B, T, 64]
        return pixel_shuffle(output.transpose(1, 2).reshape(count, -1, height // 2, width // 2), 2)


def _pack(values: Tensor) -> Tensor:
    """[B, C, h, w] -> tokens [B, h/2 * w/2, 4 C]."""
    return pixel_unshuffle(values, 2).flatten(2).transpose(1, 2)


def _shift(config: dict[str, float], tokens: int) -> float:
    """`mu` of the scheduler's time shift: linear in the number of tokens (diffusers' `calculate_shift`)."""
    fewest, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (high - low) / (most - fewest)
    return tokens * slope + (low - slope * fewest)
