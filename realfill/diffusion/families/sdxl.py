"""Stable Diffusion XL inpainting: a UNet with mask channels, two CLIP text encoders, sizes as a condition."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from realfill.diffusion.condition import Condition, Embeddings
from realfill.diffusion.families.sd import UNetModel


class StableDiffusionXL(UNetModel):
    """SDXL: both text encoders run once a prompt; the empty prompt is zeros where the model was trained so."""

    full_precision = ("vae",)
    activation_gigabytes = 9.0
    text_parts = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")

    def encode_prompts(self, prompts: Sequence[str]) -> Embeddings:
        """Embed prompts.

        Returns:
            "prompt" [n, 77, 2048], the last but one hidden states of both encoders; "pooled" [n, 1280] of the second.
        """
        hidden, pooled = [], torch.empty(0)
        for suffix in ("", "_2"):
            tokens = self.tokenize(f"tokenizer{suffix}", prompts)
            output = self.part(f"text_encoder{suffix}")(tokens.input_ids, output_hidden_states=True)
            hidden.append(output.hidden_states[-2])
            pooled = output[0]
        embeddings = {"prompt": torch.cat(hidden, dim=-1).float(), "pooled": pooled.float()}
        if self.configs["model_index"].get("force_zeros_for_empty_prompt", True):
            is_empty = torch.tensor([not prompt for prompt in prompts], device=pooled.device)
            embeddings = {
                name: value.masked_fill(is_empty.view(-1, *[1] * (value.ndim - 1)), 0.0)
                for name, value in embeddings.items()
            }
        return embeddings

    def encode_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents; in float32, since the autoencoder overflows in less."""
        with torch.autocast(self.device.type, enabled=False):
            return super().encode_pixels(pixels.float())

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Images [B, 3, H, W], -1 to 1, of latents [B, 4, h, w]; in float32."""
        with torch.autocast(self.device.type, enabled=False):
            return super().decode_latents(latents.float())

    def denoise(
        self, noisy: Tensor, times: Tensor, condition: Condition, embeddings: Embeddings, guidance: float
    ) -> Tensor:
        """The UNet's output, [B, 4, h, w]; original size and target size are the window's, without a crop."""
        sizes = noisy.new_full((6,), condition.mask.shape[-1], dtype=torch.float32)
        sizes[2:4] = 0  # the corner of the crop
        added = {"text_embeds": embeddings["pooled"], "time_ids": sizes.expand(len(noisy), -1)}
        output: Tensor = self.part("unet")(
            self.join_channels(noisy, condition), times, embeddings["prompt"], added_cond_kwargs=added
        ).sample
        return output
