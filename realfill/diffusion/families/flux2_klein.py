"""FLUX.2 klein: a transformer that sees the masked image and photos of the scene as further tokens, Qwen3."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.condition import Condition, Embeddings, LoraTargets
from realfill.diffusion.noise_process import FlowProcess

if TYPE_CHECKING:
    from realfill.diffusion.noise_process import NoiseProcess

TEXT_TOKENS = 512
TEXT_LAYERS = (9, 18, 27)  # whose hidden states are the prompt
IMAGE_SPACING = 10  # between the first positions of images that are context
ATTENTION_LAYERS = (
    r"(transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)"
    r"|single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out))"
)
ALL_LAYERS = ATTENTION_LAYERS[:-1] + r"|transformer_blocks\.\d+\.(ff|ff_context)\.(linear_in|linear_out))"


class Flux2Klein(BaseModel):
    """FLUX.2 klein: 128 latent channels of 16 px; no mask channels, so that what is known is restored each step.

    The masked image is the first image of the context, the references follow.
    """

    denoiser = "transformer"
    blends = True
    activation_gigabytes = inf  # 43 with three references, and each number of them has a graph of its own
    max_references = 3  # 1024 tokens each, beside 4096 of the picture and 4096 of the masked image

    @property
    def resolution(self) -> int:
        """Side of the square images it is used on, pixels."""
        return int(self.part("vae").config.sample_size)

    @property
    def vae_scale_factor(self) -> int:
        """Pixels of the image per latent, along a side: the autoencoder's, times 2 for the patches."""
        return 2 * super().vae_scale_factor

    @cached_property
    def process(self) -> NoiseProcess:
        """Flow matching; times are shifted by the numbers of tokens and steps."""
        return FlowProcess(dict(self.configs["scheduler"]), _shift)

    @property
    def guidance_kind(self) -> Literal["classifier-free", "embedded", "none"]:
        """By a second prediction, except in the distilled models."""
        return "none" if self.configs["model_index"].get("is_distilled") else "classifier-free"

    def lora_targets(self, layers: Literal["attention", "all"]) -> LoraTargets:
        """Attention, which holds the feed-forward layers of single blocks; or those of double blocks, too."""
        return ALL_LAYERS if layers == "all" else ATTENTION_LAYERS

    def encode_prompts(self, prompts: Sequence[str]) -> Embeddings:
        """Embed prompts: "prompt" [n, 512, D], hidden states of three layers of Qwen3 beside each other."""
        tokenizer = self.part("tokenizer")
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,
            )
            for prompt in prompts
        ]
        tokens = self.tokenize("tokenizer", texts, TEXT_TOKENS)
        output = self.part("text_encoder")(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            output_hidden_states=True,
            use_cache=False,
        )
        return {"prompt": torch.cat([output.hidden_states[layer] for layer in TEXT_LAYERS], dim=-1).float()}

    def encode_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The latents [B, 128, h, w] of images [B, 3, H, W], -1 to 1: the posterior's mode, without a deviation."""
        vae = self.part("vae")
        mode = pixel_unshuffle(vae.encode(pixels.to(vae.dtype)).latent_dist.mode(), 2).float()
        mean, std = self._statistics()
        latents = (mode - mean) / std
        return latents, torch.zeros_like(latents)

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Images [B, 3, H, W], -1 to 1, of latents [B, 128, h, w]."""
        vae, (mean, std) = self.part("vae"), self._statistics()
        images: Tensor = vae.decode(pixel_shuffle(latents * std + mean, 2).to(vae.dtype)).sample
        return images

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of patches of latents, [1, 128, 1, 1] float32."""
        vae = self.part("vae")
        mean, variance = (value.float().view(1, -1, 1, 1) for value in (vae.bn.running_mean, vae.bn.running_var))
        return mean, torch.sqrt(variance + vae.config.batch_norm_eps)

    def denoise(
        self, noisy: Tensor, times: Tensor, condition: Condition, embeddings: Embeddings, guidance: float
    ) -> Tensor:
        """The transformer's output for the noisy tokens, [B, 128, h, w]."""
        count, _, height, width = noisy.shape
        context = [condition.masked_latents, *condition.references.unbind(dim=1)]
        images = [noisy, *context]  # each [B, 128, h, w]
        positions = torch.cat([_positions(image, IMAGE_SPACING * index) for index, image in enumerate(images)])
        prompt = embeddings["prompt"]
        text_positions = torch.zeros(prompt.shape[1], 4, device=noisy.device)
        text_positions[:, 3] = torch.arange(prompt.shape[1], device=noisy.device)
        output = self.part("transformer")(
            hidden_states=torch.cat([image.flatten(2).transpose(1, 2) for image in images], dim=1),
            timestep=(times / 1000).expand(count),
            guidance=None,
            encoder_hidden_states=prompt,
            txt_ids=text_positions.expand(count, -1, -1),
            img_ids=positions.expand(count, -1, -1),
            return_dict=False,
        )[0]  # [B, T, 128]
        return output[:, : height * width].transpose(1, 2).reshape(noisy.shape)


def _positions(image: Tensor, time: int) -> Tensor:
    """Positions (T, H, W, L) of the tokens of latents [B, C, h, w], [h w, 4] float32."""
    height, width = image.shape[-2:]
    ranges = ((time, time + 1), (0, height), (0, width), (0, 1))
    axes = (torch.arange(*values, dtype=torch.float32, device=image.device) for values in ranges)
    return torch.cartesian_prod(*axes)


def _shift(tokens: int, steps: int) -> float:
    """`mu` of the scheduler's time shift, as `compute_empirical_mu` of diffusers and of the model's own code."""
    few_steps = 8.73809524e-05 * tokens + 1.89833333  # at 10 steps
    many_steps = 0.00016927 * tokens + 0.45666666  # at 200 steps
    if tokens > 4300:
        return many_steps
    slope = (many_steps - few_steps) / 190
    return slope * steps + many_steps - 200 * slope
