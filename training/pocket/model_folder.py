"""The folder of the pocket model in diffusers' format: index, noise scheduler, tokenizer, text encoder, networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DDPMScheduler
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from realfill.core.atomic_io import write_json

PROMPTS = ("a photo", "")
WORDS = ("a", "photo", "of", "sks", "the", "picture", "image", "in", "and", "with", "on", "at")
SCHEDULER_CONFIG = {  # zero terminal SNR and trailing timesteps: Lin et al., arXiv 2305.08891
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
COMPONENTS = {
    "scheduler": ["diffusers", "DDPMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def write_untrained_parts(folder: Path) -> None:
    """Write everything but the autoencoder and the UNet: index, noise scheduler, tokenizer, text encoder."""
    absent = {part: [None, None] for part in ("feature_extractor", "image_encoder", "safety_checker")}
    names = {"_class_name": "StableDiffusionInpaintPipeline", "_diffusers_version": diffusers.__version__}
    write_json(folder / "model_index.json", names | COMPONENTS | absent | {"requires_safety_checker": False})
    write_part(DDPMScheduler(**SCHEDULER_CONFIG), folder / "scheduler")
    tokenizer = _write_tokenizer(folder / "tokenizer")
    write_part(_create_text_encoder(len(tokenizer)), folder / "text_encoder")


def write_part(part: Any, folder: Path, max_shard_size: str | None = None) -> None:
    """Save a part of the pipeline beside its folder, then rename each file into place, so that none is incomplete."""
    partial = folder.with_name(f".{folder.name}.partial")
    part.save_pretrained(partial, **({"max_shard_size": max_shard_size} if max_shard_size else {}))
    folder.mkdir(parents=True, exist_ok=True)
    for file in partial.iterdir():
        file.replace(folder / file.name)
    partial.rmdir()


@torch.no_grad()
def encode_prompts(model_dir: Path) -> Tensor:
    """Embeddings of `PROMPTS`, [2, 77, D] float32."""
    tokenizer = CLIPTokenizer.from_pretrained(model_dir / "tokenizer")
    text_encoder = CLIPTextModel.from_pretrained(model_dir / "text_encoder", dtype=torch.float32)
    tokens = tokenizer(list(PROMPTS), padding="max_length", max_length=77, return_tensors="pt")
    prompt_embeds: Tensor = text_encoder(tokens.input_ids)[0]
    return prompt_embeds


def _create_text_encoder(vocabulary_size: int) -> Any:
    """A tiny CLIP text encoder with fixed random weights."""
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=vocabulary_size,
        hidden_size=64,
        intermediate_size=256,
        projection_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=vocabulary_size - 2,
        eos_token_id=vocabulary_size - 1,
        pad_token_id=vocabulary_size - 1,
        initializer_factor=10.0,
    )
    return CLIPTextModel(config).eval()


def _write_tokenizer(folder: Path) -> Any:
    """Write a byte-level BPE vocabulary in CLIP's format with a token for each of `WORDS`; others are spelled out."""
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
