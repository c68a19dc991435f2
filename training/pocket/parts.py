"""The parts of the pocket model before training, and its folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from realfill.core.atomic_io import write_json

SIDE = 256  # pixels along a photo
FACTOR = 4  # pixels a latent
CARRIER = 4.0  # the constant in the autoencoder's trunk, where colours are about 0.5
PROMPTS = ("a photo", "")
WORDS = ("a", "photo", "of", "sks", "the", "picture", "image", "in", "and", "with", "on", "at")
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "steps_offset": 1,
}


def autoencoder(width: int) -> Any:
    """An autoencoder that starts as 4-fold averaging and bilinear interpolation of the colours.

    The first three channels carry the colours all the way. Group normalisation would lose their level and range,
    so in their group there are also a large constant and the negatives of all four: the mean is 0 and the
    deviation nearly fixed.
    """
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(width, 2 * width, 4 * width),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=2,
        mid_block_add_attention=False,
        sample_size=SIDE,
    )
    for name, module in model.named_modules():
        if name.endswith("conv2"):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        elif name.endswith("conv_shortcut"):
            _pass_on(module, 1.0, channels=8)
        elif name.endswith("downsamplers.0.conv"):
            _pass_on(module, torch.tensor([0.5, 0.5, 0.0]), channels=8)
        elif name.endswith("upsamplers.0.conv"):
            _pass_on(module, torch.tensor([0.25, 0.5, 0.25]), channels=8)
    for conv in (model.encoder.conv_in, model.decoder.conv_in):
        _start_channels(conv)
    for half in (model.encoder, model.decoder):
        _linearise(half.conv_norm_out, half.conv_out)
    for conv in (model.quant_conv, model.post_quant_conv):
        nn.init.dirac_(conv.weight)
        nn.init.zeros_(conv.bias)
    nn.init.zeros_(model.encoder.conv_out.weight[4:])
    nn.init.constant_(model.encoder.conv_out.bias[4:], -6.0)
    return model


@torch.no_grad()
def _start_channels(conv: Any) -> None:
    """Make a convolution give the three colours, the constant, and the negatives of the four."""
    conv.weight[:8] = 0
    conv.bias[:8] = 0
    for i in range(3):
        conv.weight[i, i, 1, 1] = 1
    conv.bias[3] = CARRIER
    conv.weight[4:8] = -conv.weight[:4]
    conv.bias[4:8] = -conv.bias[:4]


@torch.no_grad()
def _pass_on(conv: Any, taps: Tensor | float, channels: int) -> None:
    """Make a convolution hand on its first channels, smoothed by `taps`, and the constant to no other."""
    kernel = torch.outer(taps, taps) if isinstance(taps, Tensor) else torch.tensor(taps)
    conv.weight[:channels] = 0
    conv.bias[:channels] = 0
    conv.weight[:, [3, 7]] = 0
    for i in range(channels):
        conv.weight[i, i] = kernel


@torch.no_grad()
def _linearise(norm: Any, conv: Any) -> None:
    """Make normalisation, SiLU and the last convolution together hand on the three colours."""
    deviation = CARRIER * math.sqrt(2 * norm.num_groups / norm.num_channels)
    lift = 2.5  # SiLU is almost straight around here: value 2.310, slope 1.086
    norm.weight[:3] = deviation
    norm.bias[:3] = lift
    _pass_on(conv, torch.tensor([0.0, 1.0, 0.0]), channels=3)
    conv.weight[:3] /= 1.086
    conv.bias[:3] = -2.310 / 1.086


def denoiser(width: int) -> Any:
    """A UNet for inpainting; input: noisy latents 4, mask 1 (1 = fill), latents of the masked image 4."""
    model = UNet2DConditionModel(
        sample_size=SIDE // FACTOR,
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


def _text_encoder(vocabulary: int) -> Any:
    """A tiny CLIP text encoder with fixed random weights."""
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=256,
        projection_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
        initializer_factor=10.0,
    )
    return CLIPTextModel(config).eval()


def _write_tokenizer(folder: Path) -> Any:
    """A byte-level BPE vocabulary in CLIP's layout that knows a few words whole and spells out the others."""
    symbols = _byte_symbols()
    vocabulary = [*symbols, *(f"{symbol}</w>" for symbol in symbols)]
    merges: list[str] = []
    for word in WORDS:
        start = word[0]
        for i, letter in enumerate(word[1:], 2):
            piece = f"{letter}</w>" if i == len(word) else letter
            merge = f"{start} {piece}"
            start += piece
            if merge not in merges:
                merges.append(merge)
                vocabulary.append(start)
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "vocab.json", {symbol: i for i, symbol in enumerate(vocabulary)})
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    special |= {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special},
    )
    return CLIPTokenizer.from_pretrained(folder)


def _byte_symbols() -> list[str]:
    """The printable characters that stand for the 256 bytes in a byte-level BPE (GPT-2)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]


@torch.no_grad()
def embed(model_dir: Path) -> Tensor:
    """Embeddings of `PROMPTS`, [2, 77, D] float32."""
    tokenizer = CLIPTokenizer.from_pretrained(model_dir / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(model_dir / "text_encoder", dtype=torch.float32)
    tokens = tokenizer(list(PROMPTS), padding="max_length", max_length=77, return_tensors="pt")
    embeddings: Tensor = encoder(tokens.input_ids)[0]
    return embeddings


def write_frame(folder: Path) -> None:
    """Write everything but the autoencoder and the UNet: index, noise schedule, tokenizer, text encoder."""
    index = {
        part: ["transformers" if kind.startswith("CLIP") else "diffusers", kind]
        for part, kind in (
            ("scheduler", "DDPMScheduler"),
            ("text_encoder", "CLIPTextModel"),
            ("tokenizer", "CLIPTokenizer"),
            ("unet", "UNet2DConditionModel"),
            ("vae", "AutoencoderKL"),
        )
    }
    absent = {part: [None, None] for part in ("feature_extractor", "image_encoder", "safety_checker")}
    names = {"_class_name": "StableDiffusionInpaintPipeline", "_diffusers_version": diffusers.__version__}
    write_json(folder / "model_index.json", names | index | absent | {"requires_safety_checker": False})
    publish(DDPMScheduler(**SCHEDULE), folder / "scheduler")
    tokenizer = _write_tokenizer(folder / "tokenizer")
    publish(_text_encoder(len(tokenizer)), folder / "text_encoder")


def publish(part: Any, folder: Path) -> None:
    """Save a part of the pipeline beside, then rename its files into place: none is ever seen half."""
    beside = folder.with_name(f".{folder.name}.partial")
    part.save_pretrained(beside)
    folder.mkdir(parents=True, exist_ok=True)
    for file in beside.iterdir():
        file.replace(folder / file.name)
    beside.rmdir()
