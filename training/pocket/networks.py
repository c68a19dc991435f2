"""The networks of the pocket model before training: autoencoder and UNet."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

IMAGE_SIZE = 256  # pixels
VAE_SCALE_FACTOR = 4  # pixels per latent, along a side
CARRIER = 4.0  # the constant in the autoencoder's trunk, where colors are about 0.5
SILU_CENTER, SILU_VALUE, SILU_SLOPE = 2.5, 2.310, 1.086  # SiLU is almost straight around this argument


def create_autoencoder(width: int) -> Any:
    """An autoencoder that starts as 4-fold averaging and bilinear interpolation of the colors.

    The first three channels carry the colors all the way. Group normalization would lose their level and range, so
    their group also has a large constant and the negatives of all four: its mean is 0 and its deviation nearly fixed.

    Args:
        width: Channels at full resolution.
    """
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(width, 2 * width, 4 * width),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=2,
        mid_block_add_attention=False,
        sample_size=IMAGE_SIZE,
    )
    for name, module in model.named_modules():
        if name.endswith("conv2"):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        elif name.endswith("conv_shortcut"):
            _init_identity(module, 1.0, channels=8)
        elif name.endswith("downsamplers.0.conv"):
            _init_identity(module, torch.tensor([0.5, 0.5, 0.0]), channels=8)
        elif name.endswith("upsamplers.0.conv"):
            _init_identity(module, torch.tensor([0.25, 0.5, 0.25]), channels=8)
    for conv in (model.encoder.conv_in, model.decoder.conv_in):
        _init_carrier(conv)
    for half in (model.encoder, model.decoder):
        _init_linear_output(half.conv_norm_out, half.conv_out)
    for conv in (model.quant_conv, model.post_quant_conv):
        nn.init.dirac_(conv.weight)
        nn.init.zeros_(conv.bias)
    nn.init.zeros_(model.encoder.conv_out.weight[4:])
    nn.init.constant_(model.encoder.conv_out.bias[4:], -6.0)
    return model


@torch.no_grad()
def _init_carrier(conv: Any) -> None:
    """Make a convolution output the three colors, the constant, and the negatives of these four."""
    conv.weight[:8] = 0
    conv.bias[:8] = 0
    for i in range(3):
        conv.weight[i, i, 1, 1] = 1
    conv.bias[3] = CARRIER
    conv.weight[4:8] = -conv.weight[:4]
    conv.bias[4:8] = -conv.bias[:4]


@torch.no_grad()
def _init_identity(conv: Any, taps: Tensor | float, channels: int) -> None:
    """Make a convolution pass on its first channels, smoothed by `taps`, and keep the constant out of the others."""
    kernel = torch.outer(taps, taps) if isinstance(taps, Tensor) else torch.tensor(taps)
    conv.weight[:channels] = 0
    conv.bias[:channels] = 0
    conv.weight[:, [3, 7]] = 0
    for i in range(channels):
        conv.weight[i, i] = kernel


@torch.no_grad()
def _init_linear_output(norm: Any, conv: Any) -> None:
    """Make normalization, SiLU and the last convolution together pass on the three colors."""
    deviation = CARRIER * math.sqrt(2 * norm.num_groups / norm.num_channels)
    norm.weight[:3] = deviation
    norm.bias[:3] = SILU_CENTER
    _init_identity(conv, torch.tensor([0.0, 1.0, 0.0]), channels=3)
    conv.weight[:3] /= SILU_SLOPE
    conv.bias[:3] = -SILU_VALUE / SILU_SLOPE


def create_unet(width: int) -> Any:
    """A UNet for inpainting; input: noisy latents 4, mask 1 (1 = fill), latents of the masked image 4.

    Args:
        width: Channels at full resolution.
    """
    model = UNet2DConditionModel(
        sample_size=IMAGE_SIZE // VAE_SCALE_FACTOR,
        in_channels=9,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(width, 2 * width, 4 * width, 6 * width),
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=8,
        norm_num_groups=16,
        use_linear_projection=True,
    )
    nn.init.zeros_(model.conv_out.weight)
    return model


def load_unet(model_dir: Path) -> Any:
    """The UNet of a model folder, in float32."""
    return UNet2DConditionModel.from_pretrained(model_dir / "unet", torch_dtype=torch.float32)
