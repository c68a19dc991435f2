"""What the denoiser is told beside the noisy latents."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Embeddings = dict[str, Tensor]
"""Prompts as the denoiser takes them: tensors by name, each [number of prompts, ...]."""
LoraTargets = list[str] | str
"""PEFT's target modules: endings of layers' names, or a regular expression of whole names."""


@dataclass(frozen=True)
class Condition:
    """What the denoiser is told of the picture, beside the prompt.

    Attributes:
        mask: [B, 1, R, R] float32 in pixels, 1 = fill.
        masked_latents: [B, C, h, w] float32, of the picture whose hole is gray or shows placed references.
        references: [B, K, C, h', w'] float32, of photos of the scene; K is 0 where the family takes none.
    """

    mask: Tensor
    masked_latents: Tensor
    references: Tensor

    def expand(self, count: int) -> Condition:
        """The condition of one sample, [1, ...], for a batch of `count`."""
        return Condition(*(value.expand(count, *[-1] * (value.ndim - 1)) for value in vars(self).values()))

    def to(self, device: torch.device) -> Condition:
        """The same on a device."""
        return Condition(*(value.to(device) for value in vars(self).values()))
