"""Folders of tiny random models of each family, made on the spot without a network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from support.models import write_tiny_model

SIDE = 32  # pixels
CHAT = (
    "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_VAE: dict[str, Any] = {
    "block_out_channels": (8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "layers_per_block": 1,
    "norm_num_groups": 1,
    "sample_size": SIDE,
}
_CLIP = {
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
    "hidden_size": 32,
    "intermediate_size": 37,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "vocab_size": 400,
    "projection_dim": 32,
    "hidden_act": "gelu",
}


def _write_sd(folder: Path) -> None:
    write_tiny_model(folder)


def _write_sdxl(folder: Path) -> None:
    _write_clip_tokenizer(folder / "tokenizer")
    _write_clip_tokenizer(folder / "tokenizer_2")
    parts = {
        "unet": diffusers.UNet2DConditionModel(
            sample_size=SIDE // 2,
            in_channels=9,
            out_channels=4,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 1),
            projection_class_embeddings_input_dim=80,
            cross_attention_dim=64,
        ),
        "vae": diffusers.AutoencoderKL(**_VAE, latent_channels=4, scaling_factor=0.13025),
        "text_encoder": transformers.CLIPTextModel(transformers.CLIPTextConfig(**_CLIP)),
        "text_encoder_2": transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**_CLIP)),
        "scheduler": diffusers.EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            steps_offset=1,
            beta_schedule="scaled_linear",
            timestep_spacing="leading",
        ),
    }
    _save(folder, parts, {"_class_name": "StableDiffusionXLInpaintPipeline", "force_zeros_for_empty_prompt": True})


def _write_flux_fill(folder: Path) -> None:
    _write_clip_tokenizer(folder / "tokenizer")
    _write_unigram_tokenizer(folder / "tokenizer_2")
    t5 = transformers.T5Config(d_model=32, d_ff=32, d_kv=8, num_heads=4, num_layers=2, vocab_size=64)
    parts = {
        "transformer": diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=48,
            out_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=[4, 4, 8],
            guidance_embeds=True,
        ),
        "vae": diffusers.AutoencoderKL(
            **_VAE,
            latent_channels=4,
            shift_factor=0.1159,
            scaling_factor=0.3611,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        "text_encoder": transformers.CLIPTextModel(transformers.CLIPTextConfig(**_CLIP)),
        "text_encoder_2": transformers.T5EncoderModel(t5),
        "scheduler": _flow_scheduler(),
    }
    _save(folder, parts, {"_class_name": "FluxFillPipeline"})


def _write_flux2_klein(folder: Path) -> None:
    _write_chat_tokenizer(folder / "tokenizer")
    qwen = transformers.Qwen3Config(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=28,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        vocab_size=320,
        max_position_embeddings=512,
    )
    vae = diffusers.AutoencoderKLFlux2(**_VAE, latent_channels=2)
    with torch.no_grad():
        vae.bn.running_mean.uniform_(-0.2, 0.2)
        vae.bn.running_var.uniform_(0.5, 2)
    parts = {
        "transformer": diffusers.Flux2Transformer2DModel(
            in_channels=8,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        "vae": vae,
        "text_encoder": transformers.Qwen3ForCausalLM(qwen),
        "scheduler": _flow_scheduler(),
    }
    _save(folder, parts, {"_class_name": "Flux2KleinPipeline", "is_distilled": False})


WRITERS: dict[str, Callable[[Path], None]] = {
    "sd": _write_sd,
    "sdxl": _write_sdxl,
    "flux_fill": _write_flux_fill,
    "flux2_klein": _write_flux2_klein,
}


def write_tiny_family(family: str, folder: Path) -> Path:
    """Write a folder of the family in diffusers' format; weights are random, by a fixed seed."""
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    WRITERS[family](folder)
    return folder


def write_fill_checkpoint(path: Path, channels: int) -> Path:
    """A file with the names of FLUX.1's own checkpoints, as ComfyUI's users have them."""
    shapes = {"img_in.weight": (32, channels), "double_blocks.0.img_mod.lin.weight": (192, 32)}
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
    return path


def _save(folder: Path, parts: dict[str, Any], index: dict[str, Any]) -> None:
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps(index))


def _flow_scheduler() -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
    )


def _train_bpe(specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["a photo of sks scene"], trainer)
    return tokenizer


def _write_clip_tokenizer(folder: Path) -> None:
    model = json.loads(_train_bpe(["<|startoftext|>", "<|endoftext|>"]).to_str())["model"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [" ".join(merge) for merge in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    settings = {
        "model_max_length": 77,
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _write_unigram_tokenizer(folder: Path) -> None:
    letters = [(letter, -2.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -1.0), *letters], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


def _write_chat_tokenizer(folder: Path) -> None:
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=_train_bpe(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        chat_template=CHAT,
    ).save_pretrained(folder)
