"""The base model that comes with the package, as diffusers' own pipeline uses it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, DPMSolverMultistepScheduler, StableDiffusionInpaintPipeline
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from transformers import CLIPTokenizer

POCKET = Path(__file__).resolve().parents[2] / "realfill" / "diffusion" / "pocket"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A part of a photo that the model was not trained on: [256, 256, 3] uint8."""
    return np.ascontiguousarray(data.stereo_motorcycle()[0][100:356, 200:456])


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionInpaintPipeline:
    loaded = StableDiffusionInpaintPipeline.from_pretrained(POCKET, safety_checker=None, torch_dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def test_is_small_and_free_of_pickles() -> None:
    files = [path for path in POCKET.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 80e6
    assert not {path.suffix for path in files} & {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}


def test_unet_takes_latents_mask_and_masked_latents(pipeline: StableDiffusionInpaintPipeline) -> None:
    assert pipeline.unet.config.in_channels == 9
    assert pipeline.unet.config.out_channels == 4
    assert pipeline.unet.dtype == pipeline.vae.dtype == pipeline.text_encoder.dtype == torch.float32


def test_autoencoder_keeps_a_photo(photo: np.ndarray) -> None:
    model = AutoencoderKL.from_pretrained(POCKET / "vae", torch_dtype=torch.float32)
    images = torch.tensor(photo).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        output = model.decode(model.encode(images).latent_dist.mode()).sample[0].clamp(-1, 1)
    levels = ((output + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert peak_signal_noise_ratio(photo, levels) > 25


@pytest.mark.parametrize("prompt", ["a photo of sks", "", "a picture of 3 zebras"])
def test_tokenizer_round_trip(prompt: str) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    tokens = tokenizer(prompt).input_ids
    assert tokens[0] == tokenizer.bos_token_id
    assert tokens[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(tokens, skip_special_tokens=True) == prompt
    assert tokenizer.unk_token_id not in tokens[1:-1]


def test_tokenizer_knows_the_words_of_the_tuning_prompt() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    assert len(tokenizer("a photo of sks").input_ids) == 6


@pytest.mark.parametrize("scheduler", [DDPMScheduler, DPMSolverMultistepScheduler])
def test_fill_resembles_its_surroundings_more_than_gray_does(
    pipeline: StableDiffusionInpaintPipeline, photo: np.ndarray, scheduler: Any
) -> None:
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
    hole = np.zeros((256, 256), bool)
    hole[96:160, 96:160] = True
    sky = np.broadcast_to(np.array([70, 130, 200], np.uint8), photo.shape)
    fill = pipeline(
        "a photo",
        image=Image.fromarray(sky),
        mask_image=Image.fromarray(hole),
        height=256,
        width=256,
        num_inference_steps=10,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).images[0]
    assert np.abs(fill[hole] * 255 - sky[hole]).mean() < np.abs(127.5 - sky[hole]).mean()
