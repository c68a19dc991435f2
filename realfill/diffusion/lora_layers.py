"""LoRA layers on a network (Hu et al., ICLR 2022), by PEFT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realfill.diffusion.condition import LoraTargets

if TYPE_CHECKING:
    from peft import PeftModel

    from realfill.core.params import FinetuneParams


def add_lora_layers(network: torch.nn.Module, target_modules: LoraTargets, params: FinetuneParams) -> PeftModel:
    """Add LoRA layers, drawn from PyTorch's default generator, to some modules of a network."""
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=target_modules,
        init_lora_weights="gaussian",
    )
    tuned = get_peft_model(network, config)
    for module in tuned.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False  # autocast chooses the types
    return tuned
